//! Settings of releases: what kube-apiserver refuses with each release is refused with the definition.
//!
//! The same inputs are given to kube-apiserver itself by the test `settings` on a control plane.

use serde::Deserialize;

use super::*;

/// Settings, and the field of which something is wrong; below `spec.backend.helmRelease`.
#[derive(Deserialize)]
struct Case {
    settings: serde_json::Map<String, Value>,
    fault: Option<String>,
}

/// A text such as `n64`, or one that begins with it, has so many letters there.
fn long(value: &mut Value) {
    match value {
        Value::String(text) => *text = lengthened(text),
        Value::Array(items) => items.iter_mut().for_each(long),
        Value::Object(members) => {
            let held = std::mem::take(members);
            members.extend(held.into_iter().map(|(key, mut value)| {
                long(&mut value);
                (lengthened(&key), value)
            }));
        }
        _ => {}
    }
}

fn lengthened(text: &str) -> String {
    let digits: String = text.strip_prefix('n').unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(length) => format!("{}{}", "n".repeat(length), &text[1 + digits.len()..]),
        Err(_) => text.to_owned(),
    }
}

fn with_settings(settings: &serde_json::Map<String, Value>) -> Value {
    let mut definition = definition();
    let held = definition["spec"]["backend"]["helmRelease"].as_object_mut().unwrap();
    held.extend(settings.clone());
    long(&mut definition["spec"]["backend"]);
    definition
}

fn faults(definition: Value, target: &Target) -> Vec<FieldError> {
    let definition: ApplicationDefinition = serde_json::from_value(definition).unwrap();
    compile(&definition, target).err().unwrap_or_default()
}

#[test]
fn what_kube_apiserver_refuses_with_each_release_is_refused_with_the_definition() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../../tests/cases/release-settings.json")).unwrap();
    assert!(cases.len() >= 60);
    for Case { settings, fault } in cases {
        let found = faults(with_settings(&settings), &Target::default());
        match fault {
            None => assert_eq!(found, [], "{settings:?}"),
            Some(field) => {
                let dot = if field.is_empty() { "" } else { "." };
                let field = format!("spec.backend.helmRelease{dot}{field}");
                assert!(found.iter().any(|fault| fault.field == field), "{settings:?}: {found:?}");
            }
        }
    }
}

#[test]
fn what_is_of_instances_or_ours_is_refused_and_not_left_out() {
    for (settings, wanted) in [
        (json!({"values": {"a": 1}}), "values: Forbidden: the values of a release are the spec of its instance"),
        (json!({"suspend": true}), "suspend: Forbidden: it would be lost"),
        (json!({"labels": {"kindsmith.dev/kind": "Evil"}}), "labels[kindsmith.dev/kind]: Forbidden: keys that begin"),
        (json!({"labels": {"apps.example.com-a": "b"}}), "labels[apps.example.com-a]: Forbidden: keys that begin"),
        (json!({"releaseName": "x-{{ .nmae }}"}), "releaseName: Invalid value: \".nmae\""),
        (json!({"kubeConfig": {"secretRef": {"name": "{{ .x }}"}}}), "kubeConfig.secretRef.name: Invalid value"),
        (json!({"commonMetadata": {"labels": {"a": "{{ .x }}"}}}), "commonMetadata.labels[a]: Invalid value"),
    ] {
        let found = faults(with_settings(settings.as_object().unwrap()), &Target::default());
        let wanted = format!("spec.backend.helmRelease.{wanted}");
        assert!(found.len() == 1 && found[0].to_string().starts_with(&wanted), "{found:?}");
    }
}

#[test]
fn fields_that_only_the_cluster_knows_are_taken_and_passed_on() {
    let mut spec = crate::release_schema::built_in_spec();
    spec["properties"]["later"] = json!({"type": "string"});
    spec["properties"]["chartRef"]["properties"]["tag"] = json!({"type": "string"});
    spec["properties"]["valuesFrom"]["items"]["properties"]["later"] = json!({"type": "integer"});
    let crd = json!({"spec": {"versions": [
        {"name": "v2", "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}}}]}});
    let releases = ReleaseSchema::of_custom_resource_definition(&crd).unwrap();
    let settings = json!({"later": "x", "chartRef": {"kind": "OCIRepository", "name": "c", "tag": "1"},
        "valuesFrom": [{"kind": "Secret", "name": "s", "later": 1}]});
    let definition = with_settings(settings.as_object().unwrap());
    assert_eq!(faults(definition.clone(), &Target::default()).len(), 3);
    let definition: ApplicationDefinition = serde_json::from_value(definition).unwrap();
    let kind = compile(&definition, &Target { releases, ..Target::default() }).unwrap();
    let KindBackend::Release(template) = kind.backend else { panic!("it has releases") };
    let set = Value::Object(template.fields("a", Some("b")));
    assert_eq!(set["later"], "x");
    assert_eq!(set["chartRef"]["tag"], "1");
    assert_eq!(set["valuesFrom"][0]["later"], 1);
}

#[test]
fn what_was_accepted_goes_on_without_what_is_of_instances() {
    let settings = json!({"interval": "soon", "suspend": true, "values": {"a": 1}});
    let definition: ApplicationDefinition =
        serde_json::from_value(with_settings(settings.as_object().unwrap())).unwrap();
    let Recompiled { kind, faults } = compile_by(&definition, &Target::default(), &OWN_RULES).unwrap();
    assert_eq!(faults.len(), 3);
    let KindBackend::Release(template) = kind.backend else { panic!("it has releases") };
    let set = template.fields("a", Some("b"));
    assert_eq!(set.keys().collect::<Vec<_>>(), ["chartRef", "interval"]);
}
