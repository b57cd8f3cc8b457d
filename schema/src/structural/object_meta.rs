//! Metadata, and a whole Namespace: read as kube-apiserver reads them. Metadata of a resource inside of an object is checked.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/objectmeta/{coerce,validation}.go, whose reader is Go's JSON
//! decoder with `ObjectMeta` as the target: unknown fields are dropped, nulls and empty values become absent, a value of
//! a wrong type is refused as a whole.

mod check;

use serde_json::{Map, Value};

pub(super) use check::check;
pub(crate) use check::{ANNOTATIONS_BYTES_MAX, label_faults};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Integer,
    Flag,
    Time,
    /// Texts by name.
    Texts,
    /// Values of the same kind, by Go's name of one.
    List(&'static Holds, &'static str),
    Struct(&'static Struct),
    /// An object as it is.
    Fields,
}

/// A Go struct.
struct Struct {
    name: &'static str,
    fields: &'static [Field],
}

/// A field of a Go struct.
struct Field {
    name: &'static str,
    holds: Holds,
    /// Go's name of its type.
    of: &'static str,
    /// What becomes of it if it is empty.
    empty: Empty,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Omitted,
    /// Go writes it; it is so even if it was absent.
    Written,
    /// A pointer: null is absent, anything else is written.
    Pointer,
}

const fn field(name: &'static str, holds: Holds, of: &'static str) -> Field {
    Field { name, holds, of, empty: Empty::Omitted }
}

const fn written(name: &'static str, of: &'static str) -> Field {
    Field { name, holds: Holds::Text, of, empty: Empty::Written }
}

const fn pointer(name: &'static str, holds: Holds, of: &'static str) -> Field {
    Field { name, holds, of, empty: Empty::Pointer }
}

static META: Struct = Struct {
    name: "ObjectMeta",
    fields: &[
        field("name", Holds::Text, "string"),
        field("generateName", Holds::Text, "string"),
        field("namespace", Holds::Text, "string"),
        field("selfLink", Holds::Text, "string"),
        field("uid", Holds::Text, "types.UID"),
        field("resourceVersion", Holds::Text, "string"),
        field("generation", Holds::Integer, "int64"),
        field("creationTimestamp", Holds::Time, "v1.Time"),
        pointer("deletionTimestamp", Holds::Time, "v1.Time"),
        pointer("deletionGracePeriodSeconds", Holds::Integer, "int64"),
        field("labels", Holds::Texts, "map[string]string"),
        field("annotations", Holds::Texts, "map[string]string"),
        field("ownerReferences", Holds::List(&Holds::Struct(&OWNER), "v1.OwnerReference"), "[]v1.OwnerReference"),
        field("finalizers", Holds::List(&Holds::Text, "string"), "[]string"),
        field("managedFields", Holds::List(&Holds::Struct(&MANAGED), MANAGED_TYPE), "[]v1.ManagedFieldsEntry"),
    ],
};

static OWNER: Struct = Struct {
    name: "OwnerReference",
    fields: &[
        written("apiVersion", "string"),
        written("kind", "string"),
        written("name", "string"),
        written("uid", "types.UID"),
        pointer("controller", Holds::Flag, "bool"),
        pointer("blockOwnerDeletion", Holds::Flag, "bool"),
    ],
};

const MANAGED_TYPE: &str = "v1.ManagedFieldsEntry";

static MANAGED: Struct = Struct {
    name: "ManagedFieldsEntry",
    fields: &[
        field("manager", Holds::Text, "string"),
        field("operation", Holds::Text, "v1.ManagedFieldsOperationType"),
        field("apiVersion", Holds::Text, "string"),
        pointer("time", Holds::Time, "v1.Time"),
        field("fieldsType", Holds::Text, "string"),
        pointer("fieldsV1", Holds::Fields, "v1.FieldsV1"),
        field("subresource", Holds::Text, "string"),
    ],
};

/// k8s.io/api/core/v1/types.go.
static NAMESPACE: Struct = Struct {
    name: "Namespace",
    fields: &[
        field("apiVersion", Holds::Text, "string"),
        field("kind", Holds::Text, "string"),
        field("metadata", Holds::Struct(&META), "v1.ObjectMeta"),
        field("spec", Holds::Struct(&NAMESPACE_SPEC), "v1.NamespaceSpec"),
        field("status", Holds::Struct(&NAMESPACE_STATUS), "v1.NamespaceStatus"),
    ],
};

static NAMESPACE_SPEC: Struct = Struct {
    name: "NamespaceSpec",
    fields: &[field("finalizers", Holds::List(&Holds::Text, "v1.FinalizerName"), "[]v1.FinalizerName")],
};

static NAMESPACE_STATUS: Struct = Struct {
    name: "NamespaceStatus",
    fields: &[
        field("phase", Holds::Text, "v1.NamespacePhase"),
        field(
            "conditions",
            Holds::List(&Holds::Struct(&NAMESPACE_CONDITION), "v1.NamespaceCondition"),
            "[]v1.NamespaceCondition",
        ),
    ],
};

static NAMESPACE_CONDITION: Struct = Struct {
    name: "NamespaceCondition",
    fields: &[
        written("type", "v1.NamespaceConditionType"),
        written("status", "v1.ConditionStatus"),
        pointer("lastTransitionTime", Holds::Time, "v1.Time"),
        field("reason", Holds::Text, "string"),
        field("message", Holds::Text, "string"),
    ],
};

/// A Namespace as kube-apiserver keeps it, and the paths of the fields that it does not know.
///
/// # Errors
/// A value has another type; the text is that of Go's decoder.
pub fn read_namespace(namespace: &Map<String, Value>) -> Result<(Map<String, Value>, Vec<String>), String> {
    let mut reader = Reader { unknown: Vec::new() };
    let read = reader.members(namespace, &NAMESPACE, &Way { names: "", path: "" })?;
    Ok((read, reader.unknown))
}

/// Metadata as kube-apiserver keeps it, and the paths of the fields that it does not know, below `metadata`. The error
/// is that of Go's decoder.
pub fn read(metadata: &Value) -> Result<(Map<String, Value>, Vec<String>), String> {
    let mut reader = Reader { unknown: Vec::new() };
    match metadata {
        Value::Object(map) => {
            let read = reader.members(map, &META, &Way { names: "", path: "" })?;
            Ok((read, reader.unknown))
        }
        Value::Null => Ok((Map::new(), Vec::new())),
        other => Err(format!("json: cannot unmarshal {} into Go value of type v1.ObjectMeta", kind(other))),
    }
}

/// Metadata as kube-apiserver keeps it when it reads what it has stored: a field that cannot be read is dropped
/// (`GetObjectMetaWithOptions` with `DropMalformedFields`).
pub(super) fn read_what_can_be(metadata: &Map<String, Value>) -> Map<String, Value> {
    let way = Way { names: "", path: "" };
    let mut reader = Reader { unknown: Vec::new() };
    if let Ok(read) = reader.members(metadata, &META, &way) {
        return read;
    }
    let alone = |(name, value): (&String, &Value)| {
        let field = Map::from_iter([(name.clone(), value.clone())]);
        reader.members(&field, &META, &way).unwrap_or_default()
    };
    metadata.iter().flat_map(alone).collect()
}

/// Go's name of the kind of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The way to a struct.
struct Way<'a> {
    /// As errors have it: names only.
    names: &'a str,
    /// As warnings have it: with indices.
    path: &'a str,
}

impl Way<'_> {
    fn join(base: &str, name: &str) -> String {
        if base.is_empty() { name.to_owned() } else { format!("{base}.{name}") }
    }
}

struct Reader {
    unknown: Vec<String>,
}

impl Reader {
    fn members(
        &mut self,
        map: &Map<String, Value>,
        of: &'static Struct,
        way: &Way<'_>,
    ) -> Result<Map<String, Value>, String> {
        let mut read = Map::new();
        for field in of.fields.iter().filter(|field| field.empty == Empty::Written) {
            read.insert(field.name.to_owned(), Value::from(""));
        }
        for (name, value) in map {
            let Some(field) = of.fields.iter().find(|field| field.name == name) else {
                self.unknown.push(Way::join(way.path, name));
                continue;
            };
            let names = Way::join(way.names, name);
            let path = Way::join(way.path, name);
            let place = format!("{}.{names}", of.name);
            let way = Way { names: &names, path: &path };
            let value = self.value(value, field.holds, field.of, &place, &way)?;
            let keeps = match field.empty {
                Empty::Written => true,
                Empty::Pointer => !value.is_null(),
                Empty::Omitted => !is_empty(&value),
            };
            if keeps {
                read.insert(name.clone(), if value.is_null() { Value::from("") } else { value });
            }
        }
        Ok(read)
    }

    fn value(&mut self, value: &Value, holds: Holds, of: &str, place: &str, way: &Way<'_>) -> Result<Value, String> {
        let wrong =
            |found: &str| Err(format!("json: cannot unmarshal {found} into Go struct field {place} of type {of}"));
        Ok(match (holds, value) {
            (_, Value::Null) => Value::Null,
            (Holds::Text, Value::String(_)) | (Holds::Flag, Value::Bool(_)) | (Holds::Fields, _) => value.clone(),
            (Holds::Integer, Value::Number(number)) => match number.as_i64() {
                Some(int) => Value::from(int),
                None => match number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e18) {
                    Some(float) => Value::from(float as i64),
                    None => return wrong(&format!("number {}", kindsmith_text::print::json(value))),
                },
            },
            (Holds::Time, Value::String(text)) => time(text)?,
            (Holds::Time, other) => {
                return Err(format!("json: cannot unmarshal {} into Go value of type string", kind(other)));
            }
            (Holds::Texts, Value::Object(map)) => {
                let mut texts = Map::new();
                for (name, value) in map {
                    let text = self.value(value, Holds::Text, "string", place, way)?;
                    texts.insert(name.clone(), if text.is_null() { Value::from("") } else { text });
                }
                Value::Object(texts)
            }
            (Holds::List(item, of), Value::Array(items)) => {
                let mut list = Vec::with_capacity(items.len());
                for (i, value) in items.iter().enumerate() {
                    let path = format!("{}[{i}]", way.path);
                    let way = Way { names: way.names, path: &path };
                    let empty = match item {
                        Holds::Struct(_) => Value::Object(Map::new()),
                        _ => Value::from(""),
                    };
                    let value = if value.is_null() { &empty } else { value };
                    list.push(self.value(value, *item, of, place, &way)?);
                }
                Value::Array(list)
            }
            (Holds::Struct(of), Value::Object(map)) => Value::Object(self.members(map, of, way)?),
            (_, other) => return wrong(kind(other)),
        })
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(flag) => !flag,
    }
}

/// A time in UTC, to the second. Of Go's errors only the one about a wrong beginning is told.
fn time(text: &str) -> Result<Value, String> {
    let shaped = text.get(10..11) == Some("T") && !text.ends_with(['z', 'Z']) || text.ends_with('Z');
    let parsed = text.parse::<jiff::Timestamp>().ok().filter(|_| shaped && text.is_ascii());
    let text = match parsed {
        Some(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        None => {
            let text = kindsmith_text::print::quoted(text);
            let layout = "2006-01-02T15:04:05Z07:00";
            return Err(format!("parsing time {text} as \"{layout}\": cannot parse {text} as \"2006\""));
        }
    };
    Ok(Value::from(text))
}
