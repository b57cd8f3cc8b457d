//! Field selectors: `metadata.name=a,spec.size!=b` (apimachinery pkg/fields/selector.go).

use std::fmt;

use super::error::BadRequest;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldOperator {
    /// `=` or `==`.
    Equals,
    /// `!=`.
    NotEquals,
}

impl FieldOperator {
    /// The operator as a SubjectAccessReview spells it.
    pub fn review_operator(self) -> &'static str {
        match self {
            Self::Equals => "In",
            Self::NotEquals => "NotIn",
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldRequirement {
    /// The field's path as the client wrote it.
    pub field: String,
    /// How it is compared.
    pub operator: FieldOperator,
    /// With what, unescaped.
    pub value: String,
}

/// A conjunction of comparisons, in order; without any it selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Reads a selector. `\,`, `\=` and `\\` stand for themselves in a value.
    pub fn parse(selector: &str) -> Result<Self, BadRequest> {
        let mut requirements = Vec::new();
        let mut terms = split_terms(selector);
        // The order in which Kubernetes finds fault with them.
        terms.sort_unstable();
        for term in terms.into_iter().filter(|term| !term.is_empty()) {
            let Some((field, operator, value)) = split_term(term) else {
                let message = format!("invalid selector: '{selector}'; can't understand '{term}'");
                return Err(BadRequest::new(message));
            };
            let value = unescape(value)?;
            if !field.is_empty() || !value.is_empty() {
                requirements.push(FieldRequirement { field: field.to_owned(), operator, value });
            }
        }
        requirements.sort();
        Ok(Self { requirements })
    }

    /// The selector of one value of one field.
    pub fn equal(field: &str, value: &str) -> Self {
        let requirement =
            FieldRequirement { field: field.to_owned(), operator: FieldOperator::Equals, value: value.to_owned() };
        Self { requirements: vec![requirement] }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Every comparison.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// The fields that are compared, for checking that the kind knows them.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(|requirement| requirement.field.as_str())
    }

    /// The value that the selector requires a field to have, if it requires one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let exact = |own: &&FieldRequirement| own.field == field && own.operator == FieldOperator::Equals;
        self.requirements.iter().find(exact).map(|requirement| requirement.value.as_str())
    }

    /// Whether an object is selected; a field that `lookup` does not find is empty.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            let equal = lookup(&requirement.field).unwrap_or_default() == requirement.value;
            match requirement.operator {
                FieldOperator::Equals => equal,
                FieldOperator::NotEquals => !equal,
            }
        })
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = match requirement.operator {
                FieldOperator::Equals => "=",
                FieldOperator::NotEquals => "!=",
            };
            let value = requirement.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{}{operator}{value}", requirement.field)?;
        }
        Ok(())
    }
}

/// Splits at the commas that no backslash precedes.
fn split_terms(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (index, character) in selector.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&selector[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&selector[start..]);
    terms
}

/// Splits at the first operator; nothing is escaped left of it.
fn split_term(term: &str) -> Option<(&str, FieldOperator, &str)> {
    const OPERATORS: [(&str, FieldOperator); 3] =
        [("!=", FieldOperator::NotEquals), ("==", FieldOperator::Equals), ("=", FieldOperator::Equals)];
    term.char_indices().find_map(|(index, _)| {
        OPERATORS.iter().find_map(|(text, operator)| {
            term[index..].strip_prefix(text).map(|value| (&term[..index], *operator, value))
        })
    })
}

fn unescape(value: &str) -> Result<String, BadRequest> {
    let bad_escape =
        |sequence: &str| BadRequest::new(format!("invalid field selector: invalid escape sequence: {sequence}"));
    let mut unescaped = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(literal @ ('\\' | ',' | '=')) => unescaped.push(literal),
                Some(other) => return Err(bad_escape(&format!("\\{other}"))),
                None => return Err(bad_escape("\\")),
            },
            special @ (',' | '=') => {
                // Go prints the rune as a number.
                let code = u32::from(special);
                let message = format!("invalid field selector: unescaped character in value: {code}");
                return Err(BadRequest::new(message));
            }
            plain => unescaped.push(plain),
        }
    }
    Ok(unescaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "")]
    #[case(",,", "")]
    #[case("=", "")]
    #[case("b!=2,a==1", "a=1,b!=2")]
    #[case(r"a=x\,y\=z\\", r"a=x\,y\=z\\")]
    #[case("a=", "a=")]
    fn selectors_are_read_and_written_canonically(#[case] selector: &str, #[case] canonical: &str) {
        assert_eq!(FieldSelector::parse(selector).unwrap().to_string(), canonical);
    }

    #[rstest]
    #[case("a", "invalid selector: 'a'; can't understand 'a'")]
    #[case("a=1,b", "invalid selector: 'a=1,b'; can't understand 'b'")]
    #[case("a=b=c", "invalid field selector: unescaped character in value: 61")]
    #[case(r"a=\x", r"invalid field selector: invalid escape sequence: \x")]
    #[case(r"a=\", r"invalid field selector: invalid escape sequence: \")]
    fn malformed_selectors_are_refused(#[case] selector: &str, #[case] message: &str) {
        assert_eq!(FieldSelector::parse(selector).unwrap_err().message, message);
    }

    #[test]
    fn an_absent_field_is_empty() {
        let lookup = |field: &str| (field == "metadata.name").then_some("a");
        let matches = |selector: &str| FieldSelector::parse(selector).unwrap().matches(lookup);
        assert!(matches("metadata.name=a"));
        assert!(!matches("metadata.name!=a"));
        assert!(matches("spec.x="));
        assert!(matches("metadata.name=a,spec.x!=b"));
        assert!(!matches("metadata.name=a,spec.x=b"));
    }

    #[test]
    fn only_equality_requires_a_value() {
        let selector = FieldSelector::parse("metadata.name=a,metadata.namespace!=b").unwrap();
        assert_eq!(selector.exact("metadata.name"), Some("a"));
        assert_eq!(selector.exact("metadata.namespace"), None);
        assert_eq!(selector.fields().collect::<Vec<_>>(), ["metadata.name", "metadata.namespace"]);
        assert_eq!(selector.requirements()[1].operator.review_operator(), "NotIn");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_round_trips(text in r"(\\|,|=|!|a|b\.c|é|.){0,24}") {
            if let Ok(selector) = FieldSelector::parse(&text) {
                prop_assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
            }
        }

        #[test]
        fn every_value_can_be_written(value in ".{0,24}") {
            let selector = FieldSelector::equal("metadata.name", &value);
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
        }
    }
}
