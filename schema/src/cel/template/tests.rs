//! Texts are filled in with what their expressions give, or told what is wrong with them and where.

use crate::cel::declare;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::cel::declare::Place;
use crate::field::FieldPath;
use crate::structural::parse::parse;

fn compiler() -> Compiler {
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 20},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "on": {"type": "boolean"},
        "either": {"x-kubernetes-int-or-string": true},
        "at": {"type": "string", "format": "date-time"},
        "absent": {"type": "string"},
        "list": {"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 9}},
        "long": {"type": "array", "items": {"type": "string"}},
    }});
    let node = parse(&schema, &FieldPath::root()).expect("a schema");
    Compiler::new(declare::from_schema(&node, Place::Inside).expect("a declaration"))
}

fn object() -> Json {
    json!({"name": "a", "count": 3, "ratio": 2.5, "on": true, "either": "http", "at": "2026-01-01T00:00:00Z",
        "list": ["x", "y"]})
}

fn filled(text: &str, bytes_max: usize) -> Option<String> {
    let mut compiler = compiler();
    let template = compiler.template(text).unwrap_or_else(|faults| panic!("{faults:?}"));
    let object = object();
    template.fill(&mut Filling::new(&object, &compiler.declared), bytes_max)
}

#[rstest]
#[case("", Some(""))]
#[case("plain", Some("plain"))]
#[case("${self.name}", Some("a"))]
#[case("a ${self.count} b ${self.ratio} c", Some("a 3 b 2.5 c"))]
#[case("${self.on}/${self.either}/${self.at}", Some("true/http/2026-01-01T00:00:00Z"))]
#[case("${ {'}': self.name}['}'] }", Some("a"))]
#[case("${self.name + '}' + \"${x}\" + r'\\'}!", Some("a}${x}\\!"))]
#[case("${self.name // } no end\n}.", Some("a."))]
#[case("${self.list.join(', ')}", Some("x, y"))]
#[case("${self.?absent.orValue('none')}", Some("none"))]
#[case("${self.?name}", Some("a"))]
#[case("$ $$ $x $(y) $${HOME} $$${a}", Some("$ $$ $x $(y) ${HOME} $${a}"))]
#[case("ä${self.name}ö", Some("äaö"))]
#[case::has_no_value("x ${self.absent}", None)]
#[case::is_none("x ${self.?absent}", None)]
#[case::fails("x ${1 / (self.count - 3)}", None)]
#[case::is_no_text("${self.either == 'http' ? dyn([1]) : dyn(1)}", None)]
fn a_text_is_filled_in_or_left_out(#[case] text: &str, #[case] wanted: Option<&str>) {
    assert_eq!(filled(text, 100).as_deref(), wanted, "{text}");
}

#[test]
fn a_text_that_would_be_too_long_is_left_out() {
    assert_eq!(filled("abc${self.name}", 4).as_deref(), Some("abca"));
    assert_eq!(filled("abc${self.name}", 3), None);
    assert_eq!(filled("abcd", 3), None);
}

#[test]
fn what_the_texts_of_an_object_cost_is_bounded_together() {
    let mut compiler = compiler();
    let inner = "self.list.map(a, self.list.map(b, self.list.map(c, self.list.map(d, a + b + c + d))))";
    let text = format!("${{size({inner})}}");
    let template = compiler.template(&text).unwrap();
    let cheap = compiler.template("${self.list[0]}").unwrap();
    // More than the schema allows, as values that were written to a release may be.
    let object = json!({"list": vec!["1"; 14]});
    let mut filling = Filling::new(&object, &compiler.declared);
    assert_eq!(template.fill(&mut filling, 100), None, "one costs too much");
    assert_eq!(cheap.fill(&mut filling, 100), None, "nothing is left for another");
    assert_eq!(cheap.fill(&mut Filling::new(&object, &compiler.declared), 100).as_deref(), Some("1"));
}

#[rstest]
#[case(
    "a\n  b ${self.nmae}\n",
    "self.nmae",
    "compilation failed: ERROR: <input>:2:11: undefined field 'nmae'\n |   b ${self.nmae}\n | ..........^"
)]
#[case("ä ${1 +}", "1 +", "compilation failed: ERROR: <input>:1:8: ")]
#[case(
    "x ${self.list}",
    "self.list",
    "the expression at 1:5 must give a string, a number, a bool or a time, and gives list(string)"
)]
#[case("\n${}", "", "the expression at 2:3 is empty")]
#[case("${ }", "", "the expression at 1:3 is empty")]
#[case("x ${self.name", "self.name", "the expression at 1:5 has no closing brace")]
#[case("x ${'}", "'", "compilation failed: ERROR: <input>:1:5: Syntax error")]
#[case("${HOME}", "HOME", "compilation failed: ERROR: <input>:1:3: undeclared reference to 'HOME'")]
#[case(
    "${self.long.map(a, self.long.map(b, a + b)).size()}",
    "self.long.map(a, self.long.map(b, a + b)).size()",
    "the estimated cost of the expression at 1:3 exceeds the budget by a factor of more than 100x"
)]
fn a_fault_is_told_with_its_place(#[case] text: &str, #[case] expression: &str, #[case] detail: &str) {
    let faults = compiler().template(text).unwrap_err();
    assert_eq!((faults.len(), faults[0].expression.as_str()), (1, expression));
    assert!(faults[0].detail.starts_with(detail), "{}", faults[0].detail);
}

#[test]
fn all_faults_of_a_text_are_told() {
    let faults = compiler().template("${self.a} ${self.name} ${self.b}").unwrap_err();
    let expressions: Vec<&str> = faults.iter().map(|fault| fault.expression.as_str()).collect();
    assert_eq!(expressions, ["self.a", "self.b"]);
    let many = "${self.a}".repeat(EXPRESSIONS_MAX + 9);
    assert_eq!(compiler().template(&many).unwrap_err().len(), EXPRESSIONS_MAX + 1);
}

#[test]
fn a_condition_gives_a_bool() {
    let mut compiler = compiler();
    let object = object();
    let holds = |condition: &Condition, declared: &Declared| condition.holds(&mut Filling::new(&object, declared));
    let large = compiler.condition("self.count > 2").unwrap();
    let absent = compiler.condition("self.absent == ''").unwrap();
    assert_eq!(holds(&large, &compiler.declared), Some(true));
    assert_eq!(holds(&absent, &compiler.declared), None);
    let fault = compiler.condition("self.name").unwrap_err();
    assert_eq!(fault.detail, "the expression at 1:1 must give a bool, and gives string");
}

proptest! {
    #[test]
    fn whatever_a_text_is_it_is_compiled_or_told(text in "[ -~äö\n$]{0,12}(\\$\\{[ -~\n]{0,12}\\}?){0,3}[ -~]{0,8}") {
        let mut compiler = compiler();
        if let Ok(template) = compiler.template(&text) {
            let object = object();
            let filled = template.fill(&mut Filling::new(&object, &compiler.declared), 64);
            prop_assert!(filled.is_none_or(|filled| filled.len() <= 64));
        }
    }

    #[test]
    fn a_text_is_itself_where_each_beginning_is_escaped(text in "[ -~äö${}]{0,24}") {
        let template = compiler().template(&text.replace("${", "$${")).unwrap();
        prop_assert_eq!(template.constant(), Some(text));
    }
}
