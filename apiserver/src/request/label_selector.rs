//! Label selectors: `app=redis,tier in (a,b),!legacy` (apimachinery pkg/labels/selector.go).

use std::fmt;

use super::error::BadRequest;
use super::label_parser;

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelOperator {
    /// `key in (a,b)`.
    In,
    /// `key notin (a,b)`: also where the label is absent.
    NotIn,
    /// `key=value`.
    Equals,
    /// `key==value`, the same.
    DoubleEquals,
    /// `key!=value`: also where the label is absent.
    NotEquals,
    /// `key`.
    Exists,
    /// `!key`.
    DoesNotExist,
    /// `key>1`, as integers.
    GreaterThan,
    /// `key<1`, as integers.
    LessThan,
}

impl LabelOperator {
    /// The operator as a SubjectAccessReview spells it; a review cannot say more or less than.
    pub fn review_operator(self) -> Option<&'static str> {
        match self {
            Self::In | Self::Equals | Self::DoubleEquals => Some("In"),
            Self::NotIn | Self::NotEquals => Some("NotIn"),
            Self::Exists => Some("Exists"),
            Self::DoesNotExist => Some("DoesNotExist"),
            Self::GreaterThan | Self::LessThan => None,
        }
    }
}

/// One comparison. Key and values are valid, and their number fits the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRequirement {
    pub(super) key: String,
    pub(super) operator: LabelOperator,
    /// Sorted, each once.
    pub(super) values: Vec<String>,
}

impl LabelRequirement {
    /// The label.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it is compared.
    pub fn operator(&self) -> LabelOperator {
        self.operator
    }

    /// With what: one value, several for `in` and `notin`, none for existence.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn matches<'l>(&self, label: &impl Fn(&str) -> Option<&'l str>) -> bool {
        let value = label(&self.key);
        let among = |value: &str| self.values.iter().any(|one| one == value);
        match self.operator {
            LabelOperator::In | LabelOperator::Equals | LabelOperator::DoubleEquals => value.is_some_and(among),
            LabelOperator::NotIn | LabelOperator::NotEquals => !value.is_some_and(among),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
            LabelOperator::GreaterThan => self.numbers(value).is_some_and(|(own, bound)| own > bound),
            LabelOperator::LessThan => self.numbers(value).is_some_and(|(own, bound)| own < bound),
        }
    }

    fn numbers(&self, value: Option<&str>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        let values = values.join(",");
        match operator {
            LabelOperator::In => write!(f, "{key} in ({values})"),
            LabelOperator::NotIn => write!(f, "{key} notin ({values})"),
            LabelOperator::Equals => write!(f, "{key}={values}"),
            LabelOperator::DoubleEquals => write!(f, "{key}=={values}"),
            LabelOperator::NotEquals => write!(f, "{key}!={values}"),
            LabelOperator::Exists => write!(f, "{key}"),
            LabelOperator::DoesNotExist => write!(f, "!{key}"),
            LabelOperator::GreaterThan => write!(f, "{key}>{values}"),
            LabelOperator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// A conjunction of comparisons, ordered by key; without any it selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<LabelRequirement>,
}

impl LabelSelector {
    /// Reads a selector.
    pub fn parse(selector: &str) -> Result<Self, BadRequest> {
        let mut requirements = label_parser::parse(selector).map_err(BadRequest::new)?;
        requirements.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(Self { requirements })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Every comparison.
    pub fn requirements(&self) -> &[LabelRequirement] {
        &self.requirements
    }

    /// Whether an object is selected; `label` tells the value of its label of a name.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(&label))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", "")]
    #[case::space(" \t\r\n", "")]
    #[case::equal("a=b", "a=b")]
    #[case::equal_twice("a == b", "a==b")]
    #[case::unequal("a!= b", "a!=b")]
    #[case::empty_value("a=,b==,c!=", "a=,b==,c!=")]
    #[case::sorted_by_key("x=1,a=2", "a=2,x=1")]
    #[case::existence("!b,a", "a,!b")]
    #[case::sets("x in (b,a,b), y notin ( c )", "x in (a,b),y notin (c)")]
    #[case::empty_set("x in ()", "x in ()")]
    #[case::empty_members("x in (,a),y in (,),z in (a,,b)", "x in (,a),y in (),z in (,a,b)")]
    #[case::numbers("x>5,y< 7", "x>5,y<7")]
    #[case::words("in in (in,notin)", "in in (in,notin)")]
    #[case::word_as_value("x=in,notin", "notin,x=in")]
    #[case::prefixed("example.com/a=b", "example.com/a=b")]
    fn selectors_are_read_and_written_canonically(#[case] selector: &str, #[case] canonical: &str) {
        assert_eq!(LabelSelector::parse(selector).unwrap().to_string(), canonical);
    }

    #[rstest]
    #[case("=a", "found '=', expected: !, identifier, or 'end of string'")]
    #[case("a,", "found '', expected: identifier after ','")]
    #[case("a=b c", "found 'c', expected: ',' or 'end of string'")]
    #[case("!a=b", "found '=', expected: ',' or 'end of string'")]
    #[case("!", "unable to parse requirement: found '', expected: identifier")]
    #[case("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt")]
    #[case("a=(", "unable to parse requirement: found '(', expected: identifier")]
    #[case("a in b", "unable to parse requirement: found 'b' expected: '('")]
    #[case("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier")]
    #[case("a in (b", "unable to parse requirement: found '', expected: ',' or ')'")]
    #[case("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier")]
    #[case(
        "a>b",
        "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an \
         integer"
    )]
    #[case(
        "a/b/c",
        "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric \
         characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or \
         'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an \
         optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    )]
    #[case(
        "A/b",
        "unable to parse requirement: <nil>: Invalid value: \"A/b\": prefix part a lowercase RFC 1123 subdomain must \
         consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
         character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )]
    #[case(
        "/",
        "unable to parse requirement: <nil>: Invalid value: \"/\": prefix part must be non-empty; name part must be \
         non-empty; name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
         an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )]
    #[case(
        "a=b@",
        "unable to parse requirement: values[0][a]: Invalid value: \"b@\": a valid label must be an empty string or \
         consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
         (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
         '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )]
    fn malformed_selectors_are_refused_with_the_known_text(#[case] selector: &str, #[case] message: &str) {
        assert_eq!(LabelSelector::parse(selector).unwrap_err().message, message);
    }

    #[test]
    fn keys_and_values_have_a_longest_length() {
        let text = |length| "a".repeat(length);
        assert!(LabelSelector::parse(&format!("{}={}", text(63), text(63))).is_ok());
        let refusal = LabelSelector::parse(&text(64)).unwrap_err().message;
        assert!(refusal.ends_with(": name part must be no more than 63 bytes"), "{refusal}");
        let refusal = LabelSelector::parse(&format!("a={}", text(64))).unwrap_err().message;
        assert!(refusal.ends_with(": must be no more than 63 bytes"), "{refusal}");
    }

    #[rstest]
    #[case("", true)]
    #[case("a", true)]
    #[case("!a", false)]
    #[case("b", false)]
    #[case("!b", true)]
    #[case("a=1", true)]
    #[case("a==2", false)]
    #[case("a!=1", false)]
    #[case("b!=1", true)]
    #[case("a in (1,2)", true)]
    #[case("b in (1,2)", false)]
    #[case("b in ()", false)]
    #[case("a notin (1,2)", false)]
    #[case("b notin (1,2)", true)]
    #[case("a>0", true)]
    #[case("a<1", false)]
    #[case("c>0", false)]
    #[case("b<1", false)]
    #[case("a=1,!b,c=x", true)]
    #[case("a=1,b", false)]
    fn objects_are_selected_by_every_requirement(#[case] selector: &str, #[case] selected: bool) {
        let label =
            |key: &str| [("a", "1"), ("c", "x")].into_iter().find(|(held, _)| *held == key).map(|(_, value)| value);
        assert_eq!(LabelSelector::parse(selector).unwrap().matches(label), selected);
    }

    #[test]
    fn requirements_say_what_a_review_asks() {
        let selector = LabelSelector::parse("a=1,b!=2,c,!d,e>1,f in (x,y)").unwrap();
        let operators: Vec<_> =
            selector.requirements().iter().map(|requirement| requirement.operator().review_operator()).collect();
        assert_eq!(operators, [Some("In"), Some("NotIn"), Some("Exists"), Some("DoesNotExist"), None, Some("In")]);
        assert_eq!(selector.requirements()[5].key(), "f");
        assert_eq!(selector.requirements()[5].values(), ["x", "y"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_round_trips(
            text in "(a|b/c|in|notin|=|!|\\(|\\)|,|<|>| |1|\0|é|.){0,16}"
        ) {
            if let Ok(selector) = LabelSelector::parse(&text) {
                prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
            }
        }

        #[test]
        fn every_well_formed_selector_round_trips(
            terms in prop::collection::vec(
                "[a-z]{1,5}(=[a-z]{0,3}|!=[a-z]{0,3}| (not)?in \\([a-z,]{0,8}\\)|[<>][0-9]{1,4})?",
                0..6,
            )
        ) {
            let selector = LabelSelector::parse(&terms.join(",")).unwrap();
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
        }
    }
}
