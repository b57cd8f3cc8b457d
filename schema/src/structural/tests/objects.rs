//! What schemas do to objects, and say about them.

use rstest::rstest;
use serde_json::{Value, json};

use super::{compile, texts, with_spec};

#[rstest]
#[case::wrong_type(json!({"type": "integer"}), json!("x"), &[r#"spec.a: Invalid value: "string": spec.a in body must be of type integer: "string""#])]
#[case::null(json!({"type": "integer"}), json!(null), &[r#"spec.a: Invalid value: "null": spec.a in body must be of type integer: "null""#])]
#[case::nullable(json!({"type": "integer", "nullable": true}), json!(null), &[])]
#[case::whole_float(json!({"type": "integer"}), json!(1.0), &[])]
#[case::integer_as_number(json!({"type": "number"}), json!(1), &[])]
#[case::fraction(json!({"type": "integer"}), json!(1.5), &[r#"spec.a: Invalid value: "number": spec.a in body must be of type integer: "number""#, r#"<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.a"#])]
#[case::int32_range(json!({"type": "integer", "format": "int32"}), json!(3_000_000_000_i64), &[r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.a"#])]
#[case::int32_of_wrong_type(json!({"type": "integer", "format": "int32"}), json!(true), &[r#"spec.a: Invalid value: "": spec.a in body must be of type int32: """#])]
#[case::choice(json!({"type": "string", "enum": ["a", "b"]}), json!("x"), &[r#"spec.a: Unsupported value: "x": supported values: "a", "b""#])]
#[case::choice_of_numbers(json!({"type": "integer", "enum": [1, 2]}), json!(3), &[r#"spec.a: Unsupported value: 3: supported values: "1", "2""#])]
#[case::maximum(json!({"type": "integer", "maximum": 5}), json!(6), &["spec.a: Invalid value: 6: spec.a in body should be less than or equal to 5"])]
#[case::exclusive_minimum(json!({"type": "number", "minimum": 0.5, "exclusiveMinimum": true}), json!(0.5), &["spec.a: Invalid value: 0.5: spec.a in body should be greater than 0.5"])]
#[case::multiple(json!({"type": "integer", "multipleOf": 3}), json!(4), &["spec.a: Invalid value: 4: spec.a in body should be a multiple of 3"])]
#[case::multiple_of_fraction(json!({"type": "number", "multipleOf": 0.1}), json!(0.3), &[])]
#[case::too_long(json!({"type": "string", "maxLength": 2}), json!("äöü"), &["spec.a: Too long: may not be more than 2 bytes"])]
#[case::code_points(json!({"type": "string", "maxLength": 3}), json!("äöü"), &[])]
#[case::too_short(json!({"type": "string", "minLength": 2}), json!("a"), &[r#"spec.a: Invalid value: "a": spec.a in body should be at least 2 chars long"#])]
#[case::pattern(json!({"type": "string", "pattern": "^a+$"}), json!("b"), &[r#"spec.a: Invalid value: "b": spec.a in body should match '^a+$'"#])]
#[case::format(json!({"type": "string", "format": "date-time"}), json!("b"), &[r#"spec.a: Invalid value: "b": spec.a in body must be of type date-time: "b""#])]
#[case::too_many(json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}), json!(["a", "b"]), &["spec.a: Too many: 2: must have at most 1 item"])]
#[case::too_few(json!({"type": "array", "minItems": 1, "items": {"type": "string"}}), json!([]), &["spec.a: Invalid value: 0: spec.a in body should have at least 1 items"])]
#[case::items(json!({"type": "array", "items": {"type": "string"}}), json!(["a", 1]), &[r#"spec.a[1]: Invalid value: "integer": spec.a[1] in body must be of type string: "integer""#])]
#[case::entries(json!({"type": "object", "additionalProperties": {"type": "string"}}), json!({"b": 1}), &[r#"spec.a.b: Invalid value: "integer": spec.a.b in body must be of type string: "integer""#])]
#[case::too_many_entries(json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}), json!({"b": "", "c": ""}), &["spec.a: Too many: 2: must have at most 1 item"])]
#[case::missing(json!({"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}), json!({}), &["spec.a.b: Required value"])]
#[case::no_entries_allowed(json!({"type": "object", "additionalProperties": false}), json!({"b": 1}), &[r#"spec.a: Invalid value: "b": spec.a.b in body is a forbidden property"#])]
#[case::int_or_string(json!({"x-kubernetes-int-or-string": true}), json!(true), &[r#"spec.a: Invalid value: "boolean": spec.a in body must be of type integer,string: "boolean""#])]
#[case::any_of(json!({"type": "string", "anyOf": [{"pattern": "^a"}, {"maxLength": 1}]}), json!("bb"), &[r#"<nil>: Invalid value: "": "spec.a" must validate at least one schema (anyOf)"#, r#"spec.a: Invalid value: "bb": spec.a in body should match '^a'"#])]
#[case::one_of(json!({"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "oneOf": [{"required": ["b"]}, {"required": ["c"]}]}), json!({"b": "", "c": ""}), &[r#"<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found 2 valid alternatives"#])]
#[case::one_of_none(json!({"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "oneOf": [{"required": ["b"]}, {"required": ["c"]}]}), json!({}), &[r#"<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found none valid"#, "spec.a.b: Required value"])]
#[case::all_of(json!({"type": "string", "allOf": [{"pattern": "^a"}, {"maxLength": 1}]}), json!("bb"), &[r#"spec.a: Invalid value: "bb": spec.a in body should match '^a'"#, "spec.a: Too long: may not be more than 1 byte", r#"<nil>: Invalid value: "": "spec.a" must validate all the schemas (allOf). None validated"#])]
#[case::not(json!({"type": "string", "not": {"pattern": "^a"}}), json!("a"), &[r#"<nil>: Invalid value: "": "spec.a" must not validate the schema (not)"#])]
#[case::set(json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}), json!(["a", "b", "a", "a"]), &[r#"spec.a[2]: Duplicate value: "a""#])]
#[case::map(json!({"type": "array", "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}), json!([{"k": "a"}, {"k": "a"}]), &[r#"spec.a[1]: Duplicate value: {"k":"a"}"#])]
#[case::embedded(json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}), json!({"kind": "A_"}), &["spec.a.apiVersion: Required value", r#"spec.a.kind: Invalid value: "A_": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"#])]
fn values_are_validated_with_the_words_of_kubernetes(
    #[case] schema: Value,
    #[case] value: Value,
    #[case] errors: &[&str],
) {
    let schema = compile(&with_spec(&json!({ "a": schema })));
    assert_eq!(texts(schema.validate(&json!({"spec": {"a": value}}))), errors);
}

#[test]
fn unknown_fields_are_dropped_and_reported() {
    let schema = compile(&with_spec(&json!({
        "a": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"known": {"type": "object", "properties": {"c": {"type": "string"}}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"d": {"type": "string"}}}},
        "resource": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
    })));
    let mut object = json!({
        "apiVersion": "v1", "kind": "A", "metadata": {"x": 1}, "x": 1,
        "spec": {"a": "", "x": {"y": 1}, "metadata": 1, "list": [{"b": "", "x": 1}], "any": {"x": 1, "known": {"c": "", "x": 1}},
            "map": {"k": {"d": "", "x": 1}},
            "resource": {"apiVersion": "v1", "kind": "B", "metadata": {"x": 1}, "spec": {"x": 1}, "x": 1}},
    });
    assert_eq!(
        schema.prune(&mut object),
        [
            "spec.any.known.x",
            "spec.list[0].x",
            "spec.map.k.x",
            "spec.metadata",
            "spec.resource.spec.x",
            "spec.resource.x",
            "spec.x",
            "x"
        ]
    );
    assert_eq!(
        object,
        json!({
            "apiVersion": "v1", "kind": "A", "metadata": {"x": 1},
            "spec": {"a": "", "list": [{"b": ""}], "any": {"x": 1, "known": {"c": ""}}, "map": {"k": {"d": ""}},
                "resource": {"apiVersion": "v1", "kind": "B", "metadata": {"x": 1}, "spec": {}}},
        })
    );
}

#[test]
fn defaults_are_filled_in_and_nulls_dropped_first() {
    let schema = compile(&with_spec(&json!({
        "a": {"type": "string", "default": "x"},
        "b": {"type": "string"},
        "c": {"type": "string", "nullable": true},
        "d": {"type": "object", "default": {}, "properties": {"e": {"type": "integer", "default": 1}}},
        "f": {"type": "object", "properties": {"g": {"type": "integer", "default": 1}}},
        "h": {"type": "array", "items": {"type": "object", "properties": {"i": {"type": "integer", "default": 2}}}},
    })));
    let mut object = json!({"spec": {"a": null, "b": null, "c": null, "h": [{}, {"i": null}]}, "x": null});
    schema.default(&mut object);
    assert_eq!(object, json!({"spec": {"a": "x", "c": null, "d": {"e": 1}, "h": [{"i": 2}, {"i": 2}]}, "x": null}));
}

#[test]
fn an_update_forgives_what_did_not_change() {
    let schema = compile(&with_spec(&json!({
        "a": {"type": "string", "maxLength": 1},
        "b": {"type": "string"},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items":
            {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}}},
        "atomic": {"type": "array", "items": {"type": "integer", "maximum": 1}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    })));
    let old = json!({"spec": {"a": "long", "list": [{"k": "x", "v": 5}], "atomic": [5], "set": ["a", "a"]}});
    let mut new = old.clone();
    new["spec"]["b"] = json!("changed");
    new["spec"]["list"] = json!([{"k": "new", "v": 5}, {"k": "x", "v": 5}]);
    assert_eq!(
        texts(schema.validate_update(&new, &old)),
        ["spec.list[0].v: Invalid value: 5: spec.list[0].v in body should be less than or equal to 1"]
    );
    new["spec"]["a"] = json!("longer");
    new["spec"]["list"] = old["spec"]["list"].clone();
    new["spec"]["atomic"] = json!([5, 0]);
    assert_eq!(
        texts(schema.validate_update(&new, &old)),
        [
            "spec.a: Too long: may not be more than 1 bytes".replace("bytes", "byte"),
            "spec.atomic[0]: Invalid value: 5: spec.atomic[0] in body should be less than or equal to 1".to_owned()
        ]
    );
    assert_eq!(texts(schema.validate(&new)).len(), 4);
}

#[test]
fn a_status_is_validated_on_its_own() {
    let schema = compile(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["a"]},
        "status": {"type": "object", "properties": {"n": {"type": "integer"}}}}}));
    assert_eq!(
        texts(schema.validate_status_update(&json!({"spec": {}, "status": {"n": "x"}}), &json!({"spec": {}}))),
        [r#"status.n: Invalid value: "string": n in body must be of type integer: "string""#]
    );
}

#[test]
fn the_errors_of_one_object_are_bounded() {
    let schema = compile(&with_spec(&json!({"a": {"type": "array", "items": {"type": "string"}}})));
    let items: Vec<Value> = (0..5000).map(Value::from).collect();
    assert_eq!(schema.validate(&json!({"spec": {"a": items}})).len(), 1000);
}
