//! Names of a request that may stand in the URLs of calls which are made with Kindsmith's own rights.
//!
//! Each of these types holds one segment of a path and nothing else.

use kindsmith_text::print::quoted;

use super::label_syntax::is_dns_label;

/// The longest name of a namespace, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// The name of a namespace that may exist: a DNS label. Where another is asked for, there is nothing.
///
/// Source: k8s.io/apimachinery/pkg/api/validation/generic.go (`ValidateNamespaceName`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace<'a>(&'a str);

impl<'a> Namespace<'a> {
    /// Reads the name of a namespace. None for a text that no namespace can be called.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        (text.len() <= LABEL_BYTES_MAX && is_dns_label(text)).then_some(Self(text))
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// Why a text is no name of an object, in the words of kube-apiserver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is none.
    #[error("Name parameter required.")]
    Absent,
    /// The text is no segment of a path.
    #[error("Name parameter invalid: {}: {}", quoted(.name), .faults.join(";"))]
    Invalid {
        /// The text.
        name: String,
        /// What is wrong with the text.
        faults: Vec<String>,
    },
}

/// The name of an object: one segment of a path.
///
/// Source: k8s.io/apimachinery/pkg/api/validate/content/path.go (`IsPathSegmentName`), and
/// k8s.io/apiserver/pkg/registry/generic/registry/store.go (`NamespaceKeyFunc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Reads the name of an object.
    ///
    /// # Errors
    /// When there is none, or when it is no segment of a path.
    pub fn parse(text: &'a str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Absent);
        }
        let faults: Vec<String> = if matches!(text, "." | "..") {
            vec![format!("may not be '{text}'")]
        } else {
            ['/', '%']
                .iter()
                .filter(|held| text.contains(**held))
                .map(|held| format!("may not contain '{held}'"))
                .collect()
        };
        if faults.is_empty() {
            return Ok(Self(text));
        }
        Err(NameError::Invalid { name: text.to_owned(), faults })
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", true)]
    #[case("tenant-b", true)]
    #[case("0", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("A", false)]
    #[case("a.b", false)]
    #[case("..", false)]
    #[case("a%2Fb", false)]
    #[case("a?b", false)]
    #[case("a/b", false)]
    #[case("é", false)]
    #[case("a\0", false)]
    fn a_namespace_is_a_dns_label(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(Namespace::parse(text).is_some(), is_one);
        assert!(Namespace::parse(&"a".repeat(LABEL_BYTES_MAX)).is_some());
        assert!(Namespace::parse(&"a".repeat(LABEL_BYTES_MAX + 1)).is_none());
    }

    #[rstest]
    #[case("", "Name parameter required.")]
    #[case(".", r#"Name parameter invalid: ".": may not be '.'"#)]
    #[case("..", r#"Name parameter invalid: "..": may not be '..'"#)]
    #[case("a%2Fb", r#"Name parameter invalid: "a%2Fb": may not contain '%'"#)]
    #[case("a/%", r#"Name parameter invalid: "a/%": may not contain '/';may not contain '%'"#)]
    fn what_is_no_name_is_told_as_kubernetes_does(#[case] text: &str, #[case] message: &str) {
        assert_eq!(Name::parse(text).unwrap_err().to_string(), message);
    }
}
