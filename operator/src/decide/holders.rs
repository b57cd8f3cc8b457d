//! Who else holds a name or a group-version: an older definition, a CustomResourceDefinition, an APIService of others.
//!
//! The older keeps it and the newer is told; what is not ours is never touched.

use jiff::Timestamp;

use super::{Cluster, Surroundings, World, api_services};
use crate::{
    finding::{Finding, Truth},
    judge::Definition,
    ours::is_ours,
};

/// A CustomResourceDefinition, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrdClaim {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The plural of its kind.
    pub plural: String,
    /// The versions that it serves.
    pub served: Vec<String>,
    /// When it was created.
    pub created: Timestamp,
}

/// What is found about the names of a definition.
pub(super) fn names(definition: &Definition, surroundings: &Surroundings) -> Finding {
    if definition.verdict.kind.is_none() {
        return Finding::new(
            Truth::Unknown,
            "InvalidDefinition",
            "names are looked at once the definition is accepted",
        );
    }
    if let Some(conflict) = &definition.conflict {
        return Finding::new(Truth::False, "NameConflict", conflict.clone());
    }
    match surroundings {
        Surroundings::Registered(cluster) => {
            resource_of_others(definition, cluster).unwrap_or_else(|| group_versions(definition, cluster))
        }
        Surroundings::StandAlone => no_conflicts(definition, None),
    }
}

/// The same of all, in their order.
pub(super) fn all_names(world: &World) -> Vec<Finding> {
    world.definitions.iter().map(|definition| names(definition, &world.surroundings)).collect()
}

/// Finds who else serves the definition's plural, or may, in its group in whatever version.
///
/// RBAC knows no versions, so the roles of the definition would be rights on the objects of the others. It does not matter
/// who was there first: rights that others' users get are worse than a kind that is not served.
fn resource_of_others(definition: &Definition, cluster: &Cluster) -> Option<Finding> {
    let kind = definition.verdict.kind.as_ref()?;
    let plural = &kind.names.plural;
    if let Some(crd) = cluster.crds.iter().find(|crd| crd.group == kind.group && crd.plural == *plural) {
        return Some(Finding::new(
            Truth::False,
            "ServedByOther",
            format!(
                "{plural}.{} is served for CustomResourceDefinition {:?}; roles know no versions, so rights on the one would \
                 be rights on the other: choose another plural or group",
                kind.group, crd.name
            ),
        ));
    }
    let foreign = cluster.api_services.iter().find(|found| {
        let spec = found.spec.as_ref();
        let is_in_group = spec.and_then(|spec| spec.group.as_deref()) == Some(kind.group.as_str());
        is_in_group && spec.is_some_and(|spec| spec.service.is_some()) && !is_ours(found)
    })?;
    let own = definition.served().iter().any(|it| foreign.metadata.name.as_deref() == Some(&it.api_service_name()));
    // One in the very version is told of in the words for that.
    (!own).then(|| {
        Finding::new(
            Truth::False,
            "ServedByOther",
            format!(
                "group {} belongs to the server of APIService {:?}, which Kindsmith did not make; roles know no versions, so \
                 rights on {plural} would reach there too: choose another group",
                kind.group,
                foreign.metadata.name.as_deref().unwrap_or_default()
            ),
        )
    })
}

fn group_versions(definition: &Definition, cluster: &Cluster) -> Finding {
    let mut newer = None;
    for group_version in definition.served() {
        let crds = || {
            cluster
                .crds
                .iter()
                .filter(|crd| crd.group == group_version.group && crd.served.contains(&group_version.version))
        };
        if let Some(crd) = crds().find(|crd| crd.created <= definition.created) {
            return Finding::new(
                Truth::False,
                "ServedByOther",
                format!("{group_version} is served for CustomResourceDefinition {:?}, which is older", crd.name),
            );
        }
        if let Some(foreign) = api_services::find(cluster, &group_version).filter(|found| !is_ours(found)) {
            let by = match foreign.spec.as_ref().and_then(|spec| spec.service.as_ref()) {
                Some(service) => format!(
                    "Service {}/{}",
                    service.namespace.as_deref().unwrap_or_default(),
                    service.name.as_deref().unwrap_or_default()
                ),
                None => "kube-apiserver itself".to_owned(),
            };
            return Finding::new(
                Truth::False,
                "ServedByOther",
                format!(
                    "{group_version} belongs to APIService {:?}, which Kindsmith did not make; it is served by {by}",
                    group_version.api_service_name()
                ),
            );
        }
        newer = newer.or_else(|| crds().next().map(|crd| (group_version.clone(), crd.name.clone())));
    }
    let newer = newer.map(|(group_version, name)| {
        format!(
            "CustomResourceDefinition {name:?}, which is newer, asks for {group_version} too and is not served: move one \
             of them to another group"
        )
    });
    no_conflicts(definition, newer)
}

/// That nobody else holds the names, and what is worth knowing all the same.
fn no_conflicts(definition: &Definition, newer: Option<String>) -> Finding {
    let told: Vec<String> = newer.into_iter().chain(definition.collision.clone()).collect();
    let message = if told.is_empty() {
        "no conflicts found".to_owned()
    } else {
        format!("no conflicts found; but {}", told.join("; and "))
    };
    Finding::new(Truth::True, "NoConflicts", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decide::testing::{WorldBuilder, api_service, definition},
        group_version::GroupVersion,
    };

    fn reasons(world: &World) -> Vec<String> {
        all_names(world).into_iter().map(|finding| finding.reason).collect()
    }

    #[test]
    fn the_older_definition_keeps_a_name() {
        let mut younger = definition("caches", "Redis");
        younger["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z".into();
        let world = WorldBuilder::registered().define(&younger).define(&definition("redises", "Redis")).build();
        let found = all_names(&world);
        assert_eq!(reasons(&world), ["NoConflicts", "NameConflict"]);
        assert!(found[1].message.contains("redises.apps.example.com"), "{}", found[1].message);
    }

    #[test]
    fn definitions_of_one_age_are_ordered_by_name() {
        let world = WorldBuilder::registered()
            .define(&definition("redises", "Redis"))
            .define(&definition("caches", "Redis"))
            .build();
        assert_eq!(world.definitions[0].name, "caches.apps.example.com");
        assert_eq!(reasons(&world), ["NoConflicts", "NameConflict"]);
    }

    #[test]
    fn kinds_that_may_ask_for_one_name_of_a_release_are_told_and_served() {
        let mut cache = definition("caches", "Cache");
        cache["spec"]["backend"]["helmRelease"]["prefix"] = "redis-cache-".into();
        cache["spec"]["backend"]["helmRelease"]["adopt"] = "Labels".into();
        let mut redis = definition("redises", "Redis");
        redis["spec"]["backend"]["helmRelease"]["prefix"] = "redis-".into();
        let world = WorldBuilder::registered().define(&cache).define(&redis).build();
        let found = all_names(&world);
        assert_eq!(reasons(&world), ["NoConflicts", "NoConflicts"]);
        for (finding, other) in found.iter().zip(["redises.apps.example.com", "caches.apps.example.com"]) {
            assert!(finding.holds() && finding.message.contains(other), "{finding:?}");
        }
    }

    #[test]
    fn a_foreign_api_service_is_reported() {
        let mut foreign = api_service(&GroupVersion::new("apps.example.com", "v1"));
        foreign.metadata.labels = None;
        let world = WorldBuilder::registered().define(&definition("redises", "Redis")).api_service(foreign).build();
        let found = all_names(&world).remove(0);
        assert_eq!((found.truth, found.reason.as_str()), (Truth::False, "ServedByOther"));
        assert!(
            found.message.contains("v1.apps.example.com") && found.message.contains("Service kindsmith-system/api")
        );
    }

    #[test]
    fn a_foreign_server_of_another_version_of_the_group_is_reported() {
        let mut foreign = api_service(&GroupVersion::new("apps.example.com", "v7"));
        foreign.metadata.labels = None;
        let world = WorldBuilder::registered().define(&definition("redises", "Redis")).api_service(foreign).build();
        let found = all_names(&world).remove(0);
        assert_eq!((found.truth, found.reason.as_str()), (Truth::False, "ServedByOther"));
        assert!(found.message.contains("v7.apps.example.com"), "{}", found.message);
        // kube-apiserver registers the groups of CustomResourceDefinitions itself: their plurals say more.
        let mut local = api_service(&GroupVersion::new("apps.example.com", "v7"));
        local.metadata.labels = None;
        local.spec.as_mut().unwrap().service = None;
        let world = WorldBuilder::registered().define(&definition("redises", "Redis")).api_service(local).build();
        assert_eq!(reasons(&world), ["NoConflicts"]);
    }

    #[test]
    fn a_plural_that_a_crd_serves_in_any_version_is_not_ours() {
        for (created, version) in
            [("2020-01-01T00:00:00Z", "v7"), ("2030-01-01T00:00:00Z", "v7"), ("2030-01-01T00:00:00Z", "v1")]
        {
            let crd = CrdClaim {
                name: "redises.apps.example.com".to_owned(),
                group: "apps.example.com".to_owned(),
                plural: "redises".to_owned(),
                served: vec![version.to_owned()],
                created: created.parse().unwrap(),
            };
            let world = WorldBuilder::registered().define(&definition("redises", "Redis")).crd(crd).build();
            assert_eq!(reasons(&world), ["ServedByOther"], "{created} {version}");
        }
    }

    #[test]
    fn of_a_definition_and_a_crd_of_another_plural_the_older_has_the_version() {
        let crd = |created: &str, version: &str| CrdClaim {
            name: "caches.apps.example.com".to_owned(),
            group: "apps.example.com".to_owned(),
            plural: "caches".to_owned(),
            served: vec![version.to_owned()],
            created: created.parse().unwrap(),
        };
        let with = |crd| WorldBuilder::registered().define(&definition("redises", "Redis")).crd(crd).build();
        assert_eq!(reasons(&with(crd("2020-01-01T00:00:00Z", "v1"))), ["ServedByOther"]);
        assert_eq!(reasons(&with(crd("2020-01-01T00:00:00Z", "v2"))), ["NoConflicts"], "another version");
        let newer = all_names(&with(crd("2030-01-01T00:00:00Z", "v1"))).remove(0);
        assert!(newer.holds() && newer.message.contains("which is newer"), "{newer:?}");
    }
}
