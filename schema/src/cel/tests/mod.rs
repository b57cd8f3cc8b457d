//! Expressions that kube-apiserver's own environment evaluated: the same values, errors and costs come out here.
//!
//! `evaluation.jsonl` is its output, `evaluation.json` the schema and the object that `self` was.

mod check;
mod cost;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::cel::declare::{self, Place};
use crate::field::FieldPath;
use crate::structural::parse;
use kindsmith_cel::check::{Environment, check};
use kindsmith_cel::declared::Declared;
use kindsmith_cel::plan::Program;
use kindsmith_cel::value::{EvalError, Value};

fn show(value: &Value<'_>) -> String {
    match value {
        Value::String(text) => json!(text.as_str()).to_string(),
        Value::Uint(uint) => format!("{uint}u"),
        Value::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Value::Duration(nanoseconds) => format!("duration({nanoseconds})"),
        Value::Timestamp(at) => format!("timestamp({at})"),
        Value::Optional(None) => "none".to_owned(),
        Value::Optional(Some(value)) => format!("some({})", show(value)),
        Value::Type(of) => format!("type({})", of.runtime_name()),
        Value::List(list) => {
            format!("[{}]", list.iter().map(|item| show(&item.unwrap())).collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => format!("map({})", map.len()),
        other => other.print(),
    }
}

/// The object of `evaluation.json` and its declaration.
fn sample() -> (std::sync::Arc<Declared>, Json) {
    let sample: Json = serde_json::from_str(include_str!("evaluation.json")).unwrap();
    let node = parse::parse(&sample["schema"], &FieldPath::root()).unwrap();
    (declare::from_schema(&node, Place::Inside).unwrap(), sample["self"].clone())
}

fn outcome(expression: &str, limit: u64) -> Json {
    let (declared, object) = sample();
    let checked = match check(expression, &[("self", declared.cel_type("self"))], Environment::kubernetes()) {
        Ok(checked) => checked,
        Err(error) => return json!({"expr": expression, "compile": error.to_string()}),
    };
    let program = match Program::new(&checked, &["self"]) {
        Ok(program) => program,
        Err(error) => return json!({"expr": expression, "program": error.to_string()}),
    };
    let value = Value::from_json(&object, &declared).unwrap();
    let (outcome, cost) = program.evaluate(&[Ok(value)], limit);
    match outcome {
        Ok(value) => json!({"expr": expression, "value": show(&value), "cost": cost}),
        Err(error) => json!({"expr": expression, "error": error.to_string(), "cost": cost}),
    }
}

#[test]
fn values_errors_and_costs_are_those_of_kube_apiserver() {
    let mut count = 0;
    for line in include_str!("evaluation.jsonl").lines() {
        let wanted: Json = serde_json::from_str(line).unwrap();
        assert_eq!(outcome(wanted["expr"].as_str().unwrap(), u64::MAX), wanted);
        count += 1;
    }
    assert!(count > 500);
}

#[test]
fn the_limit_ends_an_evaluation_whatever_surrounds_it() {
    let limited = |expression: &str| outcome(expression, 20)["error"].clone();
    let text = json!(EvalError::CostLimit.to_string());
    assert_eq!(limited("self.list.all(x, x > 0)"), json!(null));
    for expression in [
        "self.list.map(x, self.list.map(y, y)).size() > 0",
        "self.list.map(x, self.list.map(y, y)).size() > 0 || true",
        "true && self.list.exists(x, self.list.map(y, y).size() < 0)",
        "[self.list.map(x, self.list.map(y, y))].size() == 1",
        "has({'a': self.list.map(x, self.list.map(y, y))}.a)",
        "self.list.map(x, self.list.map(y, y)).size() > 0 ? 1 : 2",
    ] {
        assert_eq!(limited(expression), text, "{expression}");
    }
}

#[test]
fn a_list_is_built_in_time_that_grows_with_its_length() {
    let schema = json!({"type": "array", "items": {"type": "integer"}});
    let declared = declare::from_schema(&parse::parse(&schema, &FieldPath::root()).unwrap(), Place::Inside).unwrap();
    let object = Json::Array((0..40_000).map(Json::from).collect());
    let rule = "self.map(x, x + 1).filter(x, x > 0).size() == 40000";
    let checked = check(rule, &[("self", declared.cel_type("self"))], Environment::kubernetes()).unwrap();
    let program = Program::new(&checked, &["self"]).unwrap();
    let began = std::time::Instant::now();
    let (outcome, _) = program.evaluate(&[Value::from_json(&object, &declared)], u64::MAX);
    assert!(matches!(outcome, Ok(Value::Bool(true))), "{outcome:?}");
    assert!(began.elapsed().as_secs() < 5, "it took {:?}", began.elapsed());
}

/// Expressions of the grammar, most of them sound.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "self.n",
        "self.s",
        "self.list",
        "self.map",
        "self.ml",
        "self.ios",
        "self.missing",
        "1",
        "'a'",
        "2.5",
        "true",
        "null",
        "[1, 2]",
        "{'a': 1}",
        "self.when",
        "self.dur",
        "self.?obj.x",
        "1u",
        "self.strs",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "in"]);
        let method =
            prop::sample::select(vec!["size()", "all(x, true)", "map(x, x)", "exists(x, x == x)", "hasValue()"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(left, by, right)| format!("({left} {by} {right})")),
            (inner.clone(), method).prop_map(|(of, method)| format!("{of}.{method}")),
            (inner.clone(), inner.clone()).prop_map(|(of, index)| format!("{of}[{index}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(if_, then, or)| format!("({if_} ? {then} : {or})")),
            inner.clone().prop_map(|of| format!("dyn({of})")),
            inner.prop_map(|of| format!("string({of})")),
        ]
    })
}

proptest! {
    #[test]
    fn no_expression_panics_or_spends_much_more_than_its_limit(expression in expression(), limit in 0u64..60) {
        let outcome = outcome(&expression, limit);
        // The step that reaches the limit is the last.
        prop_assert!(outcome["cost"].as_u64().unwrap_or_default() <= limit + 60);
        if outcome["cost"].as_u64().is_some_and(|cost| cost > limit) {
            prop_assert_eq!(&outcome["error"], &json!(EvalError::CostLimit.to_string()));
        }
    }
}
