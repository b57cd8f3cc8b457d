//! A Scale that a client sent, read as kube-apiserver reads its own types.
//!
//! Sources: k8s.io/api/autoscaling/v1/types.go, and sigs.k8s.io/json for the texts about fields of another type.

use kindsmith_schema::{kind::Typing, scale::REPLICAS_UNSET};
use kindsmith_text::print::quoted;
use serde_json::{Map, Value, json};

use super::{
    decode::{self, Expected},
    metadata,
};
use crate::encode::status::ApiError;

/// What the body of a request must be.
pub const EXPECTED: Expected<'static> =
    Expected { api_version: "autoscaling/v1", version: "v1", kind: "Scale", typing: Typing::BuiltIn };

/// What of a Scale matters to a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The wanted number of replicas; 0 when absent.
    pub replicas: i32,
    /// The name; empty when absent.
    pub name: String,
    /// The namespace; empty when absent.
    pub namespace: String,
    /// The revision that the client has seen; empty when absent.
    pub resource_version: String,
    /// What strict decoding has against it: texts such as `unknown field "spec.a"`.
    pub complaints: Vec<String>,
}

impl Sent {
    /// Reads a Scale.
    ///
    /// # Errors
    /// A field has another type; the text is Go's.
    pub fn read(object: &mut Value) -> Result<Self, String> {
        let unknown = metadata::typed::coerce(object).map_err(|text| below_scale(&text))?;
        let mut reader = Reader { complaints: unknown.iter().map(|path| decode::unknown_field(path)).collect() };
        let sent = reader.scale(object)?;
        Ok(Self { complaints: reader.complaints, ..sent })
    }

    /// Makes of what was sent the Scale that kube-apiserver reads from it.
    pub fn complete(&self, object: &mut Value) {
        if let Some(members) = object.as_object_mut() {
            members.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
            let spec = if self.replicas == 0 { json!({}) } else { json!({"replicas": self.replicas}) };
            members.insert("spec".to_owned(), spec);
            members.insert("status".to_owned(), json!({"replicas": 0}));
        }
    }

    /// Whether the name and the namespace, where there are any, are those of the path (`checkName`).
    ///
    /// # Errors
    /// 400 when they are not.
    pub fn check_name(&self, name: &str, namespace: Option<&str>) -> Result<(), ApiError> {
        // Without a namespace in the path the one that was sent counts for nothing.
        if !self.namespace.is_empty() && namespace.is_some_and(|namespace| self.namespace != namespace) {
            return Err(ApiError::BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request".to_owned(),
            ));
        }
        if self.name.is_empty() {
            return Err(ApiError::BadRequest(format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            )));
        }
        if self.name != name {
            return Err(ApiError::BadRequest(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                self.name
            )));
        }
        Ok(())
    }
}

/// Checks that an object is a Scale; fills in `apiVersion` and `kind`, which may be absent.
///
/// # Errors
/// It is something else.
pub fn settle_kind(object: &mut Value) -> Result<(), String> {
    let Some(members) = object.as_object_mut() else {
        return Err(format!("couldn't get version/kind; {}", cannot_unmarshal(object, "Scale", "v1.Scale")));
    };
    for (member, value) in [("apiVersion", EXPECTED.api_version), ("kind", EXPECTED.kind)] {
        let held = members.entry(member).or_insert(Value::Null);
        if held.is_null() || *held == "" {
            *held = json!(value);
        }
    }
    if decode::type_faults(object, EXPECTED).is_empty() {
        return Ok(());
    }
    let of = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default();
    Err(format!("no kind {} is registered for version {}", quoted(of("kind")), quoted(of("apiVersion"))))
}

/// The text about a field of `metadata`, which is told from the Scale on.
fn below_scale(text: &str) -> String {
    if text.ends_with("of type v1.ObjectMeta") {
        return text.replacen("Go value", "Go struct field Scale.metadata", 1);
    }
    match text.split_once("Go struct field ") {
        Some((before, field)) => format!("{before}Go struct field {}", field.replacen('.', ".metadata.", 1)),
        None => text.to_owned(),
    }
}

/// The error about a Scale that cannot be decoded.
#[must_use]
pub fn cannot_be_handled(error: &str) -> ApiError {
    ApiError::BadRequest(format!("Scale in version \"v1\" cannot be handled as a Scale: {error}"))
}

struct Reader {
    complaints: Vec<String>,
}

impl Reader {
    fn scale(&mut self, object: &Value) -> Result<Sent, String> {
        let Some(members) = object.as_object() else { return Ok(Sent::default()) };
        self.known(members, "", &["apiVersion", "kind", "metadata", "spec", "status"]);
        let part = |name: &str, kind: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(part)) => Ok(Some(part)),
            Some(other) => Err(cannot_unmarshal(other, &format!("Scale.{name}"), kind)),
        };
        let (spec, status) = (part("spec", "v1.ScaleSpec")?, part("status", "v1.ScaleStatus")?);
        let text = |name: &str| metadata::member(object, name).to_owned();
        let mut sent = Sent {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..Sent::default()
        };
        if let Some(spec) = spec {
            self.known(spec, "spec.", &["replicas"]);
            sent.replicas = replicas(spec, "ScaleSpec.spec.replicas")?;
        }
        if let Some(status) = status {
            self.known(status, "status.", &["replicas", "selector"]);
            replicas(status, "ScaleStatus.status.replicas")?;
            if let Some(other) = status.get("selector").filter(|value| !value.is_string() && !value.is_null()) {
                return Err(cannot_unmarshal(other, "ScaleStatus.status.selector", "string"));
            }
        }
        Ok(sent)
    }

    fn known(&mut self, members: &Map<String, Value>, parent: &str, known: &[&str]) {
        let unknown = members.keys().filter(|name| !known.contains(&name.as_str()));
        self.complaints.extend(unknown.map(|name| decode::unknown_field(&format!("{parent}{name}"))));
    }
}

fn replicas(members: &Map<String, Value>, field: &str) -> Result<i32, String> {
    match members.get("replicas") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value
            .as_i64()
            .and_then(|count| i32::try_from(count).ok())
            .ok_or_else(|| cannot_unmarshal(value, field, "int32")),
    }
}

/// `UnmarshalTypeError` of Go.
fn cannot_unmarshal(value: &Value, field: &str, kind: &str) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if kind == "int32" => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    format!("json: cannot unmarshal {found} into Go struct field {field} of type {kind}")
}

/// Whether a patch left the wanted number of replicas as absent as it was.
#[must_use]
pub fn is_unset(replicas: i32) -> bool {
    replicas == REPLICAS_UNSET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_needs_neither_kind_nor_api_version() {
        let mut scale = json!({"metadata": {"name": "a"}, "spec": {"replicas": 3}});
        settle_kind(&mut scale).unwrap();
        assert_eq!((scale["apiVersion"].as_str(), scale["kind"].as_str()), (Some("autoscaling/v1"), Some("Scale")));
        let sent = Sent::read(&mut scale).unwrap();
        assert_eq!((sent.replicas, sent.name.as_str()), (3, "a"));
        assert!(settle_kind(&mut json!({"apiVersion": "apps/v1", "kind": "Scale"})).is_err());
    }

    #[test]
    fn fields_of_another_type_are_told_as_go_tells_them() {
        let error = |mut object: Value| Sent::read(&mut object).unwrap_err();
        assert_eq!(
            error(json!({"spec": {"replicas": "3"}})),
            "json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32"
        );
        assert!(error(json!({"spec": {"replicas": 3_000_000_000_i64}})).contains("number 3000000000 into"));
        assert!(error(json!({"spec": []})).contains("array into Go struct field Scale.spec of type v1.ScaleSpec"));
        assert_eq!(
            error(json!({"metadata": {"labels": {"a": 1}}})),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
        );
        assert!(
            error(json!({"metadata": []})).ends_with("array into Go struct field Scale.metadata of type v1.ObjectMeta")
        );
    }

    #[test]
    fn unknown_fields_are_complained_of() {
        let sent = Sent::read(&mut json!({"spec": {"replicaz": 1}, "metadata": {"name": "a", "b": 1}})).unwrap();
        assert_eq!(sent.complaints, ["unknown field \"metadata.b\"", "unknown field \"spec.replicaz\""]);
    }

    #[test]
    fn the_name_must_be_that_of_the_path() {
        let error = |name: &str, namespace: &str| {
            let sent = Sent { name: name.to_owned(), namespace: namespace.to_owned(), ..Sent::default() };
            sent.check_name("a", Some("n")).unwrap_err().to_string()
        };
        assert_eq!(error("b", ""), "the name of the object (b) does not match the name on the URL (a)");
        assert_eq!(error("", "n"), "the name of the object (a based on URL) was undeterminable: name must be provided");
        assert!(error("a", "m").starts_with("the namespace of the provided object does not match"));
        let of_cluster = Sent { name: "a".to_owned(), namespace: "m".to_owned(), ..Sent::default() };
        of_cluster.check_name("a", None).unwrap();
    }
}
