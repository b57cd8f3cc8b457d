//! A schema out of `values.yaml`: types and defaults from the values, descriptions from the comments. What the chart's
//! own schema says stays; but where it says nothing of a value, the value is known all the same.

use serde_json::{Map, Value, json};

use super::{
    comments::Descriptions,
    judge,
    schema::{DEPTH_MAX, NODES_MAX, PRESERVE},
    tidy,
    warnings::Warnings,
};

/// Completes the schema of values by the values.
pub(super) fn complete(schema: &mut Value, values: &Value, descriptions: &Descriptions, warnings: &mut Warnings) {
    let mut completion = Completion { descriptions, warnings, nodes_left: NODES_MAX, path: vec!["spec".to_owned()] };
    completion.field(schema, values.as_object().map_or(&json!({}), |_| values));
    let says_nothing = ["properties", "additionalProperties"].iter().all(|keyword| schema.get(keyword).is_none());
    if says_nothing && values.as_object().is_none_or(Map::is_empty) {
        schema[PRESERVE] = json!(true);
    }
}

struct Completion<'a> {
    descriptions: &'a Descriptions,
    warnings: &'a mut Warnings,
    /// How many fields may be added.
    nodes_left: usize,
    /// Where it is, from `spec` on.
    path: Vec<String>,
}

impl Completion<'_> {
    /// A field whose value in `values.yaml` is `value`.
    fn field(&mut self, field: &mut Value, value: &Value) {
        match value {
            Value::Null => allow_null(field),
            Value::Object(values) if field["type"] == "object" && field.get("additionalProperties").is_none() => {
                self.fields(field, values);
                // A default of `{}` is enough: it is filled in from inside.
                if judge::default_fault(field, &json!({})).is_none() {
                    field["default"] = json!({});
                }
            }
            _ => {
                self.know(field, value);
                self.note_default(field, value);
            }
        }
    }

    fn fields(&mut self, schema: &mut Value, values: &Map<String, Value>) {
        let Some(members) = schema.as_object_mut() else { return };
        if self.path.len() > DEPTH_MAX || self.nodes_left < values.len() {
            self.warnings.add(&self.path, "values.yaml is too large or too deep here; any field is taken");
            members.insert(PRESERVE.to_owned(), json!(true));
            return;
        }
        let Value::Object(mut fields) = members.remove("properties").unwrap_or_else(|| json!({})) else { return };
        let is_required = |members: &Map<String, Value>, name: &str| {
            members.get("required").and_then(Value::as_array).is_some_and(|required| required.contains(&json!(name)))
        };
        for (name, value) in values {
            // To Helm, null is no value of such a field either: whoever installs the chart has to give one.
            let must_be_given =
                value.is_null() && is_required(members, name) && fields.get(name).is_some_and(refuses_null);
            self.path.push(name.clone());
            let field = fields.entry(name.clone()).or_insert_with(|| {
                self.nodes_left = self.nodes_left.saturating_sub(1);
                inferred(value)
            });
            if !must_be_given {
                self.field(field, value);
            }
            let description = self.descriptions.get(self.path.get(1..).unwrap_or_default());
            if let (Some(text), None) = (description, field.get("description")) {
                field["description"] = json!(text);
            }
            self.path.pop();
            // What is required inside is so wherever the object comes from `values.yaml`, which is always.
            let asks = field.get("required").is_some() && field.get("default").is_none();
            if value.is_object() && asks && !is_required(members, name) {
                let required = members.entry("required").or_insert_with(|| json!([]));
                required.as_array_mut().into_iter().for_each(|required| required.push(json!(name)));
            }
        }
        if !fields.is_empty() {
            members.insert("properties".to_owned(), Value::Object(fields));
        }
        tidy::drop_met(members);
    }

    fn note_default(&mut self, field: &mut Value, value: &Value) {
        let Some(fault) = judge::default_fault(field, value) else {
            field["default"] = value.clone();
            return;
        };
        // Helm knows formats under other names and rules.
        let mut without_format = field.clone();
        let format = without_format.as_object_mut().and_then(|members| members.remove("format"));
        if format.is_some() && judge::default_fault(&without_format, value).is_none() {
            self.warnings.add(&self.path, "the format is left out, as the value of values.yaml does not have it");
            without_format["default"] = value.clone();
            *field = without_format;
            return;
        }
        let text = format!("the value of values.yaml does not fit values.schema.json and is no default: {fault}");
        self.warnings.add(&self.path, &text);
    }

    /// Makes the schema know all fields that a value has, so that none is dropped. Defaults are not noted: of lists and
    /// maps the default is the whole.
    fn know(&mut self, schema: &mut Value, value: &Value) {
        let is_open = schema.get(PRESERVE).is_some();
        let Some(members) = schema.as_object_mut() else { return };
        match value {
            Value::Null => allow_null(schema),
            Value::Array(items) => {
                if let Some(of_items) = members.get_mut("items") {
                    items.iter().for_each(|item| self.know(of_items, item));
                }
            }
            Value::Object(values) if members.get("type").is_some_and(|name| name == "object") => {
                if let Some(entry) = members.get_mut("additionalProperties") {
                    values.values().for_each(|value| self.know(entry, value));
                    return;
                }
                let Some(fields) = members.entry("properties").or_insert_with(|| json!({})).as_object_mut() else {
                    return;
                };
                for (name, value) in values {
                    if !fields.contains_key(name) && (is_open || self.nodes_left == 0) {
                        continue;
                    }
                    let field = fields.entry(name.clone()).or_insert_with(|| {
                        self.nodes_left = self.nodes_left.saturating_sub(1);
                        json!({PRESERVE: true})
                    });
                    self.know(field, value);
                }
                if fields.is_empty() {
                    members.remove("properties");
                }
            }
            _ => {}
        }
    }
}

/// Whether a field has a type, and null is none of its values.
fn refuses_null(field: &Value) -> bool {
    (field.get("type").is_some() || field.get("x-kubernetes-int-or-string").is_some())
        && field.get("nullable").is_none()
}

/// A value that is null by default may be null.
fn allow_null(field: &mut Value) {
    let Some(members) = field.as_object_mut().filter(|members| members.get("nullable").is_none()) else { return };
    members.insert("nullable".to_owned(), json!(true));
    members.remove("default");
    // Null is no choice; but `allOf` is not asked about it.
    if let Some(choices) = members.remove("enum") {
        let parts = members.entry("allOf").or_insert_with(|| json!([]));
        parts.as_array_mut().into_iter().for_each(|parts| parts.push(json!({"enum": choices})));
    }
}

/// The type of a value.
fn inferred(value: &Value) -> Value {
    match value {
        Value::Null => json!({PRESERVE: true, "nullable": true}),
        Value::Bool(_) => json!({"type": "boolean"}),
        // What is larger is no integer to Kubernetes.
        Value::Number(number) if number.is_i64() => json!({"type": "integer"}),
        Value::Number(_) => json!({"type": "number"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Array(items) => json!({"type": "array", "items": item(items)}),
        Value::Object(members) if members.is_empty() => json!({"type": "object", PRESERVE: true}),
        Value::Object(_) => json!({"type": "object"}),
    }
}

/// The type of all items, if they have one; objects are not looked into, as each may have other fields.
fn item(items: &[Value]) -> Value {
    let mut types = items.iter().map(|item| match item {
        Value::Object(_) => json!({"type": "object", PRESERVE: true}),
        Value::Array(_) => json!({PRESERVE: true}),
        other => inferred(other),
    });
    let anything = || json!({PRESERVE: true});
    let Some(first) = types.next() else { return anything() };
    if types.all(|other| other == first) { first } else { anything() }
}
