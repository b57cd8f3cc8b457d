//! What a new schema or definition takes away from those who rely on the old one.
//!
//! The map:
//!
//! - `change`: what can be lost, and how it is told
//! - `schema`: the walk over two schemas; `fields` compares what objects may hold, `keywords` the rest
//! - `kind`: what is around the schemas: versions, names, columns, the backend
//!
//! The promise about [`compare`]: where nothing is reported that hurts stored instances, each object that the old schema
//! held valid is valid under the new one, after pruning and defaulting. What cannot be decided (alternatives,
//! patterns, expressions) is reported. It does not promise the reverse: a change may be reported that no object there is
//! will notice. Defaults under which a rule (`x-kubernetes-validations`) that did not change gives another answer are
//! reported only where they are new; a type that was widened under such a rule is not.
//!
//! Both schemas are bounded when they are compiled, and the walk takes at most [`PAIRS_MAX`] steps.

mod change;
mod fields;
mod keywords;
mod kind;
mod schema;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::structural::Schema;

pub use change::{Change, Limit, NameOf};
pub use kind::compare_kinds;
pub use schema::PAIRS_MAX;

/// Who is hurt by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurt {
    /// Instances that are stored already: they lose data, or are no longer valid.
    Stored,
    /// Clients: what they send is refused, or what they read is different.
    Clients,
    /// Both of them.
    Both,
}

impl Hurt {
    /// Whether stored instances are hurt.
    #[must_use]
    pub fn stored(self) -> bool {
        self != Self::Clients
    }

    /// Whether clients are hurt.
    #[must_use]
    pub fn clients(self) -> bool {
        self != Self::Stored
    }

    /// A few words for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored instances",
            Self::Clients => "clients",
            Self::Both => "stored instances and clients",
        }
    }
}

/// One change that can break something.
#[derive(Clone, Debug, PartialEq)]
pub struct Break {
    /// The version of the kind; none when only schemas were compared, and for what concerns the kind as a whole.
    pub version: Option<String>,
    /// The path of the field in instances, `spec.users[*].name`, where `[*]` is any item or any entry of a map; or the
    /// path in the definition, for what is around the schemas. Empty for the instance itself.
    pub path: String,
    /// What changed.
    pub change: Change,
    /// Who is hurt.
    pub hurts: Hurt,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = &self.version {
            write!(f, "{version} ")?;
        }
        let path = if self.path.is_empty() { "the object" } else { &self.path };
        write!(f, "{path}: {} [hurts {}]", self.change, self.hurts.name())
    }
}

/// Everything in `new` that can break stored instances or clients of `old`, in the order of the fields.
#[must_use]
pub fn compare(old: &Schema, new: &Schema) -> Vec<Break> {
    schema::compare(old.root(), new.root())
}
