//! A value of a type, and what can be done with one.
//!
//! Follows typed/{typed,helpers}.go of structured-merge-diff.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::compare::{self, Comparison};
use super::path::{KeyField, PathElement};
use super::reconcile;
use super::remove::{self, KeyFields, Mode};
use super::set::Set;
use super::types::{Atom, ListType, ObjectType, Relationship, Types};
use super::{combine, fields, validate};

/// Whether sets and lists with keys may hold an item twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// As in what is stored.
    Allowed,
    /// As in what is applied.
    Refused,
}

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationError {
    /// Where, as [`super::path_text`] shows it; empty for the value itself.
    pub path: String,
    /// What.
    pub message: String,
}

impl ValidationError {
    pub(super) fn new(message: String) -> Self {
        Self { path: String::new(), message }
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Everything that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationErrors(pub Vec<ValidationError>);

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return one.fmt(f);
        }
        f.write_str("errors:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ValidationErrors {}

pub(super) type Errors = Vec<ValidationError>;

/// Puts `element` before the paths of the errors from `first` on.
pub(super) fn prefix(errors: &mut [ValidationError], first: usize, element: &PathElement) {
    if errors.len() > first {
        let text = element.to_string();
        for error in &mut errors[first..] {
            error.path.insert_str(0, &text);
        }
    }
}

fn checked<T>(value: T, errors: Errors) -> Result<T, ValidationErrors> {
    if errors.is_empty() { Ok(value) } else { Err(ValidationErrors(errors)) }
}

/// A value that has a type.
#[derive(Debug, Clone)]
pub struct Typed<'a> {
    value: Cow<'a, Value>,
    kind: &'a ObjectType,
}

impl<'a> Typed<'a> {
    /// Types a value.
    ///
    /// # Errors
    /// The value is not of the type.
    pub fn new(value: Cow<'a, Value>, kind: &'a ObjectType, duplicates: Duplicates) -> Result<Self, ValidationErrors> {
        let mut errors = Errors::new();
        validate::validate(&kind.types, kind.root, &value, duplicates, &mut errors);
        checked(Self { value, kind }, errors)
    }

    /// Types a value that is known to be of the type.
    pub fn unchecked(value: Cow<'a, Value>, kind: &'a ObjectType) -> Self {
        Self { value, kind }
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value alone.
    pub fn into_value(self) -> Value {
        self.value.into_owned()
    }

    /// The type.
    pub fn kind(&self) -> &'a ObjectType {
        self.kind
    }

    /// The same without its own copy.
    pub fn borrowed(&self) -> Typed<'_> {
        Typed { value: Cow::Borrowed(&self.value), kind: self.kind }
    }

    fn with(&self, value: Value) -> Self {
        Self { value: Cow::Owned(value), kind: self.kind }
    }

    /// The paths of all leaves and items.
    ///
    /// # Errors
    /// The type is broken.
    pub fn field_set(&self) -> Result<Set, ValidationErrors> {
        let (mut set, mut errors) = (Set::default(), Errors::new());
        fields::collect(&self.kind.types, self.kind.root, &self.value, &mut set, &mut errors);
        checked(set, errors)
    }

    /// What it takes to get from this value to `other`.
    ///
    /// # Errors
    /// One of the two is not of the type.
    pub fn compare(&self, other: &Typed<'_>) -> Result<Comparison, ValidationErrors> {
        let (mut comparison, mut errors) = (Comparison::default(), Errors::new());
        let (a, b) = (Some(self.value()), Some(other.value()));
        compare::compare(&self.kind.types, self.kind.root, a, b, &mut comparison, &mut errors);
        checked(comparison, errors)
    }

    /// This value with all that `other` says. Lists are in the order of `other` where it says something.
    ///
    /// # Errors
    /// One of the two is not of the type.
    pub fn merge(&self, other: &Typed<'_>) -> Result<Self, ValidationErrors> {
        let mut errors = Errors::new();
        let (a, b) = (Some(self.value()), Some(other.value()));
        let merged = combine::merge(&self.kind.types, self.kind.root, a, b, &mut errors);
        checked(self.with(merged.unwrap_or_default()), errors)
    }

    /// The value without the items and fields of the set.
    #[must_use]
    pub fn remove_items(&self, items: &Set) -> Self {
        self.with(remove::remove(&self.kind.types, self.kind.root, &self.value, items, Mode::Remove))
    }

    /// The items and fields of the set alone.
    #[must_use]
    pub fn extract_items(&self, items: &Set, keys: KeyFields) -> Self {
        let with_keys = match (keys, self.field_set()) {
            (KeyFields::Added, Ok(own)) => Some(remove::with_key_fields(items, &own)),
            _ => None,
        };
        let items = with_keys.as_ref().unwrap_or(items);
        self.with(remove::remove(&self.kind.types, self.kind.root, &self.value, items, Mode::Extract))
    }

    /// The set as it would be, had it been made with the type of this value; nothing if it is the same.
    ///
    /// # Errors
    /// The type is broken.
    pub fn reconcile(&self, set: &Set) -> Result<Option<Set>, String> {
        reconcile::reconcile(&self.kind.types, self.kind.root, set)
    }
}

/// How an item of a list is told from the others (`listItemToPathElement`).
pub(super) fn item_element(types: &Types, list: &ListType, item: &Value) -> Result<PathElement, String> {
    if list.relationship != Relationship::Associative {
        return Err("invalid indexing of non-associative list".to_owned());
    }
    if !list.keys.is_empty() {
        return keyed_element(types, list, item);
    }
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        scalar => Ok(PathElement::Value(scalar.clone().into())),
    }
}

fn keyed_element(types: &Types, list: &ListType, item: &Value) -> Result<PathElement, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut key = Vec::with_capacity(list.keys.len());
    for name in &list.keys {
        let value = match fields.get(name.as_ref()) {
            Some(value) => Some(value),
            None => default_of(types.atom(list.element), name)
                .map_err(|error| format!("couldn't find default value for {name}: {error}"))?,
        };
        if let Some(value) = value {
            key.push(KeyField { name: name.clone(), value: value.clone() });
        }
    }
    if key.is_empty() {
        let names: Vec<_> = list.keys.iter().map(|name| kindsmith_text::print::quoted(name)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values \
             for any key fields)",
            names.join(" ")
        ));
    }
    Ok(PathElement::key(key))
}

fn default_of<'t>(element: &'t Atom, name: &str) -> Result<Option<&'t Value>, String> {
    match &element.map {
        Some(map) => Ok(map.fields.get(name).and_then(|field| field.default.as_ref())),
        None => Err("associative list may not have non-map types".to_owned()),
    }
}
