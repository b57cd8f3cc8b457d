//! The types that a value may have, as a set.

use serde_json::Value;

/// A set of the types of JSON. A number is an integer or has a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

/// What a structural schema can say about types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// `type`.
    One(&'static str),
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// Nothing but `x-kubernetes-preserve-unknown-fields`.
    Anything,
}

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(1 << 1);
    pub(super) const STRING: Self = Self(1 << 2);
    pub(super) const INTEGER: Self = Self(1 << 3);
    pub(super) const FRACTION: Self = Self(1 << 4);
    pub(super) const ARRAY: Self = Self(1 << 5);
    pub(super) const OBJECT: Self = Self(1 << 6);
    pub(super) const NUMBER: Self = Self::INTEGER.or(Self::FRACTION);
    pub(super) const INT_OR_STRING: Self = Self::INTEGER.or(Self::STRING);
    pub(super) const ALL: Self = Self((1 << 7) - 1);

    /// The types of the name that JSON schema has for them.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "string" => Self::STRING,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => return None,
        })
    }

    /// The type of a value; 1.0 is an integer in JSON schema.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::String(_) => Self::STRING,
            Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|it| it.fract() != 0.0) => {
                Self::FRACTION
            }
            Value::Number(_) => Self::INTEGER,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the two have a type in common.
    pub(super) fn meets(self, other: Self) -> bool {
        self.and(other) != Self::NONE
    }

    /// How a structural schema says it, nulls apart.
    pub(super) fn said(self) -> Said {
        match self.without(Self::NULL) {
            Self::BOOLEAN => Said::One("boolean"),
            Self::STRING => Said::One("string"),
            Self::INTEGER => Said::One("integer"),
            Self::FRACTION | Self::NUMBER => Said::One("number"),
            Self::ARRAY => Said::One("array"),
            Self::OBJECT => Said::One("object"),
            Self::INT_OR_STRING => Said::IntOrString,
            _ => Said::Anything,
        }
    }
}
