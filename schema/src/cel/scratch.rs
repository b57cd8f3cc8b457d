//! x
use super::{checked::Checked, declared::Declared, value::*};
#[derive(Debug)]
pub(crate) struct Program;
impl Program {
    pub(crate) fn new(_: Checked) -> Self { Self }
    pub(crate) fn run<'a>(&'a self, _: &[(&str, Value<'a>)], _: u64) -> (Result<Value<'a>, EvalError>, u64) { (Ok(Value::Bool(true)), 0) }
}
pub(crate) fn value<'a>(_: &'a serde_json::Value, _: &'a Declared) -> Value<'a> { Value::Null }
