//! How far the settings of a definition have come to its releases, and which releases could not be given them.

use std::{fmt, sync::Arc};

use crate::adoption::Adopted;

/// How far a definition's settings have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Releases that have them.
    pub updated: usize,
    /// Releases with the labels of the kind.
    pub total: usize,
    /// Releases that could not be patched when that was tried last; none when there are none.
    pub refused: Option<Refused>,
    /// Releases without the labels of the kind that are instances all the same.
    pub adopted: Adopted,
}

/// Releases that could not be patched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many.
    pub count: usize,
    /// The first of them: the same one as long as the same ones cannot be patched.
    pub first: ReleaseName,
    /// Why that one could not be patched.
    pub why: Arc<str>,
}

/// Where a release is, ordered by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReleaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

impl Progress {
    /// Counts a release that could not be patched.
    pub(crate) fn refuse(&mut self, release: ReleaseName, why: &Arc<str>) {
        match &mut self.refused {
            None => self.refused = Some(Refused { count: 1, first: release, why: Arc::clone(why) }),
            Some(refused) => {
                refused.count += 1;
                if release < refused.first {
                    (refused.first, refused.why) = (release, Arc::clone(why));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_by_namespace_and_name_is_told_in_whatever_order_they_come() {
        let mut releases = [("b", "a"), ("a", "c"), ("a-b", "a"), ("a", "b")]
            .map(|(namespace, name)| ReleaseName { namespace: namespace.to_owned(), name: name.to_owned() });
        for _ in 0..2 {
            let mut progress = Progress::default();
            for release in &releases {
                progress.refuse(release.clone(), &format!("because of {release}").into());
            }
            let refused = progress.refused.unwrap();
            assert_eq!(
                (refused.count, refused.first.to_string(), &*refused.why),
                (4, "a/b".to_owned(), "because of a/b")
            );
            releases.reverse();
        }
    }
}
