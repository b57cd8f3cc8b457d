//! `find` and `findAll` (k8s.io/apiserver/pkg/cel/library/regex.go).

use super::arguments::{exactly, int, string, strings};
use crate::cel::overload::Overload;
use crate::cel::types::Type;
use crate::cel::value::{EvalError, Value};
use crate::structural::pattern::Pattern;

fn pattern(text: &str) -> Result<Pattern, EvalError> {
    let pattern = Pattern::new(text);
    match pattern.error() {
        Some(error) => Err(EvalError::failed(format!("Illegal regex: {error}"))),
        None => Ok(pattern),
    }
}

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    use Type::{Int, String as Str};
    let receiver = Overload::receiver;
    vec![
        receiver(
            "find",
            "string_find_string",
            vec![Str, Str],
            Str,
            Some(|args| {
                let [text, by] = exactly(args)?;
                let text = string(text)?;
                Ok(Value::text(pattern(string(by)?)?.find_all(text).next().unwrap_or_default()))
            }),
        ),
        receiver(
            "findAll",
            "string_find_all_string",
            vec![Str, Str],
            Type::list(Str),
            Some(|args| {
                let [text, by] = exactly(args)?;
                find_all(text, by, -1)
            }),
        ),
        receiver(
            "findAll",
            "string_find_all_string_int",
            vec![Str, Str, Int],
            Type::list(Str),
            Some(|args| {
                let [text, by, limit] = exactly(args)?;
                find_all(text, by, int(limit)?)
            }),
        ),
    ]
}

/// The first matches; all if the limit is negative.
fn find_all<'a>(text: &Value<'a>, by: &Value<'a>, limit: i64) -> Result<Value<'a>, EvalError> {
    let text = string(text)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(strings(pattern(string(by)?)?.find_all(text).take(limit)))
}
