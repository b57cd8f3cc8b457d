//! Request URIs, as Go's `net/url.ParseRequestURI` reads them.

/// An absolute URI or an absolute path.
pub(super) fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = split_scheme(text) else { return false };
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    if !rest.starts_with('/') {
        // With a scheme this is opaque, without one it is relative.
        return scheme;
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(after) if scheme => after.find('/').map_or((Some(after), ""), |end| {
            let (authority, path) = after.split_at(end);
            (Some(authority), path)
        }),
        _ => (None, rest),
    };
    authority.is_none_or(is_authority) && has_whole_escapes(path)
}

/// Whether there is a scheme, and what follows it; `None` for a colon without a scheme before it.
fn split_scheme(text: &str) -> Option<(bool, &str)> {
    for (i, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if i > 0 => {}
            ':' if i > 0 => return Some((true, &text[i + 1..])),
            ':' => return None,
            _ => return Some((false, text)),
        }
    }
    Some((false, text))
}

fn is_authority(text: &str) -> bool {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    user.is_none_or(is_user) && is_host(host)
}

fn is_user(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    text.chars().all(allowed) && has_whole_escapes(text)
}

fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        let Some((address, port)) = inner.rsplit_once(']') else { return false };
        let address = address.split_once("%25").map_or(address, |(address, _)| address);
        return is_port(port) && address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let (host, port) = text.rfind(':').map_or((text, ""), |colon| text.split_at(colon));
    // Escapes in hosts are for bytes beyond ASCII only.
    let escapes = host.match_indices('%').all(|(i, _)| {
        host.get(i + 1..i + 3).is_some_and(|code| u8::from_str_radix(code, 16).is_ok_and(|byte| byte >= 0x80))
    });
    let allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c);
    is_port(port) && escapes && host.chars().all(allowed)
}

/// Empty, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn has_whole_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_hexdigit);
    (0..bytes.len()).all(|i| bytes[i] != b'%' || (is_hex(i + 1) && is_hex(i + 2)))
}
