//! Names: of fields as expressions write them, and of types.
//!
//! Follows apiserver/pkg/cel/escaping.go and `MaybeAssignTypeName` of apiserver/pkg/cel/types.go.

use std::sync::Arc;

use super::{Declared, Shape};
use crate::parse::RESERVED;
use crate::types::{ObjectType, Type};

/// Whether the language has taken the word, so that a field of this name is escaped.
pub fn is_reserved(word: &str) -> bool {
    matches!(word, "true" | "false" | "null" | "in") || RESERVED.contains(&word)
}

/// A field's name as expressions write it; none if they cannot.
pub fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if is_reserved(name) {
        return Some(format!("__{name}__"));
    }
    let mut escaped = String::with_capacity(name.len());
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '_' if characters.next_if_eq(&'_').is_some() => escaped.push_str("__underscores__"),
            '.' => escaped.push_str("__dot__"),
            '-' => escaped.push_str("__dash__"),
            '/' => escaped.push_str("__slash__"),
            '_' => escaped.push('_'),
            other if other.is_ascii_alphanumeric() => escaped.push(other),
            _ => return None,
        }
    }
    Some(escaped)
}

impl Declared {
    /// The type of values of this declaration, which stands at `name`.
    pub fn cel_type(self: &Arc<Self>, name: &str) -> Type {
        match &self.shape {
            Shape::IntOrString => Type::Dyn,
            Shape::Bool => Type::Bool,
            Shape::Int => Type::Int,
            Shape::Double => Type::Double,
            Shape::String => Type::String,
            Shape::Bytes => Type::Bytes,
            Shape::Duration => Type::Duration,
            Shape::Date | Shape::DateTime => Type::Timestamp,
            Shape::List { items, .. } => Type::list(items.cel_type(&format!("{name}.@idx"))),
            Shape::Map { values } => Type::map(Type::String, values.cel_type(&format!("{name}.@elem"))),
            Shape::Object { .. } => {
                Type::Object(Arc::new(ObjectType { name: name.to_owned(), declared: Arc::clone(self) }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("a", Some("a"))]
    #[case("a_b", Some("a_b"))]
    #[case("namespace", Some("__namespace__"))]
    #[case("a__b", Some("a__underscores__b"))]
    #[case("a___b", Some("a__underscores___b"))]
    #[case("____", Some("__underscores____underscores__"))]
    #[case("a.b-c/d", Some("a__dot__b__dash__c__slash__d"))]
    #[case("1a", None)]
    #[case("", None)]
    #[case("a b", None)]
    #[case("ä", None)]
    #[case("$ref", None)]
    fn fields_are_escaped(#[case] name: &str, #[case] escaped: Option<&str>) {
        assert_eq!(super::escape(name).as_deref(), escaped);
    }
}
