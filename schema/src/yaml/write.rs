//! From JSON to YAML that Go reads as the same.
//!
//! Follows sigs.k8s.io/yaml (`JSONToYAML`) in what is quoted and in the shape of lists. Text that is more than a line is
//! written as such where the lines can be, and quoted otherwise.

use serde_json::Value;

use super::scalar;

/// How many bytes a key has at most that stands before its colon alone; libyaml looks for 1024 characters.
const KEY_BYTES_MAX: usize = 128;

/// By how much a member is indented, in columns.
const INDENT: usize = 2;

/// One document.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0, Place::Line);
    out
}

/// Where a value begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind an indentation or a dash: the first member may follow.
    Line,
    /// Behind a key with its colon.
    Colon,
}

fn indent(out: &mut String, columns: usize) {
    out.extend(std::iter::repeat_n(' ', columns));
}

/// A value whose members are indented by `columns`, and the end of its line.
fn node(out: &mut String, value: &Value, columns: usize, place: Place) {
    let begin = |out: &mut String, is_first: bool| match place {
        Place::Line if is_first => {}
        Place::Colon if is_first => {
            out.push('\n');
            indent(out, columns);
        }
        _ => indent(out, columns),
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (position, (name, member)) in members.iter().enumerate() {
                begin(out, position == 0);
                key(out, name, columns);
                // Items of a list stand as far left as its key.
                let deeper = if member.is_array() { columns } else { columns + INDENT };
                node(out, member, deeper, Place::Colon);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                begin(out, position == 0);
                out.push_str("- ");
                node(out, item, columns + INDENT, Place::Line);
            }
        }
        scalar => {
            if place == Place::Colon {
                out.push(' ');
            }
            match scalar {
                Value::Object(_) => out.push_str("{}"),
                Value::Array(_) => out.push_str("[]"),
                Value::String(text) => string(out, text, columns.max(INDENT)),
                other => out.push_str(&other.to_string()),
            }
            out.push('\n');
        }
    }
}

fn key(out: &mut String, name: &str, columns: usize) {
    if name.len() > KEY_BYTES_MAX {
        out.push_str("? ");
        quoted(out, name);
        out.push('\n');
        indent(out, columns);
    } else if is_plain(name) {
        out.push_str(name);
    } else {
        quoted(out, name);
    }
    out.push(':');
}

fn string(out: &mut String, text: &str, columns: usize) {
    if is_plain(text) {
        out.push_str(text);
    } else if is_block(text) {
        block(out, text, columns);
    } else {
        quoted(out, text);
    }
}

/// Reports whether a text is the same without quotes.
fn is_plain(text: &str) -> bool {
    let begins = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '(' | '$' | '+' | ';' | '^' | '<');
    let mut chars = text.chars();
    let has_beginning = match chars.next() {
        Some('-') => chars.next().is_some_and(|c| c.is_ascii_alphanumeric()),
        first => first.is_some_and(begins),
    };
    has_beginning
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("...")
        && text.chars().all(|c| c != '\n' && is_shown(c))
        && scalar::is_text(text)
}

/// Reports whether a character can stand in a document as it is, and is there what it looks like.
fn is_shown(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A1}'..='\u{2027}' | '\u{202A}'..='\u{D7FF}' | '\u{E000}'..='\u{FEFE}')
        || matches!(c, '\u{FF00}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Reports whether a text of lines can be written as lines.
fn is_block(text: &str) -> bool {
    text.contains('\n') && !text.starts_with([' ', '\n']) && text.chars().all(is_shown)
}

fn block(out: &mut String, text: &str, columns: usize) {
    let lines = text.strip_suffix('\n');
    out.push_str(match lines {
        None => "|-",
        Some(lines) if lines.ends_with('\n') => "|+",
        Some(_) => "|",
    });
    for line in lines.unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, columns);
            out.push_str(line);
        }
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_shown(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let escape = if code > 0xFFFF { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") };
                out.push_str(&escape);
            }
        }
    }
    out.push('"');
}
