//! Strings (cel-go's ext/strings.go, version 2). Positions count characters.

use super::arguments::{count, exactly, int, list, string, strings};
use super::formatting;
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, Value};

/// How long a string that grows with its arguments may become, in bytes.
const RESULT_BYTES_MAX: usize = 64 << 20;

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    use Type::{Int, String as Str};
    let receiver = Overload::receiver;
    let list_of_strings = || Type::list(Str);
    vec![
        receiver("charAt", "string_char_at_int", vec![Str, Int], Str, Some(char_at)),
        receiver(
            "indexOf",
            "string_index_of_string",
            vec![Str, Str],
            Int,
            Some(|args| {
                let [text, part] = exactly(args)?;
                index_of(string(text)?, string(part)?, 0)
            }),
        ),
        receiver(
            "indexOf",
            "string_index_of_string_int",
            vec![Str, Str, Int],
            Int,
            Some(|args| {
                let [text, part, offset] = exactly(args)?;
                index_of(string(text)?, string(part)?, int(offset)?)
            }),
        ),
        receiver(
            "lastIndexOf",
            "string_last_index_of_string",
            vec![Str, Str],
            Int,
            Some(|args| {
                let [text, part] = exactly(args)?;
                let (text, part) = (string(text)?, string(part)?);
                // The end of the text, of which an empty one has none.
                match count(text.chars().count()) {
                    0 if !part.is_empty() => Ok(Value::Int(-1)),
                    length => last_index_of(text, part, if part.is_empty() { length } else { length - 1 }),
                }
            }),
        ),
        receiver(
            "lastIndexOf",
            "string_last_index_of_string_int",
            vec![Str, Str, Int],
            Int,
            Some(|args| {
                let [text, part, offset] = exactly(args)?;
                last_index_of(string(text)?, string(part)?, int(offset)?)
            }),
        ),
        receiver(
            "lowerAscii",
            "string_lower_ascii",
            vec![Str],
            Str,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::text(string(text)?.to_ascii_lowercase()))
            }),
        ),
        receiver(
            "upperAscii",
            "string_upper_ascii",
            vec![Str],
            Str,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::text(string(text)?.to_ascii_uppercase()))
            }),
        ),
        receiver(
            "replace",
            "string_replace_string_string",
            vec![Str, Str, Str],
            Str,
            Some(|args| {
                let [text, old, new] = exactly(args)?;
                replace(string(text)?, string(old)?, string(new)?, -1)
            }),
        ),
        receiver(
            "replace",
            "string_replace_string_string_int",
            vec![Str, Str, Str, Int],
            Str,
            Some(|args| {
                let [text, old, new, limit] = exactly(args)?;
                replace(string(text)?, string(old)?, string(new)?, int(limit)?)
            }),
        ),
        receiver(
            "split",
            "string_split_string",
            vec![Str, Str],
            list_of_strings(),
            Some(|args| {
                let [text, separator] = exactly(args)?;
                Ok(split(string(text)?, string(separator)?, -1))
            }),
        ),
        receiver(
            "split",
            "string_split_string_int",
            vec![Str, Str, Int],
            list_of_strings(),
            Some(|args| {
                let [text, separator, limit] = exactly(args)?;
                Ok(split(string(text)?, string(separator)?, int(limit)?))
            }),
        ),
        receiver(
            "substring",
            "string_substring_int",
            vec![Str, Int],
            Str,
            Some(|args| {
                let [text, start] = exactly(args)?;
                let text = string(text)?;
                substring(text, int(start)?, count(text.chars().count()))
            }),
        ),
        receiver(
            "substring",
            "string_substring_int_int",
            vec![Str, Int, Int],
            Str,
            Some(|args| {
                let [text, start, end] = exactly(args)?;
                let (start, end) = (int(start)?, int(end)?);
                if start > end {
                    return Err(EvalError::failed(format!("invalid substring range. start: {start}, end: {end}")));
                }
                substring(string(text)?, start, end)
            }),
        ),
        receiver(
            "trim",
            "string_trim",
            vec![Str],
            Str,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::text(string(text)?.trim()))
            }),
        ),
        receiver(
            "format",
            "string_format",
            vec![Str, Type::list(Type::Dyn)],
            Str,
            Some(|args| {
                let [text, args] = exactly(args)?;
                formatting::format(string(text)?, list(args)?).map(Value::text)
            }),
        ),
        Overload::global(
            "strings.quote",
            "strings_quote",
            vec![Str],
            Str,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::text(quote(string(text)?)))
            }),
        ),
        receiver(
            "join",
            "list_join",
            vec![list_of_strings()],
            Str,
            Some(|args| {
                let [items] = exactly(args)?;
                join(items, "")
            }),
        ),
        receiver(
            "join",
            "list_join_string",
            vec![list_of_strings(), Str],
            Str,
            Some(|args| {
                let [items, separator] = exactly(args)?;
                join(items, string(separator)?)
            }),
        ),
    ]
}

fn out_of_range(index: i64) -> EvalError {
    EvalError::failed(format!("index out of range: {index}"))
}

/// Where the character at a position begins in bytes; the end for the position behind the last one.
fn byte_offset(text: &str, position: i64) -> Option<usize> {
    let position = usize::try_from(position).ok()?;
    let starts = text.char_indices().map(|(offset, _)| offset);
    starts.chain(std::iter::once(text.len())).nth(position)
}

fn char_at<'a>(args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [text, index] = exactly(args)?;
    let (text, index) = (string(text)?, int(index)?);
    let offset = byte_offset(text, index).ok_or_else(|| out_of_range(index))?;
    Ok(Value::text(text[offset..].chars().take(1).collect::<String>()))
}

fn index_of<'a>(text: &str, part: &str, offset: i64) -> Result<Value<'a>, EvalError> {
    if offset < 0 {
        return Err(out_of_range(offset));
    }
    let Some(start) = byte_offset(text, offset) else {
        return Ok(Value::Int(if part.is_empty() { count(text.chars().count()) } else { -1 }));
    };
    let found = text[start..].find(part).map(|at| offset + count(text[start..start + at].chars().count()));
    Ok(Value::Int(found.unwrap_or(-1)))
}

fn last_index_of<'a>(text: &str, part: &str, offset: i64) -> Result<Value<'a>, EvalError> {
    if offset < 0 {
        return Err(out_of_range(offset));
    }
    let length = count(text.chars().count());
    if part.is_empty() {
        return Ok(Value::Int(offset.min(length)));
    }
    if offset >= length {
        return Ok(Value::Int(-1));
    }
    let start = byte_offset(text, offset).unwrap_or(text.len());
    let found = (0..=start).rev().find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(part)));
    Ok(Value::Int(found.map_or(-1, |at| count(text[..at].chars().count()))))
}

fn replace<'a>(text: &str, old: &str, new: &str, limit: i64) -> Result<Value<'a>, EvalError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if new.len() > old.len() {
        let matches = text.matches(old).count().min(limit);
        let length = matches.saturating_mul(new.len() - old.len()).saturating_add(text.len());
        if length > RESULT_BYTES_MAX {
            return Err(EvalError::failed(format!("replace: longer than {RESULT_BYTES_MAX} bytes")));
        }
    }
    Ok(Value::text(text.replacen(old, new, limit)))
}

/// `strings.SplitN`: without a limit if it is negative, nothing if it is zero.
fn split<'a>(text: &str, separator: &str, limit: i64) -> Value<'a> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Value::list(Vec::new());
    }
    if !separator.is_empty() {
        return strings(text.splitn(limit, separator));
    }
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if parts.len() + 1 == limit {
            break;
        }
        let (first, after) = rest.split_at(c.len_utf8());
        parts.push(first);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    strings(parts)
}

fn substring<'a>(text: &str, start: i64, end: i64) -> Result<Value<'a>, EvalError> {
    let from = byte_offset(text, start).ok_or_else(|| out_of_range(start))?;
    let to = byte_offset(text, end).ok_or_else(|| out_of_range(end))?;
    Ok(Value::text(text.get(from..to).unwrap_or_default()))
}

/// In double quotes, with the escapes of CEL.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn join<'a>(items: &Value<'a>, separator: &str) -> Result<Value<'a>, EvalError> {
    let mut out = String::new();
    for (i, item) in list(items)?.iter().enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        let item = item?;
        match item.as_str() {
            Some(text) => out.push_str(text),
            // Of a list only the first item tells its type.
            None if i == 0 => return Err(EvalError::no_overload()),
            None => return Err(EvalError::failed(format!("join: invalid input: {}", item.print()))),
        }
        if out.len() > RESULT_BYTES_MAX {
            return Err(EvalError::failed(format!("join: longer than {RESULT_BYTES_MAX} bytes")));
        }
    }
    Ok(Value::text(out))
}
