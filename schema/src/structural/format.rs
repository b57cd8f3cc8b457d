//! Formats: which ones custom resources check, and for which types.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/validation/formats.go (which are checked) and
//! kube-openapi/pkg/validation/strfmt (how).

use kindsmith_text::format::string_check;

use super::node::Type;

/// A format that is checked.
#[derive(Debug, Clone)]
pub(crate) struct Format {
    /// As written in the schema.
    text: String,
    check: Option<fn(&str) -> bool>,
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Format {
    /// The format `text` of values of `types`, if kube-apiserver checks it there; others are ignored.
    pub(super) fn of(types: &[Type], text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let check = match types {
            [Type::Integer] => matches!(text, "int32" | "int64").then_some(None),
            [Type::Number] => matches!(text, "float" | "double").then_some(None),
            [Type::Boolean | Type::Array | Type::Object] => None,
            _ => string_check(&text.replace('-', "")).map(Some),
        }?;
        Some(Self { text: text.to_owned(), check })
    }

    /// As written in the schema.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a format of strings.
    pub(super) fn is_of_strings(&self) -> bool {
        self.check.is_some()
    }

    /// Whether a string has this format; formats of numbers say nothing about strings.
    pub(super) fn accepts(&self, value: &str) -> bool {
        self.check.is_none_or(|check| check(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_kubernetes_does_not_check_are_ignored() {
        assert_eq!(Format::of(&[Type::String], "int32"), None);
        assert_eq!(Format::of(&[Type::Integer], "uint32"), None);
        assert_eq!(Format::of(&[Type::Object], "date"), None);
        assert_eq!(Format::of(&[Type::String], "semver"), None);
    }
}
