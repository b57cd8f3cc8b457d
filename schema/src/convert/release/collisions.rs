//! Two kinds of which instances may ask for one name of a release, though no release could be an instance of both.

use std::collections::BTreeMap;

use crate::kind::{Claim, KindBackend};

/// Another definition whose releases may have the names that those of this one have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "prefix {prefix:?} overlaps with {other:?} of ApplicationDefinition {definition:?}: an instance whose release would \
     have the name of one of the other kind cannot be created; choose prefixes of which none begins with the other"
)]
pub struct Collision {
    /// The prefix of this definition.
    pub prefix: String,
    /// The prefix of the other one.
    pub other: String,
    /// The other definition.
    pub definition: String,
}

/// Finds for each kind another one with which it may collide, where there is one. The answer has one entry a kind, in the
/// order given.
#[must_use]
pub fn collisions<'k, K: Copy + Into<Claim<'k>>>(kinds: &[K]) -> Vec<Option<Collision>> {
    let kinds: Vec<Claim<'k>> = kinds.iter().map(|kind| (*kind).into()).collect();
    let mut definitions: BTreeMap<&'k str, Vec<&'k str>> = BTreeMap::new();
    for kind in &kinds {
        if let Some(prefix) = prefix(kind) {
            definitions.entry(prefix).or_default().push(&kind.origin.name);
        }
    }
    let find = |kind: &Claim<'k>| {
        let own = prefix(kind)?;
        let shorter = own.char_indices().map(|(at, _)| &own[..at]).filter_map(|it| definitions.get_key_value(it));
        // All texts that begin with a text follow it in their order.
        let longer = definitions.range(own..).take_while(|(prefix, _)| prefix.starts_with(own));
        shorter.chain(longer).find_map(|(other, holders)| {
            let definition = holders.iter().find(|it| **it != kind.origin.name)?;
            let (prefix, other, definition) = (own.to_owned(), (*other).to_owned(), (*definition).to_owned());
            Some(Collision { prefix, other, definition })
        })
    };
    kinds.iter().map(find).collect()
}

fn prefix<'k>(kind: &Claim<'k>) -> Option<&'k str> {
    match kind.backend {
        KindBackend::Release(template) => Some(&template.settings.prefix),
        KindBackend::Stored => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{compile::OwnStorage, form::DefinitionForm, kind::Kind};

    fn kind(at: usize, prefix: Option<&str>) -> Kind {
        let backend = prefix.map_or_else(
            || json!({"store": {}}),
            |prefix| {
                let chart = json!({"kind": "OCIRepository", "name": format!("chart{at}"), "namespace": "charts"});
                json!({"helmRelease": {"chartRef": chart, "prefix": prefix}})
            },
        );
        let definition = json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": format!("kinds{at}.apps.example.com"), "uid": format!("u{at}"), "generation": 1},
            "spec": {"group": "apps.example.com", "scope": "Namespaced",
                "names": {"kind": format!("Kind{at}"), "plural": format!("kinds{at}")},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": backend},
        });
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Available).unwrap()
    }

    proptest! {
        #[test]
        fn a_collision_is_told_to_both_exactly_where_one_prefix_begins_with_the_other(
            prefixes in proptest::collection::vec(proptest::option::of("[ab]{1,3}-"), 1..6),
        ) {
            let kinds: Vec<Kind> =
                prefixes.iter().enumerate().map(|(at, prefix)| kind(at, prefix.as_deref())).collect();
            let found = collisions(&kinds.iter().collect::<Vec<_>>());
            for (at, own) in prefixes.iter().enumerate() {
                let others = prefixes.iter().enumerate().filter(|(other, _)| *other != at).filter_map(|(_, it)| it.as_ref());
                let expected = own.as_ref().is_some_and(|own| {
                    others.clone().any(|other| other.starts_with(own.as_str()) || own.starts_with(other.as_str()))
                });
                prop_assert_eq!(found[at].is_some(), expected, "{} of {:?}: {:?}", at, &prefixes, &found);
                if let Some(found) = &found[at] {
                    prop_assert_ne!(&found.definition, &kinds[at].origin.name);
                    prop_assert!(others.clone().any(|other| *other == found.other));
                }
            }
        }
    }
}
