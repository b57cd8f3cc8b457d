//! The query of a probe: what is excluded, and whether all checks are told.

use std::collections::BTreeSet;

use super::{error::BadRequest, query::Query};

/// What the query of a probe asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeOptions {
    /// Names of checks that do not count.
    pub exclude: BTreeSet<String>,
    /// Whether every check is told although all hold.
    pub verbose: bool,
}

impl ProbeOptions {
    /// Reads a query; parameters that mean nothing to a probe are ignored.
    ///
    /// # Errors
    /// When the query is too long.
    pub fn parse(query: Option<&str>) -> Result<Self, BadRequest> {
        let query = Query::parse(query)?;
        Ok(Self {
            exclude: query.all("exclude").map(str::to_owned).collect(),
            verbose: query.first("verbose").is_some(),
        })
    }
}
