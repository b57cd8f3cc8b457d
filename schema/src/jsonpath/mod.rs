//! The JSONPath dialect of kubectl and of printer columns: parse once, find often.
//!
//! Follows `k8s.io/client-go/util/jsonpath`, quirks included, because a path that works in a
//! CustomResourceDefinition must give the same cell here:
//! - `['a.b']` is `.a.b`; a dot in a key is written `\.`, as in `.metadata.labels.app\.kubernetes\.io/name`;
//! - comparing values of different types (also an integer with a fraction) is an error, not `false`;
//! - an index out of bounds is an error, a missing field is not (see [`MissingKeys`]).
//!
//! Differences: maps are visited in the order of their keys (Go's order is random), `range`/`end` are refused when
//! evaluated, and both the length of a path and the work of one evaluation are bounded.

mod compare;
mod eval;
mod parse;
mod unquote;

use std::borrow::Cow;

use serde_json::Value;

pub use eval::{EvalError, VISITS_MAX};
pub use parse::{JsonPathError, PATH_BYTES_MAX};

/// What a field that is not there means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKeys {
    /// No result, as in printer columns (`AllowMissingKeys(true)`).
    Empty,
    /// An error that names the field, as in `kubectl get -o jsonpath --allow-missing-template-keys=false`.
    Error,
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    source: String,
    actions: Vec<Action>,
}

/// A top-level part of a template: text outside of braces, or one `{…}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Text(String),
    Path(Vec<Node>),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Field(String),
    Slice(Slice),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
    Exists(Vec<Node>),
    Compare { left: Vec<Node>, operator: String, right: Vec<Node> },
    Int(i64),
    Float(f64),
    Bool(bool),
    Identifier(String),
}

/// `[start:end:step]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) start: Option<i64>,
    pub(crate) end: SliceEnd,
    pub(crate) step: Option<i64>,
}

/// Where a slice ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SliceEnd {
    /// At the end of the array: `[1:]`.
    Open,
    /// Before this index: `[0:2]`.
    At(i64),
    /// Not written; one after the start: `[3]`.
    AfterStart(i64),
}

impl JsonPath {
    /// Parses a path with or without its braces: `.spec.x` and `{.spec.x}` are the same.
    pub fn parse(path: &str) -> Result<Self, JsonPathError> {
        let actions =
            if path.starts_with('{') { parse::template(path)? } else { parse::template(&format!("{{{path}}}"))? };
        Ok(Self { source: path.to_owned(), actions })
    }

    /// A path of fields that need no parsing.
    pub(crate) fn of_fields(source: &str, fields: &[&str]) -> Self {
        let nodes = fields.iter().map(|field| Node::Field((*field).to_owned())).collect();
        Self { source: source.to_owned(), actions: vec![Action::Path(nodes)] }
    }

    /// The path as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the first action of the path finds; nothing when a field is missing or the path does not fit the value.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<Cow<'a, Value>> {
        self.evaluate(value, MissingKeys::Empty).unwrap_or_default()
    }

    /// What the first action of the path finds, or why the path does not fit the value. Like `FindResults`, later
    /// actions are evaluated too and can fail.
    pub fn evaluate<'a>(&self, value: &'a Value, missing: MissingKeys) -> Result<Vec<Cow<'a, Value>>, EvalError> {
        eval::Evaluation::new(missing).run(&self.actions, value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "shop", "tier": "front"}},
            "spec": {"replicas": 3, "ratio": 0.5, "paused": false, "nothing": null,
                "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}, {"name": "debug", "port": 9000}]},
            "status": {"conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False", "reason": "Wait"}]}
        })
    }

    fn found(path: &str) -> Value {
        let pod = pod();
        let results = JsonPath::parse(path).unwrap().find(&pod);
        Value::Array(results.into_iter().map(Cow::into_owned).collect())
    }

    #[rstest]
    #[case(".metadata.name", json!(["web"]))]
    #[case("{.metadata.name}", json!(["web"]))]
    #[case("{$.metadata.name}", json!(["web"]))]
    #[case("metadata", json!([]))]
    #[case(".spec['replicas']", json!([3]))]
    #[case(r".metadata.labels.app\.kubernetes\.io/name", json!(["shop"]))]
    #[case(r".metadata.labels['app\.kubernetes\.io/name']", json!(["shop"]))]
    #[case(".metadata.labels['app.kubernetes.io/name']", json!([]))]
    #[case(".spec.ports[0].name", json!(["http"]))]
    #[case(".spec.ports[-1].name", json!(["debug"]))]
    #[case(".spec.ports[3].name", json!([]))]
    #[case(".spec.ports[0:2].port", json!([80, 443]))]
    #[case(".spec.ports[1:].port", json!([443, 9000]))]
    #[case(".spec.ports[:-1].port", json!([80, 443]))]
    #[case(".spec.ports[::2].port", json!([80, 9000]))]
    #[case(".spec.ports[].port", json!([80]))]
    #[case(".spec.ports[*].port", json!([80, 443, 9000]))]
    #[case(".spec.ports[0,2].port", json!([80, 9000]))]
    #[case(".metadata['name','labels'].tier", json!(["front"]))]
    #[case(".metadata.labels.*", json!(["shop", "front"]))]
    #[case("..port", json!([80, 443, 9000]))]
    #[case(".status.conditions[?(@.type==\"Ready\")].status", json!(["True"]))]
    #[case(".status.conditions[?(@.type == 'Synced')].reason", json!(["Wait"]))]
    #[case(".status.conditions[?(@.reason)].type", json!(["Synced"]))]
    #[case(".status.conditions[?(@.type!=\"Ready\")].type", json!(["Synced"]))]
    #[case(".spec.ports[?(@.port<443)].name", json!(["http"]))]
    #[case(".spec.ports[?(@.port<=443)].name", json!(["http", "https"]))]
    #[case(".spec.ports[?(@.port>443)].name", json!(["debug"]))]
    #[case(".spec.ports[?(@.port>=443)].name", json!(["https", "debug"]))]
    #[case(".spec.ports[?(@.name==\"no\")].name", json!([]))]
    #[case(".spec.ports[?(@.port==\"80\")].name", json!([]))]
    #[case(".spec.nothing", json!([null]))]
    #[case(".spec.nothing.deeper", json!([]))]
    #[case(".spec.replicas.deeper", json!([]))]
    #[case(".spec.replicas[0]", json!([]))]
    #[case(".", json!([]))]
    #[case("@", json!([pod()]))]
    fn finds(#[case] path: &str, #[case] expected: Value) {
        assert_eq!(found(path), expected, "{path}");
    }

    #[test]
    fn missing_keys_are_named_when_asked_for() {
        let pod = pod();
        let error = JsonPath::parse(".spec.color").unwrap().evaluate(&pod, MissingKeys::Error).unwrap_err();
        assert_eq!(error.to_string(), "color is not found");
    }

    #[test]
    fn a_path_that_does_not_fit_says_why() {
        let pod = pod();
        let why =
            |path: &str| JsonPath::parse(path).unwrap().evaluate(&pod, MissingKeys::Empty).unwrap_err().to_string();
        assert_eq!(why(".spec.ports[7]"), "array index out of bounds: index 7, length 3");
        assert_eq!(why(".spec.ports[2:1]"), "starting index 2 is greater than ending index 1");
        assert_eq!(why(".spec.ports[0:2:0]"), "step must be > 0");
        assert_eq!(why(".spec.ports[?(@.port==\"80\")]"), "incompatible types for comparison");
        assert_eq!(why(".spec.ports[?(@.port=80)]"), "unrecognized filter operator =");
        assert_eq!(why("name"), "unrecognized identifier name");
    }

    #[test]
    fn results_come_from_the_first_action_only() {
        assert_eq!(found("{.spec.replicas}{.metadata.name}"), json!([3]));
        assert_eq!(found("{.spec.replicas} of {.spec.ports[9]}"), json!([]), "a later action fails the whole");
    }

    #[test]
    fn the_work_of_one_evaluation_is_bounded() {
        let wide = json!((0..400).map(|_| json!((0..400).collect::<Vec<_>>())).collect::<Vec<_>>());
        let path = JsonPath::parse("..[*]").unwrap();
        assert_eq!(path.evaluate(&wide, MissingKeys::Empty), Err(EvalError::TooMuchWork));
        assert!(path.find(&wide).is_empty());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(path in ".{0,64}") {
            let _ = JsonPath::parse(&path);
        }

        #[test]
        fn what_parses_can_be_evaluated(path in r#"[.a@$'"\\\[\]\(\)?*:,=<>!{}0-9 \-]{0,40}"#) {
            let value = json!({"a": [{"a": 1}, {"a": "x"}, null, [1, 2.5, true]], "": {"a": null}});
            if let Ok(path) = JsonPath::parse(&path) {
                let _ = path.evaluate(&value, MissingKeys::Empty);
                let _ = path.evaluate(&value, MissingKeys::Error);
            }
        }
    }
}
