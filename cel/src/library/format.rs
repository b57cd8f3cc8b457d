//! Named formats of strings (k8s.io/apiserver/pkg/cel/library/format.go, apimachinery's validation texts).

use super::arguments::{exactly, string, strings};
use super::url::check_request_uri;
use crate::overload::{Code, Overload};
use crate::types::Type;
use crate::value::{EvalError, Opaque, Value};
use kindsmith_text::format::has_format;

/// A format.
struct Named {
    /// Its name in expressions.
    key: &'static str,
    /// Its name as a value.
    name: &'static str,
    /// How long its regular expression is at most, for costs (`MaxRegexSize`).
    pattern_size: u64,
    /// What is wrong with a string.
    faults: fn(&str) -> Vec<String>,
    /// `format.key()`: the function, and its code.
    function: &'static str,
    code: Code,
}

macro_rules! named {
    ($key:literal, $name:literal, $size:literal, $faults:expr) => {
        Named {
            key: $key,
            name: $name,
            pattern_size: $size,
            faults: $faults,
            function: concat!("format.", $key),
            code: |_| Ok(Value::Opaque(Opaque::Format($name))),
        }
    };
}

/// All of them (`ConstantFormats`).
const FORMATS: [Named; 13] = [
    named!("dns1123Label", "DNS1123Label", 30, label),
    named!("dns1123Subdomain", "DNS1123Subdomain", 60, subdomain),
    named!("dns1035Label", "DNS1035Label", 30, old_label),
    named!("qualifiedName", "QualifiedName", 60, qualified_name),
    named!("dns1123LabelPrefix", "DNS1123LabelPrefix", 30, |text| label(&completed(text))),
    named!("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", 60, |text| subdomain(&completed(text))),
    named!("dns1035LabelPrefix", "DNS1035LabelPrefix", 30, |text| old_label(&completed(text))),
    named!("labelValue", "LabelValue", 40, label_value),
    named!("uri", "URI", 1103, |text| check_request_uri(text).err().into_iter().collect()),
    named!("uuid", "uuid", 70, |text| known("uuid", text, "does not match the UUID format")),
    named!("byte", "byte", 84, |text| known("byte", text, "invalid base64")),
    named!("date", "date", 71, |text| known("date", text, "invalid date")),
    named!("datetime", "datetime", 71, |text| known("datetime", text, "invalid datetime")),
];

/// How long the regular expression of a format is, for costs.
pub(super) fn pattern_size(name: &str) -> Option<u64> {
    FORMATS.iter().find(|format| format.name == name).map(|format| format.pattern_size)
}

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let of = || Type::Opaque("kubernetes.NamedFormat");
    let faults = Type::optional(Type::list(Type::String));
    let mut overloads = vec![
        Overload::receiver("validate", "format-validate", vec![of(), Type::String], faults, Some(validate)),
        Overload::global(
            "format.named",
            "format-named",
            vec![Type::String],
            Type::optional(of()),
            Some(|args| {
                let [key] = exactly(args)?;
                let key = string(key)?;
                let found = FORMATS.iter().find(|format| format.key == key);
                Ok(found.map_or(Value::Optional(None), |found| Value::some(Value::Opaque(Opaque::Format(found.name)))))
            }),
        ),
    ];
    overloads.extend(
        FORMATS
            .iter()
            .map(|format| Overload::global(format.function, format.function, Vec::new(), of(), Some(format.code))),
    );
    overloads
}

fn validate<'a>(args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Opaque(Opaque::Format(name)), text] = exactly(args)? else { return Err(EvalError::no_overload()) };
    let text = string(text)?;
    let format = FORMATS.iter().find(|format| format.name == *name).ok_or_else(EvalError::no_overload)?;
    let faults = (format.faults)(text);
    Ok(if faults.is_empty() { Value::Optional(None) } else { Value::some(strings(faults)) })
}

fn known(format: &str, text: &str, fault: &str) -> Vec<String> {
    if has_format(format, text) { Vec::new() } else { vec![fault.to_owned()] }
}

/// A prefix of names may end with a dash (`maskTrailingDash`).
fn completed(text: &str) -> String {
    match text.strip_suffix('-') {
        // Go cuts a byte; what it cuts in two is no name either way.
        Some(head) if !head.is_empty() => {
            let mut cut = String::from_utf8_lossy(&head.as_bytes()[..head.len() - 1]).into_owned();
            cut.push('a');
            cut
        }
        _ => text.to_owned(),
    }
}

const LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

/// Begins and ends with an alphanumeric character, between which others may be.
fn is_enclosed(text: &str, outer: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| outer(*b))
        && bytes.last().is_some_and(|b| outer(*b))
        && bytes.iter().all(|b| outer(*b) || inner.contains(b))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Whether a text is a lower case RFC 1123 subdomain, of any length.
pub fn is_subdomain(text: &str) -> bool {
    text.split('.').all(|part| is_enclosed(part, is_lower, b"-"))
}

fn too_long(text: &str, max: usize, unit: &str) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} {unit}"))
}

/// `IsDNS1123Label`.
fn label(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long(text, 63, "characters").into_iter().collect();
    if is_enclosed(text, is_lower, b"-") {
        return faults;
    }
    faults.push(if is_subdomain(text) {
        "must not contain dots".to_owned()
    } else {
        format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '{LABEL_PATTERN}')"
        )
    });
    faults
}

/// `IsDNS1123Subdomain`; of two packages that count in different units.
fn subdomain_in(text: &str, unit: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long(text, 253, unit).into_iter().collect();
    if !is_subdomain(text) {
        faults.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '{SUBDOMAIN_PATTERN}')"
        ));
    }
    faults
}

fn subdomain(text: &str) -> Vec<String> {
    subdomain_in(text, "characters")
}

/// `IsDNS1035Label`.
fn old_label(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long(text, 63, "characters").into_iter().collect();
    if !is_enclosed(text, is_lower, b"-") || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        faults.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
             validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    faults
}

/// What a part of a qualified name must be.
const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                         validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// `IsLabelKey`.
fn qualified_name(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut parts = text.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(""), Some(name), None) => {
            faults.push("prefix part must be non-empty".to_owned());
            name
        }
        (Some(prefix), Some(name), None) => {
            faults.extend(subdomain_in(prefix, "bytes").into_iter().map(|fault| format!("prefix part {fault}")));
            name
        }
        _ => {
            return vec![format!(
                "a valid label key {NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    }
    faults.extend(too_long(name, 63, "bytes").map(|fault| format!("name part {fault}")));
    if !is_enclosed(name, is_alphanumeric, b"-_.") {
        faults.push(format!("name part {NAME_RULE}"));
    }
    faults
}

/// `IsLabelValue`.
fn label_value(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long(text, 63, "bytes").into_iter().collect();
    if !text.is_empty() && !is_enclosed(text, is_alphanumeric, b"-_.") {
        faults.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    faults
}
