//! What is known about a value, written as a structural schema.

use serde_json::{Map, Value, json};

use super::{
    shape::{Additional, Bound, SIZES, Shape},
    types::{Said, Types},
};

/// Says that whatever is not known stays.
pub(crate) const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// The structural schema.
pub(super) fn render(shape: Shape) -> Value {
    let said = shape.types.said();
    let mut made = Map::new();
    let (allows_null, is_any) = (shape.types.meets(Types::NULL), shape.types == Types::ALL);
    if allows_null && !is_any {
        made.insert("nullable".to_owned(), json!(true));
    }
    // More than one pattern, and choices beside null, have their place in `allOf`: it is not asked about null.
    let mut besides = Vec::new();
    if let Some(choices) = shape.choices.filter(|choices| are_plain(choices)) {
        if allows_null {
            besides.push(json!({"enum": choices}));
        } else {
            made.insert("enum".to_owned(), Value::Array(choices));
        }
    }
    made.extend(shape.notes);
    let speaks_of = match said {
        Said::One(name) => {
            made.insert("type".to_owned(), json!(name));
            Types::named(name).unwrap_or(Types::NONE)
        }
        Said::IntOrString => {
            made.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
            Types::INT_OR_STRING
        }
        Said::Anything => {
            made.insert(PRESERVE.to_owned(), json!(true));
            Types::NONE
        }
    };
    for (keyword, ..) in SIZES.iter().filter(|(_, of, _)| speaks_of.meets(*of)) {
        made.extend(shape.sizes.get(keyword).map(|size| ((*keyword).to_owned(), json!(size))));
    }
    if speaks_of.meets(Types::NUMBER) {
        bound(shape.lower, "minimum", "exclusiveMinimum", &mut made);
        bound(shape.upper, "maximum", "exclusiveMaximum", &mut made);
    }
    if speaks_of.meets(Types::STRING) {
        let mut patterns = shape.patterns.into_iter();
        made.extend(patterns.next().map(|pattern| ("pattern".to_owned(), json!(pattern))));
        besides.extend(patterns.map(|pattern| json!({"pattern": pattern})));
    }
    made.extend(shape.exact.into_iter().filter(|(keyword, _)| match keyword.as_str() {
        "multipleOf" => speaks_of.meets(Types::NUMBER),
        "format" => matches!(said, Said::One("string" | "integer" | "number")),
        "x-kubernetes-list-type" | "x-kubernetes-list-map-keys" => speaks_of == Types::ARRAY,
        _ => speaks_of == Types::OBJECT || keyword == "x-kubernetes-validations",
    }));
    if speaks_of == Types::ARRAY {
        let items = shape.items.map_or_else(Shape::anything, |items| *items);
        made.insert("items".to_owned(), render(items));
    }
    if speaks_of == Types::OBJECT {
        if !shape.required.is_empty() {
            made.insert("required".to_owned(), json!(shape.required));
        }
        fields(
            shape.properties.into_iter().map(|(name, field)| (name, render(field))).collect(),
            shape.additional,
            &mut made,
        );
    }
    if !besides.is_empty() {
        made.insert("allOf".to_owned(), Value::Array(besides));
    }
    Value::Object(made)
}

/// Lists and objects among choices can change by defaulting, and would fit no more.
fn are_plain(choices: &[Value]) -> bool {
    !choices.is_empty() && choices.iter().all(|choice| !choice.is_array() && !choice.is_object())
}

fn bound(bound: Option<Bound>, keyword: &str, exclusive: &str, made: &mut Map<String, Value>) {
    let Some(bound) = bound else { return };
    made.insert(keyword.to_owned(), Value::Number(bound.value));
    if bound.exclusive {
        made.insert(exclusive.to_owned(), json!(true));
    }
}

/// A structural schema has either `properties` or `additionalProperties`. Who names fields and says nothing of others
/// means those alone; who names none means any.
fn fields(properties: Map<String, Value>, additional: Additional, made: &mut Map<String, Value>) {
    let is_open = match additional {
        Additional::Entry(entry) if properties.is_empty() => {
            made.insert("additionalProperties".to_owned(), render(*entry));
            false
        }
        Additional::Entry(_) | Additional::Open => true,
        Additional::Unsaid => properties.is_empty(),
        Additional::Closed => false,
    };
    if is_open {
        made.insert(PRESERVE.to_owned(), json!(true));
    }
    if !properties.is_empty() {
        made.insert("properties".to_owned(), Value::Object(properties));
    }
}
