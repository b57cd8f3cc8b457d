//! Lists as sets (cel-go's ext/sets.go).

use super::arguments::{affordable, exactly, list};
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, List, Value};

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let lists = || vec![Type::list(Type::param("T")), Type::list(Type::param("T"))];
    let global = Overload::global;
    vec![
        global(
            "sets.contains",
            "list_sets_contains_list",
            lists(),
            Type::Bool,
            Some(|args| {
                let (all, part) = two(args)?;
                contains(all, part).map(Value::Bool)
            }),
        ),
        global(
            "sets.equivalent",
            "list_sets_equivalent_list",
            lists(),
            Type::Bool,
            Some(|args| {
                let (left, right) = two(args)?;
                Ok(Value::Bool(contains(left, right)? && contains(right, left)?))
            }),
        ),
        global(
            "sets.intersects",
            "list_sets_intersects_list",
            lists(),
            Type::Bool,
            Some(|args| {
                let (left, right) = two(args)?;
                for item in left.iter() {
                    if right.contains(&item?)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }),
        ),
    ]
}

fn two<'v, 'a>(args: &'v [Value<'a>]) -> Result<(&'v List<'a>, &'v List<'a>), EvalError> {
    let [left, right] = exactly(args)?;
    let (left, right) = (list(left)?, list(right)?);
    affordable((left.len() as u64).saturating_mul(right.len() as u64))?;
    Ok((left, right))
}

fn contains<'a>(all: &List<'a>, part: &List<'a>) -> Result<bool, EvalError> {
    for item in part.iter() {
        if !all.contains(&item?)? {
            return Ok(false);
        }
    }
    Ok(true)
}
