//! How far a rotation has come. It is never stored: it follows from what the Secrets hold and what is seen.

use std::fmt;

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No authority can be used yet.
    Missing,
    /// Somebody else keeps the certificates.
    External,
    /// Nothing is under way.
    Settled,
    /// The next authority is there; APIServices are to trust it.
    Staged,
    /// Every APIService trusts it; the serving certificate is to be signed by it.
    Trusted,
    /// The serving certificate is signed by it; no replica serves it yet.
    Issued,
    /// Some replicas serve it.
    Serving {
        /// How many.
        served: usize,
        /// Of how many.
        replicas: usize,
    },
    /// The former authority is gone from the bundle; APIServices are to follow.
    Retired,
}

impl Stage {
    /// The name of each stage, in order.
    pub const NAMES: [&'static str; 8] =
        ["missing", "external", "settled", "staged", "trusted", "issued", "serving", "retired"];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::External => "external",
            Self::Settled => "settled",
            Self::Staged => "staged",
            Self::Trusted => "trusted",
            Self::Issued => "issued",
            Self::Serving { .. } => "serving",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving { served, replicas } => write!(formatter, "serving ({served}/{replicas})"),
            other => formatter.write_str(other.name()),
        }
    }
}
