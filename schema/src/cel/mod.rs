//! Expressions in definitions: what a schema lets them see, rules, computed values and texts.
//!
//! The language itself is the crate `kindsmith-cel`. Here is what is particular to schemas:
//!
//! - `declare`: a schema → what expressions see of it
//! - `computed`: a value of a column or of the status
//! - `template`: a text with expressions in it
//! - `rules`: `x-kubernetes-validations` of a schema: compile all, then validate objects

pub(crate) mod computed;
pub(crate) mod declare;
pub(crate) mod rules;
pub(crate) mod template;

#[cfg(test)]
mod tests;
