//! Schemas and objects from a seed: schemas mostly valid, objects mostly nearly valid.

use std::env;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::case::{Case, Place, Probe, Status, Via};

/// The seed that is used if none is given.
pub(super) const SEED: u64 = 20_260_131;

/// Gives another seed.
pub(super) const SEED_VARIABLE: &str = "KINDSMITH_DIFFERENTIAL_SEED";

/// The feature of generated cases.
pub(super) const FEATURE: &str = "generated";

const SCHEMAS: usize = 240;
const CREATES_PER_SCHEMA: usize = 3;
const DEPTH_MAX: usize = 3;

const NAMES: [&str; 6] = ["a", "b", "c", "key", "kind", "metadata"];
const TEXTS: [&str; 8] = ["", "a", "ab", "abc", "b1", "é", "2024-01-01", "1.2.3.4"];
const PATTERNS: [&str; 5] = ["^a", "b$", "^[a-c]*$", r"\d", "^.{2,3}$"];
const FORMATS: [&str; 6] = ["date", "ipv4", "byte", "hostname", "int32", "unheard-of"];
const NUMBERS: [f64; 8] = [0.0, 1.0, 2.0, 3.0, -1.0, 5.0, 0.5, 2.5];
const INTEGERS: [i64; 8] = [0, 1, 2, 3, -1, 5, 10, 3_000_000_000];

/// The seed to use.
pub(super) fn seed() -> u64 {
    env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

/// The cases of a seed.
pub(super) fn cases(seed: u64) -> Result<Vec<Case>> {
    let mut dice = Dice(seed);
    let mut cases = Vec::new();
    for number in 0..SCHEMAS {
        let schema = dice.schema(0);
        let mut probes = Vec::new();
        for _ in 0..CREATES_PER_SCHEMA {
            probes.push(Probe::Create { text: Place::Field.text(&dice.value(&schema))? });
        }
        let old = dice.value(&schema);
        let new = if dice.one_in(2) { dice.changed(&old, &schema) } else { dice.value(&schema) };
        let (old, new) = (Place::Field.text(&old)?, Place::Field.text(&new)?);
        probes.push(Probe::Update { old, new, via: Via::Main });
        cases.push(Case {
            id: format!("{FEATURE}/{number}"),
            feature: FEATURE.to_owned(),
            place: Place::Field,
            status: Status::Field,
            schema,
            probes,
        });
    }
    Ok(cases)
}

/// Random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A schema; one in about thirty has a fault.
    fn schema(&mut self, depth: usize) -> Value {
        let mut schema = Map::new();
        let kinds = if depth < DEPTH_MAX { 10 } else { 5 };
        match self.below(kinds) {
            0 | 1 => self.of_string(&mut schema),
            2 => self.of_numbers(&mut schema),
            3 => drop(schema.insert("type".to_owned(), json!("boolean"))),
            4 => self.of_anything(&mut schema),
            5 | 6 => self.of_list(&mut schema, depth),
            _ => self.of_object(&mut schema, depth),
        }
        if self.one_in(6) {
            schema.insert("nullable".to_owned(), json!(true));
        }
        if self.one_in(5) {
            self.alternatives(&mut schema);
        }
        if self.one_in(12) {
            let choices: Vec<_> = (0..2).map(|_| self.value(&Value::Object(schema.clone()))).collect();
            schema.insert("enum".to_owned(), Value::Array(choices));
        }
        if self.one_in(5) {
            let default = self.valid(&Value::Object(schema.clone()));
            schema.insert("default".to_owned(), default);
        }
        if self.one_in(60) {
            self.fault(&mut schema);
        }
        Value::Object(schema)
    }

    fn of_string(&mut self, schema: &mut Map<String, Value>) {
        schema.insert("type".to_owned(), json!("string"));
        self.rules_of_strings(schema);
        if self.one_in(5) {
            schema.insert("format".to_owned(), json!(self.pick(&FORMATS)));
        }
    }

    fn rules_of_strings(&mut self, schema: &mut Map<String, Value>) {
        if self.one_in(3) {
            schema.insert("maxLength".to_owned(), json!(self.below(4)));
        }
        if self.one_in(4) {
            schema.insert("minLength".to_owned(), json!(self.below(3)));
        }
        if self.one_in(4) {
            schema.insert("pattern".to_owned(), json!(self.pick(&PATTERNS)));
        }
    }

    fn of_numbers(&mut self, schema: &mut Map<String, Value>) {
        let integer = self.one_in(2);
        schema.insert("type".to_owned(), json!(if integer { "integer" } else { "number" }));
        self.rules_of_numbers(schema);
        if self.one_in(4) {
            let format = *self.pick(if integer { &["int32", "int64"] } else { &["float", "double"] });
            schema.insert("format".to_owned(), json!(format));
        }
    }

    fn rules_of_numbers(&mut self, schema: &mut Map<String, Value>) {
        if self.one_in(3) {
            schema.insert("minimum".to_owned(), json!(self.pick(&NUMBERS)));
            schema.insert("exclusiveMinimum".to_owned(), json!(self.one_in(3)));
        }
        if self.one_in(3) {
            schema.insert("maximum".to_owned(), json!(self.pick(&NUMBERS)));
            schema.insert("exclusiveMaximum".to_owned(), json!(self.one_in(3)));
        }
        if self.one_in(5) {
            schema.insert("multipleOf".to_owned(), json!(self.pick(&[2.0, 3.0, 0.5])));
        }
    }

    fn of_anything(&mut self, schema: &mut Map<String, Value>) {
        if self.one_in(2) {
            schema.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
            if self.one_in(2) {
                schema.insert("anyOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
            }
        } else {
            schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        }
        self.rules_of_numbers(schema);
        self.rules_of_strings(schema);
    }

    fn of_list(&mut self, schema: &mut Map<String, Value>, depth: usize) {
        schema.insert("type".to_owned(), json!("array"));
        let mut items = self.schema(depth + 1);
        match self.below(4) {
            0 if items["type"] != "object" || self.one_in(5) => {
                schema.insert("x-kubernetes-list-type".to_owned(), json!("set"));
                if let Some(items) = items.as_object_mut().filter(|_| !self.one_in(10)) {
                    items.remove("nullable");
                }
            }
            1 => {
                let key = json!({"type": if self.one_in(2) { "string" } else { "integer" }});
                let value = self.schema(depth + 1);
                items = json!({"type": "object", "properties": {"key": key, "a": value}, "required": ["key"]});
                schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
                schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(["key"]));
            }
            2 => drop(schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"))),
            _ => {}
        }
        schema.insert("items".to_owned(), items);
        if self.one_in(3) {
            schema.insert("maxItems".to_owned(), json!(self.below(4)));
        }
        if self.one_in(4) {
            schema.insert("minItems".to_owned(), json!(self.below(3)));
        }
    }

    fn of_object(&mut self, schema: &mut Map<String, Value>, depth: usize) {
        schema.insert("type".to_owned(), json!("object"));
        if self.one_in(4) {
            schema.insert("additionalProperties".to_owned(), self.schema(depth + 1));
        } else {
            let mut properties = Map::new();
            for _ in 0..=self.below(4) {
                properties.insert((*self.pick(&NAMES)).to_owned(), self.schema(depth + 1));
            }
            schema.insert("properties".to_owned(), Value::Object(properties));
        }
        if self.one_in(3) {
            schema.insert("required".to_owned(), json!([self.pick(&NAMES)]));
        }
        if self.one_in(6) {
            schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        }
        if self.one_in(8) {
            schema.insert("x-kubernetes-map-type".to_owned(), json!(self.pick(&["atomic", "granular"])));
        }
        if self.one_in(5) {
            schema.insert("maxProperties".to_owned(), json!(self.below(4)));
        }
        if self.one_in(6) {
            schema.insert("minProperties".to_owned(), json!(self.below(3)));
        }
    }

    fn alternatives(&mut self, schema: &mut Map<String, Value>) {
        let of = schema.get("type").cloned().unwrap_or_default();
        let names: Vec<String> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect();
        let mut parts = Vec::new();
        for _ in 0..=self.below(3) {
            let mut part = Map::new();
            match of.as_str() {
                Some("string") => self.rules_of_strings(&mut part),
                Some("integer" | "number") => self.rules_of_numbers(&mut part),
                Some("array") => drop(part.insert("maxItems".to_owned(), json!(self.below(3)))),
                Some("object") if !names.is_empty() => {
                    drop(part.insert("required".to_owned(), json!([self.pick(&names)])));
                }
                Some("object") => drop(part.insert("maxProperties".to_owned(), json!(self.below(3)))),
                _ => {
                    self.rules_of_numbers(&mut part);
                    self.rules_of_strings(&mut part);
                }
            }
            parts.push(Value::Object(part));
        }
        match self.below(5) {
            0 => drop(schema.entry("anyOf").or_insert(Value::Array(parts))),
            1 | 2 => drop(schema.insert("oneOf".to_owned(), Value::Array(parts))),
            3 => drop(schema.insert("allOf".to_owned(), Value::Array(parts))),
            _ => drop(parts.pop().map(|part| schema.insert("not".to_owned(), part))),
        }
    }

    fn fault(&mut self, schema: &mut Map<String, Value>) {
        let faults = [
            ("uniqueItems", json!(true)),
            ("type", json!("text")),
            ("pattern", json!("(")),
            ("x-kubernetes-list-type", json!("set")),
            ("x-kubernetes-map-type", json!("other")),
            ("x-kubernetes-embedded-resource", json!(true)),
            ("$ref", json!("#/a")),
            ("allOf", json!([{"type": "string", "nullable": true}])),
            ("default", json!({"a": [1]})),
            ("x-kubernetes-int-or-string", json!(true)),
            ("additionalProperties", json!({"type": "string"})),
        ];
        let (keyword, value) = self.pick(&faults).clone();
        schema.insert(keyword.to_owned(), value);
    }

    /// A value that tries to be right, apart from one mistake in some.
    fn value(&mut self, schema: &Value) -> Value {
        if self.one_in(12) {
            return self.any();
        }
        self.of(schema, Dice::value)
    }

    /// A value that tries to be right.
    fn valid(&mut self, schema: &Value) -> Value {
        self.of(schema, Dice::valid)
    }

    fn of(&mut self, schema: &Value, inside: fn(&mut Dice, &Value) -> Value) -> Value {
        if let Some(choices) =
            schema["enum"].as_array().filter(|choices| !choices.is_empty() && !self.0.is_multiple_of(4))
        {
            return self.pick(choices).clone();
        }
        match schema["type"].as_str() {
            Some("string") => json!(self.pick(&TEXTS)),
            Some("integer") => json!(self.pick(&INTEGERS)),
            Some("number") => json!(self.pick(&NUMBERS)),
            Some("boolean") => json!(self.one_in(2)),
            Some("array") => {
                let count = self.below(4);
                Value::Array((0..count).map(|_| inside(self, &schema["items"])).collect())
            }
            Some("object") => {
                let mut object = Map::new();
                for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                    if schema["required"][0] == **name || self.one_in(2) {
                        object.insert(name.clone(), inside(self, field));
                    }
                }
                if schema["additionalProperties"].is_object() {
                    for _ in 0..self.below(3) {
                        let name = (*self.pick(&NAMES)).to_owned();
                        object.insert(name, inside(self, &schema["additionalProperties"]));
                    }
                } else if self.one_in(8) {
                    object.insert("stranger".to_owned(), json!({"x": [1]}));
                }
                Value::Object(object)
            }
            _ if self.one_in(2) => json!(self.pick(&INTEGERS)),
            _ => json!(self.pick(&TEXTS)),
        }
    }

    fn any(&mut self) -> Value {
        self.pick(&[
            Value::Null,
            json!(1),
            json!(1.5),
            json!("ab"),
            json!(true),
            json!([]),
            json!(["a", 1]),
            json!({}),
            json!({"a": 1, "b": {"c": null}}),
        ])
        .clone()
    }

    /// The value with one part replaced.
    fn changed(&mut self, value: &Value, schema: &Value) -> Value {
        let mut changed = value.clone();
        match &mut changed {
            Value::Object(map) if !map.is_empty() => {
                let names: Vec<_> = map.keys().cloned().collect();
                let name = self.pick(&names);
                let field = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]).clone();
                let value = self.changed(&value[name], &field);
                map.insert(name.clone(), value);
            }
            Value::Array(items) if !items.is_empty() => {
                let i = self.below(items.len());
                let item = self.changed(&value[i], &schema["items"]);
                if self.one_in(3) {
                    items.insert(0, item);
                } else {
                    items[i] = item;
                }
            }
            _ => changed = self.value(schema),
        }
        changed
    }
}
