//! The controller that turns definitions into registered API types.
pub mod certificates;
