//! Who may hold what definitions ask for. It is judged again only when one of them asks for something else.

use std::sync::Arc;

use crate::{
    convert::release::{Overlap, overlaps},
    kind::Claim,
    names::{NameConflict, conflicts},
};

/// What a kind may not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    /// Names that older definitions hold.
    pub names: Vec<NameConflict>,
    /// A prefix of releases that overlaps with an older one.
    pub overlap: Option<Overlap>,
}

/// The kinds that were judged last, and what was found.
#[derive(Debug)]
pub struct Holders<K> {
    judged: Vec<(Arc<K>, Denied)>,
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
    pub fn judge(&mut self, kinds: &[Arc<K>]) -> impl ExactSizeIterator<Item = &Denied> {
        let same = |((held, _), kind): (&(Arc<K>, Denied), &Arc<K>)| {
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
            let found = found.map(|(names, overlap)| Denied { names, overlap });
            self.judged = kinds.iter().cloned().zip(found).collect();
        }
        self.judged.iter().map(|(_, denied)| denied)
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
                let found: Vec<Denied> = known.judge(&kinds).cloned().collect();
                let anew: Vec<Denied> = Holders::default().judge(&kinds).cloned().collect();
                prop_assert_eq!(found, anew);
                prop_assert!(known.judged.iter().zip(&kinds).all(|((held, _), kind)| Arc::ptr_eq(held, kind)));
            }
        }
    }
}
