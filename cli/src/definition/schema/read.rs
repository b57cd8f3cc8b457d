//! From a JSON schema to a [`Shape`]: references are followed, whatever of several schemas holds becomes one.
//!
//! A schema comes from anywhere: how deep it is followed, into how many schemas it unfolds and how much text these hold
//! is bounded. What is beyond may be anything.

use std::collections::HashSet;

use serde_json::{Map, Number, Value, json};

use super::{
    join::join,
    meet::meet,
    render::PRESERVE,
    shape::{Additional, Bound, SIZES, Shape},
    types::Types,
};
use crate::definition::{judge, warnings::Warnings};

/// How deep schemas and values are followed; a structural schema may have 64 levels.
pub(crate) const DEPTH_MAX: usize = 48;

/// How many schemas one may unfold into, half of what a structural schema may have: values add the other.
pub(crate) const NODES_MAX: usize = 8_000;

/// How much text may come along, in bytes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// The items of a list, on the way to a schema.
const ITEM: &str = "[]";

/// The entries of a map, on the way to a schema.
const ENTRY: &str = "*";

/// Keywords that are taken as they are, if they have a value of such a type.
const EXACT: [(&str, Types); 2] = [("format", Types::STRING), ("multipleOf", Types::NUMBER)];

/// Words about a schema.
const NOTES: [(&str, Types); 3] = [("default", Types::ALL), ("description", Types::STRING), ("title", Types::STRING)];

/// Keywords that say more than a structural schema can.
const LEFT_OUT: [&str; 8] =
    ["not", "if", "dependencies", "dependentSchemas", "dependentRequired", "contains", "propertyNames", "uniqueItems"];

/// What is known about values by a JSON schema; `values` are those that the chart comes with.
pub(super) fn read(schema: &Value, values: &Value, warnings: &mut Warnings) -> Shape {
    let mut reader = Reader {
        root: schema,
        values,
        path: vec!["spec".to_owned()],
        open: Vec::new(),
        told: HashSet::new(),
        nodes_left: NODES_MAX,
        text_bytes_left: TEXT_BYTES_MAX,
        warnings,
    };
    reader.schema(schema, 0)
}

struct Reader<'a> {
    root: &'a Value,
    values: &'a Value,
    /// Where the schema stands, from `spec` on. Items and entries have names of their own.
    path: Vec<String>,
    /// The references that are being followed.
    open: Vec<&'a str>,
    /// What was told: of a schema that is referred to in many places, it is told in the first.
    told: HashSet<String>,
    nodes_left: usize,
    text_bytes_left: usize,
    warnings: &'a mut Warnings,
}

impl<'a> Reader<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Shape {
        let Some(members) = schema.as_object() else { return Shape::anything() };
        if depth >= DEPTH_MAX || self.nodes_left == 0 || self.text_bytes_left == 0 {
            self.warn("values.schema.json is too large or too deep here; what it says is left out");
            return Shape::anything();
        }
        self.nodes_left -= 1;
        let mut shape = self.own(members, depth);
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            shape = meet(shape, self.reference(reference, depth));
        }
        for part in list(members, "allOf") {
            shape = meet(shape, self.schema(part, depth + 1));
        }
        for keyword in ["anyOf", "oneOf"] {
            let parts = list(members, keyword).iter().map(|part| self.schema(part, depth + 1));
            if let Some(joined) = parts.collect::<Vec<_>>().into_iter().reduce(join) {
                shape = meet(shape, joined);
            }
        }
        for conditional in self.conditional(members, depth) {
            shape = meet(shape, conditional);
        }
        for keyword in
            LEFT_OUT.into_iter().filter(|keyword| members.get(*keyword).is_some_and(|it| *it != json!(false)))
        {
            self.warn(&format!("{keyword:?} has no place in a definition and is left out"));
        }
        shape
    }

    fn warn(&mut self, text: &str) {
        if self.told.insert(text.to_owned()) || self.open.is_empty() {
            self.warnings.add(&self.path, text);
        }
    }

    /// A schema inside of this one, by the name that it has there.
    fn inside(&mut self, name: &str, schema: &'a Value, depth: usize) -> Shape {
        self.path.push(name.to_owned());
        let shape = self.schema(schema, depth + 1);
        self.path.pop();
        shape
    }

    fn reference(&mut self, reference: &'a str, depth: usize) -> Shape {
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            self.warn(&format!("{reference:?} is not in values.schema.json; what it says is left out"));
            return Shape::anything();
        };
        if self.open.contains(&reference) {
            self.warn(&format!("{reference:?} is a part of itself; from here on any value is taken"));
            let types = target.as_object().map_or(Types::ALL, |members| self.types(members, None));
            return Shape { additional: Additional::Open, ..Shape::of(types) };
        }
        self.open.push(reference);
        let shape = self.schema(target, depth + 1);
        self.open.pop();
        shape
    }

    /// What may hold: `then` or `else`, or what depends on a field. All that is taken: their fields may be there.
    fn conditional(&mut self, members: &'a Map<String, Value>, depth: usize) -> Vec<Shape> {
        let mut parts = Vec::new();
        if members.contains_key("if") {
            let mut branch = |keyword: &str| members.get(keyword).map(|part| self.schema(part, depth + 1));
            let (then, otherwise) = (branch("then"), branch("else"));
            parts.push((then.unwrap_or_else(Shape::anything), otherwise.unwrap_or_else(Shape::anything)));
        }
        for keyword in ["dependencies", "dependentSchemas"] {
            let dependent = members.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::values);
            for schema in dependent.filter(|schema| schema.is_object()) {
                parts.push((self.schema(schema, depth + 1), Shape::anything()));
            }
        }
        parts.into_iter().map(|(one, other)| join(one, other).loosened()).collect()
    }

    /// What a schema says itself.
    fn own(&mut self, members: &'a Map<String, Value>, depth: usize) -> Shape {
        let choices = choices(members);
        let mut shape = Shape::of(self.types(members, choices.as_deref()));
        shape.choices = choices.map(|choices| choices.into_iter().filter(|choice| !choice.is_null()).collect());
        shape.lower = bound(members, "minimum", "exclusiveMinimum");
        shape.upper = bound(members, "maximum", "exclusiveMaximum");
        for (keyword, ..) in SIZES {
            shape.sizes.extend(members.get(keyword).and_then(whole).map(|size| (keyword, size)));
        }
        for (keyword, of) in EXACT {
            let value = members.get(keyword).filter(|value| of.meets(Types::of(value)));
            shape.exact.extend(value.map(|value| (keyword.to_owned(), value.clone())));
        }
        shape.exact.extend(extensions(members));
        shape.notes.extend(NOTES.into_iter().filter_map(|(keyword, of)| {
            let value = members.get(keyword).filter(|value| of.meets(Types::of(value)) && !value.is_null())?;
            Some((keyword.to_owned(), value.clone()))
        }));
        if let Some(pattern) = members.get("pattern").and_then(Value::as_str).filter(|pattern| !pattern.is_empty()) {
            match judge::pattern_fault(pattern) {
                None => shape.patterns.push(pattern.to_owned()),
                Some(_) => self.warn(&format!("Kubernetes has no such pattern as {pattern:?}; it is left out")),
            }
        }
        self.charge(&shape);
        match members.get("items") {
            Some(items @ Value::Object(_)) if !members.contains_key("prefixItems") => {
                shape.items = Some(Box::new(self.inside(ITEM, items, depth)));
            }
            _ => {}
        }
        for (name, field) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let field = self.inside(name, field, depth);
            shape.properties.insert(name.clone(), field);
        }
        let required = list(members, "required").iter().filter_map(Value::as_str);
        shape.required.extend(required.map(str::to_owned));
        shape.additional = self.additional(members, depth);
        shape
    }

    /// The types that a schema allows by its words: `type`, or what only one type has, unless the chart itself has another
    /// value there. Choices allow no other than theirs.
    fn types(&self, members: &Map<String, Value>, choices: Option<&[Value]>) -> Types {
        let union = |names: Vec<Types>| names.into_iter().reduce(Types::or);
        let named = match members.get("type") {
            Some(Value::String(name)) => Types::named(name),
            Some(Value::Array(names)) => {
                union(names.iter().filter_map(Value::as_str).filter_map(Types::named).collect())
            }
            _ => None,
        };
        let mut types = match (named, guessed(members)) {
            (Some(types), _) => types,
            (None, _) if members.get("x-kubernetes-int-or-string") == Some(&json!(true)) => Types::INT_OR_STRING,
            (None, Some(guessed)) if choices.is_none() && self.fits_values(guessed) => guessed,
            (None, _) => Types::ALL,
        };
        if members.get("nullable") == Some(&json!(true)) {
            types = types.or(Types::NULL);
        }
        let chosen = choices.and_then(|choices| union(choices.iter().map(Types::of).collect()));
        chosen.map_or(types, |chosen| types.and(chosen))
    }

    /// Whether the values that the chart has here are of these types, or null.
    fn fits_values(&self, types: Types) -> bool {
        let steps = self.path.iter().skip(1);
        let here = steps.fold(vec![self.values], |values, step| {
            let inside = values.into_iter().flat_map(|value| match (step.as_str(), value) {
                (ITEM, Value::Array(items)) => items.iter().collect(),
                (ENTRY, Value::Object(members)) => members.values().collect(),
                (name, value) => value.get(name).into_iter().collect::<Vec<_>>(),
            });
            inside.collect()
        });
        here.into_iter().all(|value| types.or(Types::NULL).meets(Types::of(value)))
    }

    /// Text that is kept counts each time that a reference leads to it.
    fn charge(&mut self, shape: &Shape) {
        let notes = shape.notes.values().chain(shape.exact.values()).chain(shape.choices.iter().flatten());
        let texts = shape.patterns.iter().map(String::len);
        let bytes: usize = notes.map(|value| value.to_string().len()).chain(texts).sum();
        self.text_bytes_left = self.text_bytes_left.saturating_sub(bytes);
    }

    fn additional(&mut self, members: &'a Map<String, Value>, depth: usize) -> Additional {
        if members.get(PRESERVE) == Some(&json!(true)) {
            return Additional::Open;
        }
        let patterns = members.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::values);
        let mut entries: Vec<Shape> = patterns.map(|schema| self.inside(ENTRY, schema, depth)).collect();
        let own = members.get("additionalProperties").or(members.get("unevaluatedProperties"));
        match own {
            Some(Value::Bool(true)) => return Additional::Open,
            Some(schema @ Value::Object(_)) => entries.push(self.inside(ENTRY, schema, depth)),
            Some(Value::Bool(false)) if entries.is_empty() => return Additional::Closed,
            _ => {}
        }
        match entries.into_iter().reduce(join) {
            Some(entry) => Additional::Entry(Box::new(entry)),
            None => Additional::Unsaid,
        }
    }
}

fn list<'a>(members: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    members.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `enum` or `const`.
fn choices(members: &Map<String, Value>) -> Option<Vec<Value>> {
    match members.get("enum").and_then(Value::as_array).filter(|choices| !choices.is_empty()) {
        Some(choices) => Some(choices.clone()),
        None => members.get("const").map(|only| vec![only.clone()]),
    }
}

/// The type that words about a schema's parts are for. JSON schema lets other values pass by them.
fn guessed(members: &Map<String, Value>) -> Option<Types> {
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| members.contains_key(*keyword));
    let object = has(&["properties", "additionalProperties", "patternProperties"]).then_some(Types::OBJECT);
    let array = has(&["items"]).then_some(Types::ARRAY);
    object.into_iter().chain(array).reduce(Types::or)
}

/// Exclusive bounds are numbers in newer drafts, and words beside the bound in older ones and here.
fn bound(members: &Map<String, Value>, keyword: &str, exclusive: &str) -> Option<Bound> {
    let number = |keyword: &str| members.get(keyword).and_then(Value::as_number).cloned();
    let own = number(keyword).map(|value| Bound { value, exclusive: members.get(exclusive) == Some(&json!(true)) });
    let newer = number(exclusive).map(|value| Bound { value, exclusive: true });
    let (Some(first), Some(second)) = (&own, &newer) else { return own.or(newer) };
    let is_larger = second.value.as_f64() >= first.value.as_f64();
    let is_newer = is_larger == (keyword == "minimum") || second.value.as_f64() == first.value.as_f64();
    if is_newer { newer } else { own }
}

/// A size; 1.0 is one in JSON schema.
fn whole(value: &Value) -> Option<u64> {
    let number: &Number = value.as_number()?;
    let whole = number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float));
    number.as_u64().or(whole.map(|float| float as u64)).filter(|size| i64::try_from(*size).is_ok())
}

/// What the author said in the words of structural schemas, less what became a part of the shape.
fn extensions(members: &Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    const KEPT: [&str; 4] =
        ["x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations"];
    let kept = members.iter().filter(|(key, value)| KEPT.contains(&key.as_str()) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), value.clone()))
}
