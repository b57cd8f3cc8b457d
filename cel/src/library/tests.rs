//! Calls of the libraries' functions: values, texts of faults and costs as Kubernetes 1.37 has them.

use std::collections::HashSet;

use rstest::rstest;

use super::all;
use super::cost::call_cost;
use crate::overload::Overload;
use crate::value::{EvalError, Value};

/// The functions with code of their own; those of the language have theirs elsewhere.
fn libraries() -> impl Iterator<Item = Overload> {
    all().into_iter().filter(|overload| overload.code.is_some())
}

/// Calls the overload of that id.
fn call<'a>(id: &str, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let overload = libraries().find(|overload| overload.id == id).expect("declared");
    assert_eq!(overload.params.len(), args.len(), "{id}");
    overload.code.expect("has code")(args)
}

/// The value as messages print it, or the fault.
fn shown(outcome: Result<Value<'_>, EvalError>) -> String {
    match outcome {
        Ok(value) => value.print(),
        Err(error) => format!("error: {error}"),
    }
}

/// One of `|`-separated arguments: an int, a bool, a list in brackets, or a string.
fn argument(text: &str) -> Value<'static> {
    if let Some(items) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let items = items.split(' ').filter(|item| !item.is_empty());
        return Value::list(items.map(argument).collect());
    }
    match (text.parse(), text) {
        (Ok(int), _) => Value::Int(int),
        (_, "true" | "false") => Value::Bool(text == "true"),
        _ => Value::text(text),
    }
}

fn arguments(text: &str) -> Vec<Value<'static>> {
    text.split('|').map(argument).collect()
}

#[test]
fn every_overload_has_its_own_id() {
    let mut ids = HashSet::new();
    for overload in all() {
        assert!(ids.insert(overload.id), "{}", overload.id);
    }
    assert_eq!(libraries().count(), 158);
}

#[test]
fn arguments_of_other_types_have_no_overload() {
    for overload in libraries() {
        let args = vec![Value::Null; overload.params.len()];
        let fits_anything = ["list_includes_dyn_dyn", "list_flatten", "list_flatten_int"].contains(&overload.id);
        if !args.is_empty() && !fits_anything {
            assert_eq!(shown(call(overload.id, &args)), "error: no such overload", "{}", overload.id);
        }
    }
}

#[rstest]
#[case("string_char_at_int", "日本語|1", "本")]
#[case("string_char_at_int", "abc|3", "")]
#[case("string_char_at_int", "abc|4", "error: index out of range: 4")]
#[case("string_index_of_string", "日本語日本|日本", "0")]
#[case("string_index_of_string_int", "日本語日本|日本|1", "3")]
#[case("string_index_of_string_int", "abc||50", "3")]
#[case("string_index_of_string_int", "abc|a|-1", "error: index out of range: -1")]
#[case("string_last_index_of_string", "aaaa|aa", "2")]
#[case("string_last_index_of_string_int", "aaaa|aa|1", "1")]
#[case("string_last_index_of_string_int", "aaaa|aa|50", "-1")]
#[case("string_last_index_of_string", "|", "0")]
#[case("string_lower_ascii", "ABC É", "abc É")]
#[case("string_upper_ascii", "abc é", "ABC é")]
#[case("string_replace_string_string", "abc||-", "-a-b-c-")]
#[case("string_replace_string_string_int", "aaaa|a|b|2", "bbaa")]
#[case("string_split_string", "日本|", "[日, 本]")]
#[case("string_split_string", "|", "[]")]
#[case("string_split_string_int", "abc||2", "[a, bc]")]
#[case("string_split_string_int", "a,b,c|,|0", "[]")]
#[case("string_substring_int_int", "héllo|1|3", "él")]
#[case("string_substring_int_int", "abc|2|1", "error: invalid substring range. start: 2, end: 1")]
#[case("string_trim", "\u{a0} x\u{2003}\n", "x")]
#[case("strings_quote", "a\"\\\u{7}é", "\"a\\\"\\\\\\aé\"")]
#[case("list_join_string", "[a b]|-", "a-b")]
#[case("list_join", "[a 1]", "error: join: invalid input: 1")]
fn strings_are_handled_by_characters(#[case] id: &str, #[case] args: &str, #[case] expected: &str) {
    assert_eq!(shown(call(id, &arguments(args))), expected);
}

#[rstest]
#[case("a%%b%s", Value::text("c"), "a%bc")]
#[case("%s", Value::Double(1e7), "1e+07")]
#[case("%s", Value::Null, "null")]
#[case("%s", Value::Duration(3_600_500_000_000), "3600.5s")]
#[case("%d", Value::Int(-5), "-5")]
#[case("%f", Value::Double(1_234_567.891), "1,234,567.891000")]
#[case("%.0f", Value::Double(2.5), "2")]
#[case("%.20f", Value::Double(0.1), "0.10000000000000000555")]
#[case("%f", Value::text("-Infinity"), "-∞")]
#[case("%e", Value::Double(1234.5), "1.234500×10⁰³")]
#[case("%.20e", Value::Double(1.5), "       1.500000×10⁰⁰")]
#[case("%e", Value::text("NaN"), "   NaN")]
#[case("%b", Value::Int(-5), "-101")]
#[case("%b", Value::Bool(true), "1")]
#[case("%o", Value::Uint(8), "10")]
#[case("%x", Value::Int(-255), "-ff")]
#[case("%X", Value::text("hé"), "68C3A9")]
#[case("%s", Value::list(vec![Value::Double(1.5), Value::text("q\""), Value::Duration(1)]),
    "[1.500000, \"q\\\"\", duration(\"0.000000001s\")]")]
#[case(
    "%d",
    Value::text("a"),
    "error: error during formatting: decimal clause can only be used on integers, was given string"
)]
#[case("%s%s", Value::Int(1), "error: index 1 out of range")]
#[case("%", Value::Int(1), "error: unexpected end of string")]
#[case("%q", Value::Int(1), "error: could not parse formatting clause: unrecognized formatting clause \"q\"")]
#[case(
    "%.f",
    Value::Int(1),
    "error: could not parse formatting clause: error while parsing precision: error while \
    converting precision to integer: strconv.Atoi: parsing \"\": invalid syntax"
)]
#[case(
    "%.5",
    Value::Int(1),
    "error: could not parse formatting clause: error while parsing precision: could not find end of precision specifier"
)]
fn strings_are_formatted_as_cel_go_does(#[case] text: &str, #[case] arg: Value<'_>, #[case] expected: &str) {
    assert_eq!(shown(call("string_format", &[Value::text(text), Value::list(vec![arg])])), expected);
}

#[test]
fn a_format_cannot_ask_for_a_precision_without_end() {
    let args = [Value::text("%.1000000000f"), Value::list(vec![Value::Double(1.0)])];
    assert!(
        shown(call("string_format", &args)).ends_with("precision 1000000000 exceeds maximum allowed precision 10000")
    );
}

#[rstest]
#[case("string_find_string", "abc 123|\\d+", "123")]
#[case("string_find_string", "abc|\\d+", "")]
#[case("string_find_all_string", "日本語 abc|日.", "[日本]")]
#[case("string_find_all_string", "aab|a*", "[aa, ]")]
#[case("string_find_all_string", "éé|", "[, , ]")]
#[case("string_find_all_string_int", "aaa|a|2", "[a, a]")]
#[case("string_find_string", "a|(", "error: Illegal regex: error parsing regexp: missing closing ): `(`")]
#[case(
    "string_find_string",
    "a|*a",
    "error: Illegal regex: error parsing regexp: missing argument to repetition operator: `*`"
)]
#[case(
    "string_find_string",
    "a|a**",
    "error: Illegal regex: error parsing regexp: invalid nested repetition operator: `**`"
)]
#[case(
    "string_find_string",
    "a|x[b-a]",
    "error: Illegal regex: error parsing regexp: invalid character class range: `b-a`"
)]
#[case("string_find_string", "a|[", "error: Illegal regex: error parsing regexp: missing closing ]: `[`")]
fn patterns_are_found(#[case] id: &str, #[case] args: &str, #[case] expected: &str) {
    assert_eq!(shown(call(id, &arguments(args))), expected);
}

#[rstest]
#[case("https://us%20er:pw@Example.com:8080/p%2Fa?x=1#f", "https", "Example.com:8080", "Example.com", "8080", "/p%2Fa")]
#[case("HTTP://[fe80::1%25eth0]:80/", "http", "[fe80::1%eth0]:80", "fe80::1%eth0", "80", "/")]
#[case("/a b", "", "", "", "", "/a%20b")]
#[case("mailto:a@b", "mailto", "", "", "", "")]
#[case("foo://a:80:90/", "foo", "a:80:90", "a:80", "90", "/")]
#[case("http:///x", "http", "", "", "", "/x")]
fn urls_have_parts(
    #[case] text: &str,
    #[case] scheme: &str,
    #[case] host: &str,
    #[case] name: &str,
    #[case] port: &str,
    #[case] path: &str,
) {
    let url = call("string_to_url", &[Value::text(text)]).unwrap();
    let ids = ["url_get_scheme", "url_get_host", "url_get_hostname", "url_get_port", "url_get_escaped_path"];
    let parts = ids.map(|id| shown(call(id, std::slice::from_ref(&url))));
    assert_eq!(parts, [scheme, host, name, port, path]);
}

#[rstest]
#[case("", "parse \"\": empty url")]
#[case("abc", "parse \"abc\": invalid URI for request")]
#[case(":a", "parse \":a\": missing protocol scheme")]
#[case("http://a/%zz", "parse \"http://a/%zz\": invalid URL escape \"%zz\"")]
#[case("http://a%41/", "parse \"http://a%41/\": invalid URL escape \"%41\"")]
#[case("http://a b/", "parse \"http://a b/\": invalid character \" \" in host name")]
#[case("http://a:80:90/", "parse \"http://a:80:90/\": invalid port \":80:90\" after host")]
#[case("http://[1.2.3.4]/", "parse \"http://[1.2.3.4]/\": invalid IP-literal")]
#[case("http://[::1", "parse \"http://[::1\": missing ']' in host")]
#[case("http://a/\n", "parse \"http://a/\\n\": net/url: invalid control character in URL")]
fn urls_are_refused_with_the_words_of_go(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(
        shown(call("string_to_url", &[Value::text(text)])),
        format!("error: URL parse error during conversion from string: {expected}")
    );
    assert_eq!(shown(call("is_url_string", &[Value::text(text)])), "false");
}

#[test]
fn queries_are_read_as_go_reads_them() {
    let url = call("string_to_url", &[Value::text("http://a?b&c;d&e=%zz&f=%41+%2B&=v&k&f=2")]).unwrap();
    assert_eq!(shown(call("url_get_query", &[url])), "{b: [], f: [A +, 2], : [v], k: []}");
}

#[rstest]
#[case("0", Some(0), 0.0)]
#[case("1.5", None, 1.5)]
#[case("-1.5Ki", None, -1536.0)]
#[case("1Ki", Some(1024), 1024.0)]
#[case("1e3", Some(1000), 1000.0)]
#[case("1E", Some(1_000_000_000_000_000_000), 1e18)]
#[case("7Ei", None, 8_070_450_532_247_928_832.0)]
#[case("100Ei", None, 9_223_372_036_854_775_807.0)]
#[case("9223372036854775807", None, 9_223_372_036_854_775_807.0)]
#[case("0.1n", None, 1e-9)]
#[case(".", Some(0), 0.0)]
#[case("-", Some(0), 0.0)]
#[case("1e2147483647", None, f64::INFINITY)]
fn quantities_are_numbers(#[case] text: &str, #[case] integer: Option<i64>, #[case] float: f64) {
    let quantity = call("string_to_quantity", &[Value::text(text)]).unwrap();
    let integer = integer.map_or("error: cannot convert value to integer".to_owned(), |integer| integer.to_string());
    assert_eq!(shown(call("quantity_get_int", std::slice::from_ref(&quantity))), integer);
    let Value::Double(found) = call("quantity_get_float", &[quantity]).unwrap() else { panic!("not a double") };
    assert!((found - float).abs() <= f64::EPSILON * float.abs() || found.to_bits() == float.to_bits(), "{found}");
}

#[rstest]
#[case("", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
#[case("1..2", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
#[case("1kk", "unable to parse quantity's suffix")]
#[case("1e", "unable to parse quantity's suffix")]
#[case(".e-10", "unable to parse numeric part of quantity")]
fn other_texts_are_no_quantities(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(shown(call("string_to_quantity", &[Value::text(text)])), format!("error: {expected}"));
}

#[rstest]
#[case("1", "1000m", "0", "2")]
#[case("12345678901234567890", "1n", "1", "12345678901234567890.000000001")]
#[case("-1.5Ki", "1e30", "-1", "999999999999999999999999998464")]
#[case("9223372036854775807", "1", "1", "9223372036854775808")]
fn quantities_add_exactly(#[case] left: &str, #[case] right: &str, #[case] order: &str, #[case] sum: &str) {
    let quantity = |text: &str| call("string_to_quantity", &[Value::text(text)]).unwrap();
    let (left, right, sum) = (quantity(left), quantity(right), quantity(sum));
    assert_eq!(shown(call("quantity_compare_to", &[left.clone(), right.clone()])), order);
    let found = call("quantity_add", &[left.clone(), right.clone()]).unwrap();
    assert!(found.equals(&sum).unwrap());
    assert!(call("quantity_sub", &[sum, right]).unwrap().equals(&left).unwrap());
}

#[test]
fn quantities_of_any_size_stay_small_in_memory() {
    let quantity = |text: &str| call("string_to_quantity", &[Value::text(text)]).unwrap();
    let (huge, one) = (quantity("1e2147483647"), quantity("1"));
    assert_eq!(shown(call("quantity_compare_to", &[huge.clone(), one.clone()])), "1");
    assert_eq!(shown(call("quantity_add", &[huge, one])), "error: quantity out of range");
}

#[rstest]
#[case("127.0.0.1", "4 false true false false false")]
#[case("::", "6 true false false false false")]
#[case("224.0.0.1", "4 false false true false false")]
#[case("ff02::1", "6 false false true false false")]
#[case("169.254.1.1", "4 false false false true false")]
#[case("febf::1", "6 false false false true false")]
#[case("255.255.255.255", "4 false false false false false")]
#[case("2001:db8::1", "6 false false false false true")]
fn addresses_have_kinds(#[case] text: &str, #[case] expected: &str) {
    let address = call("string_to_ip", &[Value::text(text)]).unwrap();
    let ids = [
        "ip_family",
        "ip_is_unspecified",
        "ip_is_loopback",
        "ip_is_link_local_multicast",
        "ip_is_link_local_unicast",
        "ip_is_global_unicast",
    ];
    let kinds = ids.map(|id| shown(call(id, std::slice::from_ref(&address))));
    assert_eq!(kinds.join(" "), expected);
}

#[rstest]
#[case("", "unable to parse IP")]
#[case("1.2.3", "IPv4 address too short")]
#[case("01.2.3.4", "IPv4 field has octet with leading zero")]
#[case("256.1.1.1", "IPv4 field has value >255")]
#[case("1..2.3", "IPv4 field must have at least one digit (at \".2.3\")")]
#[case("1.2.3.4%eth0", "unexpected character (at \"%eth0\")")]
#[case("12345::", "each group must have 4 or less digits (at \"12345::\")")]
#[case("1::2::3", "multiple :: in address (at \":3\")")]
#[case(":::1", "each colon-separated field must have at least one digit (at \":1\")")]
#[case("1:2:3:4:5:6:7:8:9", "trailing garbage after address (at \"9\")")]
#[case("%eth0", "missing IPv6 address")]
fn addresses_are_refused_with_the_words_of_go(#[case] text: &str, #[case] expected: &str) {
    let quoted = format!("{text:?}");
    let expected = format!(
        "error: IP Address {quoted} parse error during conversion from string: ParseAddr({quoted}): {expected}"
    );
    assert_eq!(shown(call("string_to_ip", &[Value::text(text)])), expected);
}

#[rstest]
#[case("ip_is_canonical", "2001:DB8::ABCD", "false")]
#[case("ip_is_canonical", "1:0:0:2::3", "true")]
#[case("string_to_ip", "fe80::1%eth0", "error: IP address \"fe80::1%eth0\" with zone value is not allowed")]
#[case("string_to_ip", "::ffff:1.2.3.4", "error: IPv4-mapped IPv6 address \"::ffff:1.2.3.4\" is not allowed")]
#[case("is_cidr", "10.0.0.0/33", "false")]
#[case("string_to_cidr", "10.1.2.3/8", "10.1.2.3/8")]
#[case(
    "string_to_cidr",
    "10.0.0.0/08",
    "error: network address parse error during conversion from string: network \
    address parse error during conversion from string: netip.ParsePrefix(\"10.0.0.0/08\"): bad bits after slash: \"08\""
)]
fn networks_and_addresses_are_read(#[case] id: &str, #[case] text: &str, #[case] expected: &str) {
    assert_eq!(shown(call(id, &[Value::text(text)])), expected);
}

#[rstest]
#[case("10.0.0.0/8", "cidr_contains_ip_string", "10.1.2.3", "true")]
#[case("10.0.0.0/8", "cidr_contains_ip_string", "::1", "false")]
#[case("10.0.0.0/8", "cidr_contains_ip_string", "x", "error: no such overload")]
#[case("10.0.0.0/8", "cidr_contains_cidr_string", "10.0.0.0/16", "true")]
#[case("10.0.0.0/16", "cidr_contains_cidr_string", "10.0.0.0/8", "false")]
#[case("::/0", "cidr_contains_cidr_string", "1.2.3.4/32", "false")]
fn networks_contain(#[case] network: &str, #[case] id: &str, #[case] other: &str, #[case] expected: &str) {
    let network = call("string_to_cidr", &[Value::text(network)]).unwrap();
    assert_eq!(shown(call(id, &[network, Value::text(other)])), expected);
}

#[rstest]
#[case("1.2.3-alpha.1+b", false, "1.2.3-alpha.1+b")]
#[case("v01.2", true, "1.2.0")]
#[case("1.2.003-a", true, "1.2.3-a")]
#[case("1.2", false, "error: No Major.Minor.Patch elements found")]
#[case("", false, "error: Version string empty")]
#[case("1.2.x", false, "error: Invalid character(s) found in patch number \"x\"")]
#[case("01.2.3", false, "error: Major number must not contain leading zeroes \"01\"")]
#[case("1.2.3-01", false, "error: Numeric PreRelease version must not contain leading zeroes \"01\"")]
#[case("1.2.3-", false, "error: Prerelease is empty")]
#[case("1.2.3+a..b", false, "error: Build meta data is empty")]
#[case("1.2-a", true, "error: short version cannot contain PreRelease/Build meta data")]
#[case("1..3", false, "error: strconv.ParseUint: parsing \"\": invalid syntax")]
fn versions_are_read(#[case] text: &str, #[case] normalize: bool, #[case] expected: &str) {
    assert_eq!(shown(call("string_bool_to_semver", &[Value::text(text), Value::Bool(normalize)])), expected);
}

#[test]
fn versions_have_an_order_without_their_builds() {
    let version = |text: &str| call("string_to_semver", &[Value::text(text)]).unwrap();
    for (left, right, order) in
        [("1.2.3", "1.2.3+b", "0"), ("1.2.3-alpha", "1.2.3", "-1"), ("1.2.3-10", "1.2.3-2", "1")]
    {
        assert_eq!(shown(call("semver_compare_to", &[version(left), version(right)])), order, "{left} {right}");
    }
}

#[rstest]
#[case("dns1123Label", "a.b", "[must not contain dots]")]
#[case("dns1123LabelPrefix", "a-", "")]
#[case(
    "dns1035Label",
    "1a",
    "[a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')]"
)]
#[case("qualifiedName", "/b", "[prefix part must be non-empty]")]
#[case("qualifiedName", "example.com/My-Name", "")]
#[case("labelValue", "", "")]
#[case("uri", "x", "[parse \"x\": invalid URI for request]")]
#[case("uuid", "x", "[does not match the UUID format]")]
#[case("byte", "aGk", "[invalid base64]")]
#[case("date", "2023-02-29", "[invalid date]")]
#[case("datetime", "2024-01-01T10:00:00Z", "")]
fn strings_have_formats(#[case] format: &str, #[case] text: &str, #[case] faults: &str) {
    let Value::Optional(Some(named)) = call("format-named", &[Value::text(format)]).unwrap() else {
        panic!("{format} is not known")
    };
    let direct = call(&format!("format.{format}"), &[]).unwrap();
    assert!(named.equals(&direct).unwrap());
    let expected = if faults.is_empty() { "optional.none".to_owned() } else { format!("optional({faults})") };
    assert_eq!(shown(call("format-validate", &[direct, Value::text(text)])), expected);
}

#[rstest]
#[case("list_int_is_sorted_bool", "[1 1 2]", "true")]
#[case("list_int_is_sorted_bool", "[2 1]", "false")]
#[case("list_int_sum_int", "[1 2 3]", "6")]
#[case("list_int_sum_int", "[]", "0")]
#[case("list_int_sum_int", "[9223372036854775807 1]", "error: integer overflow")]
#[case("list_string_max_string", "[a c b]", "c")]
#[case("list_int_min_int", "[]", "error: min called on empty list")]
#[case("list_a_index_of_int", "[a b b]|b", "1")]
#[case("list_a_last_index_of_int", "[a b b]|b", "2")]
#[case("list_includes_dyn_dyn", "[1 2]|3", "false")]
#[case("list_includes_dyn_dyn", "a|a", "true")]
#[case("list_slice", "[1 2 3]|1|3", "[2, 3]")]
#[case("list_slice", "[1 2 3]|2|1", "error: cannot slice(2, 1), start index must be less than or equal to end index")]
#[case("list_slice", "[1]|0|5", "error: cannot slice(0, 5), list is length 1")]
#[case("list_flatten_int", "[1]|-1", "error: level must be non-negative")]
#[case("list_flatten", "1", "error: no such overload: int.flatten()")]
#[case("list_int_sort", "[3 1 2]", "[1, 2, 3]")]
#[case("list_int_sort", "[3 a]", "error: list elements must have the same type")]
#[case("list_int_sortByAssociatedKeys", "[a b c]|[3 1 2]", "[b, c, a]")]
#[case("list_distinct", "[1 2 1]", "[1, 2]")]
#[case("list_reverse", "[1 2]", "[2, 1]")]
#[case("lists_range", "3", "[0, 1, 2]")]
#[case("lists_range", "-1", "error: lists.range: size must be non-negative, got -1")]
#[case("list_sets_contains_list", "[1 2]|[2 2]", "true")]
#[case("list_sets_equivalent_list", "[1 2]|[2 1 1]", "true")]
#[case("list_sets_intersects_list", "[1]|[]", "false")]
fn lists_are_handled(#[case] id: &str, #[case] args: &str, #[case] expected: &str) {
    assert_eq!(shown(call(id, &arguments(args))), expected);
}

#[test]
fn what_cannot_be_paid_for_does_not_begin() {
    let long = call("lists_range", &[Value::Int(100_000)]).unwrap();
    assert_eq!(call("list_distinct", std::slice::from_ref(&long)).unwrap_err(), EvalError::CostLimit);
    assert_eq!(call("list_sets_contains_list", &[long.clone(), long]).unwrap_err(), EvalError::CostLimit);
}

#[rstest]
#[case("list_int_sum_int", "[1 2 3]", Some(3))]
#[case("list_a_index_of_int", "[aaaaaaaaaaaaaaaaaaaa b]|b", Some(2))]
#[case("string_index_of_string", "abc|c", Some(0))]
#[case("string_lower_ascii", "aaaaaaaaaaa", Some(2))]
#[case("string_replace_string_string", "aaaaaaaaaaa|a|b", Some(3))]
#[case("string_char_at_int", "abc|1", None)]
#[case("string_find_string", "aaaaaaaaaa|a+b+c", Some(4))]
#[case("list_join_string", "[aaaaa bbbbb]|-", Some(3))]
#[case("string_to_ip", "127.0.0.1", Some(1))]
#[case("ip_is_canonical", "127.0.0.1", Some(2))]
#[case("list_slice", "[1 2 3]|0|2", Some(13))]
#[case("list_distinct", "[1 2 3]", Some(29))]
#[case("list_string_sort", "[a b c]", Some(29))]
#[case("list_sets_equivalent_list", "[1 2]|[2 1]", Some(9))]
#[case("list_flatten_int", "[1 2]|3", Some(17))]
fn calls_cost_what_they_cost_in_kubernetes(#[case] id: &str, #[case] args: &str, #[case] expected: Option<u64>) {
    let function = all().into_iter().find(|overload| overload.id == id).unwrap().function;
    let args = arguments(args);
    let result = call(id, &args);
    assert_eq!(call_cost(function, id, &args, result.as_ref().ok()), expected);
}

#[test]
fn addresses_and_networks_cost_by_their_bytes() {
    let network = call("string_to_cidr", &[Value::text("2001:db8::/33")]).unwrap();
    let other = Value::text("2001:db8::/48");
    assert_eq!(call_cost("containsCIDR", "cidr_contains_cidr_string", &[network.clone(), other], None), Some(5));
    assert_eq!(call_cost("ip", "cidr_ip", std::slice::from_ref(&network), None), Some(1));
    assert_eq!(call_cost("_==_", "equals", &[network.clone(), network], None), Some(1));
}
