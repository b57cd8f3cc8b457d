//! What the documents must and must not hold, and one golden of each.

use serde_json::{Value, json};

use super::*;

fn redis() -> Value {
    json!({
        "type": "object",
        "description": "A Redis.",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["engine", "password"],
                "properties": {
                    "engine": {"type": "string", "enum": ["redis", "valkey"], "default": "valkey"},
                    "password": {"type": "string", "nullable": true, "description": "None when null."},
                    "port": {"x-kubernetes-int-or-string": true, "pattern": "^[0-9]+$"},
                    "size": {"x-kubernetes-int-or-string": true, "anyOf": [{"pattern": "Gi$"}, {"pattern": "Mi$"}]},
                    "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {"a": {"type": "string"}}},
                    "anything": {"type": "object", "additionalProperties": true},
                    "nothing": {"type": "object", "additionalProperties": false},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "items": {"type": "array", "x-kubernetes-preserve-unknown-fields": true},
                    "template": {"type": "object", "x-kubernetes-embedded-resource": true, "required": ["spec"],
                        "properties": {"spec": {"type": "object"}}},
                    "either": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
                        "oneOf": [{"required": ["x"]}, {"required": ["y"]}], "not": {"required": ["x", "y"]}},
                    "users": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"],
                            "properties": {"name": {"type": "string", "minLength": 1}}}}
                },
                "x-kubernetes-validations": [{"rule": "has(self.engine)", "message": "engine is needed"}]
            },
            "status": {"type": "object", "properties": {"replicas": {"type": "integer", "minimum": 0}}}
        }
    })
}

fn publishable(schema: &Value) -> Publishable<'_> {
    Publishable {
        group: "apps.example.com",
        version: "v1alpha1",
        kind: "Redis",
        list_kind: "RedisList",
        plural: "redises",
        scope: Scope::Namespaced,
        schema: Cow::Borrowed(schema),
        status: Subresource::Served,
        scale: Subresource::Served,
        selectable_fields: vec![".spec.engine"],
    }
}

fn bucket(schema: &Value) -> Publishable<'_> {
    Publishable {
        kind: "Bucket",
        list_kind: "BucketList",
        plural: "buckets",
        scope: Scope::Cluster,
        status: Subresource::Absent,
        scale: Subresource::Absent,
        selectable_fields: Vec::new(),
        ..publishable(schema)
    }
}

fn v3(schema: &Value) -> Value {
    v3_document("apps.example.com", "v1alpha1", &[publishable(schema)])
}

fn each_object(value: &Value, check: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            check(fields);
            fields.values().for_each(|field| each_object(field, check));
        }
        Value::Array(items) => items.iter().for_each(|item| each_object(item, check)),
        _ => {}
    }
}

const SPEC_V3: &str = "/components/schemas/com.example.apps.v1alpha1.Redis/properties/spec/properties";
const SPEC_V2: &str = "/definitions/com.example.apps.v1alpha1.Redis/properties/spec/properties";
const OBJECT_PATH: &str = "/apis/apps.example.com/v1alpha1/namespaces/{namespace}/redises/{name}";

#[test]
fn the_v3_document_is_the_golden_one() {
    let schema = redis();
    let mut document = v3(&schema);
    document["components"]["schemas"].as_object_mut().unwrap().retain(|name, _| name.starts_with("com."));
    insta::assert_snapshot!("v3", serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn the_v2_document_is_the_golden_one() {
    let schema = redis();
    let mut document = v2_document(&[publishable(&schema)]);
    document["definitions"].as_object_mut().unwrap().retain(|name, _| name.starts_with("com."));
    insta::assert_snapshot!("v2", serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn every_reference_has_its_target_and_no_name_is_that_of_kubernetes() {
    let schema = redis();
    for document in [v3(&schema), v2_document(&[publishable(&schema), bucket(&schema)])] {
        let mut references = 0;
        each_object(&document, &mut |fields| {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                references += 1;
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                assert!(!reference.contains("io.k8s."), "{reference}");
            }
        });
        assert!(references > 20);
    }
}

#[test]
fn no_boolean_additional_properties_and_no_array_without_items() {
    let schema = redis();
    for document in [v3(&schema), v2_document(&[publishable(&schema)])] {
        each_object(&document, &mut |fields| {
            assert!(!fields.get("additionalProperties").is_some_and(Value::is_boolean), "{fields:?}");
            assert!(
                fields.get("type").is_none_or(|kind| kind != "array") || fields.contains_key("items"),
                "{fields:?}"
            );
        });
    }
    let spec = v3(&schema).pointer(SPEC_V3).cloned().unwrap();
    assert_eq!(spec["anything"], json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(spec["nothing"], json!({"type": "object"}));
}

#[test]
fn v3_says_in_standard_words_what_an_int_or_string_is() {
    let schema = redis();
    let spec = v3(&schema).pointer(SPEC_V3).cloned().unwrap();
    let pattern = json!([{"type": "integer"}, {"type": "string"}]);
    assert_eq!(spec["port"]["anyOf"], pattern);
    assert_eq!(spec["size"]["allOf"], json!([{"anyOf": pattern}]));
    assert_eq!(spec["size"]["anyOf"], json!([{"pattern": "Gi$"}, {"pattern": "Mi$"}]));
}

#[test]
fn v2_holds_nothing_that_swagger_cannot_say() {
    let schema = redis();
    let document = v2_document(&[publishable(&schema)]);
    each_object(&document, &mut |fields| {
        for word in ["nullable", "anyOf", "oneOf", "allOf", "not"] {
            assert!(!fields.contains_key(word), "{word}: {fields:?}");
        }
    });
    let spec = document.pointer(SPEC_V2).unwrap();
    assert_eq!(spec["port"], json!({"x-kubernetes-int-or-string": true, "pattern": "^[0-9]+$"}));
    assert_eq!(spec["password"], json!({"description": "None when null."}));
    assert_eq!(spec["values"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(spec["items"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    let required = document.pointer("/definitions/com.example.apps.v1alpha1.Redis/properties/spec/required");
    assert_eq!(required, Some(&json!(["engine"])), "a nullable field cannot be required in v2");
}

#[test]
fn in_v2_a_root_that_preserves_unknown_fields_is_a_bare_object() {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"spec": {"type": "object"}}});
    let document = v2_document(&[Publishable { selectable_fields: Vec::new(), ..publishable(&schema) }]);
    assert_eq!(
        document["definitions"]["com.example.apps.v1alpha1.Redis"],
        json!({"type": "object", "x-kubernetes-group-version-kind":
            [{"group": "apps.example.com", "version": "v1alpha1", "kind": "Redis"}]})
    );
    let root = v3(&schema);
    let root = root.pointer("/components/schemas/com.example.apps.v1alpha1.Redis/properties").unwrap();
    assert!(root.get("metadata").is_some() && root.get("spec").is_some());
}

#[test]
fn embedded_resources_have_the_fields_of_every_object() {
    let schema = redis();
    let template = &v3(&schema).pointer(SPEC_V3).cloned().unwrap()["template"];
    assert_eq!(template["required"], json!(["spec", "kind", "apiVersion"]));
    assert_eq!(
        template["properties"]["metadata"]["allOf"],
        json!([{"$ref": "#/components/schemas/dev.kindsmith.meta.v1.ObjectMeta"}])
    );
}

#[test]
fn kubectl_finds_what_it_asks_for_in_the_patch_operation() {
    let schema = redis();
    let gvk = json!({"group": "apps.example.com", "version": "v1alpha1", "kind": "Redis"});
    for document in [v3(&schema), v2_document(&[publishable(&schema)])] {
        let patch = &document["paths"][OBJECT_PATH]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
        assert_eq!(patch["x-kubernetes-action"], "patch");
        let inline: Vec<_> =
            patch["parameters"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
        assert!(inline.contains(&"dryRun") && inline.contains(&"fieldValidation"), "{inline:?}");
        assert!(!patch.to_string().contains("application/strategic-merge-patch+json"));
    }
}

#[test]
fn only_operations_that_are_served_have_a_path() {
    let schema = redis();
    let document = v3_document("apps.example.com", "v1alpha1", &[publishable(&schema), bucket(&schema)]);
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let base = "/apis/apps.example.com/v1alpha1";
    let mut expected = vec![
        format!("{base}/buckets"),
        format!("{base}/buckets/{{name}}"),
        format!("{base}/redises"),
        format!("{base}/namespaces/{{namespace}}/redises"),
        OBJECT_PATH.to_owned(),
        format!("{OBJECT_PATH}/scale"),
        format!("{OBJECT_PATH}/status"),
    ];
    expected.sort();
    let mut paths = paths;
    paths.sort_unstable();
    assert_eq!(paths, expected);
    assert_eq!(document["paths"][format!("{base}/buckets")]["post"]["description"], "create a Bucket");
    assert_eq!(
        document["paths"][format!("{base}/redises")]["get"]["operationId"],
        "listAppsExampleComV1alpha1RedisForAllNamespaces"
    );
}

#[test]
fn a_group_version_holds_its_own_kinds_only() {
    let schema = redis();
    let other = Publishable { version: "v1", ..publishable(&schema) };
    let alone = v3_document("apps.example.com", "v1alpha1", &[publishable(&schema)]);
    assert_eq!(v3_document("apps.example.com", "v1alpha1", &[other, publishable(&schema)]), alone);
    let scale = "dev.kindsmith.autoscaling.v1.Scale";
    assert!(alone["components"]["schemas"].get(scale).is_some());
    let without = v3_document("apps.example.com", "v1alpha1", &[bucket(&schema)]);
    assert!(without["components"]["schemas"].get(scale).is_none());
}

#[test]
fn the_order_of_the_kinds_does_not_matter() {
    let schema = redis();
    let one = [publishable(&schema), bucket(&schema)];
    let other = [bucket(&schema), publishable(&schema)];
    assert_eq!(v2_document(&one).to_string(), v2_document(&other).to_string());
    let v3 = |kinds: &[Publishable<'_>]| v3_document("apps.example.com", "v1alpha1", kinds).to_string();
    assert_eq!(v3(&one), v3(&other));
}
