//! `fieldPath` of a rule: `.field`, `.map.key`, `['field']`, each checked against the schema.
//!
//! Follows `ValidFieldPath` in apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.

use crate::field::FieldPath;
use crate::structural::node::Node;

/// The path as errors show it, if it is one of `schema`.
pub(super) fn resolve(path: &str, schema: &Node) -> Option<FieldPath> {
    let mut found = FieldPath::root();
    let mut schema = Some(schema);
    let mut rest = path;
    while let Some(token) = next_token(&mut rest) {
        let at = schema?;
        let name = match token {
            "[" => {
                let quoted = next_token(&mut rest)?;
                let name = unescape(quoted.strip_prefix('\'')?.strip_suffix('\'')?)?;
                (next_token(&mut rest)? == "]").then_some(name)?
            }
            "." => next_token(&mut rest)?.to_owned(),
            _ => return None,
        };
        if !at.properties.is_empty() {
            schema = Some(at.properties.get(&name)?);
            found = found.child(&name);
        } else {
            // Entries of maps without a schema have no fields of their own.
            schema = at.additional.as_ref()?.schema();
            found = found.key(&name);
        }
    }
    Some(found)
}

/// A delimiter, or what stands before the next one; a quoted string is one token.
fn next_token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = *rest;
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let end = if first == b'\'' {
        (1..bytes.len()).find(|i| bytes[*i] == b'\'' && bytes[*i - 1] != b'\\').map(|i| i + 1)
    } else {
        match bytes.iter().position(|byte| matches!(byte, b'.' | b'[' | b']')) {
            Some(0) => Some(1),
            other => other,
        }
    };
    let (token, after) = text.split_at(end.unwrap_or(bytes.len()));
    *rest = after;
    Some(token)
}

/// `unescapeSingleQuote`.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // A backslash before a line break or at the end is itself.
        let escaped = chars.peek().copied().filter(|next| c == '\\' && *next != '\n');
        let Some(escaped) = escaped else {
            out.push(c);
            continue;
        };
        chars.next();
        out.push(match escaped {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\'' => '\'',
            '\\' => '\\',
            _ => return None,
        });
    }
    Some(out)
}
