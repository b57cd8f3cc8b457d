//! What a path and a method address: a resource or another path (apiserver pkg/endpoints/request/requestinfo.go).

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::error::BadRequest;
use super::go_text::is_true;
use super::list_options::ListOptions;
use super::query::{Query, malformed_escape};
use super::segment::Name;

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection, or one object of it.
    Watch,
    /// Add an object.
    Create,
    /// Replace an object.
    Update,
    /// Change parts of an object.
    Patch,
    /// Remove an object.
    Delete,
    /// Remove a collection.
    DeleteCollection,
    /// A method, or a `/proxy/` path, that no resource has: authorized as the empty verb, then 405.
    Unsupported,
}

impl Verb {
    /// The verb as RBAC spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Unsupported => "",
        }
    }
}

/// What a request addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Objects of a resource, served or not.
    Resource(ResourceTarget),
    /// Anything else: discovery, OpenAPI, health, unknown paths.
    NonResource {
        /// The decoded path.
        path: String,
    },
}

impl Target {
    /// The verb that authorization asks about: for a path that is no resource, the method in lower case.
    pub fn verb(&self, method: &Method) -> Cow<'static, str> {
        match self {
            Self::Resource(resource) => Cow::Borrowed(resource.verb.as_str()),
            Self::NonResource { .. } => Cow::Owned(method.as_str().to_lowercase()),
        }
    }
}

/// A resource request. No part of it is checked against what is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTarget {
    /// What is done.
    pub verb: Verb,
    /// The API group; empty for `/api`.
    pub group: String,
    /// The version in the path.
    pub version: String,
    /// The namespace in the path. A namespace's own path names it here **and** in `name`, as RBAC expects.
    pub namespace: Option<String>,
    /// The plural in the path.
    pub resource: String,
    /// The object's name: from the path, or for a collection from `fieldSelector=metadata.name=…`.
    pub name: Option<String>,
    /// What follows the name, such as `status`. Further segments are ignored.
    pub subresource: Option<String>,
}

/// Reads a request's path, method and query.
///
/// Of the query only `watch` and the name in `fieldSelector` count, and no other fault in it is reported here: the
/// options of the verb are parsed once the sender may do what they ask.
pub fn target(method: &Method, path: &str, query: Option<&str>) -> Result<Target, BadRequest> {
    let path = decode(path)?;
    let Some(mut address) = address(&path) else { return Ok(Target::NonResource { path: path.into_owned() }) };
    let special = take_special_verb(&mut address, &path)?;
    let verb = special.unwrap_or_else(|| verb_of(method));
    let (namespace, parts) = namespace_and_parts(&address.parts);
    let part = |index: usize| parts.get(index).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
    let mut resource = ResourceTarget {
        verb,
        group: address.group.to_owned(),
        version: address.version.to_owned(),
        namespace,
        resource: part(0).unwrap_or_default(),
        name: part(1),
        // What follows the name in a proxied path would be the path behind it.
        subresource: if special == Some(Verb::Unsupported) { None } else { part(2) },
    };
    match resource.verb {
        Verb::Get if resource.name.is_none() => {
            (resource.verb, resource.name) = collection(query)?;
        }
        Verb::Delete if resource.name.is_none() => resource.verb = Verb::DeleteCollection,
        _ => {}
    }
    Ok(Target::Resource(resource))
}

/// The path as the client means it. Segments are split after decoding, as Kubernetes does.
fn decode(path: &str) -> Result<Cow<'_, str>, BadRequest> {
    if let Some(escape) = malformed_escape(path) {
        return Err(BadRequest::new(format!("invalid URL escape {}", super::go_text::quote(escape))));
    }
    percent_decode_str(path).decode_utf8().map_err(|_| BadRequest::new("the path is not valid UTF-8"))
}

struct Address<'a> {
    group: &'a str,
    version: &'a str,
    parts: Vec<&'a str>,
}

/// Splits `/api/v/…` and `/apis/g/v/…`, where something follows the version.
fn address(path: &str) -> Option<Address<'_>> {
    let mut segments = path.trim_matches('/').split('/');
    let group = match segments.next() {
        Some("api") => "",
        Some("apis") => segments.next()?,
        _ => return None,
    };
    let version = segments.next()?;
    let parts: Vec<&str> = segments.collect();
    (!parts.is_empty()).then_some(Address { group, version, parts })
}

/// The deprecated verbs in the path: `/apis/g/v/watch/…`, and `proxy`, which nothing has any more.
fn take_special_verb(address: &mut Address<'_>, path: &str) -> Result<Option<Verb>, BadRequest> {
    let verb = match address.parts.first() {
        Some(&"watch") => Verb::Watch,
        Some(&"proxy") => Verb::Unsupported,
        _ => return Ok(None),
    };
    if address.parts.len() < 2 {
        return Err(BadRequest::new(format!("unable to determine kind and namespace from url, {path}")));
    }
    address.parts.remove(0);
    Ok(Some(verb))
}

fn verb_of(method: &Method) -> Verb {
    match *method {
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE => Verb::Delete,
        _ => Verb::Unsupported,
    }
}

/// Takes `namespaces/x` off the front where a resource follows that is not a part of the namespace itself.
fn namespace_and_parts<'p, 'a>(parts: &'p [&'a str]) -> (Option<String>, &'p [&'a str]) {
    let ["namespaces", namespace, rest @ ..] = parts else { return (None, parts) };
    let own = matches!(rest.first(), None | Some(&("status" | "finalize")));
    let namespace = (!namespace.is_empty()).then(|| (*namespace).to_owned());
    (namespace, if own { parts } else { rest })
}

/// A GET without a name: list or watch, and the one name it is narrowed to, if any.
fn collection(query: Option<&str>) -> Result<(Verb, Option<String>), BadRequest> {
    let parameters = Query::parse(query)?;
    let verb = if parameters.first("watch").is_some_and(is_true) { Verb::Watch } else { Verb::List };
    // Where any option is malformed the name does not count; the verb's own parsing says what is wrong.
    let name = ListOptions::decode(&parameters).ok().and_then(|options| {
        options.field_selector.exact("metadata.name").filter(|name| Name::parse(name).is_ok()).map(str::to_owned)
    });
    Ok((verb, name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// `verb group/version namespace resource name subresource`, `-` for what is absent.
    fn brief(method: &str, uri: &str) -> String {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match target(&method, path, query).unwrap() {
            Target::NonResource { path } => path,
            Target::Resource(t) => format!(
                "{} {}/{} {} {} {} {}",
                t.verb.as_str(),
                t.group,
                t.version,
                t.namespace.as_deref().unwrap_or("-"),
                t.resource,
                t.name.as_deref().unwrap_or("-"),
                t.subresource.as_deref().unwrap_or("-")
            ),
        }
    }

    #[rstest]
    #[case::core_list("GET", "/api/v1/namespaces", "list /v1 - namespaces - -")]
    #[case::namespace_itself("GET", "/api/v1/namespaces/x", "get /v1 x namespaces x -")]
    #[case::namespace_status("PUT", "/api/v1/namespaces/x/status", "update /v1 x namespaces x status")]
    #[case::namespace_finalize("PUT", "/api/v1/namespaces/x/finalize", "update /v1 x namespaces x finalize")]
    #[case::namespaced_list("GET", "/apis/g.io/v1/namespaces/x/redises", "list g.io/v1 x redises - -")]
    #[case::namespaced_get("GET", "/apis/g.io/v1/namespaces/x/redises/a", "get g.io/v1 x redises a -")]
    #[case::head("HEAD", "/apis/g.io/v1/namespaces/x/redises/a", "get g.io/v1 x redises a -")]
    #[case::subresource("PATCH", "/apis/g.io/v1/namespaces/x/redises/a/scale", "patch g.io/v1 x redises a scale")]
    #[case::too_deep("GET", "/apis/g.io/v1/namespaces/x/redises/a/status/b/c", "get g.io/v1 x redises a status")]
    #[case::create("POST", "/apis/g.io/v1/namespaces/x/redises", "create g.io/v1 x redises - -")]
    #[case::delete("DELETE", "/apis/g.io/v1/redises/a", "delete g.io/v1 - redises a -")]
    #[case::deletecollection("DELETE", "/apis/g.io/v1/namespaces/x/redises", "deletecollection g.io/v1 x redises - -")]
    #[case::watch("GET", "/apis/g.io/v1/redises?watch=true", "watch g.io/v1 - redises - -")]
    #[case::watch_empty_value("GET", "/apis/g.io/v1/redises?watch=", "watch g.io/v1 - redises - -")]
    #[case::watch_false("GET", "/apis/g.io/v1/redises?watch=False", "list g.io/v1 - redises - -")]
    #[case::watch_zero("GET", "/apis/g.io/v1/redises?watch=0", "list g.io/v1 - redises - -")]
    #[case::watch_of_one_is_get("GET", "/apis/g.io/v1/redises/a?watch=1", "get g.io/v1 - redises a -")]
    #[case::name_selected("GET", "/apis/g.io/v1/redises?fieldSelector=metadata.name%3Da", "list g.io/v1 - redises a -")]
    #[case::name_with_slash("GET", "/apis/g/v1/redises?fieldSelector=metadata.name%3Da/b", "list g/v1 - redises - -")]
    #[case::bad_option(
        "GET",
        "/apis/g/v1/redises?watch=1&limit=x&fieldSelector=metadata.name%3Da",
        "watch g/v1 - redises - -"
    )]
    #[case::watch_prefix("GET", "/apis/g.io/v1/watch/namespaces/x/redises", "watch g.io/v1 x redises - -")]
    #[case::watch_prefix_name("GET", "/apis/g.io/v1/watch/namespaces/x/redises/a", "watch g.io/v1 x redises a -")]
    #[case::proxy_prefix("GET", "/api/v1/proxy/redises/a", " /v1 - redises a -")]
    #[case::proxy_prefix_path("GET", "/api/v1/proxy/namespaces/x/redises/a/status", " /v1 x redises a -")]
    #[case::other_method("OPTIONS", "/apis/g.io/v1/redises", " g.io/v1 - redises - -")]
    #[case::trailing_slash("GET", "/apis/g.io/v1/redises/", "list g.io/v1 - redises - -")]
    #[case::empty_namespace("GET", "/apis/g.io/v1/namespaces//redises", "list g.io/v1 - redises - -")]
    #[case::decoded("GET", "/apis/g.io/v1/redises/a%3Ab", "get g.io/v1 - redises a:b -")]
    #[case::decoded_slash("GET", "/apis/g.io/v1/redises/a%2Fstatus", "get g.io/v1 - redises a status")]
    #[case::root("GET", "/", "/")]
    #[case::api("GET", "/api", "/api")]
    #[case::core_version("GET", "/api/v1", "/api/v1")]
    #[case::apis("GET", "/apis", "/apis")]
    #[case::group("GET", "/apis/g.io", "/apis/g.io")]
    #[case::group_version("GET", "/apis/g.io/v1/", "/apis/g.io/v1/")]
    #[case::health("GET", "/healthz/ping", "/healthz/ping")]
    #[case::openapi("GET", "/openapi/v3/apis/g.io/v1", "/openapi/v3/apis/g.io/v1")]
    fn paths_address_what_kubernetes_says(#[case] method: &str, #[case] uri: &str, #[case] expected: &str) {
        assert_eq!(brief(method, uri), expected);
    }

    #[rstest]
    #[case("/apis/g/v1/watch", "unable to determine kind and namespace from url, /apis/g/v1/watch")]
    #[case("/apis/g/v1/redises/%zz9", "invalid URL escape \"%zz\"")]
    #[case("/apis/g/v1/redises/%2", "invalid URL escape \"%2\"")]
    #[case("/apis/g/v1/redises/%ff", "the path is not valid UTF-8")]
    fn paths_that_make_no_sense_are_bad_requests(#[case] path: &str, #[case] message: &str) {
        assert_eq!(target(&Method::GET, path, None).unwrap_err().message, message);
    }

    #[test]
    fn other_paths_are_authorized_by_method() {
        let health = target(&Method::POST, "/healthz", None).unwrap();
        assert_eq!(health.verb(&Method::POST), "post");
        let list = target(&Method::GET, "/api/v1/pods", None).unwrap();
        assert_eq!(list.verb(&Method::GET), "list");
    }

    proptest! {
        #[test]
        fn no_path_or_query_panics(path in "(/|%|[a-z2]|é|apis?|v1|watch|namespaces){0,12}", query in ".{0,60}") {
            let _ = target(&Method::GET, &path, Some(&query));
        }
    }
}
