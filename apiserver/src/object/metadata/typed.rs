//! `metadata` as the type that it is: fields of the wrong type are an error, unknown ones are dropped.
//!
//! Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta/coerce.go (GetObjectMetaWithOptions), which reads
//! it into ObjectMeta (k8s.io/apimachinery/pkg/apis/meta/v1/types.go) and writes it back.

use serde_json::{Map, Value};

/// The type of a field.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Time,
    /// Anything; written back as it is.
    Raw,
    /// A map of texts.
    Texts,
    /// A list of texts.
    TextList,
    /// A list of objects with these fields, and the name of Go's type.
    Objects(&'static str, &'static [(&'static str, Kind)]),
}

const OWNER_REFERENCE: &[(&str, Kind)] = &[
    ("apiVersion", Kind::Text),
    ("kind", Kind::Text),
    ("name", Kind::Text),
    ("uid", Kind::Text),
    ("controller", Kind::Boolean),
    ("blockOwnerDeletion", Kind::Boolean),
];

const MANAGED_FIELDS: &[(&str, Kind)] = &[
    ("manager", Kind::Text),
    ("operation", Kind::Text),
    ("apiVersion", Kind::Text),
    ("time", Kind::Time),
    ("fieldsType", Kind::Text),
    ("fieldsV1", Kind::Raw),
    ("subresource", Kind::Text),
];

const OBJECT_META: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("generateName", Kind::Text),
    ("namespace", Kind::Text),
    ("selfLink", Kind::Text),
    ("uid", Kind::Text),
    ("resourceVersion", Kind::Text),
    ("generation", Kind::Integer),
    ("creationTimestamp", Kind::Time),
    ("deletionTimestamp", Kind::Time),
    ("deletionGracePeriodSeconds", Kind::Integer),
    ("labels", Kind::Texts),
    ("annotations", Kind::Texts),
    ("ownerReferences", Kind::Objects("OwnerReference", OWNER_REFERENCE)),
    ("finalizers", Kind::TextList),
    ("managedFields", Kind::Objects("ManagedFieldsEntry", MANAGED_FIELDS)),
];

/// Reads `metadata` as its type: drops what is unknown or empty, and returns the paths of what was unknown.
///
/// # Errors
/// A field has the wrong type; the text is that of Go's JSON decoder.
pub fn coerce(object: &mut Value) -> Result<Vec<String>, String> {
    let Some(metadata) = object.as_object_mut().and_then(|object| object.get_mut("metadata")) else {
        return Ok(Vec::new());
    };
    let mut unknown = Vec::new();
    match metadata {
        Value::Null => *metadata = Value::Object(Map::new()),
        Value::Object(fields) => object_fields(fields, OBJECT_META, "ObjectMeta", "metadata", &mut unknown)?,
        other => return Err(mismatch(other, "", "v1.ObjectMeta")),
    }
    Ok(unknown)
}

fn object_fields(
    fields: &mut Map<String, Value>,
    known: &[(&str, Kind)],
    go_type: &str,
    at: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    fields.retain(|name, _| {
        let is_known = known.iter().any(|(known, _)| known == name);
        if !is_known {
            unknown.push(format!("{at}.{name}"));
        }
        is_known
    });
    for (name, kind) in known {
        let Some(value) = fields.get_mut(*name) else { continue };
        let field = format!("{go_type}.{name}");
        if check(value, *kind, &field, &format!("{at}.{name}"), unknown)? == Keep::No {
            fields.remove(*name);
        }
    }
    Ok(())
}

/// Whether a field is written back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

impl From<bool> for Keep {
    fn from(keep: bool) -> Self {
        if keep { Self::Yes } else { Self::No }
    }
}

fn check(value: &mut Value, kind: Kind, field: &str, at: &str, unknown: &mut Vec<String>) -> Result<Keep, String> {
    let keep = match (kind, &mut *value) {
        (_, Value::Null) => Keep::No,
        (Kind::Text, Value::String(text)) => (!text.is_empty()).into(),
        (Kind::Text, other) => return Err(mismatch(other, field, "string")),
        (Kind::Raw, _) | (Kind::Boolean, Value::Bool(_)) => Keep::Yes,
        (Kind::Boolean, other) => return Err(mismatch(other, field, "bool")),
        (Kind::Integer, Value::Number(number)) if number.is_i64() => {
            (number.as_i64() != Some(0) || field.ends_with("Seconds")).into()
        }
        (Kind::Integer, other) => return Err(mismatch(other, field, "int64")),
        (Kind::Time, Value::String(text)) => {
            text.parse::<jiff::Timestamp>().map_err(|_| time_fault(text))?;
            Keep::Yes
        }
        (Kind::Time, other) => return Err(mismatch(other, "", "string")),
        (Kind::Texts, Value::Object(entries)) => {
            for entry in entries.values_mut() {
                match entry {
                    Value::String(_) => {}
                    Value::Null => *entry = Value::String(String::new()),
                    other => return Err(mismatch(other, field, "string")),
                }
            }
            (!entries.is_empty()).into()
        }
        (Kind::Texts, other) => return Err(mismatch(other, field, "map[string]string")),
        (Kind::TextList, Value::Array(items)) => {
            for item in items.iter_mut() {
                match item {
                    Value::String(_) => {}
                    Value::Null => *item = Value::String(String::new()),
                    other => return Err(mismatch(other, field, "string")),
                }
            }
            (!items.is_empty()).into()
        }
        (Kind::TextList, other) => return Err(mismatch(other, field, "[]string")),
        (Kind::Objects(go_type, known), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                match item {
                    Value::Object(fields) => object_fields(fields, known, go_type, &format!("{at}[{index}]"), unknown)?,
                    Value::Null => *item = Value::Object(Map::new()),
                    other => return Err(mismatch(other, field, &format!("v1.{go_type}"))),
                }
            }
            (!items.is_empty()).into()
        }
        (Kind::Objects(go_type, _), other) => return Err(mismatch(other, field, &format!("[]v1.{go_type}"))),
    };
    Ok(keep)
}

/// What Go's decoder says about a value of the wrong type.
fn mismatch(value: &Value, field: &str, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if wanted == "int64" => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    if field.is_empty() {
        format!("json: cannot unmarshal {found} into Go value of type {wanted}")
    } else {
        format!("json: cannot unmarshal {found} into Go struct field {field} of type {wanted}")
    }
}

fn time_fault(text: &str) -> String {
    format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"",)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_dropped_with_their_paths() {
        let mut object = json!({"metadata": {"name": "a", "x": 1, "ownerReferences": [{"name": "o", "y": 2}]}});
        assert_eq!(coerce(&mut object).unwrap(), ["metadata.x", "metadata.ownerReferences[0].y"]);
        assert_eq!(object, json!({"metadata": {"name": "a", "ownerReferences": [{"name": "o"}]}}));
    }

    #[test]
    fn empty_fields_are_dropped_in_silence() {
        let mut object = json!({"metadata": {"labels": {}, "finalizers": [], "uid": "", "generation": 0,
            "creationTimestamp": null, "deletionGracePeriodSeconds": 0}});
        assert_eq!(coerce(&mut object).unwrap(), Vec::<String>::new());
        assert_eq!(object, json!({"metadata": {"deletionGracePeriodSeconds": 0}}));
    }

    #[test]
    fn fields_of_the_wrong_type_are_errors_in_the_words_of_go() {
        let said = |metadata: Value| coerce(&mut json!({"metadata": metadata})).unwrap_err();
        assert_eq!(
            said(json!({"labels": {"app": 1}})),
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
        );
        assert_eq!(said(json!([])), "json: cannot unmarshal array into Go value of type v1.ObjectMeta");
        assert_eq!(
            said(json!({"generation": 1.5})),
            "json: cannot unmarshal number 1.5 into Go struct field ObjectMeta.generation of type int64"
        );
    }
}
