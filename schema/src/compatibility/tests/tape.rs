//! Schemas, changes of them and objects, made from a tape of numbers that proptest can shrink.

use serde_json::{Value, json};

/// Decisions, one after the other; 0 when the tape is at its end.
pub(super) struct Tape {
    numbers: Vec<u16>,
    at: usize,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Tape {
    pub(super) fn new(numbers: Vec<u16>) -> Self {
        Self { numbers, at: 0 }
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(number) % end
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == chances - 1
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }

    /// A schema of a resource.
    pub(super) fn resource(&mut self) -> Value {
        let spec = self.object(3);
        let mut root = json!({"type": "object", "properties": {"spec": spec}});
        if self.one_in(8) {
            let maximum = self.below(4);
            root["properties"]["metadata"] =
                json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": maximum}}});
        }
        if self.one_in(8) {
            root["x-kubernetes-preserve-unknown-fields"] = json!(true);
        }
        root
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut schema = json!({"type": "object"});
        match self.below(8) {
            0..5 => {
                for _ in 0..=self.below(3) {
                    let name = self.name();
                    schema["properties"][name] = self.schema(depth - 1);
                }
            }
            5 => schema["additionalProperties"] = self.schema(depth - 1),
            6 => schema["additionalProperties"] = json!(true),
            _ => schema["x-kubernetes-preserve-unknown-fields"] = json!(true),
        }
        for _ in 0..self.below(3) {
            self.set_object_keyword(&mut schema);
        }
        schema
    }

    fn set_object_keyword(&mut self, schema: &mut Value) {
        match self.below(8) {
            0 => schema["required"] = json!([self.name()]),
            1 => schema["maxProperties"] = json!(self.below(4)),
            2 => schema["minProperties"] = json!(self.below(3)),
            3 => schema["x-kubernetes-preserve-unknown-fields"] = json!(true),
            4 => schema["anyOf"] = json!([{"required": [self.name()]}, {"maxProperties": self.below(3)}]),
            5 => schema["not"] = json!({"required": [self.name()]}),
            6 => {
                schema["x-kubernetes-embedded-resource"] = json!(true);
                schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
            }
            _ => schema["additionalProperties"] = json!(self.one_in(2)),
        }
    }

    fn schema(&mut self, depth: usize) -> Value {
        let mut schema = match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => json!({"type": "string"}),
            1 => json!({"type": "integer"}),
            2 => json!({"type": "number"}),
            3 => json!({"type": "boolean"}),
            4 => json!({"x-kubernetes-int-or-string": true}),
            5 => json!({"x-kubernetes-preserve-unknown-fields": true}),
            6 | 7 => self.object(depth),
            _ => json!({"type": "array", "items": self.schema(depth - 1)}),
        };
        for _ in 0..self.below(3) {
            self.set_keyword(&mut schema);
        }
        schema
    }

    /// Sets a keyword; most of them mean something for the type.
    fn set_keyword(&mut self, schema: &mut Value) {
        match (schema["type"].as_str().unwrap_or_default(), self.below(7)) {
            (_, 0) => schema["nullable"] = json!(true),
            (_, 1) => {
                schema["default"] = self.value(schema, 2);
                schema["nullable"] = json!(schema["nullable"] == true && schema["default"].is_null());
            }
            (_, 2) => schema["enum"] = json!([self.value(schema, 2), self.scalar(), self.scalar()]),
            ("string", 3) => schema["maxLength"] = json!(self.below(4)),
            ("string", 4) => schema["minLength"] = json!(self.below(3)),
            ("string", 5) => schema["pattern"] = json!(["^a", "b", "^.$"][self.below(3)]),
            ("string", _) => schema["format"] = json!(["date", "uuid", "uuid4", "password", "byte"][self.below(5)]),
            ("integer" | "number", 3) => schema["maximum"] = json!(self.below(4)),
            ("integer" | "number", 4) => schema["minimum"] = json!(self.below(4)),
            ("integer" | "number", 5) => schema["multipleOf"] = json!(self.below(4) + 1),
            ("integer" | "number", _) => {
                schema["exclusiveMaximum"] = json!(true);
                schema["maximum"] = json!(self.below(4));
            }
            ("array", 3) => schema["maxItems"] = json!(self.below(4)),
            ("array", 4) => schema["minItems"] = json!(self.below(3)),
            ("array", 5) => schema["x-kubernetes-list-type"] = json!("set"),
            ("array", _) => schema["x-kubernetes-preserve-unknown-fields"] = json!(true),
            ("object", _) => self.set_object_keyword(schema),
            _ => {}
        }
    }

    /// Changes the schema somewhere.
    pub(super) fn change(&mut self, schema: &mut Value) {
        let children = parts(schema);
        if !children.is_empty() && !self.one_in(3) {
            let pointer = &children[self.below(children.len())];
            if let Some(child) = schema.pointer_mut(pointer) {
                return self.change(child);
            }
        }
        let Some(map) = schema.as_object_mut() else { return };
        match self.below(6) {
            0 | 1 => self.set_keyword(schema),
            2 if !map.is_empty() => {
                let keys: Vec<String> = map.keys().cloned().collect();
                map.remove(&keys[self.below(keys.len())]);
            }
            3 if map.contains_key("properties") => {
                let name = self.name();
                schema["properties"][name] = self.schema(1);
            }
            4 => {
                let name = self.name();
                if let Some(Value::Object(properties)) = map.get_mut("properties") {
                    properties.remove(name);
                }
            }
            _ => *schema = self.schema(2),
        }
    }

    /// Takes a restriction away somewhere.
    pub(super) fn widen(&mut self, schema: &mut Value) {
        const NARROWING: [&str; 14] = [
            "enum",
            "required",
            "maxLength",
            "minLength",
            "pattern",
            "format",
            "maximum",
            "minimum",
            "multipleOf",
            "maxItems",
            "minItems",
            "anyOf",
            "not",
            "maxProperties",
        ];
        let children = parts(schema);
        if !children.is_empty() && !self.one_in(3) {
            let pointer = &children[self.below(children.len())];
            if let Some(child) = schema.pointer_mut(pointer) {
                return self.widen(child);
            }
        }
        let Some(map) = schema.as_object_mut() else { return };
        match self.below(6) {
            0 if map.get("type") == Some(&json!("integer")) => {
                map.insert("type".to_owned(), json!("number"));
            }
            1 if map.get("type") == Some(&json!("object")) && !map.contains_key("additionalProperties") => {
                map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
            }
            2 => {
                map.insert("nullable".to_owned(), json!(true));
            }
            _ => {
                map.remove(NARROWING[self.below(NARROWING.len())]);
            }
        }
    }

    /// A value that follows the schema, more or less.
    pub(super) fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if self.one_in(12) {
            return self.scalar();
        }
        if let Some(choices) = schema["enum"].as_array().filter(|_| !self.one_in(8)) {
            return choices[self.below(choices.len())].clone();
        }
        if schema["nullable"] == true && self.one_in(4) {
            return Value::Null;
        }
        let kind = match schema["type"].as_str() {
            Some(kind) => kind,
            None if schema["x-kubernetes-int-or-string"] == true => ["integer", "string"][self.below(2)],
            None => ["integer", "string", "object", "array"][self.below(4)],
        };
        match kind {
            "string" => {
                let texts = ["", "a", "ab", "b", "aGk=", "2024-02-29", "123e4567-e89b-42d3-a456-426614174000"];
                json!(texts[self.below(texts.len())])
            }
            "integer" => json!(self.below(8)),
            "number" => json!([0.5, 1.0, 1.5, 2.0, 3.0][self.below(5)]),
            "boolean" => json!(self.one_in(2)),
            "array" => {
                let length = if depth == 0 { 0 } else { self.below(4) };
                (0..length).map(|_| self.value(&schema["items"], depth - 1)).collect()
            }
            _ => self.map(schema, depth),
        }
    }

    fn map(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = json!({});
        if schema["x-kubernetes-embedded-resource"] == true && !self.one_in(4) {
            object = json!({"apiVersion": "v1", "kind": "Cup", "metadata": {"name": "a"}});
        }
        for name in NAMES {
            let field = schema.pointer(&format!("/properties/{name}")).unwrap_or(&schema["additionalProperties"]);
            let required = schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
            if depth > 0 && (required || self.one_in(2)) {
                object[name] = self.value(field, depth - 1);
            }
        }
        object
    }

    /// An object of a resource schema.
    pub(super) fn instance(&mut self, schema: &Value) -> Value {
        let mut object = json!({"apiVersion": "x.y/v1", "kind": "Cup", "metadata": {"name": "a", "uid": "b"}});
        object["spec"] = self.value(&schema["properties"]["spec"], 4);
        if self.one_in(4) {
            object["more"] = self.value(&Value::Null, 2);
        }
        object
    }

    fn scalar(&mut self) -> Value {
        [json!(null), json!(true), json!(1), json!(1.5), json!("a"), json!(2.0), json!({})][self.below(7)].clone()
    }
}

/// Where the schemas of fields, entries and items are.
fn parts(schema: &Value) -> Vec<String> {
    let mut parts = Vec::new();
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            parts.push(format!("/{keyword}"));
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        parts.extend(properties.keys().map(|name| format!("/properties/{name}")));
    }
    parts
}
