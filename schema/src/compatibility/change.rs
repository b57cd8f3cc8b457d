//! What can be lost when a definition changes, and how it is told to a person.

use std::fmt;

use serde_json::Value;

use kindsmith_text::print;

/// How many characters of a value are shown.
const SHOWN_CHARS_MAX: usize = 120;

/// A keyword that bounds a number, a length or a count; named as in schemas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// `maximum`.
    Maximum(f64),
    /// `maximum` with `exclusiveMaximum`.
    Below(f64),
    /// `minimum`.
    Minimum(f64),
    /// `minimum` with `exclusiveMinimum`.
    Above(f64),
    /// `multipleOf`.
    MultipleOf(f64),
    /// `maxLength`.
    MaxLength(i64),
    /// `minLength`.
    MinLength(i64),
    /// `maxItems`.
    MaxItems(i64),
    /// `minItems`.
    MinItems(i64),
    /// `maxProperties`.
    MaxProperties(i64),
    /// `minProperties`.
    MinProperties(i64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maximum(max) => write!(f, "at most {max}"),
            Self::Below(max) => write!(f, "less than {max}"),
            Self::Minimum(min) => write!(f, "at least {min}"),
            Self::Above(min) => write!(f, "more than {min}"),
            Self::MultipleOf(factor) => write!(f, "a multiple of {factor}"),
            Self::MaxLength(max) => write!(f, "at most {max} characters"),
            Self::MinLength(min) => write!(f, "at least {min} characters"),
            Self::MaxItems(max) => write!(f, "at most {max} items"),
            Self::MinItems(min) => write!(f, "at least {min} items"),
            Self::MaxProperties(max) => write!(f, "at most {max} fields"),
            Self::MinProperties(min) => write!(f, "at least {min} fields"),
        }
    }
}

/// Which of a kind's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOf {
    /// The API group.
    Group,
    /// The kind.
    Kind,
    /// The kind of lists.
    ListKind,
    /// The plural, which URLs have.
    Plural,
    /// The singular.
    Singular,
}

impl NameOf {
    fn words(self) -> &'static str {
        match self {
            Self::Group => "the group",
            Self::Kind => "the kind",
            Self::ListKind => "the kind of lists",
            Self::Plural => "the plural",
            Self::Singular => "the singular",
        }
    }
}

/// What changed, with the old and the new value where there are any.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The type; `any` when there is none.
    Type {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// Strings or numbers need a format that they did not need.
    Format {
        /// The format before.
        old: Option<String>,
        /// The format now.
        new: String,
    },
    /// The field is no longer known: it is dropped, or refused.
    FieldRemoved,
    /// The field had no schema and was kept whatever it was; now it has one.
    FieldJudged,
    /// Unknown fields were kept, and are dropped now.
    UnknownFieldsDropped,
    /// `additionalProperties` takes less than before.
    EntriesNarrowed,
    /// Items had no schema, and have one now.
    ItemsJudged,
    /// An enumeration appeared.
    EnumAdded {
        /// Its values.
        choices: Vec<Value>,
    },
    /// An enumeration lost values.
    EnumNarrowed {
        /// The values that are missing now.
        removed: Vec<Value>,
    },
    /// A field must be there now, and no default fills it in.
    RequiredAdded {
        /// The name of the field.
        name: String,
    },
    /// What an absent field means is another thing now.
    Default {
        /// The default before.
        old: Value,
        /// The default now.
        new: Option<Value>,
    },
    /// A new default that may not go together with rules about the object around it, or with its own schema.
    DefaultMayBreak {
        /// The default.
        new: Value,
    },
    /// Strings must match another pattern.
    Pattern {
        /// The pattern before.
        old: Option<String>,
        /// The pattern now.
        new: String,
    },
    /// A bound became tighter.
    Bound {
        /// The bound before.
        old: Option<Limit>,
        /// The bound now.
        new: Limit,
    },
    /// `null` is no longer a value.
    NullableRemoved,
    /// `x-kubernetes-list-type`, with its default.
    ListType {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// `x-kubernetes-list-map-keys`.
    ListMapKeys {
        /// What they were.
        old: Vec<String>,
        /// What they are.
        new: Vec<String>,
    },
    /// `x-kubernetes-map-type`, with its default.
    MapType {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// `allOf`, `anyOf`, `oneOf` or `not` changed in a way of which nothing can be proven.
    Alternatives {
        /// The keyword.
        keyword: &'static str,
    },
    /// The value must be a whole resource now.
    EmbeddedResource,
    /// A rule of `x-kubernetes-validations` appeared or changed.
    Rule {
        /// The expression.
        rule: String,
    },
    /// The schemas are too large to be compared further; nothing is said about this field and what follows.
    NotCompared,
    /// A version is gone.
    VersionRemoved,
    /// A version is no longer served.
    NoLongerServed,
    /// Instances live elsewhere now.
    Scope {
        /// Where they lived.
        old: &'static str,
        /// Where they live.
        new: &'static str,
    },
    /// A name changed.
    Name {
        /// Which name.
        of: NameOf,
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// A short name is gone.
    ShortNameRemoved {
        /// The name.
        name: String,
    },
    /// A category is gone.
    CategoryRemoved {
        /// The name.
        name: String,
    },
    /// The status subresource is gone.
    StatusRemoved,
    /// The status subresource appeared: writes to the object no longer change the status.
    StatusSplit,
    /// The scale subresource is gone.
    ScaleRemoved,
    /// The scale subresource shows other fields.
    ScaleMoved,
    /// A field can no longer be used in selectors.
    SelectableFieldRemoved {
        /// Its name in selectors.
        name: String,
    },
    /// A column of `kubectl get` is gone.
    ColumnRemoved {
        /// Its heading.
        name: String,
    },
    /// Another version is the storage version.
    StorageVersion {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// Instances are kept in another way.
    Backend {
        /// How they were kept.
        old: &'static str,
        /// How they are kept.
        new: &'static str,
    },
    /// The chart of releases, or where it comes from.
    ReleaseChart,
    /// The prefix of the names of releases.
    ReleasePrefix {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
}

fn shown(value: &Value) -> String {
    let text = print::json(value);
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{start}…")
}

fn list(values: &[Value]) -> String {
    shown(&Value::from(values.to_vec()))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { old, new } => write!(f, "the type was {old} and is {new}; keep the old type, or add a new field"),
            Self::Format { old: None, new } => write!(f, "must have the format {new} now"),
            Self::Format { old: Some(old), new } => write!(f, "the format was {old} and is {new}"),
            Self::FieldRemoved => f.write_str(
                "the field is no longer in the schema and is dropped; keep it, or set x-kubernetes-preserve-unknown-fields",
            ),
            Self::FieldJudged => f.write_str("the field was kept whatever it was, and must follow a schema now"),
            Self::UnknownFieldsDropped => {
                f.write_str("unknown fields were kept and are dropped now; name them in the schema first")
            }
            Self::EntriesNarrowed => f.write_str("additionalProperties takes less than before"),
            Self::ItemsJudged => f.write_str("items were kept whatever they were, and must follow a schema now"),
            Self::EnumAdded { choices } => write!(f, "any value could be used, now only one of {}", list(choices)),
            Self::EnumNarrowed { removed } => write!(f, "can no longer be any of {}", list(removed)),
            Self::RequiredAdded { name } => {
                write!(f, "{name:?} is required now and has no default; give it one, or leave it optional")
            }
            Self::Default { old, new: Some(new) } => {
                write!(f, "the default was {} and is {}: who left the field out gets another value", shown(old), shown(new))
            }
            Self::Default { old, new: None } => {
                write!(f, "there is no default any more, it was {}: who left the field out gets none", shown(old))
            }
            Self::DefaultMayBreak { new } => write!(
                f,
                "the new default {} may break a rule of its own schema or of an object around it; this cannot be proven",
                shown(new)
            ),
            Self::Pattern { old: None, new } => write!(f, "must match {new:?} now"),
            Self::Pattern { old: Some(old), new } => {
                write!(f, "had to match {old:?} and must match {new:?}; that it matches no less cannot be proven")
            }
            Self::Bound { old: None, new } => write!(f, "must be {new} now"),
            Self::Bound { old: Some(old), new } => write!(f, "had to be {old} and must be {new}"),
            Self::NullableRemoved => f.write_str("can no longer be null"),
            Self::ListType { old, new } => {
                write!(f, "x-kubernetes-list-type was {old} and is {new}: server-side apply merges the list differently")
            }
            Self::ListMapKeys { old, new } => {
                write!(f, "x-kubernetes-list-map-keys were {old:?} and are {new:?}: items are told apart differently")
            }
            Self::MapType { old, new } => {
                write!(f, "x-kubernetes-map-type was {old} and is {new}: server-side apply merges the map differently")
            }
            Self::Alternatives { keyword } => {
                write!(f, "{keyword} changed; that what was valid still is cannot be proven, compare it by hand")
            }
            Self::EmbeddedResource => f.write_str("must be a whole resource now, with apiVersion and kind"),
            Self::Rule { rule } => write!(f, "must follow the new rule {rule:?}"),
            Self::NotCompared => f.write_str("the schemas are too large to be compared further"),
            Self::VersionRemoved => f.write_str("the version is gone; keep it, with served: false once nobody uses it"),
            Self::NoLongerServed => f.write_str("the version is no longer served"),
            Self::Scope { old, new } => write!(f, "was {old} and is {new}: instances are not found where they were"),
            Self::Name { of, old, new } => write!(f, "{} was {old:?} and is {new:?}", of.words()),
            Self::ShortNameRemoved { name } => write!(f, "the short name {name:?} is gone"),
            Self::CategoryRemoved { name } => write!(f, "the kind no longer belongs to the category {name:?}"),
            Self::StatusRemoved => f.write_str("the status subresource is gone; who writes the status gets 404"),
            Self::StatusSplit => {
                f.write_str("the status is a subresource now; writes to the object itself no longer change it")
            }
            Self::ScaleRemoved => f.write_str("the scale subresource is gone; autoscalers and kubectl scale get 404"),
            Self::ScaleMoved => f.write_str("the scale subresource shows other fields than before"),
            Self::SelectableFieldRemoved { name } => write!(f, "field selectors can no longer use {name:?}"),
            Self::ColumnRemoved { name } => write!(f, "kubectl get no longer prints the column {name:?}"),
            Self::StorageVersion { old, new } => {
                write!(f, "the storage version was {old} and is {new}: what is stored is read with the new schema")
            }
            Self::Backend { old, new } => {
                write!(f, "instances were kept as {old} and are kept as {new}: those there are will not be found")
            }
            Self::ReleaseChart => f.write_str(
                "the chart or its source is another one: releases of the old one are no instances any more, and stay",
            ),
            Self::ReleasePrefix { old, new } => write!(
                f,
                "the prefix of releases was {old:?} and is {new:?}: instances there are will not be found, their releases stay"
            ),
        }
    }
}
