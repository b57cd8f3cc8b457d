//! URLs (k8s.io/apiserver/pkg/cel/library/urls.go, Go's net/url).

mod escape;

use std::sync::Arc;

use super::address;
use super::arguments::{exactly, string, strings, url};
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, Map, Opaque, OwnedMap, Value};
use escape::{Part, escape, escaped, unescape};
use kindsmith_text::print::quoted;

/// Go reads no query with more parameters (`defaultMaxParams`).
const PARAMETERS_MAX: usize = 10_000;

/// A URL. Two are the same when they are written the same.
#[derive(Debug)]
pub struct Url {
    scheme: String,
    host: String,
    escaped_path: String,
    query: String,
    /// As Go writes it.
    text: String,
}

impl PartialEq for Url {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

impl Url {
    /// `url.ParseRequestURI`, then `url.Parse` for the fragment, as `stringToUrl` does.
    fn parse(text: &str) -> Result<Self, String> {
        check_request_uri(text)?;
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        let parsed = parse(url, Strictness::Any).map_err(|error| complaint(url, &error))?;
        let unescaped = unescape(fragment, Part::Fragment).map_err(|error| complaint(text, &error))?;
        let fragment = escaped(fragment, &unescaped, Part::Fragment);
        let text = parsed.print(&fragment);
        let escaped_path = parsed.escaped_path();
        let Parsed { scheme, host, query, .. } = parsed;
        Ok(Self { scheme, host: String::from_utf8_lossy(&host).into_owned(), escaped_path, query, text })
    }

    /// Host and port (`splitHostPort`).
    fn host_and_port(&self) -> (&str, &str) {
        let host = self.host.as_str();
        let (host, port) = match host.rfind(':').map(|colon| host.split_at(colon)) {
            Some((name, port)) if is_port(port) => (name, &port[1..]),
            _ => (host, ""),
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        (inner.unwrap_or(host), port)
    }

    /// The parameters by their keys, in the order of first occurrence; wrong ones are left out (`parseQuery`).
    fn parameters(&self) -> Vec<(String, Vec<String>)> {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        let mut index = std::collections::HashMap::new();
        if self.query.matches('&').count() + 1 > PARAMETERS_MAX {
            return found;
        }
        for parameter in self.query.split('&').filter(|parameter| !parameter.is_empty() && !parameter.contains(';')) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (Ok(key), Ok(value)) = (unescape(key, Part::Query), unescape(value, Part::Query)) else { continue };
            let key = String::from_utf8_lossy(&key).into_owned();
            let at = *index.entry(key.clone()).or_insert(found.len());
            if at == found.len() {
                found.push((key, Vec::new()));
            }
            if let Some((_, values)) = found.get_mut(at) {
                values.push(String::from_utf8_lossy(&value).into_owned());
            }
        }
        found
    }
}

/// What is wrong with `text` as a request URI, as `url.ParseRequestURI` says it.
pub(super) fn check_request_uri(text: &str) -> Result<(), String> {
    parse(text, Strictness::Request).map(|_| ()).map_err(|error| complaint(text, &error))
}

fn complaint(text: &str, error: &str) -> String {
    format!("parse {}: {error}", quoted(text))
}

/// Which URLs are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// Relative ones too.
    Any,
    /// Absolute ones, and absolute paths.
    Request,
}

/// The parts of a URL (`url.URL`).
#[derive(Default)]
struct Parsed {
    scheme: String,
    opaque: String,
    /// Escaped anew.
    user: Option<String>,
    host: Vec<u8>,
    path: Vec<u8>,
    raw_path: String,
    query: String,
    has_empty_query: bool,
    omits_host: bool,
}

fn parse(text: &str, strictness: Strictness) -> Result<Parsed, String> {
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() && strictness == Strictness::Request {
        return Err("empty url".to_owned());
    }
    let mut url = Parsed::default();
    if text == "*" {
        url.path = b"*".to_vec();
        url.raw_path = "*".to_owned();
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.has_empty_query = query.is_empty() && text.ends_with('?');
    url.query = query.to_owned();
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        if strictness == Strictness::Request {
            return Err("invalid URI for request".to_owned());
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let may_have_host = !url.scheme.is_empty() || (strictness == Strictness::Any && !rest.starts_with("///"));
    match rest.strip_prefix("//") {
        Some(after) if may_have_host => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            (url.user, url.host) = authority_of(&url.scheme, authority)?;
            rest = path;
        }
        _ => url.omits_host = !url.scheme.is_empty() && rest.starts_with('/'),
    }
    url.path = unescape(rest, Part::Path)?;
    url.raw_path = rest.to_owned();
    Ok(url)
}

/// `getScheme`.
fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (i, c) in text.bytes().enumerate() {
        match c {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i > 0 => return Ok((&text[..i], &text[i + 1..])),
            b':' => return Err("missing protocol scheme".to_owned()),
            _ => break,
        }
    }
    Ok(("", text))
}

/// `parseAuthority`.
fn authority_of(scheme: &str, text: &str) -> Result<(Option<String>, Vec<u8>), String> {
    let Some((user, host)) = text.rsplit_once('@') else { return Ok((None, host_of(scheme, text)?)) };
    let host = host_of(scheme, host)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(allowed) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let again = |text: &str| unescape(text, Part::User).map(|bytes| escape(&bytes, Part::User));
    let user = match user.split_once(':') {
        Some((user, password)) => format!("{}:{}", again(user)?, again(password)?),
        None => again(user)?,
    };
    Ok((Some(user), host))
}

/// `parseHost`.
fn host_of(scheme: &str, text: &str) -> Result<Vec<u8>, String> {
    let port_fault = |port: &str| format!("invalid port {} after host", quoted(port));
    match text.rfind('[') {
        Some(0) => {}
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {
            if let (Some(first), Some(last)) = (text.find(':'), text.rfind(':')) {
                let port = &text[if matches!(scheme, "http" | "https") { first } else { last }..];
                if !is_port(port) {
                    return Err(port_fault(port));
                }
            }
            return unescape(text, Part::Host);
        }
    }
    let Some(end) = text.rfind(']') else { return Err("missing ']' in host".to_owned()) };
    let (literal, port) = (&text[1..end], &text[end + 1..]);
    if !is_port(port) {
        return Err(port_fault(port));
    }
    let bytes = match literal.find("%25").map(|zone| literal.split_at(zone)) {
        Some((address, zone)) => [unescape(address, Part::Host)?, unescape(zone, Part::Zone)?].concat(),
        None => unescape(literal, Part::Host)?,
    };
    let literal = String::from_utf8_lossy(&bytes);
    let address = address::parse(&literal).map_err(|error| format!("invalid host: {error}"))?;
    if address.ip.is_ipv4() {
        return Err("invalid IP-literal".to_owned());
    }
    Ok([b"[", bytes.as_slice(), b"]", port.as_bytes()].concat())
}

/// Empty, or a colon and digits (`validOptionalPort`).
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

impl Parsed {
    fn escaped_path(&self) -> String {
        escaped(&self.raw_path, &self.path, Part::Path)
    }

    /// `URL.String`.
    fn print(&self, fragment: &str) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            let has_host = !self.host.is_empty() || self.user.is_some();
            if has_host || (!self.scheme.is_empty() && !self.omits_host && !self.path.is_empty()) {
                out.push_str("//");
            }
            if let Some(user) = &self.user {
                out.push_str(user);
                out.push('@');
            }
            out.push_str(&escape(&self.host, Part::Host));
            let path = self.escaped_path();
            if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.has_empty_query || !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !fragment.is_empty() {
            out.push('#');
            out.push_str(fragment);
        }
        out
    }
}

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let u = || vec![Type::Opaque("kubernetes.URL")];
    let queries = Type::map(Type::String, Type::list(Type::String));
    let receiver = Overload::receiver;
    vec![
        Overload::global(
            "url",
            "string_to_url",
            vec![Type::String],
            Type::Opaque("kubernetes.URL"),
            Some(|args| {
                let [text] = exactly(args)?;
                let url = Url::parse(string(text)?).map_err(|error| {
                    EvalError::failed(format!("URL parse error during conversion from string: {error}"))
                })?;
                Ok(Value::Opaque(Opaque::Url(Arc::new(url))))
            }),
        ),
        receiver(
            "getScheme",
            "url_get_scheme",
            u(),
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::text(url(of)?.scheme.as_str()))
            }),
        ),
        receiver(
            "getHost",
            "url_get_host",
            u(),
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::text(url(of)?.host.as_str()))
            }),
        ),
        receiver(
            "getHostname",
            "url_get_hostname",
            u(),
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::text(url(of)?.host_and_port().0))
            }),
        ),
        receiver(
            "getPort",
            "url_get_port",
            u(),
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::text(url(of)?.host_and_port().1))
            }),
        ),
        receiver(
            "getEscapedPath",
            "url_get_escaped_path",
            u(),
            Type::String,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::text(url(of)?.escaped_path.as_str()))
            }),
        ),
        receiver(
            "getQuery",
            "url_get_query",
            u(),
            queries,
            Some(|args| {
                let [of] = exactly(args)?;
                let mut map = OwnedMap::default();
                for (key, values) in url(of)?.parameters() {
                    map.insert(Value::text(key), strings(values))?;
                }
                Ok(Value::Map(Map::Owned(Arc::new(map))))
            }),
        ),
        Overload::global(
            "isURL",
            "is_url_string",
            vec![Type::String],
            Type::Bool,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::Bool(check_request_uri(string(text)?).is_ok()))
            }),
        ),
    ]
}
