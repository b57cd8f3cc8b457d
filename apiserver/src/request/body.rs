//! What a body is written in: the Content-Type of objects and of patches.

use kindsmith_schema::{
    kind::Typing,
    openapi::{BUILT_IN_PATCH_MEDIA_TYPES, PATCH_MEDIA_TYPES},
};

use super::error::UnsupportedMediaType;

/// The media types that Kubernetes names for objects of custom kinds (apiextensions customresource_handler.go).
pub const MEDIA_TYPES: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// How an object in a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/json`, or no type at all.
    Json,
    /// `application/yaml`.
    Yaml,
}

impl BodyFormat {
    /// Reads a Content-Type (apiserver pkg/endpoints/handlers/negotiation/negotiate.go, NegotiateInputSerializer).
    ///
    /// Protobuf is refused although the text names it: the text is the one that clients know.
    pub fn from_content_type(content_type: Option<&str>) -> Result<Self, UnsupportedMediaType> {
        let Some(content_type) = content_type.filter(|text| !text.is_empty()) else { return Ok(Self::Json) };
        match media_type(content_type).as_deref() {
            Some("application/json") => Ok(Self::Json),
            Some("application/yaml") => Ok(Self::Yaml),
            _ => Err(UnsupportedMediaType::accepting(&MEDIA_TYPES)),
        }
    }
}

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// A strategic merge patch, which built-in types alone take.
    Strategic,
    /// Server-side apply, in YAML or JSON.
    Apply,
}

impl PatchType {
    /// Reads a Content-Type, of which only what stands before `;` counts, to the letter (apiserver
    /// pkg/endpoints/handlers/patch.go).
    pub fn from_content_type(content_type: Option<&str>, typing: Typing) -> Result<Self, UnsupportedMediaType> {
        let content_type = content_type.unwrap_or_default();
        match content_type.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if typing == Typing::BuiltIn => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(Self::unsupported(typing)),
        }
    }

    /// The refusal of a patch type that a kind does not take.
    pub fn unsupported(typing: Typing) -> UnsupportedMediaType {
        UnsupportedMediaType::accepting(match typing {
            Typing::BuiltIn => BUILT_IN_PATCH_MEDIA_TYPES,
            Typing::Custom => PATCH_MEDIA_TYPES,
        })
    }
}

/// The type in lower case, without its parameters, which must be well-formed (Go's `mime.ParseMediaType`).
fn media_type(content_type: &str) -> Option<String> {
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let mut rest = parameters.trim_start();
    while !rest.is_empty() {
        rest = skip_parameter(rest)?;
    }
    Some(media_type.trim().to_lowercase())
}

/// What follows `name=value` and its `;`, or nothing if it is malformed.
fn skip_parameter(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    if name.is_empty() || !name.chars().all(is_token) {
        return None;
    }
    let rest = match value.strip_prefix('"') {
        Some(quoted) => after_quoted(quoted)?,
        None => {
            let end = value.find(|character| !is_token(character)).unwrap_or(value.len());
            (end > 0).then(|| &value[end..])?
        }
    };
    let rest = rest.trim_start();
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(';').map(str::trim_start) }
}

fn after_quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&text[index + 1..]),
            _ => {}
        }
    }
    None
}

fn is_token(character: char) -> bool {
    character.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, Some(BodyFormat::Json))]
    #[case(Some(""), Some(BodyFormat::Json))]
    #[case(Some("application/json"), Some(BodyFormat::Json))]
    #[case(Some("Application/JSON; charset=\"utf-8\"; a=b;"), Some(BodyFormat::Json))]
    #[case(Some("application/yaml"), Some(BodyFormat::Yaml))]
    #[case(Some("application/json; charset"), None)]
    #[case(Some("application/vnd.kubernetes.protobuf"), None)]
    #[case(Some("application/cbor"), None)]
    fn bodies_are_json_or_yaml(#[case] content_type: Option<&str>, #[case] expected: Option<BodyFormat>) {
        assert_eq!(BodyFormat::from_content_type(content_type).ok(), expected);
    }

    #[test]
    fn other_bodies_are_refused_with_the_known_text() {
        assert_eq!(
            BodyFormat::from_content_type(Some("text/plain")).unwrap_err().message,
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf"
        );
        assert_eq!(
            PatchType::from_content_type(Some("application/json"), Typing::Custom).unwrap_err().message,
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        );
    }

    #[rstest]
    #[case("application/json-patch+json", PatchType::Json)]
    #[case("application/merge-patch+json; charset=utf-8", PatchType::Merge)]
    #[case("application/apply-patch+yaml", PatchType::Apply)]
    fn patches_say_what_they_are(#[case] content_type: &str, #[case] expected: PatchType) {
        for typing in [Typing::BuiltIn, Typing::Custom] {
            assert_eq!(PatchType::from_content_type(Some(content_type), typing), Ok(expected));
        }
    }

    #[test]
    fn strategic_merge_patches_are_for_built_in_types() {
        let strategic = Some("application/strategic-merge-patch+json");
        assert_eq!(PatchType::from_content_type(strategic, Typing::BuiltIn), Ok(PatchType::Strategic));
        assert!(PatchType::from_content_type(strategic, Typing::Custom).is_err());
    }

    proptest! {
        #[test]
        fn no_content_type_panics(text in "([a-z/;= \"\\\\é]|.){0,40}") {
            let _ = BodyFormat::from_content_type(Some(&text));
            let _ = PatchType::from_content_type(Some(&text), Typing::BuiltIn);
        }
    }
}
