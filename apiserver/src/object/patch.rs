//! JSON patches, merge patches and strategic merge patches on objects: reading them, and what is said when they do not apply.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

use kindsmith_text::print::quoted;
use std::fmt;

use kindsmith_schema::decode;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{json_patch, merge_patch, strategic_merge};
use crate::{encode::status::ApiError, request::FieldValidation};

/// The most operations of one JSON patch.
pub const OPERATIONS_MAX: usize = 10_000;

/// A patch that was read.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json {
        /// What is done, one after another.
        operations: Vec<Map<String, Value>>,
        /// Fields that are there twice inside of a value: the number of the operation, and the path from the value on.
        twice: Vec<(usize, String)>,
    },
    /// RFC 7386.
    Merge(Map<String, Value>),
    /// A strategic merge patch of a Namespace.
    Strategic(Map<String, Value>),
}

impl Patch {
    /// Reads a JSON patch. Complaints are about unknown and duplicate fields of operations; who is lenient wants none.
    ///
    /// # Errors
    /// 400 when it is no list of operations, 413 when there are too many, 422 when one is none that there is.
    pub fn json(body: &[u8], validation: FieldValidation) -> Result<(Self, Vec<String>), ApiError> {
        let (operations, duplicates) = read(body)?;
        // Who is lenient meets another decoder of Go.
        let (about, list, item) = match validation {
            FieldValidation::Ignore => ("", "jsonpatch.Patch", "jsonpatch.Operation"),
            FieldValidation::Warn | FieldValidation::Strict => {
                (DECODING, "[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
            }
        };
        let operations = match operations {
            Value::Array(operations) => operations,
            // Go reads null as a list of nothing, and as an operation that says nothing.
            Value::Null => Vec::new(),
            other => return Err(undecodable(about, &other, list)),
        };
        let operations = operations.into_iter().map(|operation| match operation {
            Value::Object(operation) => Ok(operation),
            Value::Null => Ok(Map::new()),
            other => Err(undecodable(about, &other, item)),
        });
        let operations: Vec<_> = operations.collect::<Result<_, _>>()?;
        let complaints = match validation {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn | FieldValidation::Strict => {
                operations.iter().try_for_each(check_types)?;
                complaints(body, &duplicates)
            }
        };
        if operations.len() > OPERATIONS_MAX {
            return Err(ApiError::TooLarge(format!(
                "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
                operations.len()
            )));
        }
        Ok((Self::Json { operations, twice: in_values(&duplicates) }, complaints))
    }

    /// Reads a merge patch. Complaints are about duplicate fields; who is lenient wants none.
    ///
    /// # Errors
    /// 400 when it is no object.
    pub fn merge(body: &[u8], validation: FieldValidation) -> Result<(Self, Vec<String>), ApiError> {
        let (patch, complaints) = map(body, DECODING, validation)?;
        Ok((Self::Merge(patch), complaints))
    }

    /// Reads a strategic merge patch of a Namespace, as [`Self::merge`].
    ///
    /// # Errors
    /// 400 when it is no object.
    pub fn strategic(body: &[u8], validation: FieldValidation) -> Result<(Self, Vec<String>), ApiError> {
        let (patch, complaints) = map(body, "", validation)?;
        Ok((Self::Strategic(patch), complaints))
    }

    /// Applies the patch. Returns the complaints about the object that comes out: a value that no later operation goes into
    /// is put there as it was sent, with the fields that it has twice.
    ///
    /// # Errors
    /// 422 when an operation cannot be done or a test fails; for a strategic merge patch see
    /// [`strategic_merge::merge_namespace`].
    pub fn apply(self, object: &mut Value) -> Result<Vec<String>, ApiError> {
        match self {
            Self::Json { mut operations, twice } => {
                json_patch::apply(object, &mut operations).map_err(|_| ApiError::Rejected)?;
                let left = twice.iter().filter_map(|(number, path)| {
                    let place = json_patch::untouched_place(&operations, *number, object)?;
                    Some(duplicate(&format!("{place}{path}")))
                });
                Ok(left.collect())
            }
            Self::Merge(patch) => {
                if let Some(object) = object.as_object_mut() {
                    merge_patch::merge(object, &patch);
                }
                Ok(Vec::new())
            }
            Self::Strategic(patch) => {
                if let Some(object) = object.as_object_mut() {
                    strategic_merge::merge_namespace(object, &patch)?;
                }
                Ok(Vec::new())
            }
        }
    }
}

/// What an operation may have (`jsonPatchOp` in patch.go). What is in a value is the object's affair.
const OPERATION_FIELDS: [&str; 4] = ["op", "path", "from", "value"];

/// Checks that members of an operation that are texts are such.
fn check_types(operation: &Map<String, Value>) -> Result<(), ApiError> {
    for member in ["op", "path", "from"] {
        if let Some(held) = operation.get(member).filter(|held| !held.is_string() && !held.is_null()) {
            let found = name_of(held);
            return Err(ApiError::BadRequest(format!(
                "{DECODING}json: cannot unmarshal {found} into Go struct field jsonPatchOp.{member} of type string"
            )));
        }
    }
    Ok(())
}

/// What strict decoding has against the operations of a JSON patch, in the order of the text.
fn complaints(body: &[u8], duplicates: &[String]) -> Vec<String> {
    let operations: Vec<Option<Members>> = serde_json::from_slice(body).unwrap_or_default();
    let mut told = Vec::new();
    let mut tell = |complaint: String| {
        if told.len() < decode::DUPLICATES_MAX && !told.contains(&complaint) {
            told.push(complaint);
        }
    };
    for (number, Members(names)) in operations.into_iter().enumerate().filter_map(|(n, names)| Some((n, names?))) {
        for (position, name) in names.iter().enumerate() {
            let path = format!("[{number}].{name}");
            if !OPERATION_FIELDS.contains(&name.as_str()) {
                tell(format!("json patch unknown field {}", quoted(&path)));
                continue;
            }
            if names[..position].contains(name) {
                tell(format!("json patch {}", duplicate(&path)));
            }
            let inside = duplicates.iter().filter(|held| below(held, &path).is_some());
            inside.for_each(|held| tell(format!("json patch {}", duplicate(held))));
        }
    }
    told
}

/// The duplicate fields that are inside of values.
fn in_values(duplicates: &[String]) -> Vec<(usize, String)> {
    let in_value = |path: &String| {
        let (number, rest) = path.strip_prefix('[')?.split_once("].value")?;
        rest.starts_with(['.', '[']).then_some((number.parse().ok()?, rest.to_owned()))
    };
    duplicates.iter().filter_map(in_value).collect()
}

/// What follows `parent` in a path that leads into it.
fn below<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent).filter(|rest| rest.starts_with(['.', '[']))
}

/// The names of an object's members in the order of the text, with repetitions.
struct Members(Vec<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = members.next_entry()? {
            names.push(name);
        }
        Ok(Members(names))
    }
}

fn duplicate(path: &str) -> String {
    format!("duplicate field {}", quoted(path))
}

/// A patch, and the paths of the fields that it has twice.
fn read(body: &[u8]) -> Result<(Value, Vec<String>), ApiError> {
    decode::json_with_duplicates(body).map_err(|error| ApiError::BadRequest(format!("{DECODING}{error}")))
}

/// A patch that is a map, and the complaints about fields that it has twice, for who wants them.
fn map(body: &[u8], about: &str, validation: FieldValidation) -> Result<(Map<String, Value>, Vec<String>), ApiError> {
    let (patch, duplicates) = read(body)?;
    let Value::Object(patch) = patch else {
        return Err(undecodable(about, &patch, "map[string]interface {}"));
    };
    let complaints = match validation {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn | FieldValidation::Strict => duplicates.iter().map(|path| duplicate(path)).collect(),
    };
    Ok((patch, complaints))
}

/// What errors about a patch begin with.
const DECODING: &str = "error decoding patch: ";

/// What Go calls a value in errors.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn undecodable(about: &str, found: &Value, wanted: &str) -> ApiError {
    let found = name_of(found);
    ApiError::BadRequest(format!("{about}json: cannot unmarshal {found} into Go value of type {wanted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What strict reading of a patch says, and what it says of the object that comes out.
    fn told(patch: &str) -> (Vec<String>, Vec<String>) {
        let (patch, complaints) = Patch::json(patch.as_bytes(), FieldValidation::Warn).unwrap();
        let mut object = json!({"spec": {"a": 1, "list": [1]}});
        (complaints, patch.apply(&mut object).unwrap())
    }

    #[test]
    fn what_an_operation_has_not_is_complained_of_in_the_order_of_the_text() {
        let text = r#"[{"op":"add","note":{"a":1,"a":2},"op":"add","path":"/spec/b","value":{"k":1,"k":2},"note":1}]"#;
        let (of_patch, of_object) = told(text);
        let duplicates = ["json patch duplicate field \"[0].op\"", "json patch duplicate field \"[0].value.k\""];
        assert_eq!(of_patch, ["json patch unknown field \"[0].note\"", duplicates[0], duplicates[1]]);
        assert_eq!(of_object, ["duplicate field \"spec.b.k\""]);
        let (_, lenient) = Patch::json(text.as_bytes(), FieldValidation::Ignore).unwrap();
        assert!(lenient.is_empty(), "{lenient:?}");
    }

    #[test]
    fn a_value_that_a_later_operation_goes_into_has_no_field_twice() {
        let value = r#"{"op":"add","path":"/spec/list/-","value":{"k":1,"k":2}}"#;
        assert_eq!(told(&format!("[{value}]")).1, ["duplicate field \"spec.list[1].k\""]);
        let into = r#"{"op":"add","path":"/spec/list/1/j","value":1}"#;
        assert!(told(&format!("[{value},{into}]")).1.is_empty());
        let over = r#"{"op":"replace","path":"/spec","value":{}}"#;
        assert!(told(&format!("[{value},{over}]")).1.is_empty());
    }

    #[test]
    fn null_is_a_patch_of_nothing_and_no_operation() {
        let mut object = json!({"spec": 1});
        let (nothing, _) = Patch::json(b"null", FieldValidation::Strict).unwrap();
        nothing.apply(&mut object).unwrap();
        assert_eq!(object, json!({"spec": 1}));
        let (unknown, _) = Patch::json(b"[null]", FieldValidation::Strict).unwrap();
        assert!(matches!(unknown.apply(&mut object), Err(ApiError::Rejected)));
        let wrong = Patch::json(br#"[{"op":1}]"#, FieldValidation::Warn).unwrap_err().to_string();
        assert!(wrong.ends_with("number into Go struct field jsonPatchOp.op of type string"), "{wrong}");
    }

    #[test]
    fn too_many_operations_are_counted() {
        let many = json!(vec![json!({"op": "test", "path": "/a"}); OPERATIONS_MAX + 1]).to_string();
        let refused = Patch::json(many.as_bytes(), FieldValidation::Warn).unwrap_err();
        let told = "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001";
        assert_eq!((refused.code(), refused.to_string().as_str()), (413, told));
    }
}
