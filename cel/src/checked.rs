//! An expression that was checked: what the planner and the cost estimate work from.

use std::collections::HashMap;
use std::sync::Arc;

use ::cel::common::ast::{IdedExpr, SourceInfo};

use super::overload::Overload;
use super::types::Type;

/// A syntax tree with a type for each of its expressions.
pub struct Checked {
    /// The tree, macros expanded.
    pub expr: IdedExpr,
    /// Where each expression stands in the text.
    pub source: SourceInfo,
    /// The type of each expression, by its id. Ids that are not here are `dyn`.
    pub types: HashMap<u64, Type>,
    /// What identifiers and calls refer to, by the expression's id.
    pub references: HashMap<u64, Reference>,
    /// The type of the whole.
    pub result: Type,
}

/// What a name refers to.
pub enum Reference {
    /// A variable; also a qualified name that was resolved as one.
    Variable(String),
    /// The name of a type, as a value: `int`, `type`, ….
    TypeName(Type),
    /// A call: every overload that can apply, in the order of declaration. More than one where `dyn` is involved.
    Call(Vec<Arc<Overload>>),
}
