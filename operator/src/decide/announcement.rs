//! What clients are told that learn of kinds from CustomResourceDefinitions: that there are other ones than before.
//!
//! The announcement is a digest. It changes when a kind comes, changes or goes, once kube-aggregator was made to look, and once more
//! when it was made to look for the second time, since OpenAPI v2 may be a little older than discovery. It changes also when
//! kube-aggregator reaches the API server again after an outage. It does not change while it does not: who looked then would find
//! less than there is.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{
    Cluster,
    api_services::{self, Registrations},
};
use crate::{
    digest::short,
    finding::Finding,
    judge::{Definition, Deletion},
};

/// What is to be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Changes with what clients can find.
    pub digest: String,
    /// Whether they can find all that there is to be.
    pub picture: Picture,
}

/// Whether clients can find all that there is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    /// They can.
    Complete,
    /// Something is on its way, or out of reach.
    Partial,
}

/// What is to be announced; none while nothing of ours can be reached, or nobody looks at what clients find.
pub(super) fn announcement(
    definitions: &[Arc<Definition>],
    names: &[Finding],
    registrations: &Registrations,
    cluster: &Cluster,
) -> Option<Announcement> {
    let visible = cluster.visible.as_ref()?;
    let (mut digest, mut reached) = (Sha256::new(), 0);
    let (mut picture, mut wanted) = (Picture::Complete, 0);
    for registration in api_services::announced(registrations, cluster) {
        wanted += 1;
        match registration {
            Some(registration) => {
                reached += 1;
                digest.update(&registration.text);
                picture = if registration.is_told { picture } else { Picture::Partial };
            }
            None => picture = Picture::Partial,
        }
    }
    if wanted > 0 && reached == 0 {
        return None;
    }
    let stays =
        |(definition, names): &(&Arc<Definition>, &Finding)| definition.deletion != Deletion::LetGo && names.holds();
    let found = |definition: &Definition| {
        let plural = definition.verdict.kind.as_ref().map(|kind| kind.names.plural.clone()).unwrap_or_default();
        definition.served().into_iter().all(|group_version| visible.has(&(group_version, plural.clone())))
    };
    if !definitions.iter().zip(names).filter(stays).all(|(definition, _)| found(definition)) {
        picture = Picture::Partial;
    }
    Some(Announcement { digest: short(digest), picture })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        decide::{
            Decider,
            testing::{WorldBuilder, definition, set_available},
        },
        discoverable::Visible,
        group_version::GroupVersion,
    };

    fn announced(world: &mut WorldBuilder) -> Option<Announcement> {
        let mut decider = Decider::default();
        decider.decide(world.look());
        let announcement = decider.announcement();
        assert_eq!(decider.announcement(), announcement, "asked again");
        announcement
    }

    fn find(world: &mut WorldBuilder, plurals: &[&str]) {
        let v1 = GroupVersion::new("apps.example.com", "v1");
        let found = plurals.iter().map(|plural| (v1.clone(), (*plural).to_owned()));
        let (resources, documents) = (found.clone().collect(), found.collect());
        world.cluster().visible = Some(Arc::new(Visible { resources, documents, ..Visible::default() }));
    }

    #[test]
    fn each_change_of_what_clients_find_is_announced_and_nothing_else() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        find(&mut world, &[]);
        world.settle();
        let before = announced(&mut world).unwrap();
        assert_eq!(before.picture, Picture::Partial, "clients do not find it yet");
        find(&mut world, &["redises"]);
        world.settle();
        let came = announced(&mut world).unwrap();
        assert_eq!(came, Announcement { picture: Picture::Complete, ..before });

        // Its schema changes: kube-aggregator is made to look, and looks again.
        world.objects[0]["metadata"]["generation"] = json!(2);
        world.settle();
        let changed = announced(&mut world).unwrap();
        assert_eq!(changed.picture, Picture::Complete);
        assert_ne!(changed.digest, came.digest);

        // A label of the definition is no news.
        world.objects[0]["metadata"]["labels"] = json!({"a": "b"});
        world.objects[0]["metadata"]["resourceVersion"] = json!("2");
        world.settle();
        assert_eq!(announced(&mut world).unwrap(), changed);

        // It goes.
        world.objects.clear();
        assert_eq!(announced(&mut world), None, "its APIService is still there");
        world.settle();
        let gone = announced(&mut world).unwrap();
        assert_eq!(gone.picture, Picture::Complete);
        assert_ne!(gone.digest, changed.digest);
    }

    #[test]
    fn an_outage_is_announced_when_it_is_over() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        find(&mut world, &["redises"]);
        world.settle();
        let before = announced(&mut world).unwrap();
        set_available(Arc::make_mut(&mut world.cluster().api_services[0]), "False", "FailedDiscoveryCheck");
        assert_eq!(announced(&mut world), None);
        let found = Arc::make_mut(&mut world.cluster().api_services[0]);
        set_available(found, "True", "Passed");
        let conditions = found.status.as_mut().unwrap().conditions.as_mut().unwrap();
        let time = &mut conditions[0].last_transition_time.as_mut().unwrap().0;
        *time = "2026-11-30T10:00:00Z".parse().unwrap();
        let after = announced(&mut world).unwrap();
        assert_eq!(after.picture, Picture::Complete);
        assert_ne!(after.digest, before.digest);
    }
}
