//! How models and operations are named.

/// What Kubernetes' own types of the core group are named behind.
const CORE_MODELS: &str = "io.k8s.api.core";

/// How operations call the core group.
const CORE: &str = "core";

/// The name of a kind's model: the group reversed, the version and the kind, with dots
/// (`gvkToModelName` in `controller/openapi/builder/builder.go`).
pub fn model_name(group: &str, version: &str, kind: &str) -> String {
    if group.is_empty() {
        return format!("{CORE_MODELS}.{version}.{kind}");
    }
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.extend([version, kind]);
    parts.join(".")
}

/// How an identifier begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstLetter {
    /// As it is.
    Kept,
    /// In upper case.
    Upper,
}

/// Camel case over whatever is no letter or digit (`ToValidOperationID` in `apiserver/pkg/endpoints/openapi`).
pub(super) fn camel_case(text: &str, first: FirstLetter) -> String {
    let mut upper = first == FirstLetter::Upper;
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c.is_alphabetic() || c == '_' || (at > 0 && c.is_numeric()) {
            if upper {
                out.extend(c.to_uppercase());
            } else {
                out.push(c);
            }
            upper = false;
        } else {
            upper = true;
        }
    }
    out
}

/// The id of an operation: `verb`, then group and version, then the rest, as `GetOperationIDAndTags` builds it.
pub(super) fn operation_id(verb: &str, group: &str, version: &str, rest: &str) -> String {
    let parts = [group_word(group), version, rest];
    parts.iter().fold(verb.to_owned(), |id, part| id + &camel_case(part, FirstLetter::Upper))
}

/// The tag that the operations of a group-version share.
pub(super) fn tag(group: &str, version: &str) -> String {
    let group = group_word(group);
    format!("{}_{}", camel_case(group, FirstLetter::Kept), camel_case(version, FirstLetter::Kept))
}

/// A group as operations and tags have it.
fn group_word(group: &str) -> &str {
    if group.is_empty() { CORE } else { group.strip_suffix(".k8s.io").unwrap_or(group) }
}

/// The article before a kind, with its spaces; none before a plural (`GetArticleForNoun`).
pub(super) fn article(noun: &str) -> &'static str {
    if noun.ends_with('s') && !noun.ends_with("ss") {
        " "
    } else if noun.starts_with(|c: char| "aeiou".contains(c.to_ascii_lowercase())) {
        " an "
    } else {
        " a "
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_reverse_the_group() {
        assert_eq!(model_name("apps.example.com", "v1alpha1", "Redis"), "com.example.apps.v1alpha1.Redis");
        assert_eq!(model_name("", "v1", "Namespace"), "io.k8s.api.core.v1.Namespace");
    }

    #[test]
    fn operations_and_tags_are_camel_case() {
        assert_eq!(
            operation_id("list", "my-apps.example.com", "v1", "NamespacedRedis"),
            "listMyAppsExampleComV1NamespacedRedis"
        );
        assert_eq!(tag("my-apps.example.com", "v1"), "myAppsExampleCom_v1");
        assert_eq!(
            (operation_id("read", "", "v1", "Namespace"), tag("", "v1")),
            ("readCoreV1Namespace".to_owned(), "core_v1".to_owned())
        );
    }

    #[test]
    fn articles_fit_their_nouns() {
        assert_eq!((article("Redis"), article("Address"), article("Bucket")), (" ", " an ", " a "));
    }
}
