//! Features of schemas that are rare, in one spec.

use serde_json::{Value, json};

/// The schema of the spec.
pub(super) fn spec() -> Value {
    let text = json!({"type": "string"});
    let open =
        |fields: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": fields});
    let closed = json!({"type": "object", "properties": {"a": text, "n": {"type": "integer", "default": 3},
        "or": {"type": "string", "nullable": true, "default": "else"}}});
    json!({
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "!has(self.size) || !has(self.most) || self.size <= self.most", "message": "size is beyond most"},
            {"rule": "!has(oldSelf.fixed) || (has(self.fixed) && self.fixed == oldSelf.fixed)", "reason": "FieldValueForbidden",
                "fieldPath": ".fixed"}],
        "properties": {
            "size": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
            "most": {"type": "integer", "nullable": true, "default": 9},
            "mode": {"type": "string", "enum": ["fast", "safe"]},
            "fixed": text,
            "open": open(json!({
                "closed": closed,
                "list": {"type": "array", "items": closed},
                "map": {"type": "object", "additionalProperties": closed},
                "again": open(json!({"closed": closed})),
                "deep": {"type": "object", "properties": {"open": open(json!({"closed": closed}))}}})),
            "wild": {"x-kubernetes-preserve-unknown-fields": true},
            "resource": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
                "spec": {"type": "object", "properties": {"a": text}}}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number", "protocol"],
                "items": {"type": "object", "required": ["number"], "properties": {
                    "number": {"type": "integer", "format": "int32"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "names": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
                    "to": {"x-kubernetes-int-or-string": true}}}},
            "numbers": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
            "steps": {"type": "array", "x-kubernetes-list-type": "atomic", "items": closed},
            "plain": {"type": "array", "maxItems": 4, "items": {"type": "array", "items": text}},
            "granular": {"type": "object", "additionalProperties": {"type": "integer"}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": text, "b": text}},
            "either": {"x-kubernetes-int-or-string": true},
            "percent": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": "^[0-9]+%$", "nullable": true},
            "ratio": {"type": "number", "multipleOf": 0.5},
            "when": {"type": "string", "format": "date-time"},
            "nothing": {"type": "object", "nullable": true, "properties": {"a": {"type": "string", "default": "A"}}},
            "filled": {"type": "object", "default": {}, "properties": {"a": {"type": "string", "default": "A"},
                "b": {"type": "boolean", "nullable": true}}},
            "maybe": {"type": "array", "nullable": true, "default": ["x"], "items": {"type": "string", "nullable": true}},
            "blob": {"type": "string", "maxLength": 400_000},
            "blobs": {"type": "object", "additionalProperties": text}
        }
    })
}
