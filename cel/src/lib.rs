//! The Common Expression Language as Kubernetes has it: checked when it is compiled, metered when it runs.
//!
//! # From text to value
//!
//! 1. [`declared::Declared`] says what an expression sees: types, field names as expressions write them, size limits.
//! 2. [`check::check`] makes a text [`checked::Checked`]: a type for each expression, an overload for each call; or it says what is wrong in
//!    the words of kube-apiserver.
//! 3. [`cost::estimate`] says what it may cost at most, before it ever runs.
//! 4. [`plan::Program`] runs it on [`value::Value`]s under a cost limit.
//!
//! The map, in the order of use: `parse` (text → the syntax tree of the `cel` crate, with the macros of Kubernetes' environment), `check`,
//! `library` (the functions, one file a library: declaration, implementation, cost), `plan` → `eval`, `cost`.
//!
//! Follows cel-go v0.29 and k8s.io/apiserver/pkg/cel/environment/base.go at 1.37. No I/O; recursion follows an
//! expression, whose depth the parser bounds, or a value, whose depth its maker bounds.

pub mod check;
pub mod checked;
mod clock;
pub mod cost;
pub mod declared;
mod eval;
pub mod issues;
mod library;
mod meter;
pub mod overload;
mod parse;
pub mod plan;
mod standard;
pub mod types;
pub mod value;

pub use library::format::is_subdomain;
pub use parse::closing_brace;
pub use standard::time::print_timestamp;
