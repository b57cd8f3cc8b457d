//! Text → syntax tree, macros expanded.
//!
//! Follows cel-go's grammar (`parser/gen/CEL.g4`), visitor (`parser/parser.go`) and limits, and gives the tree of the
//! `cel` crate. That crate's own parsers are not used: one gives no positions, the other does not bound its recursion
//! over chains of operators. Positions count characters. After a fault the parse goes on only where one token too
//! many or too few explains it, so that the first messages are those of cel-go, and none is made up.

mod grammar;
mod literal;
mod macros;
mod nodes;
mod primary;
mod recover;
mod token;

use ::cel::common::ast::{IdedExpr, SourceInfo};

pub(super) use primary::RESERVED;
pub use token::closing_brace;

use super::issues::{CompileError, Issues};

/// The longest expression, in characters.
const EXPRESSION_CHARACTERS_MAX: usize = 100_000;

/// Parses an expression of Kubernetes' environment.
pub(super) fn parse(expression: &str) -> Result<(IdedExpr, SourceInfo), CompileError> {
    let text: Vec<char> = expression.chars().collect();
    let mut issues = Issues::default();
    if text.len() > EXPRESSION_CHARACTERS_MAX {
        let size = text.len();
        let message =
            format!("expression code point size exceeds limit: size: {size}, limit {EXPRESSION_CHARACTERS_MAX}");
        issues.report(None, message);
        return Err(issues.into_error(expression));
    }
    let tokens = token::tokens(&text, &mut issues);
    let (expr, mut source, issues) = grammar::Parser::new(&text, &tokens, issues).run();
    source.source = expression.to_owned();
    match expr {
        Some(expr) if issues.is_empty() => Ok((expr, source)),
        _ => Err(issues.into_error(expression)),
    }
}
