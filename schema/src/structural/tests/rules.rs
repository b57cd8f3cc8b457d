//! What rules do: which definitions are refused for them, and which objects.

use serde_json::{Value, json};

use super::texts;
use crate::field::FieldPath;
use crate::structural::Schema;

/// What is said of one schema.
#[derive(serde::Deserialize)]
struct Definition {
    name: String,
    schema: Value,
    errors: Vec<String>,
}

/// What is said of the objects of one schema.
#[derive(serde::Deserialize)]
struct Runs {
    name: String,
    schema: Value,
    runs: Vec<Run>,
}

#[derive(serde::Deserialize)]
struct Run {
    object: Value,
    old: Option<Value>,
    #[serde(default)]
    status: bool,
    errors: Vec<String>,
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

#[test]
fn definitions_are_refused_for_their_rules_as_by_kube_apiserver() {
    let cases: Vec<Definition> = serde_saphyr::from_str(include_str!("rules_refused.yaml")).unwrap();
    for case in cases {
        let compiled = Schema::compile(&case.schema, &FieldPath::root().child("schema"));
        let errors = compiled.err().map(|errors| texts(&errors)).unwrap_or_default();
        assert_eq!(sorted(errors), sorted(case.errors), "{}", case.name);
    }
}

#[test]
fn objects_are_refused_by_rules_as_by_kube_apiserver() {
    let cases: Vec<Runs> = serde_saphyr::from_str(include_str!("rules_run.yaml")).unwrap();
    for case in cases {
        let schema = Schema::compile(&case.schema, &FieldPath::root()).unwrap();
        for run in case.runs {
            let errors = match &run.old {
                None => schema.validate(&run.object),
                Some(old) if run.status => schema.validate_status_update(&run.object, old),
                Some(old) => schema.validate_update(&run.object, old),
            };
            let about = format!("{}: {} after {:?}", case.name, run.object, run.old);
            assert_eq!(sorted(texts(&errors)), sorted(run.errors), "{about}");
        }
    }
}

#[test]
fn an_object_that_costs_too_much_is_refused_where_the_budget_ends() {
    let costly = json!([{"rule": "self.l.all(x, self.l.all(y, x != y || x == y))"}, {"rule": "self.n > 0"}]);
    let part = json!({"type": "object", "x-kubernetes-validations": costly, "properties": {"n": {"type": "integer"},
        "l": {"type": "array", "maxItems": 300, "items": {"type": "string", "maxLength": 10}}}});
    let names: Vec<String> = (10..40).map(|i| format!("p{i}")).collect();
    let properties: Value = names.iter().map(|name| (name.clone(), part.clone())).collect();
    let schema = Schema::compile(
        &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}),
        &FieldPath::root(),
    )
    .unwrap();
    let spec: Value = names.iter().map(|name| (name.clone(), json!({"n": 0, "l": vec!["a"; 200]}))).collect();
    let errors = texts(&schema.validate(&json!({"spec": spec})));
    let (last, kept) = errors.split_last().unwrap();
    assert!(kept.iter().all(|error| error.ends_with("Invalid value: failed rule: self.n > 0")), "{errors:#?}");
    assert!(
        last.ends_with(
            "Invalid value: \"object\": validation failed due to running out of cost budget, no further validation \
             rules will be run"
        ),
        "{last}"
    );
    assert!(kept.len() < names.len());
}

#[test]
fn schemas_with_rules_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    let schema = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name != 'x'"}]});
    let schema = Schema::compile(&schema, &FieldPath::root()).unwrap();
    shared(&schema);
    let object = json!({"metadata": {"name": "x"}});
    let errors = std::thread::scope(|scope| scope.spawn(|| schema.clone().validate(&object)).join().unwrap());
    assert_eq!(texts(&errors), ["<nil>: Invalid value: failed rule: self.metadata.name != 'x'"]);
}
