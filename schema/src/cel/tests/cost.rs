//! Estimates beside kube-apiserver's.

use serde_json::Value;

use crate::cel::declare::{self, Place};
use crate::field::FieldPath;
use crate::structural::parse;
use kindsmith_cel::check::{Environment, check};
use kindsmith_cel::cost::estimate;

/// Expressions on values of one schema.
#[derive(serde::Deserialize)]
struct Case {
    schema: Value,
    expressions: Vec<(u64, String)>,
}

#[test]
fn expressions_cost_what_kube_apiserver_estimates() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("costs.yaml")).unwrap();
    for case in cases {
        let node = parse::parse(&case.schema, &FieldPath::root()).unwrap();
        let declared = declare::from_schema(&node, Place::Inside).unwrap();
        let variables = [("self", declared.cel_type("selfType"))];
        for (cost, expression) in case.expressions {
            let checked = check(&expression, &variables, Environment::kubernetes())
                .unwrap_or_else(|error| panic!("{expression}: {error}"));
            assert_eq!(estimate(&checked, &declared).max, cost, "{expression}");
        }
    }
}
