//! A request: its path, query and headers are parsed, or refused, whatever they are.

use std::time::Duration;

use kindsmith_schema::kind::Typing;

use crate::request::{
    BodyFormat, ContinueToken, DeleteOptions, Expected, GetOptions, ListOptions, PatchType, Representation, Target,
    WriteOptions, authorization_selectors, request_deadline, target,
};

/// The lines of `data` are a method, a path, a query, a media type and a body.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, path, query, media_type, body) = (line(), line(), line(), line(), line());
    let method = http::Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let query = Some(query).filter(|query| !query.is_empty());
    if let Ok(found) = target(&method, path, query) {
        found.verb(&method);
        if let Target::Resource(resource) = found {
            authorization_selectors(resource.verb, query);
        }
    }
    if let Ok(mut options) = ListOptions::for_list(query, |_| true) {
        let _ = options.restrict_to_name("a");
    }
    let _ = ListOptions::for_watch(query, |_| true);
    let _ = GetOptions::parse(query);
    let _ = WriteOptions::for_create(query);
    let _ = WriteOptions::for_update(query);
    if let Ok(patch_type) = PatchType::from_content_type(Some(media_type), Typing::BuiltIn) {
        let _ = WriteOptions::for_patch(query, patch_type);
    }
    let _ = DeleteOptions::parse(query, body.as_bytes());
    let _ = BodyFormat::from_content_type(Some(media_type));
    let default = Duration::from_secs(60);
    assert!(
        request_deadline(query, default).is_ok_and(|deadline| deadline <= default)
            || request_deadline(query, default).is_err()
    );
    for expected in [Expected::Object, Expected::List, Expected::Watch, Expected::Discovery] {
        if let Ok(representation) = Representation::negotiate(Some(media_type), query, Some("kubectl/v1"), expected) {
            assert!(!representation.content_type().is_empty());
        }
    }
    if let Ok(token) = ContinueToken::decode(body) {
        assert_eq!(ContinueToken::decode(&token.encode()), Ok(token));
    }
}
