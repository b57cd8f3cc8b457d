//! A Namespace as the Go type that it is in kube-apiserver: how bodies are read, what is filled in, which names there are.
//!
//! Sources: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go, pkg/registry/core/namespace/strategy.go,
//! k8s.io/apimachinery/pkg/runtime/serializer/json/json.go.

use kindsmith_schema::structural::object_meta;
use serde_json::{Value, json};

use super::{decode::Expected, metadata};

/// The label that each namespace has: its name.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The namespaces that cannot be deleted (k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go).
pub const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Some kinds that Kubernetes knows besides, in its core group: of them it says that they cannot be converted.
const CORE_KINDS: [&str; 9] =
    ["ConfigMap", "Event", "Node", "Pod", "Secret", "Service", "ServiceAccount", "PersistentVolume", "ResourceQuota"];

/// Fills in what a body leaves out of `apiVersion` and `kind`, and checks that it is a Namespace (`gvkWithDefaults`).
///
/// # Errors
/// The text of Kubernetes when it is something else.
pub fn settle_type(object: &mut Value, expected: Expected<'_>) -> Result<(), String> {
    let Some(members) = object.as_object_mut() else { return Ok(()) };
    for (member, value) in [("apiVersion", expected.api_version), ("kind", expected.kind)] {
        let held = members.entry(member).or_insert(Value::Null);
        if held.is_null() || *held == "" {
            *held = json!(value);
        }
    }
    let text = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    match (api_version == expected.api_version, kind == expected.kind) {
        (true, true) => Ok(()),
        (true, false) if CORE_KINDS.contains(&kind) => {
            Err(format!("converting ({}.{kind}) to (core.{}): unknown conversion", expected.version, expected.kind))
        }
        _ => Err(format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \
             \"pkg/api/legacyscheme/scheme.go:30\""
        )),
    }
}

/// Reads a Namespace as its type and fills in what each has; returns the paths of what is unknown.
///
/// # Errors
/// A value has another type; the text is that of Go's decoder.
pub fn read(object: &mut Value) -> Result<Vec<String>, String> {
    let Some(members) = object.as_object() else { return Ok(Vec::new()) };
    let (read, unknown) = object_meta::read_namespace(members)?;
    *object = Value::Object(read);
    fill_in(object);
    Ok(unknown)
}

/// Fills in the label of the name, where there is one, and the phase.
fn fill_in(namespace: &mut Value) {
    let name = metadata::member(namespace, "name").to_owned();
    if !name.is_empty() {
        namespace["metadata"]["labels"][NAME_LABEL] = json!(name);
    }
    let phase = &mut namespace["status"]["phase"];
    if phase.is_null() {
        *phase = json!("Active");
    }
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::kind::Typing;

    use super::*;

    const EXPECTED: Expected<'static> =
        Expected { api_version: "v1", version: "v1", kind: "Namespace", typing: Typing::BuiltIn };

    #[test]
    fn a_body_may_leave_its_type_out_but_not_have_another() {
        let mut bare = json!({"metadata": {"name": "a"}, "kind": ""});
        settle_type(&mut bare, EXPECTED).unwrap();
        assert_eq!((&bare["kind"], &bare["apiVersion"]), (&json!("Namespace"), &json!("v1")));
        let refusal = |mut object: Value| settle_type(&mut object, EXPECTED).unwrap_err();
        assert_eq!(refusal(json!({"kind": "Pod"})), "converting (v1.Pod) to (core.Namespace): unknown conversion");
        assert!(
            refusal(json!({"apiVersion": "v2"})).starts_with("no kind \"Namespace\" is registered for version \"v2\"")
        );
    }

    #[test]
    fn values_of_another_type_and_unknown_fields_are_told_as_go_tells_them() {
        let mut unknown = json!({"metadata": {"name": "a", "x": 1}, "spec": {"y": 1, "finalizers": ["a/b"]}, "z": 1});
        assert_eq!(read(&mut unknown).unwrap(), ["metadata.x", "spec.y", "z"]);
        assert_eq!(unknown["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "a"}));
        assert_eq!(unknown["status"], json!({"phase": "Active"}));
        let refusal = |mut object: Value| read(&mut object).unwrap_err();
        assert_eq!(
            refusal(json!({"metadata": {"labels": {"a": 1}}})),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
        );
        assert_eq!(
            refusal(json!({"spec": []})),
            "json: cannot unmarshal array into Go struct field Namespace.spec of type v1.NamespaceSpec"
        );
    }
}
