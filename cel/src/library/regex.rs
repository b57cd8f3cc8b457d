//! `find` and `findAll` (k8s.io/apiserver/pkg/cel/library/regex.go).

use std::cell::RefCell;
use std::rc::Rc;

use super::arguments::{exactly, int, string, strings};
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, Value};
use kindsmith_text::pattern::Pattern;

/// How many patterns a thread remembers.
const RECENT_MAX: usize = 4;

thread_local! {
    /// The patterns of the last calls, the latest first: most rules apply one pattern to many strings, and to compile
    /// it takes far longer than what a call is charged for.
    static RECENT: RefCell<Vec<Rc<Pattern>>> = const { RefCell::new(Vec::new()) };
}

fn pattern(text: &str) -> Result<Rc<Pattern>, EvalError> {
    let pattern = RECENT.with_borrow_mut(|recent| {
        let held = recent.iter().position(|pattern| pattern.text() == text).map(|index| recent.remove(index));
        let pattern = held.unwrap_or_else(|| Rc::new(Pattern::of_expression(text)));
        recent.truncate(RECENT_MAX - 1);
        recent.insert(0, Rc::clone(&pattern));
        pattern
    });
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
