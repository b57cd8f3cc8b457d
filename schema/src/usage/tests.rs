//! Notes and access of a definition are judged with it, and filled in as often as an instance is shown.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    compatibility::compare_kinds,
    compile::OwnStorage,
    kind::{Kind, KindBackend},
    succession::threats,
};

fn definition(version: &Value) -> Value {
    let mut whole = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "port": {"type": "integer", "default": 6379},
            "external": {"type": "boolean", "default": false},
            "host": {"type": "string"},
            "users": {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 4000}}}}}}}
    });
    whole.as_object_mut().unwrap().extend(version.as_object().unwrap().clone());
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "cups.apps.example.com", "uid": "u"},
        "spec": {
            "group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": [whole],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}, "prefix": "cup-"}}
        }
    })
}

fn judge(definition: &Value) -> Result<Kind, Vec<String>> {
    let definition = serde_json::from_value(definition.clone()).unwrap();
    let compiled = crate::compile::compile(&definition, OwnStorage::Available);
    compiled.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn kind(version: &Value) -> Kind {
    judge(&definition(version)).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// A release as Flux left it.
fn release(values: &Value) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "cup-tea", "namespace": "team-a", "generation": 1, "uid": "u",
            "labels": {"apps.example.com-tier": "gold"}},
        "spec": {"interval": "5m", "values": values},
        "status": {"observedGeneration": 1, "lastAttemptedRevision": "1.2.3",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Done", "observedGeneration": 1}]}})
}

/// An instance as the API shows it.
fn shown(kind: &Kind, release: &Value) -> Value {
    let mut instance = kind.decode(release);
    kind.versions[0].usage.as_ref().unwrap().show(&mut instance);
    instance
}

#[test]
fn notes_and_access_are_shown_in_the_status() {
    let kind = kind(&json!({
        "notes": "Hi ${self.metadata.name} of ${self.metadata.namespace} (${self.metadata.labels['tier']}),\nchart \
            ${self.status.version}, ${self.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True') ? 'up' : 'down'}\n",
        "access": [
            {"name": "client", "description": "For clients", "host": "cup-${self.metadata.name}.svc",
                "port": "${self.spec.port}", "url": "cup://cup-${self.metadata.name}.svc:${self.spec.port}"},
            {"name": "public", "when": "self.spec.external", "host": "${self.spec.host}", "port": 443},
            {"name": "password", "secret": {"name": "cup-${self.metadata.name}", "key": "password"}},
            {"name": "all-keys", "secret": {"name": "cup-keys"}},
        ],
    }));
    let instance = shown(&kind, &release(&json!({})));
    assert_eq!(instance["status"]["notes"], "Hi tea of team-a (gold),\nchart 1.2.3, up\n");
    let client = json!({"name": "client", "description": "For clients", "host": "cup-tea.svc", "port": 6379,
        "url": "cup://cup-tea.svc:6379"});
    let password = json!({"name": "password", "secret": {"name": "cup-tea", "key": "password"}});
    let keys = json!({"name": "all-keys", "secret": {"name": "cup-keys"}});
    assert_eq!(instance["status"]["access"], json!([client, password, keys]));
    assert_eq!(instance["status"]["version"], "1.2.3", "the rest stays");

    let external = shown(&kind, &release(&json!({"external": true, "host": "a.example.com"})));
    assert_eq!(external["status"]["access"][1], json!({"name": "public", "host": "a.example.com", "port": 443}));
    let without = shown(&kind, &release(&json!({"external": true})));
    assert_eq!(without["status"]["access"], instance["status"]["access"], "an entry that lacks a value is left out");
    assert!(kind.versions[0].schema.validate(&external).is_empty());
}

#[test]
fn an_instance_without_a_status_gets_one_only_where_there_is_something_to_show() {
    let kind = kind(&json!({"notes": "${self.spec.host}"}));
    let shown = |mut instance: Value| {
        kind.versions[0].usage.as_ref().unwrap().show(&mut instance);
        instance
    };
    assert_eq!(shown(json!({"spec": {}})), json!({"spec": {}}));
    assert_eq!(shown(json!({"spec": {"host": "h"}}))["status"], json!({"notes": "h"}));
}

#[test]
fn what_stood_there_before_is_gone() {
    let kind = kind(&json!({"notes": "${self.spec.host}", "access": [{"name": "a", "host": "${self.spec.host}"}]}));
    let usage = kind.versions[0].usage.as_ref().unwrap();
    let mut instance =
        json!({"metadata": {"name": "x"}, "spec": {}, "status": {"notes": "false", "access": [1], "x": 1}});
    usage.show(&mut instance);
    assert_eq!(instance["status"], json!({"x": 1}));
    for odd in [json!(null), json!([]), json!({"spec": 7, "status": "x"}), json!({"metadata": null})] {
        let mut instance = odd.clone();
        usage.show(&mut instance);
        assert_eq!(instance, odd);
    }
}

#[rstest]
#[case(json!({"host": "${self.spec.host}"}), json!({"host": "a\nb"}))]
#[case(json!({"host": "${self.spec.host}"}), json!({"host": "\u{1b}[2J"}))]
#[case(json!({"host": "x", "port": "${self.spec.port}"}), json!({"port": 70000}))]
#[case(json!({"host": "x", "port": "${self.spec.host}"}), json!({"host": "http"}))]
#[case(json!({"secret": {"name": "${self.spec.host}"}}), json!({"host": "A"}))]
#[case(json!({"secret": {"name": "${self.spec.host}", "key": "k"}}), json!({"host": "a/../b"}))]
#[case(json!({"secret": {"name": "s", "key": "${self.spec.host}"}}), json!({"host": "a b"}))]
#[case(json!({"url": "${self.spec.users[0]}"}), json!({"users": ["x".repeat(ACCESS_TEXT_BYTES_MAX + 1)]}))]
#[case::says_nothing(json!({"host": "${self.spec.host}"}), json!({"host": ""}))]
#[case::no_name(json!({"secret": {"name": "${self.spec.host}", "key": "k"}}), json!({"host": ""}))]
fn an_entry_that_is_not_what_it_should_be_is_left_out(#[case] entry: Value, #[case] values: Value) {
    let mut entry = entry;
    entry["name"] = json!("a");
    let kind = kind(&json!({"access": [entry, {"name": "b", "host": "b"}]}));
    assert_eq!(shown(&kind, &release(&values))["status"]["access"], json!([{"name": "b", "host": "b"}]), "{values}");
}

#[test]
fn what_is_shown_is_bounded() {
    let long = "${self.spec.users[0]}";
    let access: Vec<Value> =
        (0..ACCESS_ENTRIES_MAX).map(|at| json!({"name": format!("e{at}"), "host": "${self.spec.host}"})).collect();
    let kind = kind(&json!({"notes": format!("{long}{long}{long}{long}{long}"), "access": access}));
    let text = |length: usize| "x".repeat(length);
    let instance = shown(&kind, &release(&json!({"host": text(1500), "users": [text(3000)]})));
    let entries = instance["status"]["access"].as_array().unwrap();
    assert_eq!(entries.len(), ACCESS_BYTES_MAX / 1502);
    assert_eq!(instance["status"]["notes"].as_str().map(str::len), Some(15_000));
    let instance = shown(&kind, &release(&json!({"host": text(15), "users": [text(3900)]})));
    assert_eq!(instance["status"].get("notes"), None);
    assert_eq!(instance["status"]["access"].as_array().map(Vec::len), Some(ACCESS_ENTRIES_MAX));
}

#[rstest]
#[case(json!({"notes": "a\n ${self.spec.prot}"}),
    "spec.versions[0].notes: Invalid value: \"self.spec.prot\": compilation failed: ERROR: <input>:2:13: undefined field 'prot'")]
#[case(json!({"notes": "${self.status.notes}"}), "spec.versions[0].notes: Invalid value: \"self.status.notes\": compilation failed")]
#[case(json!({"notes": "x".repeat(NOTES_BYTES_MAX + 1)}), "spec.versions[0].notes: Too long: may not be more than 16384 bytes")]
#[case(json!({"notes": "a\u{1b}b"}), "spec.versions[0].notes: Invalid value: \"a\\x1bb\": must not have control characters")]
#[case(json!({"access": [{"name": "a", "host": "${1/}"}]}), "spec.versions[0].access[0].host: Invalid value: \"1/\": compilation failed")]
#[case(json!({"access": [{"name": "a", "host": "a\nb"}]}), "spec.versions[0].access[0].host: Invalid value: \"a\\nb\": must not")]
#[case(json!({"access": [{"name": "a", "host": "a", "when": "'x'"}]}), "spec.versions[0].access[0].when: Invalid value: \"'x'\": the")]
#[case(json!({"access": [{"name": "a", "port": 0}]}), "spec.versions[0].access[0].port: Invalid value: \"0\": must be a port")]
#[case(json!({"access": [{"name": "a", "secret": {"name": "A"}}]}), "spec.versions[0].access[0].secret.name: Invalid value: \"A\": must be the name")]
#[case(json!({"access": [{"name": "a", "secret": {"name": "a", "key": "a b"}}]}), "spec.versions[0].access[0].secret.key: Invalid value")]
#[case(json!({"access": [{"name": "a"}]}), "spec.versions[0].access[0]: Required value: at least one of host, port, url and secret")]
#[case(json!({"access": [{"name": "", "host": "a"}]}), "spec.versions[0].access[0].name: Required value")]
#[case(json!({"access": [{"name": "A", "host": "a"}]}), "spec.versions[0].access[0].name: Invalid value: \"A\"")]
#[case(json!({"access": [{"name": "a", "host": "a"}, {"name": "a", "host": "b"}]}), "spec.versions[0].access[1].name: Duplicate value: \"a\"")]
#[case(json!({"access": vec![json!({"name": "a", "host": "a"}); 65]}), "spec.versions[0].access: Too many: 65: must have at most 64 items")]
fn what_is_wrong_is_told_with_its_field(#[case] version: Value, #[case] wanted: &str) {
    let faults = judge(&definition(&version)).unwrap_err();
    assert!(faults.iter().any(|fault| fault.starts_with(wanted)), "{faults:?}");
}

#[test]
fn the_status_of_the_definition_must_leave_the_place() {
    let with = |status: Value, notes: Value| {
        let mut definition = definition(&notes);
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = status;
        judge(&definition).map(|kind| kind.versions[0].schema.raw()["properties"]["status"]["properties"].clone())
    };
    let notes = json!({"notes": "x"});
    let access = json!({"access": [{"name": "a", "host": "a"}]});
    let own = |field: &str, schema: Value| json!({"type": "object", "properties": {field: schema}});
    let kept = with(own("notes", json!({"type": "string", "description": "mine"})), notes.clone()).unwrap();
    assert_eq!(kept["notes"]["description"], "mine");
    let added = with(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), notes.clone()).unwrap();
    assert_eq!(added["notes"]["type"], "string");
    let item = json!({"type": "array", "items": {"type": "object", "properties": {"mine": {"type": "string"}}}});
    let items = &with(own("access", item), access.clone()).unwrap()["access"]["items"]["properties"];
    assert!(items["mine"].is_object() && items["host"].is_object(), "{items}");
    for (field, version) in [("notes", &notes), ("access", &access)] {
        let faults = with(own(field, json!({"type": "integer"})), version.clone()).unwrap_err();
        let at = format!(
            "spec.versions[0].schema.openAPIV3Schema.properties[status].properties[{field}].type: Invalid value"
        );
        assert!(faults[0].starts_with(&at), "{faults:?}");
        assert!(with(own(field, json!({"type": "integer"})), json!({})).is_ok(), "it is the definition's own field");
    }
    let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
    assert!(with(open, notes.clone()).unwrap_err()[0].contains("properties[status].additionalProperties: Forbidden"));
    let mut computed = definition(&notes);
    computed["spec"]["backend"]["helmRelease"]["status"] = json!([{"name": "notes", "expression": "'x'"}]);
    assert_eq!(
        judge(&computed).unwrap_err(),
        ["spec.backend.helmRelease.status[0].name: Forbidden: a version has notes, which is shown there"]
    );
}

#[test]
fn a_kind_in_its_own_store_has_none() {
    let mut stored = definition(&json!({"notes": "x", "access": [{"name": "a", "host": "a"}]}));
    stored["spec"]["backend"] = json!({"store": {}});
    let faults = judge(&stored).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("spec.versions[0].notes: Forbidden: with store the status is what users write"));
}

#[test]
fn a_change_of_notes_and_access_breaks_nobody() {
    let kinds = [
        json!({}),
        json!({"notes": "x"}),
        json!({"notes": "${self.metadata.name}", "access": [{"name": "a", "host": "a"}]}),
        json!({"access": [{"name": "b", "port": 1}]}),
    ]
    .map(|version| kind(&version));
    for old in &kinds {
        for new in &kinds {
            assert!(compare_kinds(old, new).is_empty(), "{:?}", compare_kinds(old, new));
            assert!(threats(old, new).is_empty());
        }
    }
    let status = |fields: &[&str], version: Value| {
        let mut definition = definition(&version);
        let fields: serde_json::Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] =
            json!({"type": "object", "properties": fields});
        judge(&definition).unwrap()
    };
    let (old, new) = (status(&["notesOf", "notes"], json!({"notes": "x"})), status(&[], json!({})));
    let fields: Vec<String> = compare_kinds(&old, &new).into_iter().map(|one| one.path).collect();
    assert_eq!(fields, ["status.notesOf"]);
}

#[test]
fn documents_describe_what_is_shown() {
    let kind = kind(&json!({"notes": "x", "access": [{"name": "a", "host": "a"}]}));
    let schema = kind.versions[0].schema.raw();
    let fields = &schema["properties"]["status"]["properties"];
    assert_eq!(fields["notes"]["description"], "How this object is used, in the words of its definition.");
    assert_eq!(fields["access"]["items"]["properties"]["secret"]["required"], json!(["name"]));
    let plain = self::kind(&json!({})).versions[0].schema.raw();
    assert_eq!(plain.pointer("/properties/status/properties/notes"), None);
    assert_eq!(plain.pointer("/properties/status/properties/access"), None);
}

proptest! {
    #[test]
    fn an_instance_that_shows_them_is_put_back_as_it_was(
        values in proptest::collection::btree_map("port|external|host|users|[a-c]", any_value(), 0..4),
        status in any_value(),
    ) {
        let kind = kind(&json!({
            "notes": "${self.spec.host} ${self.spec.port} ${self.spec.users.join('')} ${self.status.version}",
            "access": [
                {"name": "a", "host": "${self.spec.?host.orValue('x')}", "port": "${self.spec.port}"},
                {"name": "b", "when": "self.spec.external", "secret": {"name": "${self.spec.users[0]}"}},
            ],
        }));
        let KindBackend::Release(template) = &kind.backend else { panic!("there is no release") };
        let mut release = release(&json!(values));
        release["status"] = status;
        let instance = shown(&kind, &release);
        let mut again = instance.clone();
        kind.versions[0].usage.as_ref().unwrap().show(&mut again);
        prop_assert_eq!(&again, &instance, "what is shown does not depend on what was");
        prop_assert_eq!(template.put_changes(&instance, &instance, release.clone()), release.clone());
        let plain = kind.decode(&release);
        prop_assert_eq!(template.put_changes(&instance, &plain, release.clone()), release);
        let told = |instance: &Value, field: &str| instance.pointer(&format!("/status/{field}")).is_some();
        prop_assert!(!told(&plain, "notes") && !told(&plain, "access"));
    }
}

/// Values of right and wrong types.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zA-Z\n]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]|version|notes|access", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}
