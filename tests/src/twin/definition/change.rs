//! Changes of a definition between requests.

use serde_json::{Value, json};

use super::Backend;

/// One change to what a definition was at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// `v1` forgets `spec.extra` and `spec.settings`, which `v1beta1` knows.
    Narrowed,
    /// `spec.extra` is a number in `v1`.
    OtherType,
    /// `spec.size` and `spec.mode` may be less.
    Stricter,
    /// `spec.late` has another default in both versions.
    OtherDefault,
    /// `spec.extra` has a default in `v1`.
    NewDefault,
    /// `spec.must` is required in `v1`.
    Required,
    /// `spec.tags`, `spec.ports` and `spec.settings` belong to one manager as a whole.
    Atomic,
    /// `spec.free` keeps nothing that is unknown, in `v1`.
    Closed,
    /// `spec.loose` and what is below `spec.open` keep what is unknown, in `v1`.
    Opened,
    /// `v1beta1` is stored.
    Stored,
    /// `v2` is served.
    Served,
}

/// All of them.
pub const CHANGES: [Change; 11] = [
    Change::Narrowed,
    Change::OtherType,
    Change::Stricter,
    Change::OtherDefault,
    Change::NewDefault,
    Change::Required,
    Change::Atomic,
    Change::Closed,
    Change::Opened,
    Change::Stored,
    Change::Served,
];

/// What schemas know of a spec.
const SPEC: &str = "/schema/openAPIV3Schema/properties/spec";

/// Adds the fields that change, and `v2`, which is as `v1` at first.
pub(super) fn prepare(versions: &mut Vec<Value>) {
    for version in versions.iter_mut() {
        set(version, "extra", json!({"type": "string"}));
        set(version, "must", json!({"type": "string"}));
    }
    let mut next = versions[0].clone();
    next["name"] = json!("v2");
    next["storage"] = json!(false);
    next["served"] = json!(false);
    versions.push(next);
}

/// Declares a field of the spec.
fn set(version: &mut Value, field: &str, schema: Value) {
    if let Some(spec) = version.pointer_mut(SPEC) {
        spec["properties"][field] = schema;
    }
}

impl Change {
    /// Whether a kind of this backend is as its twin after the change.
    #[must_use]
    pub fn is_for(self, backend: Backend) -> bool {
        // Of what is in an open field, others may have put everything onto a release: all versions show it, also when it is
        // closed again, and keep it. And a release does not tell in which version its values are.
        backend == Backend::Store || !matches!(self, Self::Closed | Self::Opened | Self::Stored)
    }

    /// Makes the change.
    pub(super) fn make(self, versions: &mut [Value]) {
        let [first, second, third] = versions else { return };
        let spec = |version: &mut Value| version.pointer_mut(SPEC).map_or(Value::Null, Value::take);
        let mut own = spec(first);
        let fields = &mut own["properties"];
        match self {
            Self::Narrowed => {
                for field in ["extra", "settings"] {
                    if let Some(fields) = fields.as_object_mut() {
                        fields.remove(field);
                    }
                }
            }
            Self::OtherType => fields["extra"] = json!({"type": "integer"}),
            Self::Stricter => {
                fields["size"]["maximum"] = json!(5);
                fields["mode"]["enum"] = json!(["fast"]);
            }
            Self::OtherDefault => {
                fields["late"]["default"] = json!("M");
                set(second, "late", json!({"type": "string", "default": "N"}));
            }
            Self::NewDefault => fields["extra"] = json!({"type": "string", "default": "given"}),
            Self::Required => own["required"] = json!(["must"]),
            Self::Atomic => {
                for list in ["tags", "ports"] {
                    fields[list]["x-kubernetes-list-type"] = json!("atomic");
                    if let Some(list) = fields[list].as_object_mut() {
                        list.remove("x-kubernetes-list-map-keys");
                    }
                }
                if fields["settings"].is_object() {
                    fields["settings"]["x-kubernetes-map-type"] = json!("atomic");
                }
            }
            Self::Closed => fields["free"] = json!({"type": "object", "properties": {"n": {"type": "string"}}}),
            Self::Opened => {
                for pointer in ["/loose", "/open/properties/tls", "/open/properties/map/additionalProperties"] {
                    if let Some(schema) = fields.pointer_mut(pointer) {
                        schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
                    }
                }
            }
            Self::Stored => {
                first["storage"] = json!(false);
                second["storage"] = json!(true);
            }
            Self::Served => third["served"] = json!(true),
        }
        if let Some(held) = first.pointer_mut(SPEC) {
            *held = own;
        }
    }
}
