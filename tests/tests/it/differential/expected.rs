//! Differences that are meant, each with a reason: `tests/cases/schema/expected-differences.yaml`.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Difference, case};

/// The name of the file, which is none of cases.
pub(super) const FILE_STEM: &str = "expected-differences";

/// Differences that are meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// How the names of the cases start.
    case: String,
    /// A part of kube-apiserver's answer.
    #[serde(default)]
    theirs: String,
    /// A part of our answer.
    #[serde(default)]
    ours: String,
    /// Why it is so.
    pub(super) reason: String,
}

/// Reads the file.
pub(super) fn read() -> Result<Vec<Expected>> {
    let path = case::folder().join(FILE_STEM).with_extension("yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}

impl Expected {
    /// Whether the difference is this one.
    pub(super) fn is(&self, difference: &Difference) -> bool {
        difference.case.starts_with(&self.case)
            && difference.theirs.contains(&self.theirs)
            && difference.ours.contains(&self.ours)
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Expected { case, theirs, ours, reason } = self;
        write!(f, "{case} (theirs {theirs:?}, ours {ours:?}): {reason}")
    }
}
