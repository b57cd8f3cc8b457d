//! The Common Expression Language as Kubernetes has it: checked when a definition is compiled, metered when it runs.
//!
//! The map, in the order of use:
//!
//! - `parse`: text → the syntax tree of the `cel` crate, with the macros of Kubernetes' environment
//! - `declared`: what a schema lets an expression see
//! - `check`: syntax tree → [`Checked`]: a type for each expression, an overload for each call
//! - `library`: the functions, one file a library: declaration, implementation, cost
//! - `plan` → `eval`: [`Checked`] → a program, and its value under a cost limit
//! - `cost`: what a program may cost at most, before it ever runs
//! - `template`: a text with expressions in it
//! - `rules`: `x-kubernetes-validations` of a schema: compile all, then validate objects
//!
//! Follows cel-go v0.29 and k8s.io/apiserver/pkg/cel/environment/base.go at 1.37. No I/O; recursion follows an
//! expression, whose depth the parser bounds, or an object, whose depth the decoder bounds.

pub(crate) mod check;
pub(crate) mod checked;
pub(crate) mod clock;
pub(crate) mod computed;
pub(crate) mod cost;
pub(crate) mod declared;
mod eval;
pub(crate) mod issues;
pub(crate) mod library;
mod meter;
pub(crate) mod overload;
mod parse;
pub(crate) mod plan;
pub(crate) mod rules;
pub(crate) mod standard;
pub(crate) mod template;
pub(crate) mod types;
pub(crate) mod value;

#[cfg(test)]
mod tests;
