//! From JSON to [`Node`]: typed keywords, bounded depth and size.
//!
//! kube-apiserver refuses a mistyped keyword while decoding; here it is a field error like the others.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::compact::{Fields, Rare};
use super::format::Format;
use super::node::{Additional, Bounds, Extensions, Node, Sizes, Type};
use crate::cel::rules::Rule;
use crate::field::{FieldError, FieldPath};
use kindsmith_text::pattern::{self, PATTERNS_SIZE_BYTES_MAX, Pattern};

/// How deep schemas may nest, in schemas.
pub const SCHEMA_DEPTH_MAX: usize = 64;

/// How many schemas one schema may consist of.
pub const SCHEMA_NODES_MAX: usize = 20_000;

/// Keywords of JSON schema that custom resources must not use, with the word kube-apiserver has for each.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("id", "id"),
    ("additionalItems", "additionalItems"),
    ("patternProperties", "patternProperties"),
    ("definitions", "definitions"),
    ("dependencies", "dependencies"),
    ("$ref", "$ref"),
    ("$schema", "schema"),
];

/// Parses `schema`; everything that is wrong is in the error.
pub(crate) fn parse(schema: &Value, at: &FieldPath) -> Result<Node, Vec<FieldError>> {
    let mut parser =
        Parser { errors: Vec::new(), nodes: 0, patterns: HashMap::new(), pattern_bytes_left: PATTERNS_SIZE_BYTES_MAX };
    let node = parser.node(schema, at, 0);
    if parser.errors.is_empty() { Ok(node) } else { Err(parser.errors) }
}

struct Parser {
    errors: Vec<FieldError>,
    nodes: usize,
    patterns: HashMap<String, Arc<Pattern>>,
    pattern_bytes_left: usize,
}

impl Parser {
    fn node(&mut self, schema: &Value, at: &FieldPath, depth: usize) -> Node {
        let map = match schema {
            Value::Object(map) => map,
            Value::Null => return Node::default(),
            _ => {
                self.mistyped(at, schema, "an object");
                return Node::default();
            }
        };
        self.nodes += 1;
        if depth >= SCHEMA_DEPTH_MAX {
            self.errors
                .push(FieldError::forbidden(at, &format!("schemas must not nest deeper than {SCHEMA_DEPTH_MAX}")));
            return Node::default();
        }
        if self.nodes > SCHEMA_NODES_MAX {
            if self.nodes == SCHEMA_NODES_MAX + 1 {
                let detail = format!("must not consist of more than {SCHEMA_NODES_MAX} schemas");
                self.errors.push(FieldError::forbidden(at, &detail));
            }
            return Node::default();
        }
        let mut node = Node { type_name: self.text(map, "type", at).into(), ..Node::default() };
        self.scalars(&mut node, map, at);
        self.extensions(&mut node, map, at);
        self.annotations(&mut node, map, at);
        self.children(&mut node, map, at, depth + 1);
        node.types = if node.extensions.int_or_string { Type::INT_OR_STRING } else { Type::list_of(&node.type_name) };
        let format = self.text(map, "format", at);
        node.format = Format::of(node.types, &format).map(Box::new);
        node
    }

    fn scalars(&mut self, node: &mut Node, map: &Map<String, Value>, at: &FieldPath) {
        node.nullable = self.flag(map, "nullable", at);
        node.default = present(map, "default").cloned().map(Box::new);
        node.bounds = Rare::from(Bounds {
            maximum: self.float(map, "maximum", at),
            exclusive_maximum: self.flag(map, "exclusiveMaximum", at),
            minimum: self.float(map, "minimum", at),
            exclusive_minimum: self.flag(map, "exclusiveMinimum", at),
            multiple_of: self.float(map, "multipleOf", at),
        });
        node.sizes = Rare::from(Sizes {
            max_length: self.int(map, "maxLength", at),
            min_length: self.int(map, "minLength", at),
            max_items: self.int(map, "maxItems", at),
            min_items: self.int(map, "minItems", at),
            max_properties: self.int(map, "maxProperties", at),
            min_properties: self.int(map, "minProperties", at),
        });
        node.required = Rare::from(self.texts(map, "required", at));
        node.choices = Rare::from(self.list(map, "enum", at).to_vec());
        let pattern = self.text(map, "pattern", at);
        if !pattern.is_empty() {
            node.pattern = Some(self.pattern(pattern));
        }
    }

    fn extensions(&mut self, node: &mut Node, map: &Map<String, Value>, at: &FieldPath) {
        let preserve = "x-kubernetes-preserve-unknown-fields";
        node.extensions = Rare::from(Extensions {
            preserve_unknown_fields: present(map, preserve).map(|_| self.flag(map, preserve, at)),
            embedded_resource: self.flag(map, "x-kubernetes-embedded-resource", at),
            int_or_string: self.flag(map, "x-kubernetes-int-or-string", at),
            list_map_keys: self.texts(map, "x-kubernetes-list-map-keys", at),
            list_type: self.optional_text(map, "x-kubernetes-list-type", at),
            map_type: self.optional_text(map, "x-kubernetes-map-type", at),
            rules: self.rules(map, at),
        });
    }

    fn rules(&mut self, map: &Map<String, Value>, at: &FieldPath) -> Vec<Rule> {
        let keyword = "x-kubernetes-validations";
        let rules = self.list(map, keyword, at);
        let mut parsed = Vec::with_capacity(rules.len());
        for (i, rule) in rules.iter().enumerate() {
            let at = at.child(keyword).index(i);
            let Value::Object(map) = rule else {
                self.mistyped(&at, rule, "an object");
                continue;
            };
            let optional = "optionalOldSelf";
            parsed.push(Rule {
                rule: self.text(map, "rule", &at),
                message: self.text(map, "message", &at),
                message_expression: self.text(map, "messageExpression", &at),
                reason: self.optional_text(map, "reason", &at),
                field_path: self.text(map, "fieldPath", &at),
                optional_old_self: present(map, optional).map(|_| self.flag(map, optional, &at)),
            });
        }
        parsed
    }

    /// The pattern, compiled once for all schemas that have it.
    fn pattern(&mut self, text: String) -> Arc<Pattern> {
        if let Some(known) = self.patterns.get(&text) {
            return Arc::clone(known);
        }
        let pattern = pattern::shared(&text, self.pattern_bytes_left);
        self.pattern_bytes_left = self.pattern_bytes_left.saturating_sub(pattern.charge_bytes());
        self.patterns.insert(text, Arc::clone(&pattern));
        pattern
    }

    fn annotations(&mut self, node: &mut Node, map: &Map<String, Value>, at: &FieldPath) {
        let annotations = &mut node.annotations;
        annotations.title = !self.text(map, "title", at).is_empty();
        annotations.description = !self.text(map, "description", at).is_empty();
        annotations.example = present(map, "example").is_some() || present(map, "externalDocs").is_some();
        if let Some(docs) = present(map, "externalDocs") {
            let is_text = |value: &Value| value.is_null() || value.is_string();
            if !docs
                .as_object()
                .is_some_and(|docs| ["url", "description"].iter().all(|k| docs.get(*k).is_none_or(is_text)))
            {
                self.mistyped(&at.child("externalDocs"), docs, "an object of strings");
            }
        }
        annotations.unique_items = self.flag(map, "uniqueItems", at);
        let unsupported: Vec<&str> = UNSUPPORTED
            .into_iter()
            .filter(|(keyword, _)| present(map, keyword).is_some_and(|value| counts_as_set(keyword, value)))
            .map(|(_, word)| word)
            .collect();
        annotations.unsupported = Rare::from(unsupported);
    }

    fn children(&mut self, node: &mut Node, map: &Map<String, Value>, at: &FieldPath, depth: usize) {
        match present(map, "items") {
            Some(Value::Array(tuple)) => node.annotations.item_tuple = !tuple.is_empty(),
            Some(items @ Value::Object(_)) => {
                node.items = Some(Box::new(self.node(items, &at.child("items"), depth)));
            }
            // `JSONSchemaPropsOrArray` decodes anything else as nothing.
            Some(_) | None => {}
        }
        node.additional = match present(map, "additionalProperties") {
            Some(Value::Bool(allowed)) => Some(Additional::Any(*allowed)),
            Some(schema) => {
                let schema = self.node(schema, &at.child("additionalProperties"), depth);
                Some(Additional::Schema(Box::new(schema)))
            }
            None => None,
        };
        node.properties = self.properties(map, &at.child("properties"), depth);
        node.all_of = self.nodes(map, "allOf", at, depth);
        node.any_of = self.nodes(map, "anyOf", at, depth);
        node.one_of = self.nodes(map, "oneOf", at, depth);
        node.not = present(map, "not").map(|schema| Box::new(self.node(schema, &at.child("not"), depth)));
    }

    fn properties(&mut self, map: &Map<String, Value>, at: &FieldPath, depth: usize) -> Fields {
        match present(map, "properties") {
            Some(Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.as_str().into(), self.node(schema, &at.key(name), depth)))
                .collect(),
            Some(other) => {
                self.mistyped(at, other, "an object");
                Fields::default()
            }
            None => Fields::default(),
        }
    }

    fn nodes(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath, depth: usize) -> Rare<Vec<Node>> {
        let at = at.child(keyword);
        let mut nodes = Vec::new();
        match present(map, keyword) {
            Some(Value::Array(schemas)) => {
                for (i, schema) in schemas.iter().enumerate() {
                    nodes.push(self.node(schema, &at.index(i), depth));
                }
            }
            Some(other) => self.mistyped(&at, other, "an array"),
            None => {}
        }
        nodes.shrink_to_fit();
        Rare::from(nodes)
    }

    fn list<'a>(&mut self, map: &'a Map<String, Value>, keyword: &str, at: &FieldPath) -> &'a [Value] {
        match present(map, keyword) {
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.mistyped(&at.child(keyword), other, "an array");
                &[]
            }
            None => &[],
        }
    }

    fn texts(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath) -> Vec<String> {
        let items = self.list(map, keyword, at);
        let mut texts = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.clone()),
                other => self.mistyped(&at.child(keyword).index(i), other, "a string"),
            }
        }
        texts
    }

    fn text(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath) -> String {
        self.optional_text(map, keyword, at).unwrap_or_default()
    }

    fn optional_text(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath) -> Option<String> {
        match present(map, keyword)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.mistyped(&at.child(keyword), other, "a string");
                None
            }
        }
    }

    fn flag(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath) -> bool {
        match present(map, keyword) {
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.mistyped(&at.child(keyword), other, "a boolean");
                false
            }
            None => false,
        }
    }

    fn float(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath) -> Option<f64> {
        let value = present(map, keyword)?;
        let float = value.as_f64();
        if float.is_none() {
            self.mistyped(&at.child(keyword), value, "a number");
        }
        float
    }

    fn int(&mut self, map: &Map<String, Value>, keyword: &str, at: &FieldPath) -> Option<i64> {
        let value = present(map, keyword)?;
        let int = value.as_i64();
        if int.is_none() {
            self.mistyped(&at.child(keyword), value, "an integer");
        }
        int
    }

    fn mistyped(&mut self, at: &FieldPath, value: &Value, wanted: &str) {
        self.errors.push(FieldError::type_invalid(at, value, &format!("must be {wanted}")));
    }
}

/// The keyword's value; JSON null is no value.
fn present<'a>(map: &'a Map<String, Value>, keyword: &str) -> Option<&'a Value> {
    map.get(keyword).filter(|value| !value.is_null())
}

/// Go decodes some of them into values whose empty form is the same as absence.
fn counts_as_set(keyword: &str, value: &Value) -> bool {
    match (keyword, value) {
        ("id" | "$schema", Value::String(text)) => !text.is_empty(),
        ("patternProperties" | "definitions", Value::Object(map)) => !map.is_empty(),
        _ => true,
    }
}
