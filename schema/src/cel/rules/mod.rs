//! `x-kubernetes-validations`: the rules of a schema, compiled with it and run on its objects.
//!
//! The map, in the order of use:
//!
//! - `rule`: one rule as written; `field_path`: the field that its errors are about
//! - `compile`: an expression with its program and its estimated cost
//! - `definition` with `budget`: what a definition is refused for
//! - `tree`: the compiled rules of a schema
//! - `run` with `message`: the rules of an object, under a cost budget

mod budget;
mod compile;
mod definition;
mod field_path;
mod message;
mod rule;
mod run;
mod tree;

pub(crate) use budget::{EXPRESSION_COST_MAX, SCHEMA_COST_MAX, exceeding_factor};
pub(crate) use definition::{Costs, Scope, Step, faults};
pub(crate) use rule::Rule;
pub(crate) use run::{Budget, Ratcheting, validate};
pub(crate) use tree::RuleTree;
