use serde_json::{Value, json};

use super::{Document, YamlError, read, read_all, write};

fn value(text: &str) -> Result<Value, YamlError> {
    read(text.as_bytes()).map(|document| document.value)
}

#[track_caller]
fn is(text: &str, wanted: &Value) {
    assert_eq!(value(text).as_ref(), Ok(wanted), "{text}");
}

#[test]
fn words_are_those_of_yaml_1_1() {
    for (text, wanted) in [
        ("010", json!(8)),
        ("0644", json!(420)),
        ("0o17", json!(15)),
        ("08", json!(8)),
        ("1__0", json!(10)),
        ("0x1F", json!(31)),
        ("-0b101", json!(-5)),
        ("0b-1", json!(-1)),
        ("1e3", json!(1000)),
        ("1e400", json!("1e400")),
        ("-0", json!(0)),
        ("-0.0", json!(0)),
        ("190:20:30", json!("190:20:30")),
        ("y", json!(true)),
        ("Off", json!(false)),
        ("tRue", json!("tRue")),
        ("~", Value::Null),
        ("9223372036854775808", json!(9_223_372_036_854_775_808_f64)),
        ("-9223372036854775809", json!(i64::MIN)),
        ("2001-12-14", json!("2001-12-14")),
        ("'010'", json!("010")),
        ("!!str 010", json!("010")),
        ("!!float 1", json!(1)),
        ("!!binary aGk=", json!("hi")),
        ("! 1", json!("1")),
        ("a: !!str", json!({"a": ""})),
        ("a: !!null\nb:", json!({"a": null, "b": null})),
    ] {
        is(text, &wanted);
    }
    for text in [".inf", "-.INF", ".nan", "!!int x", "!!bool 1", "!!binary '*'", "!!int 1.5"] {
        assert!(value(text).is_err(), "{text}");
    }
}

#[test]
fn keys_become_text() {
    is("{1: a, 1.5: b, y: c, 010: d, 1e10: e}", &json!({"1": "a", "1.5": "b", "true": "c", "8": "d", "1e+10": "e"}));
    for text in ["{~: a}", "? [a]\n: b", "{18446744073709551615: a}"] {
        assert!(value(text).is_err(), "{text}");
    }
}

#[test]
fn merges_are_in_the_order_of_the_text() {
    is("a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}", &json!({"a": {"x": 1, "z": 2}, "b": {"x": 1, "z": 3}}));
    is("a: &a {x: 1}\nb: {x: 2, <<: *a}", &json!({"a": {"x": 1}, "b": {"x": 1}}));
    is("- &a {x: 1}\n- &b {x: 2}\n- {<<: [*a, *b]}", &json!([{"x": 1}, {"x": 2}, {"x": 1}]));
    is("{'<<': 1}", &json!({"<<": 1}));
    assert!(value("{<<: 1}").is_err());
}

#[test]
fn equal_keys_are_told_all() {
    let Document { value, duplicates } = read(b"a: 1\nb: {c: 1, c: 2}\na:\n  d: 1\n1: x\n01: z\n").unwrap();
    assert_eq!(value, json!({"a": {"d": 1}, "b": {"c": 2}, "1": "z"}));
    assert_eq!(
        duplicates,
        [
            r#"line 2: key "c" already set in map"#,
            r#"line 4: key "a" already set in map"#,
            "line 6: key 1 already set in map"
        ]
    );
}

#[test]
fn aliases_are_bounded() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(value(&bomb).unwrap_err().to_string(), "yaml: document contains excessive aliasing");
    assert!(value("&a [*a]").is_err());
    assert!(value("[*a]").is_err());
    assert!(value(&"[".repeat(100_000)).is_err());
    let doubled: String = (1..200).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    assert!(value(&format!("a0: &a0 x\n{doubled}")).is_err());
}

#[test]
fn the_first_document_counts_unless_all_are_asked_for() {
    is("a: 1\n---\n[", &json!({"a": 1}));
    is("", &Value::Null);
    is("# only a comment\n", &Value::Null);
    let all = read_all(b"a: 1\n---\n---\nb: 010\n...\n").unwrap();
    let all: Vec<Value> = all.into_iter().map(|document| document.value).collect();
    assert_eq!(all, [json!({"a": 1}), Value::Null, json!({"b": 8})]);
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let words = [
        "",
        "y",
        "0644",
        "1e3",
        "~",
        "null",
        "1_0",
        "12:30",
        "<<",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#",
        " a",
        "a ",
        "a:",
        "{",
        "[",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "'a",
        "\"a",
        "|",
        ">",
        "?",
        "? a",
        ":",
        ",",
        "---",
        "--- a",
        "...",
        "2001-01-01",
        ".5",
        ".inf",
        "0x1",
        "a\nb",
        "a\nb\n",
        "a\n\n\n",
        "\n",
        "\na",
        " a\nb",
        "a\n  b\n c",
        "a\tb\n",
        "a\r\nb",
        "\u{85}",
        "a\u{2028}b\n",
        "\u{feff}",
        "\u{7f}",
        "\u{0}",
        "é",
        "\u{1F600}",
        "=",
        "-1",
        "-a",
        "true",
    ];
    let long = "x".repeat(2000);
    let mut members = serde_json::Map::new();
    for word in words.iter().copied().chain([long.as_str()]) {
        members.insert(word.to_owned(), json!([word, {word: {"a": [[word], [], {}], word: word}}]));
    }
    let object = Value::Object(members);
    assert_eq!(value(&write(&object)).as_ref(), Ok(&object));
    for whole in [json!("a\nb"), json!([1.5e300, -7, null, true]), json!({}), json!([])] {
        is(&write(&whole), &whole);
    }
    assert_eq!(
        write(&json!({"a": [{"b": "0644", "c": []}], "d": {"e": "x\ny\n"}})),
        "a:\n- b: \"0644\"\n  c: []\nd:\n  e: |\n    x\n    y\n"
    );
}
