//! Is a value of a type.
//!
//! Follows typed/validate.go of structured-merge-diff, with its texts.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::PathElement;
use super::typed::{Duplicates, Errors, ValidationError, item_element, prefix};
use super::types::{ListType, MapType, Relationship, Scalar, Shape, TypeId, Types};
use super::value;

/// Adds what is wrong with the value to `errors`.
pub(super) fn validate(types: &Types, id: TypeId, value: &Value, duplicates: Duplicates, errors: &mut Errors) {
    let atom = types.atom(id);
    match (atom.shape(atom.deduce(Some(value))), value) {
        (None, _) => errors.push(ValidationError::new(atom.invalid())),
        (Some(Shape::Scalar(scalar)), _) => errors.extend(scalar_error(scalar, Some(value), "")),
        (Some(Shape::Map(_) | Shape::List(_)), Value::Null) => {}
        (Some(Shape::Map(map)), Value::Object(entries)) => visit_map(types, map, entries, duplicates, errors),
        (Some(Shape::List(list)), Value::Array(items)) => visit_list(types, list, items, duplicates, errors),
        (Some(Shape::Map(_)), _) => {
            errors.push(ValidationError::new(format!("expected map, got {}", value::wrapped(value))));
        }
        (Some(Shape::List(_)), _) => {
            errors.push(ValidationError::new(format!("expected list, got {}", value::wrapped(value))));
        }
    }
}

/// What is wrong with a scalar; null and absence are right.
pub(super) fn scalar_error(scalar: Scalar, value: Option<&Value>, before: &str) -> Option<ValidationError> {
    let value = value.filter(|value| !value.is_null())?;
    let message = match scalar {
        Scalar::Numeric if !value.is_number() => {
            format!("{before}expected numeric (int or float), got {}", value::type_name(value))
        }
        Scalar::String if !value.is_string() => format!("{before}expected string, got {}", value::wrapped_go(value)),
        Scalar::Boolean if !value.is_boolean() => format!("{before}expected boolean, got {}", value::wrapped(value)),
        Scalar::Untyped if value.is_array() || value.is_object() => {
            format!("{before}expected any scalar, got {}", value::wrapped(value))
        }
        Scalar::Unknown => format!("{before}unexpected scalar type in schema"),
        _ => return None,
    };
    Some(ValidationError::new(message))
}

fn visit_map(types: &Types, map: &MapType, entries: &Map<String, Value>, duplicates: Duplicates, errors: &mut Errors) {
    for (name, value) in entries {
        let id = map.entry(name);
        let first = errors.len();
        if id == TypeId::NONE && !map.fields.contains_key(name.as_str()) {
            errors.push(ValidationError::new("field not declared in schema".to_owned()));
            prefix(errors, first, &PathElement::field(name));
            // As upstream: the first unknown field ends the walk.
            return;
        }
        validate(types, id, value, duplicates, errors);
        if errors.len() > first {
            prefix(errors, first, &PathElement::field(name));
        }
    }
}

fn visit_list(types: &Types, list: &ListType, items: &[Value], duplicates: Duplicates, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let element = if list.relationship == Relationship::Associative {
            match item_element(types, list, item) {
                Ok(element) => element,
                Err(error) => {
                    errors.push(ValidationError::new(format!("element {at}: {error}")));
                    return;
                }
            }
        } else {
            PathElement::Index(i64::try_from(at).unwrap_or(i64::MAX))
        };
        let first = errors.len();
        validate(types, list.element, item, duplicates, errors);
        prefix(errors, first, &element);
        if list.relationship == Relationship::Associative && duplicates == Duplicates::Refused {
            if seen.contains(&element) {
                errors.insert(first, ValidationError::new(format!("duplicate entries for key {element}")));
            }
            seen.insert(element);
        }
    }
}
