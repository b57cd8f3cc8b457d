//! How a function is declared: its signature for the checker, its code for the evaluator, both under one id.

use super::types::Type;
use super::value::{EvalError, Value};

/// `f(x)` or `x.f()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Called on its arguments alone.
    Global,
    /// Called on its first argument.
    Receiver,
}

/// The code of an overload. The arguments are as many as the signature has; for a receiver the first is the target.
/// Types of arguments are only what the checker could know: where `dyn` was involved the code must look itself, and
/// answer [`EvalError::no_overload`] when they do not fit.
pub type Code = for<'a> fn(&[Value<'a>]) -> Result<Value<'a>, EvalError>;

/// One signature of a function.
#[derive(Debug)]
pub struct Overload {
    /// The function's name, as cel-go has it: `size`, `_+_`, `matches`.
    pub function: &'static str,
    /// The overload's id, as cel-go has it: `size_string`, `add_int64`. Costs are attached to it.
    pub id: &'static str,
    /// How it is called.
    pub style: Style,
    /// The parameters' types; the target first, if there is one.
    pub params: Vec<Type>,
    /// The result's type.
    pub result: Type,
    /// What it does; `None` for operators that the evaluator has itself (`_&&_`, `_||_`, `_?_:_`, `_[_]`, …).
    pub code: Option<Code>,
}

impl Overload {
    /// `function(params) → result`.
    pub fn global(
        function: &'static str,
        id: &'static str,
        params: Vec<Type>,
        result: Type,
        code: Option<Code>,
    ) -> Self {
        Self { function, id, style: Style::Global, params, result, code }
    }

    /// `params[0].function(params[1..]) → result`.
    pub fn receiver(
        function: &'static str,
        id: &'static str,
        params: Vec<Type>,
        result: Type,
        code: Option<Code>,
    ) -> Self {
        Self { function, id, style: Style::Receiver, params, result, code }
    }
}
