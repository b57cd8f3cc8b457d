//! Label selectors: `app=redis,tier in (a,b),!legacy` (apimachinery pkg/labels/selector.go).

use std::collections::BTreeMap;
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

    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let among = |value: &String| self.values.contains(value);
        match self.operator {
            LabelOperator::In | LabelOperator::Equals | LabelOperator::DoubleEquals => value.is_some_and(among),
            LabelOperator::NotIn | LabelOperator::NotEquals => !value.is_some_and(among),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
            LabelOperator::GreaterThan => self.numbers(value).is_some_and(|(own, bound)| own > bound),
            LabelOperator::LessThan => self.numbers(value).is_some_and(|(own, bound)| own < bound),
        }
    }

    fn numbers(&self, value: Option<&String>) -> Option<(i64, i64)> {
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

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
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
