//! Syntax tree → a type for each expression, an overload for each call.
//!
//! Follows cel-go's `checker/` and, for what is checked after types, `cel/validator.go`.

mod calls;
mod environment;
mod format;
mod literals;
mod unify;
mod validate;
mod walk;

pub use self::environment::Environment;
pub use super::issues::CompileError;

use super::checked::Checked;
use super::parse::parse;
use super::types::Type;

/// Parses and checks an expression over `variables`. The error prints what kube-apiserver shows after
/// `compilation failed: `.
pub fn check(expression: &str, variables: &[(&str, Type)], environment: &Environment) -> Result<Checked, CompileError> {
    let (expr, source) = parse(expression)?;
    let (checked, issues) = walk::Checker::new(environment, variables, source).run(expr);
    if !issues.is_empty() {
        return Err(issues.into_error(expression));
    }
    let issues = validate::validate(&checked);
    if issues.is_empty() { Ok(checked) } else { Err(issues.into_error(expression)) }
}
