//! From a kind's schema to its types.
//!
//! Follows kube-openapi/pkg/schemaconv/openapi.go, and what apiextensions-apiserver/pkg/controller/openapi/builder does to
//! a custom resource's schema before: metadata as every object has it, also in embedded resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::types::{Atom, FieldType, ListType, MapType, ObjectType, Relationship, Scalar, TypeId, Types};

/// Whether unknown fields of objects are kept that say nothing about them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refused,
    Kept,
}

impl ObjectType {
    /// Returns the type of the objects that follow a structural schema, as JSON.
    #[must_use]
    pub fn of_schema(schema: &Value) -> Self {
        Self::built(schema, Unknown::Refused)
    }

    /// Returns the type of objects that follow a schema and may hold more: what it does not know is as in objects without one.
    #[must_use]
    pub fn of_schema_and_more(schema: &Value) -> Self {
        Self::built(schema, Unknown::Kept)
    }

    fn built(schema: &Value, unknown: Unknown) -> Self {
        let mut builder = Builder::new();
        let root = builder.build(schema, unknown, Place::Root);
        Self::new(builder.types, root)
    }
}

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Inside,
}

struct Builder {
    types: Types,
    metadata: TypeId,
    text: TypeId,
}

impl Builder {
    fn new() -> Self {
        let mut types = Types::new();
        let text = types.add(scalar(Scalar::String));
        let metadata = metadata(&mut types, text);
        Self { types, metadata, text }
    }

    /// The compiler of schemas has bounded their depth and number.
    fn build(&mut self, schema: &Value, unknown: Unknown, place: Place) -> TypeId {
        let unknown = if flag(schema, "x-kubernetes-preserve-unknown-fields") { Unknown::Kept } else { unknown };
        let atom = match text(schema, "type") {
            Some("object") => Atom { map: Some(self.map(schema, unknown, place)), ..Atom::default() },
            Some("array") => Atom { list: Some(self.list(schema, unknown)), ..Atom::default() },
            Some("integer" | "number") => scalar(Scalar::Numeric),
            Some("boolean") => scalar(Scalar::Boolean),
            Some("string") => match text(schema, "format") {
                None | Some("" | "byte") => scalar(Scalar::String),
                Some(_) => scalar(Scalar::Untyped),
            },
            _ => Atom {
                name: None,
                scalar: Some(Scalar::Untyped),
                list: Some(self.list(schema, unknown)),
                map: Some(self.map(schema, unknown, place)),
            },
        };
        self.types.add(atom)
    }

    fn list(&mut self, schema: &Value, unknown: Unknown) -> ListType {
        let element = match present(schema, "items") {
            Some(items) => self.build(items, unknown, Place::Inside),
            None => Types::UNTYPED,
        };
        let (relationship, keys) = match text(schema, "x-kubernetes-list-type") {
            Some("set") => (Relationship::Associative, Vec::new()),
            Some("map") => (Relationship::Associative, texts(schema, "x-kubernetes-list-map-keys")),
            _ => (Relationship::Atomic, Vec::new()),
        };
        ListType { element, relationship, keys }
    }

    fn map(&mut self, schema: &Value, unknown: Unknown, place: Place) -> MapType {
        let mut fields = BTreeMap::new();
        if let Some(Value::Object(properties)) = present(schema, "properties") {
            for (name, property) in properties {
                let id = self.build(property, unknown, Place::Inside);
                let default = present(property, "default").cloned();
                fields.insert(Arc::from(name.as_str()), FieldType { id, default });
            }
        }
        if place == Place::Root || flag(schema, "x-kubernetes-embedded-resource") {
            for (name, id) in [("apiVersion", self.text), ("kind", self.text), ("metadata", self.metadata)] {
                fields.insert(Arc::from(name), FieldType { id, default: None });
            }
        }
        let element = match present(schema, "additionalProperties") {
            None if unknown == Unknown::Kept || fields.is_empty() => Types::DEDUCED,
            Some(Value::Bool(true)) => Types::DEDUCED,
            None | Some(Value::Bool(false)) => TypeId::NONE,
            Some(entry) => self.build(entry, unknown, Place::Inside),
        };
        let relationship = match text(schema, "x-kubernetes-map-type") {
            Some("atomic") => Relationship::Atomic,
            Some("granular") => Relationship::Separable,
            _ => Relationship::Unset,
        };
        MapType { fields, element, relationship }
    }
}

/// `metadata` of apimachinery/pkg/apis/meta/v1.
fn metadata(types: &mut Types, text: TypeId) -> TypeId {
    let number = types.add(scalar(Scalar::Numeric));
    let truth = types.add(scalar(Scalar::Boolean));
    let time = types
        .add(Atom { name: Some("io.k8s.apimachinery.pkg.apis.meta.v1.Time".to_owned()), ..scalar(Scalar::Untyped) });
    let entries = types.add(map(&[], text, Relationship::Unset));
    let fields = types.add(map(&[], Types::DEDUCED, Relationship::Unset));
    let owner = [
        ("apiVersion", text),
        ("blockOwnerDeletion", truth),
        ("controller", truth),
        ("kind", text),
        ("name", text),
        ("uid", text),
    ];
    let owner = types.add(map(&owner, TypeId::NONE, Relationship::Atomic));
    let managed = [
        ("apiVersion", text),
        ("fieldsType", text),
        ("fieldsV1", fields),
        ("manager", text),
        ("operation", text),
        ("subresource", text),
        ("time", time),
    ];
    let managed = types.add(map(&managed, TypeId::NONE, Relationship::Unset));
    let owners = types.add(list(owner, Relationship::Associative, &["uid"]));
    let finalizers = types.add(list(text, Relationship::Associative, &[]));
    let managed = types.add(list(managed, Relationship::Atomic, &[]));
    let all = [
        ("annotations", entries),
        ("creationTimestamp", time),
        ("deletionGracePeriodSeconds", number),
        ("deletionTimestamp", time),
        ("finalizers", finalizers),
        ("generateName", text),
        ("generation", number),
        ("labels", entries),
        ("managedFields", managed),
        ("name", text),
        ("namespace", text),
        ("ownerReferences", owners),
        ("resourceVersion", text),
        ("selfLink", text),
        ("uid", text),
    ];
    types.add(map(&all, TypeId::NONE, Relationship::Unset))
}

fn scalar(scalar: Scalar) -> Atom {
    Atom { scalar: Some(scalar), ..Atom::default() }
}

fn list(element: TypeId, relationship: Relationship, keys: &[&str]) -> Atom {
    let keys = keys.iter().map(|key| Arc::from(*key)).collect();
    Atom { list: Some(ListType { element, relationship, keys }), ..Atom::default() }
}

fn map(fields: &[(&str, TypeId)], element: TypeId, relationship: Relationship) -> Atom {
    let field = |(name, id): &(&str, TypeId)| (Arc::from(*name), FieldType { id: *id, default: None });
    let fields = fields.iter().map(field).collect();
    Atom { map: Some(MapType { fields, element, relationship }), ..Atom::default() }
}

/// The keyword's value; JSON null is no value.
fn present<'a>(schema: &'a Value, keyword: &str) -> Option<&'a Value> {
    schema.get(keyword).filter(|value| !value.is_null())
}

fn text<'a>(schema: &'a Value, keyword: &str) -> Option<&'a str> {
    present(schema, keyword).and_then(Value::as_str)
}

fn flag(schema: &Value, keyword: &str) -> bool {
    present(schema, keyword) == Some(&Value::Bool(true))
}

fn texts(schema: &Value, keyword: &str) -> Vec<Arc<str>> {
    let items = schema.as_object().and_then(|map: &Map<String, Value>| map.get(keyword)).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(Arc::from).collect()
}
