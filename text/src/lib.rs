//! Texts as Go and Kubernetes print and judge them: what errors quote, patterns of RE2, formats of OpenAPI.
//!
//! Messages of Kubernetes are compared letter by letter, and a pattern of a schema means what kube-apiserver makes of it. So these are
//! written after Go's own packages, each of which the module names:
//!
//! - [`print`](mod@print), after `strconv`, `fmt` and `encoding/json`
//! - [`pattern`](mod@pattern), after `regexp`
//! - [`format`](mod@format), after kube-openapi's strfmt
//!
//! Everything is pure. Compiled patterns are bounded in memory, and running them is counted in steps.

pub mod format;
pub mod pattern;
pub mod print;
