//! What each definition is told: its conditions, the names it is served under, the versions it may be stored in.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kindsmith_crds::{
    Adopt, ApplicationDefinitionStatus, CONDITION_ACCEPTED, CONDITION_ADOPTS, CONDITION_DISCOVERABLE,
    CONDITION_NAMES_ACCEPTED, CONDITION_READY, CONDITION_REGISTERED, CONDITION_RESOURCES_VISIBLE, CONDITION_ROLLED_OUT,
    CONDITION_SERVED, CONDITION_TERMINATING, REASON_NOT_YET_OBSERVED, RolloutStatus,
};
use kindsmith_schema::{convert::release::ResourceKind, kind::KindBackend};
use serde_json::{Map, Value};

use super::{Action, Cluster, Considered, Surroundings, World, api_services, conditions, replicas, transitions};
use crate::{
    adoption::Adopted,
    discoverable::Visible,
    finding::{Finding, Truth},
    inspection::Answer,
    judge::{Definition, Deletion, Refusal},
    progress::{Progress, Refused},
    references::{Sight, Sights},
    release_schema::Backend,
};

/// Why settings are not with all releases: the cluster refuses to change some.
pub(super) const RELEASES_REFUSED: &str = "ReleasesRefused";

/// After this long it is written anew that a definition is Ready: one write of each definition in the meantime.
const CONFIRMED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// By how much longer that may take, which is another time for each definition, so that a thousand of them are not written at once.
const CONFIRMED_SPREAD_SECONDS: u64 = 5 * 60;

/// The status writes that are needed.
pub(super) fn actions(world: &World, considered: &[Considered<'_>]) -> Vec<(usize, Action)> {
    let write = |Considered { index, definition, names }: &Considered<'_>| {
        let status = status(definition, names, world);
        let patch = patch(&definition.status, &status)?;
        let action = Action::WriteStatus {
            transitions: transitions::transitions(&definition.status.conditions, &status.conditions),
            uid: definition.uid.clone(),
            name: definition.name.clone(),
            basis: definition.resource_version.clone(),
            patch: with_resource_version(&patch, definition.resource_version.as_deref()),
        };
        Some((*index, action))
    };
    // What other forms do not have room for is in the log.
    let told = |it: &&Considered<'_>| it.definition.form.has_status() && it.definition.deletion != Deletion::LetGo;
    considered.iter().filter(told).filter_map(write).collect()
}

fn status(definition: &Definition, names: &Finding, world: &World) -> ApplicationDefinitionStatus {
    let mut status = (*definition.status).clone();
    // What stands there by default is nothing that was found, and in no order of ours.
    status.conditions.retain(|condition| condition.reason != REASON_NOT_YET_OBSERVED);
    let generation = definition.generation;
    let accepted = accepted(definition);
    let is_served = |condition: &Condition| condition.type_ == CONDITION_SERVED && condition.status == "True";
    let was_served = definition.status.conditions.iter().any(is_served);
    let mut set = |kind: &str, finding: &Finding| {
        conditions::set(&mut status.conditions, kind, finding, generation, world.now);
    };
    set(CONDITION_ACCEPTED, &accepted);
    set(CONDITION_NAMES_ACCEPTED, names);
    match &world.surroundings {
        Surroundings::Registered(cluster) => {
            let registered = api_services::registered(definition, names, cluster);
            set(CONDITION_REGISTERED, &registered);
            let retained = api_services::retained(definition, cluster);
            // The APIService alone proves nothing: another kind may be behind it.
            let still = was_served && !retained.is_empty() && retained == *definition.claimed;
            let still = if still { Unregistered::StillServed } else { Unregistered::NotServed };
            let mut found = served(&[&accepted, names, &registered], definition, still);
            // What is registered is served once every replica has it.
            let asked = cluster.replicas.as_ref().zip(definition.verdict.kind.as_ref()).filter(|_| found.holds());
            if let Some((replicas, kind)) = asked {
                let everywhere = replicas::serving(replicas, &definition.uid, kind.origin.generation);
                if !everywhere.holds() || found.reason == everywhere.reason {
                    found = everywhere;
                }
            }
            if found.holds() && !has_backend(definition, cluster) {
                found = Finding::new(Truth::False, "BackendNotServed", NO_BACKEND);
            }
            set(CONDITION_SERVED, &found);
            match &cluster.visible {
                None => ready(&mut set, &[&accepted, &found]),
                Some(visible) => {
                    let discoverable = discoverable(definition, &found, visible);
                    set(CONDITION_DISCOVERABLE, &discoverable);
                    ready(&mut set, &[&accepted, &found, &discoverable]);
                }
            }
        }
        Surroundings::StandAlone => {
            let found = served(&[&accepted, names], definition, Unregistered::NotServed);
            set(CONDITION_SERVED, &found);
            ready(&mut set, &[&accepted, &found]);
        }
    }
    if let Deletion::Held(answer) = &definition.deletion {
        set(CONDITION_TERMINATING, &held(answer.as_ref()));
    }
    if let Some(refused) = &definition.verdict.refused {
        // What was said of a generation before it is not so of this one.
        let said = definition.status.conditions.iter().any(|condition| condition.type_ == CONDITION_ROLLED_OUT);
        if said || definition.adopt().is_some() {
            set(CONDITION_ROLLED_OUT, &not_rolled_out(refused));
            status.rollout = None;
        }
    } else if let Some(progress) = &definition.rollout {
        set(CONDITION_ROLLED_OUT, &rolled_out(progress));
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        if let Some(adopt) = definition.adopt() {
            set(CONDITION_ADOPTS, &adopts(adopt, &progress.adopted));
        }
        status.rollout = Some(RolloutStatus { updated: count(progress.updated), total: count(progress.total) });
    }
    if let Surroundings::Registered(cluster) = &world.surroundings {
        let selected = selected(definition);
        if selected.is_empty() {
            status.conditions.retain(|condition| condition.type_ != CONDITION_RESOURCES_VISIBLE);
        } else if let Some(found) = resources_visible(&selected, &cluster.sights) {
            conditions::set(&mut status.conditions, CONDITION_RESOURCES_VISIBLE, &found, generation, world.now);
        }
    }
    if is_ready(&status.conditions) {
        let confirmed = definition.status.last_confirmed_time.as_ref();
        let confirmed = confirmed.filter(|_| is_ready(&definition.status.conditions)).map(|time| time.0);
        status.last_confirmed_time = Some(Time(confirmed_at(confirmed, &definition.uid, world.now)));
    }
    status.observed_generation = generation;
    if accepted.holds() && names.holds() {
        status.accepted_names = definition.names();
        let storage = definition.verdict.kind.as_ref().and_then(|kind| kind.storage_version());
        if let Some(storage) = storage.filter(|storage| !status.stored_versions.contains(&storage.name)) {
            status.stored_versions.push(storage.name.clone());
        }
    }
    status
}

fn is_ready(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| condition.type_ == CONDITION_READY && condition.status == "True")
}

/// When a definition that is Ready is said to have been found so last: now, unless that was said not long ago.
fn confirmed_at(said: Option<Timestamp>, uid: &str, now: Timestamp) -> Timestamp {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let spread = i64::try_from(hasher.finish() % CONFIRMED_SPREAD_SECONDS).unwrap_or_default();
    let again_after = CONFIRMED_AGAIN_AFTER + SignedDuration::from_secs(spread);
    // A time that is still to come was written by a clock that was wrong.
    let is_young = |said: &Timestamp| (SignedDuration::ZERO..again_after).contains(&now.duration_since(*said));
    said.filter(is_young).unwrap_or_else(|| conditions::seconds(now))
}

/// What is said of a kind that nothing is behind.
const NO_BACKEND: &str = "the cluster does not serve helmreleases.helm.toolkit.fluxcd.io in version v2: instances can be \
    neither made nor changed until Flux is installed";

/// Whether what instances of the kind become is there.
fn has_backend(definition: &Definition, cluster: &Cluster) -> bool {
    let of_releases =
        definition.verdict.kind.as_ref().is_some_and(|kind| matches!(kind.backend, KindBackend::Release(_)));
    !of_releases || cluster.releases == Backend::Served
}

/// The kinds of objects that instances are to refer to.
fn selected(definition: &Definition) -> BTreeSet<ResourceKind> {
    match definition.verdict.kind.as_ref().map(|kind| &kind.backend) {
        Some(KindBackend::Release(template)) => template.selected_kinds(),
        Some(KindBackend::Stored) | None => BTreeSet::new(),
    }
}

/// Whether the operator sees what it is to refer to; none while the cluster has not answered.
fn resources_visible(selected: &BTreeSet<ResourceKind>, sights: &Sights) -> Option<Finding> {
    let forbidden = selected.iter().filter_map(|kind| match sights.get(kind) {
        Some(Sight::Forbidden(why)) => Some((kind.plural(), why)),
        _ => None,
    });
    let forbidden: Vec<(&str, &Arc<str>)> = forbidden.collect();
    let Some((_, why)) = forbidden.first() else {
        let seen = selected.iter().all(|kind| sights.get(kind) == Some(&Sight::Seen));
        return seen.then(|| Finding::new(Truth::True, "Visible", "what instances refer to is seen"));
    };
    let plurals: Vec<&str> = forbidden.iter().map(|(plural, _)| *plural).collect();
    let message = format!(
        "the operator may not list and watch {} in all namespaces, so status.resources of instances has of these what Flux reports \
         by name in status.inventory of their releases, and no more; the ClusterRole kindsmith-operator-resources grants it: apply \
         deploy/optional/operator-resources-rbac.yaml. The cluster says: {why}",
        plurals.join(", ")
    );
    Some(Finding::new(Truth::False, "Forbidden", message))
}

/// Whether clients find the kind in each of its versions.
fn discoverable(definition: &Definition, served: &Finding, visible: &Visible) -> Finding {
    let Some(kind) = definition.verdict.kind.as_ref().filter(|_| served.holds()) else {
        return Finding { truth: Truth::False, ..served.clone() };
    };
    for group_version in definition.served() {
        let address = (group_version, kind.names.plural.clone());
        if visible.has(&address) {
            continue;
        }
        let (reason, message) = match &visible.fault {
            Some(fault) => {
                ("DiscoveryUnreadable", format!("what clients find cannot be read from kube-apiserver: {fault}"))
            }
            None if !visible.resources.contains(&address) => (
                "NotInDiscovery",
                format!("aggregated discovery of kube-apiserver does not show it in {} yet", address.0),
            ),
            None => match visible.unreadable.get(&address.0) {
                Some(why) => (
                    "OpenAPIUnreadable",
                    format!("OpenAPI of {} cannot be read through kube-apiserver: {why}", address.0),
                ),
                None => ("NotInOpenAPI", format!("OpenAPI v3 of kube-apiserver does not show it in {} yet", address.0)),
            },
        };
        return Finding::new(Truth::False, reason, message);
    }
    Finding::new(Truth::True, "Discoverable", "clients find it in discovery and in OpenAPI")
}

/// Whether this generation is the one that is served, and found.
fn ready(set: &mut impl FnMut(&str, &Finding), needed: &[&Finding]) {
    let found = match needed.iter().copied().find(|finding| !finding.holds()) {
        None => Finding::new(Truth::True, "Ready", "this generation is served"),
        Some(missing) => Finding { truth: Truth::False, ..missing.clone() },
    };
    set(CONDITION_READY, &found);
}

/// Why a definition that is being deleted is still there. Source of the type of the condition:
/// k8s.io/apiextensions-apiserver/pkg/controller/finalizer/crd_finalizer.go.
fn held(answer: Option<&Answer>) -> Finding {
    let how = "delete them, or set spec.deletionPolicy to Orphan to leave what they are made of";
    match answer {
        None | Some(Answer::Harmless) => Finding::new(Truth::True, "CountingInstances", "instances are being counted"),
        Some(unreadable @ Answer::Unreadable(_)) => {
            let message = format!("{unreadable}; the kind stays until it is known that there are none");
            Finding::new(Truth::True, "InstancesUnreadable", message)
        }
        Some(Answer::Harmful { count, first }) => {
            let (noun, more) = (if *count == 1 { "instance" } else { "instances" }, count.saturating_sub(first.len()));
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let message = format!("the kind is served while it has {count} {noun}: {}{more}; {how}", first.join(", "));
            Finding::new(Truth::True, "InstancesExist", message)
        }
    }
}

/// What tenants are shown that nobody made through the kind. It is told while a kind is not served yet too.
fn adopts(adopt: Adopt, Adopted { count, first }: &Adopted) -> Finding {
    if adopt == Adopt::Labels {
        return Finding::new(Truth::False, "LabelsOnly", "no release that was made by hand is an instance");
    }
    if *count == 0 {
        let message =
            "no release that was made by hand has the chart and the prefix; one that gets them is an instance";
        return Finding::new(Truth::False, "NothingToAdopt", message);
    }
    let names = first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = count.saturating_sub(first.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let are = if *count == 1 { "release made by hand is an instance" } else { "releases made by hand are instances" };
    let message = format!(
        "{count} {are}, which tenants with rights on the kind read, change and delete: {names}{more}; adopt: Labels \
         leaves them out"
    );
    Finding::new(Truth::True, "MadeByHand", message)
}

fn rolled_out(Progress { updated, total, refused, .. }: &Progress) -> Finding {
    let message = format!("updated {updated}/{total}");
    match refused {
        Some(Refused { count, first, why }) => {
            let first = if *count == 1 { first.to_string() } else { format!("the first is {first}") };
            let message = format!("{message}; {count} cannot be updated, {first}: {why}; tried again");
            Finding::new(Truth::False, RELEASES_REFUSED, message)
        }
        None if updated == total => Finding::new(Truth::True, "Complete", message),
        None => Finding::new(Truth::False, "Progressing", message),
    }
}

/// While a generation is not accepted, nothing is known of its settings on releases, and nobody brings them there.
fn not_rolled_out(refused: &Refusal) -> Finding {
    let message = "the settings of this generation are brought to releases once it is accepted";
    Finding::new(refused.truth, "NotAccepted", message)
}

fn accepted(definition: &Definition) -> Finding {
    let verdict = &definition.verdict;
    match (&verdict.refused, &verdict.forgiven) {
        (Some(refusal), _) => Finding::new(refusal.truth, refusal.reason, refusal.message.clone()),
        (None, Some(faults)) => {
            let message =
                format!("accepted before, and goes on without what is faulty by the rules of today: {faults}");
            Finding::new(Truth::True, "Accepted", message)
        }
        (None, None) => Finding::new(Truth::True, "Accepted", "the definition is sound"),
    }
}

/// What is known of a definition without a good generation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unregistered {
    /// It is served by an API server that remembers one.
    StillServed,
    /// It is not served.
    NotServed,
}

fn served(needed: &[&Finding], definition: &Definition, unregistered: Unregistered) -> Finding {
    const LAST_GOOD: &str = "the last generation that was accepted is still served";
    let refused = definition.verdict.refused.is_some();
    // The first is about this generation, the others about the kind that is served.
    let others_hold = needed.iter().skip(1).all(|finding| finding.holds());
    if refused && (others_hold || unregistered == Unregistered::StillServed) {
        return Finding::new(Truth::True, "LastGoodGeneration", LAST_GOOD);
    }
    match needed.iter().find(|finding| !finding.holds()) {
        None => Finding::new(Truth::True, "Served", "the kind is served"),
        Some(missing) => Finding::new(Truth::False, &missing.reason, missing.message.clone()),
    }
}

/// A merge patch that makes one status of the other; none when they are equal.
fn patch(before: &ApplicationDefinitionStatus, after: &ApplicationDefinitionStatus) -> Option<Value> {
    if before == after {
        return None;
    }
    let before = serde_json::to_value(before).unwrap_or_default();
    let after = serde_json::to_value(after).ok()?;
    difference(&before, &after)
}

/// RFC 7386, the other way round: what is gone becomes null.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, after) in after {
        if let Some(changed) = difference(before.get(key).unwrap_or(&Value::Null), after) {
            patch.insert(key.clone(), changed);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn with_resource_version(status: &Value, resource_version: Option<&str>) -> Value {
    let mut patch = serde_json::json!({"status": status});
    if let Some(version) = resource_version {
        // Somebody else's condition, written meanwhile, must not be lost: conditions are one list to a merge patch.
        patch["metadata"] = serde_json::json!({"resourceVersion": version});
    }
    patch
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kindsmith_schema::{convert::release::ResourceKind, form::DefinitionForm};

    use crate::{
        adoption::Adopted,
        decide::testing::{WorldBuilder, definition},
        discoverable::Visible,
        group_version::GroupVersion,
        inspection::{Answer, Asker},
        progress::{Progress, Refused, ReleaseName},
        references::Sight,
        release_schema::Backend,
    };

    #[test]
    fn it_is_said_how_far_settings_have_come_and_what_keeps_them() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        let first = || ReleaseName { namespace: "team-a".to_owned(), name: "redis-cache".to_owned() };
        let refused = |count| Some(Refused { count, first: first(), why: "denied".into() });
        for (updated, refused, told) in [
            (37, None, "False Progressing: updated 37/120"),
            (
                37,
                refused(3),
                "False ReleasesRefused: updated 37/120; 3 cannot be updated, the first is team-a/redis-cache: denied; \
                 tried again",
            ),
            (
                119,
                refused(1),
                "False ReleasesRefused: updated 119/120; 1 cannot be updated, team-a/redis-cache: denied; tried again",
            ),
            (119, None, "False Progressing: updated 119/120"),
            (120, None, "True Complete: updated 120/120"),
        ] {
            let progress = Progress { updated, total: 120, refused, ..Progress::default() };
            world.progress = Arc::new([("uid-of-redises".to_owned(), progress.clone())].into());
            assert!(!world.settle().is_empty());
            let (status, reason, message) = world.condition("redises", "RolledOut");
            assert_eq!(format!("{status} {reason}: {message}"), told);
            let written = serde_json::json!({"updated": updated, "total": 120});
            assert_eq!(world.objects[0]["status"]["rollout"], written);
            // The same failure, found once more, is no news.
            world.progress = Arc::new([("uid-of-redises".to_owned(), progress)].into());
            assert_eq!(world.settle(), []);
        }
    }

    #[test]
    fn settings_of_a_generation_that_is_held_are_not_said_to_be_on_releases() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        let progress = Progress { updated: 52, total: 52, ..Progress::default() };
        world.progress = Arc::new([("uid-of-redises".to_owned(), progress)].into());
        world.settle();
        assert_eq!(world.condition("redises", "RolledOut").1, "Complete");
        // Another prefix takes releases away; nothing is known of them yet.
        world.objects[0]["spec"]["backend"]["helmRelease"]["prefix"] = "y-".into();
        world.objects[0]["metadata"]["generation"] = 2.into();
        for (answer, told) in [(None, "Unknown NotAccepted"), (Some(Answer::Harmless), "True Complete")] {
            if let Some(answer) = answer {
                let state = DefinitionForm::Kindsmith.state(&world.objects[0]);
                world.answers.insert(("uid-of-redises".to_owned(), Asker::Generation(state)), answer);
            }
            world.settle();
            let (status, reason, message) = world.condition("redises", "RolledOut");
            assert_eq!(format!("{status} {reason}"), told);
            assert_eq!(world.objects[0]["status"].get("rollout").is_some(), status == "True", "{message}");
        }
        // One that does not compile, after a restart too.
        world.objects[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = serde_json::json!({"type": "nonsense"});
        world.objects[0]["metadata"]["generation"] = 3.into();
        for _ in 0..2 {
            world.settle();
            let (status, reason, _) = world.condition("redises", "RolledOut");
            assert_eq!(format!("{status} {reason}"), "False NotAccepted");
            world.judge = crate::judge::Judge::default();
        }
    }

    #[test]
    fn when_a_definition_was_found_ready_is_written_anew_after_a_while_and_not_before() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        let at = |world: &WorldBuilder| world.objects[0]["status"]["lastConfirmedTime"].clone();
        world.settle();
        assert_eq!(at(&world), "2026-11-23T00:00:00Z");
        for (later, told) in [("00:09:59", "00:00:00"), ("00:16:00", "00:16:00"), ("00:01:00", "00:01:00")] {
            world.at(&format!("2026-11-23T{later}Z"));
            let written = world.settle().len();
            assert_eq!(at(&world), format!("2026-11-23T{told}Z"), "at {later}");
            assert_eq!(written, usize::from(later == told), "at {later}");
        }
        // While it is not Ready, the time says when it was.
        world.at("2026-11-23T01:00:00Z");
        world.cluster().releases = Backend::NotServed;
        world.settle();
        assert_eq!(at(&world), "2026-11-23T00:01:00Z");
        world.at("2026-11-23T01:00:07Z");
        world.cluster().releases = Backend::Served;
        world.settle();
        assert_eq!(at(&world), "2026-11-23T01:00:07Z");
    }

    #[test]
    fn what_stands_by_default_in_a_definition_is_replaced() {
        let mut redis = definition("redises", "Redis");
        let crd = kindsmith_crds::custom_resource_definition().unwrap();
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/default";
        redis["status"] = crd.pointer(status).unwrap().clone();
        let mut world = WorldBuilder::registered().define(&redis);
        world.settle();
        let conditions = world.objects[0]["status"]["conditions"].as_array().unwrap();
        let told: Vec<&str> = conditions.iter().map(|it| it["type"].as_str().unwrap()).collect();
        assert_eq!(told[..5], ["Accepted", "NamesAccepted", "Registered", "Served", "Ready"]);
        assert!(conditions.iter().all(|it| it["reason"] != "NotYetObserved"), "{conditions:?}");
        assert_eq!(world.objects[0]["status"]["observedGeneration"], 1);
    }

    #[test]
    fn a_kind_is_not_served_while_nothing_is_behind_it() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        for (backend, told) in [
            (Backend::Served, "True Served"),
            (Backend::NotServed, "False BackendNotServed"),
            (Backend::Served, "True Served"),
        ] {
            world.cluster().releases = backend;
            world.settle();
            let (status, reason, _) = world.condition("redises", "Served");
            assert_eq!(format!("{status} {reason}"), told);
        }
    }

    #[test]
    fn it_is_said_what_is_adopted_and_readiness_does_not_depend_on_it() {
        let name = |name: &str| ReleaseName { namespace: "team-a".to_owned(), name: name.to_owned() };
        for (adopt, count, first, told) in [
            (
                "Chart",
                7,
                vec![name("x-a"), name("x-b")],
                "True MadeByHand: 7 releases made by hand are instances, which tenants with rights on the kind read, \
                 change and delete: team-a/x-a, team-a/x-b and 5 more; adopt: Labels leaves them out",
            ),
            (
                "Chart",
                1,
                vec![name("x-a")],
                "True MadeByHand: 1 release made by hand is an instance, which tenants with rights on the kind read, \
                 change and delete: team-a/x-a; adopt: Labels leaves them out",
            ),
            (
                "Chart",
                0,
                vec![],
                "False NothingToAdopt: no release that was made by hand has the chart and the prefix; one that gets \
                 them is an instance",
            ),
            ("Labels", 0, vec![], "False LabelsOnly: no release that was made by hand is an instance"),
        ] {
            let mut redis = definition("redises", "Redis");
            redis["spec"]["backend"]["helmRelease"]["adopt"] = serde_json::json!(adopt);
            let mut world = WorldBuilder::registered().define(&redis);
            world.settle();
            let ready = world.condition("redises", "Ready");
            let progress = Progress { adopted: Adopted { count, first }, ..Progress::default() };
            world.progress = Arc::new([("uid-of-redises".to_owned(), progress)].into());
            world.settle();
            let (status, reason, message) = world.condition("redises", "Adopts");
            assert_eq!(format!("{status} {reason}: {message}"), told);
            assert_eq!(world.condition("redises", "Ready"), ready);
        }
    }

    #[test]
    fn the_right_that_is_missing_to_see_what_is_referred_to_is_told() {
        let mut object = definition("redises", "Redis");
        object["spec"]["backend"]["helmRelease"]["resources"] = serde_json::json!({
            "secrets": {"include": [{"resourceNames": ["a"]}]}, "services": {"include": [{"resourceNames": ["a"]}]}});
        let mut world = WorldBuilder::registered().define(&object);
        let found = |world: &WorldBuilder| {
            let conditions = world.objects[0]["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.into_iter().find(|it| it["type"] == "ResourcesVisible");
            found.map(|it| (it["status"].clone(), it["reason"].clone(), it["message"].to_string()))
        };
        world.settle();
        assert_eq!(found(&world), None, "the cluster has not answered");
        let forbidden = || Sight::Forbidden("secrets is forbidden".into());
        for (sights, wanted) in [
            ([(ResourceKind::Secret, Sight::Seen), (ResourceKind::Service, Sight::Seen)], ("True", "Visible", "")),
            (
                [(ResourceKind::Secret, forbidden()), (ResourceKind::Service, Sight::Seen)],
                ("False", "Forbidden", "secrets in"),
            ),
            (
                [(ResourceKind::Secret, forbidden()), (ResourceKind::Service, forbidden())],
                ("False", "Forbidden", "secrets, services in"),
            ),
        ] {
            world.cluster().sights = Arc::new(sights.into());
            world.settle();
            let (status, reason, message) = found(&world).unwrap();
            assert_eq!((status, reason), (wanted.0.into(), wanted.1.into()));
            assert!(message.contains(wanted.2), "{message}");
            assert_eq!(
                message.contains("deploy/optional/operator-resources-rbac.yaml"),
                wanted.0 == "False",
                "{message}"
            );
        }
        world.objects[0]["spec"]["backend"]["helmRelease"]["resources"] = serde_json::Value::Null;
        world.objects[0]["metadata"]["generation"] = 2.into();
        world.settle();
        assert_eq!(found(&world), None, "nothing is selected any more");
    }

    #[test]
    fn what_clients_do_not_find_yet_is_said_and_why() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        let v1 = GroupVersion::new("apps.example.com", "v1");
        let nothing = Visible::default();
        let listed = Visible { resources: [(v1.clone(), "redises".to_owned())].into(), ..Visible::default() };
        let broken = Visible { unreadable: [(v1.clone(), Arc::from("ends too early"))].into(), ..listed.clone() };
        let found = Visible { documents: [(v1, "redises".to_owned())].into(), ..listed.clone() };
        let fault = Some(Arc::from("forbidden"));
        for (visible, told) in [
            (nothing.clone(), "False NotInDiscovery"),
            (listed, "False NotInOpenAPI"),
            (broken, "False OpenAPIUnreadable"),
            (Visible { fault: fault.clone(), ..nothing }, "False DiscoveryUnreadable"),
            (Visible { fault, ..found.clone() }, "True Discoverable"),
            (found, "True Discoverable"),
        ] {
            world.cluster().visible = Some(Arc::new(visible));
            world.settle();
            let (status, reason, _) = world.condition("redises", "Discoverable");
            assert_eq!(format!("{status} {reason}"), told);
            let (ready, ..) = world.condition("redises", "Ready");
            assert_eq!(ready, status);
        }
    }
}
