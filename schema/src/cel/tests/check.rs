//! What expressions over one schema have as their type, or as their fault; the texts are kube-apiserver's.

use crate::cel::declare;
use rstest::rstest;
use serde_json::json;

use crate::cel::declare::Place;
use crate::field::FieldPath;
use crate::structural::parse::parse;
use kindsmith_cel::check::{Environment, check};
use kindsmith_cel::types::Type;

/// Prints the type of `expression` or what is wrong with it.
fn checked(expression: &str) -> String {
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 20},
        "count": {"type": "integer"},
        "namespace": {"type": "string"},
        "a-b": {"type": "string"},
        "either": {"x-kubernetes-int-or-string": true},
        "at": {"type": "string", "format": "date-time"},
        "ports": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    let node = parse(&schema, &FieldPath::root()).expect("a schema");
    let declared = declare::from_schema(&node, Place::Resource).expect("a declaration");
    let own = declared.cel_type("selfType");
    let variables = [("self", own.clone()), ("oldSelf", Type::optional(own))];
    match check(expression, &variables, Environment::kubernetes()) {
        Ok(checked) => checked.result.to_string(),
        Err(error) => error.to_string(),
    }
}

#[rstest]
#[case("self", "selfType")]
#[case("self.ports", "list(selfType.ports.@idx)")]
#[case("self.ports[0].port", "int")]
#[case("self.labels.a", "string")]
#[case("self.metadata.name", "string")]
#[case("self.namespace + self.__namespace__ + self.a__dash__b", "string")]
#[case("self.either", "dyn")]
#[case("self.either.x.y", "dyn")]
#[case("self.at.getHours()", "int")]
#[case("self.at == null", "bool")]
#[case("has(self.free)", "bool")]
#[case("oldSelf.name", "optional_type(string)")]
#[case("self.?labels[?'a'].orValue('b')", "string")]
#[case("oldSelf.optMap(o, o.count < self.count).orValue(true)", "bool")]
#[case("self.ports.map(p, p.port > 1, [p.port])", "list(list(int))")]
#[case("self.ports.transformMap(i, p, p.port)", "map(int, int)")]
#[case("self.labels.transformMapEntry(k, v, {v: k})", "map(string, string)")]
#[case("self.ports.all(self, .self.count > 0)", "bool")]
#[case("[]", "list(dyn)")]
#[case("true ? [] : [1]", "list(int)")]
#[case("type(1) == int && 1 < 1.5 && 1u >= 1", "bool")]
#[case("type", "type(type)")]
#[case("google.protobuf.Timestamp", "type(timestamp)")]
#[case("--1 - -1", "int")]
#[case("[?optional.of(1), 2]", "list(int)")]
#[case("timestamp('9999-12-31T23:59:59Z') - duration('1h1.5s')", "timestamp")]
fn expressions_have_types(#[case] expression: &str, #[case] wanted: &str) {
    assert_eq!(checked(expression), wanted, "{expression}");
}

#[rstest]
#[case("self == 'a'", 1, 6, "found no matching overload for '_==_' applied to '(selfType, string)'")]
#[case("self.x", 1, 5, "undefined field 'x'")]
#[case("self.free.x", 1, 10, "undefined field 'x'")]
#[case("foo(1)", 1, 4, "undeclared reference to 'foo' (in container '')")]
#[case("self.name.foo", 1, 10, "type 'string' does not support field selection")]
#[case("self.name.size(1)", 1, 15, "found no matching overload for 'size' applied to 'string.(int)'")]
#[case("true && 1", 1, 9, "expected type 'bool' but found 'int'")]
#[case("1 + \n'é' +\n 2", 1, 3, "found no matching overload for '_+_' applied to '(int, string)'")]
#[case("[1, 'a']", 1, 5, "expected type 'int' but found 'string'")]
#[case("{'a': 1, 2: 1}", 1, 10, "expected type 'string' but found 'int'")]
#[case("[?1]", 1, 3, "expected type 'optional_type(int)' but found 'int'")]
#[case(
    "self.name.all(x, x)",
    1,
    5,
    "expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)"
)]
#[case("duration('1x')", 1, 10, "invalid duration argument")]
#[case("timestamp('2020-02-30T00:00:00Z')", 1, 11, "invalid timestamp argument")]
#[case("self.name.matches('[')", 1, 19, "invalid matches argument")]
#[case("[1].map(1, true)", 1, 9, "argument is not an identifier")]
#[case("[1].all(a, a, true)", 1, 12, "duplicate variable name: a")]
#[case("has(self)", 1, 5, "invalid argument to has() macro")]
#[case("for", 1, 1, "reserved identifier: for")]
#[case("9223372036854775808", 1, 1, "invalid int literal")]
#[case(
    "self.name == ",
    1,
    14,
    "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', \
     NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)]
#[case("self name", 1, 6, "Syntax error: extraneous input 'name' expecting <EOF>")]
#[case("(1", 1, 3, "Syntax error: missing ')' at '<EOF>'")]
#[case("{1 2}", 1, 4, "Syntax error: missing ':' at '2'")]
#[case("self.", 1, 6, "Syntax error: no viable alternative at input '.'")]
fn faults_are_shown_first_at_their_place(
    #[case] expression: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] message: &str,
) {
    let text = expression.lines().nth(line - 1).unwrap_or_default();
    let pointer = ".".repeat(column - 1);
    let wanted = format!("ERROR: <input>:{line}:{column}: {message}\n | {text}\n | {pointer}^");
    let found = checked(expression);
    assert!(found.starts_with(&wanted), "{expression}: {found}");
}

#[test]
fn every_fault_is_shown() {
    let wanted = "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a + \n | ^\n\
                  ERROR: <input>:2:1: undeclared reference to 'b' (in container '')\n | b == 'é' + 1\n | ^\n\
                  ERROR: <input>:2:10: found no matching overload for '_+_' applied to '(string, int)'\n \
                  | b == 'é' + 1\n | ......．..^";
    assert_eq!(checked("a + \nb == 'é' +\t1"), wanted);
}

#[rstest]
#[case("(", "1", ")")]
#[case("[", "1", "]")]
#[case("[1].all(x, ", "true", ")")]
#[case("true ? 1 : ", "1", "")]
#[case("", "1", " + 1")]
#[case("", "self", ".x")]
#[case("", "self", "[0]")]
#[case("!(", "true", ")")]
fn depth_is_bounded(#[case] before: &str, #[case] inner: &str, #[case] after: &str) {
    let nested = |count: usize| format!("{}{inner}{}", before.repeat(count), after.repeat(count));
    let too_deep = "exceeded";
    assert!(!checked(&nested(240)).contains(too_deep));
    assert!(checked(&nested(260)).contains(too_deep));
    assert!(checked(&nested(5_000)).contains(too_deep));
}

#[test]
fn long_chains_and_texts_are_bounded() {
    assert_eq!(checked(&format!("true{}", " && true".repeat(10_000))), "bool");
    let wanted = "ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000";
    assert_eq!(checked(&"a".repeat(100_001)), wanted);
}
