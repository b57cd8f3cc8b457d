//! Who may hold what definitions ask for. It is judged again only when one of them asks for something else.

use std::sync::Arc;

use crate::{
    convert::release::{Collision, Overlap, collisions, overlaps},
    kind::Claim,
    names::{NameConflict, conflicts},
};

/// What is found about what a kind asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Names that older definitions hold.
    pub names: Vec<NameConflict>,
    /// A prefix of releases that overlaps with an older one.
    pub overlap: Option<Overlap>,
    /// Another kind that it may get in the way of; none where this one is denied anything.
    pub collision: Option<Collision>,
}

impl Findings {
    /// Whether it may have all it asks for.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.names.is_empty() && self.overlap.is_none()
    }
}

/// The kinds that were judged last, and what was found.
#[derive(Debug)]
pub struct Holders<K> {
    judged: Vec<(Arc<K>, Findings)>,
}

impl<K> Default for Holders<K> {
    fn default() -> Self {
        Self { judged: Vec::new() }
    }
}

impl<K> Holders<K>
where
    for<'k> &'k K: Into<Claim<'k>>,
{
    /// Judges kinds together. The answer has one entry a kind, in the order given.
    pub fn judge(&mut self, kinds: &[Arc<K>]) -> impl ExactSizeIterator<Item = &Findings> {
        let same = |((held, _), kind): (&(Arc<K>, Findings), &Arc<K>)| {
            Arc::ptr_eq(held, kind) || {
                let (held, kind): (Claim<'_>, Claim<'_>) = (held.as_ref().into(), kind.as_ref().into());
                held.is_same(&kind)
            }
        };
        if self.judged.len() == kinds.len() && self.judged.iter().zip(kinds).all(same) {
            for ((held, _), kind) in self.judged.iter_mut().zip(kinds) {
                held.clone_from(kind);
            }
        } else {
            let claims: Vec<Claim<'_>> = kinds.iter().map(|kind| kind.as_ref().into()).collect();
            let found = conflicts(&claims).into_iter().zip(overlaps(&claims));
            let found = found.map(|(names, overlap)| Findings { names, overlap, collision: None });
            self.judged = kinds.iter().cloned().zip(found).collect();
            let granted = || claims.iter().zip(&self.judged).filter(|(_, (_, findings))| findings.is_granted());
            let beside = collisions(&granted().map(|(claim, _)| *claim).collect::<Vec<_>>());
            let granted = self.judged.iter_mut().filter(|(_, findings)| findings.is_granted());
            for ((_, findings), collision) in granted.zip(beside) {
                findings.collision = collision;
            }
        }
        self.judged.iter().map(|(_, findings)| findings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{compile::OwnStorage, form::DefinitionForm, kind::Kind};

    /// A definition that asks for one of few names and prefixes.
    #[derive(Clone, Debug)]
    struct Asks {
        group: u8,
        short_name: u8,
        kind: u8,
        day: u8,
        generation: u8,
        chart: u8,
        /// How long the prefix is; none is a kind that is stored.
        prefix: Option<u8>,
        labels: bool,
    }

    fn asks() -> impl Strategy<Value = Asks> {
        let prefix = proptest::option::of(1..4_u8);
        (0..2_u8, 0..3_u8, 0..3_u8, 1..4_u8, 1..4_u8, 0..2_u8, prefix, any::<bool>()).prop_map(
            |(group, short_name, kind, day, generation, chart, prefix, labels)| Asks {
                group,
                short_name,
                kind,
                day,
                generation,
                chart,
                prefix,
                labels,
            },
        )
    }

    fn kind(at: usize, asks: &Asks) -> Arc<Kind> {
        let backend = match asks.prefix {
            None => json!({"store": {}}),
            Some(length) => json!({"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": format!("chart{}", asks.chart), "namespace": "charts"},
                "prefix": format!("{}-", "p".repeat(length.into())),
                "adopt": if asks.labels { "Labels" } else { "Chart" }}}),
        };
        let group = format!("g{}.example.com", asks.group);
        let definition = json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": format!("kinds{at}.{group}"), "uid": format!("u{at}"), "generation": asks.generation,
                "creationTimestamp": format!("2026-01-0{}T00:00:00Z", asks.day)},
            "spec": {"group": group, "scope": "Namespaced",
                "names": {"kind": format!("Kind{}", asks.kind), "plural": format!("kinds{at}"),
                    "shortNames": [format!("short{}", asks.short_name)]},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": backend},
        });
        Arc::new(DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Available).unwrap())
    }

    proptest! {
        #[test]
        fn what_was_judged_before_does_not_matter(
            first in proptest::collection::vec(asks(), 1..5),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), asks(), 0..4_u8), 0..6),
        ) {
            let mut kinds: Vec<Arc<Kind>> = first.iter().enumerate().map(|(at, asks)| kind(at, asks)).collect();
            let mut known = Holders::default();
            for (at, asks, what) in std::iter::once(None).chain(changes.into_iter().map(Some)).map(|change| {
                change.map_or((None, None, 3), |(at, asks, what)| (Some(at), Some(asks), what))
            }) {
                if let (Some(at), Some(asks)) = (at, asks) {
                    let at = at.index(kinds.len());
                    match what {
                        // Another generation that asks for the same.
                        0 => {
                            let mut next = Kind::clone(&kinds[at]);
                            next.origin.generation += 1;
                            kinds[at] = Arc::new(next);
                        }
                        1 if kinds.len() > 1 => drop(kinds.remove(at)),
                        2 => kinds.push(kind(kinds.len() + 10, &asks)),
                        _ => kinds[at] = kind(at, &asks),
                    }
                }
                let found: Vec<Findings> = known.judge(&kinds).cloned().collect();
                let anew: Vec<Findings> = Holders::default().judge(&kinds).cloned().collect();
                prop_assert_eq!(found, anew);
                prop_assert!(known.judged.iter().zip(&kinds).all(|((held, _), kind)| Arc::ptr_eq(held, kind)));
            }
        }
    }
}
