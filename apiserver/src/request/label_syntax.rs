//! What a label's key and value may be, and what is said when they are not (apimachinery pkg/api/validate/content).

const KEY_REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const SUBDOMAIN_REGEX: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                        alphanumeric character";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                          '.', and must start and end with an alphanumeric character";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
                              or '.', and must start and end with an alphanumeric character";

/// The longest name in a key, and the longest value, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// The longest prefix of a key, in bytes.
const PREFIX_BYTES_MAX: usize = 253;

/// What is wrong with a key; nothing if it is valid.
pub(super) fn key_problems(key: &str) -> Vec<String> {
    let key_rule = format!("{KEY_RULE} (e.g. 'MyName',  or 'my.name',  or '123-abc', {})", regex_hint(KEY_REGEX));
    let mut problems = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        ["", name] => {
            problems.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            problems.extend(subdomain_problems(prefix).into_iter().map(|problem| format!("prefix part {problem}")));
            name
        }
        _ => {
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {key_rule} {optional}")];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > NAME_BYTES_MAX {
        problems.push(format!("name part {}", too_long(NAME_BYTES_MAX)));
    }
    if !is_name(name) {
        problems.push(format!("name part {key_rule}"));
    }
    problems
}

/// What is wrong with a value; nothing if it is valid.
pub(super) fn value_problems(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > NAME_BYTES_MAX {
        problems.push(too_long(NAME_BYTES_MAX));
    }
    if !value.is_empty() && !is_name(value) {
        let hint = regex_hint(&format!("({KEY_REGEX})?"));
        problems.push(format!("{VALUE_RULE} (e.g. 'MyValue',  or 'my_value',  or '12345', {hint})"));
    }
    problems
}

fn subdomain_problems(prefix: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if prefix.len() > PREFIX_BYTES_MAX {
        problems.push(too_long(PREFIX_BYTES_MAX));
    }
    if !prefix.split('.').all(is_dns_label) {
        problems.push(format!("{SUBDOMAIN_RULE} (e.g. 'example.com', {})", regex_hint(SUBDOMAIN_REGEX)));
    }
    problems
}

fn regex_hint(regex: &str) -> String {
    format!("regex used for validation is '{regex}'")
}

fn too_long(bytes_max: usize) -> String {
    format!("must be no more than {bytes_max} bytes")
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [Some(first), Some(last)] = [bytes.first(), bytes.last()] else { return false };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Reports whether a text is a label of DNS, however long.
pub(super) fn is_dns_label(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}
