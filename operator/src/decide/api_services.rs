//! One APIService for each served group-version: which there should be, and what is to be done about the difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference},
    kube_aggregator::pkg::apis::apiregistration::v1::{
        APIService, APIServiceCondition, APIServiceSpec, ServiceReference,
    },
};
use kindsmith_crds::{Adopt, CONDITION_ADOPTS};
use kindsmith_schema::priority;
use kube::{ResourceExt, api::ObjectMeta};
use sha2::{Digest, Sha256};

use super::{Action, Cluster, ExistingApiService, Refresh};
use crate::{
    digest::short,
    finding::{Finding, Truth},
    group_version::GroupVersion,
    installation::{ANCHOR, Installation},
    judge::{Definition, Deletion},
    ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE, carries, is_ours},
    release_schema::Backend,
};

/// The annotation that changes with the definitions of a group-version. Any change of an APIService makes
/// kube-aggregator fetch discovery at once (k8s.io/kube-aggregator/pkg/apiserver/handler_discovery.go).
pub(crate) const REGISTRY_DIGEST_ANNOTATION: &str = "kindsmith.dev/registry-digest";

/// What the annotation ends with once kube-aggregator was made to look for the second time.
const SETTLED: &str = "-settled";

/// The priority of our groups: after those of Kubernetes.
const GROUP_PRIORITY_MINIMUM: i32 = 1000;

/// The priority of the least preferred version of a group.
const VERSION_PRIORITY_MINIMUM: i32 = 10;

/// The APIService of a group-version.
pub(super) fn find<'a>(cluster: &'a Cluster, group_version: &GroupVersion) -> Option<&'a APIService> {
    let name = group_version.api_service_name();
    let found = cluster.api_services.binary_search_by(|found| found.metadata.name.as_deref().cmp(&Some(name.as_str())));
    found.ok().and_then(|index| cluster.api_services.get(index)).map(AsRef::as_ref)
}

/// What a group-version should list, and a digest of the definitions behind it.
struct Wanted {
    resources: BTreeSet<String>,
    digest: String,
}

/// What is wanted of all definitions: it changes when a kind does, or who may have its names.
#[derive(Default)]
pub(super) struct Registrations {
    wanted: BTreeMap<GroupVersion, Wanted>,
    /// What definitions ask for that stay and of which no good generation is known.
    unknown: BTreeSet<GroupVersion>,
    /// What definitions are served under of which it is not said yet which releases they adopt.
    uncounted: BTreeSet<GroupVersion>,
}

impl Registrations {
    /// Group-versions that an accepted definition serves, its last good generation included.
    pub(super) fn of(definitions: &[Arc<Definition>], names: &[Finding]) -> Self {
        let mut sources: BTreeMap<GroupVersion, Vec<(&str, i64, &str)>> = BTreeMap::new();
        for (definition, names) in definitions.iter().zip(names) {
            if definition.deletion == Deletion::LetGo {
                continue;
            }
            let Some(kind) = definition.verdict.kind.as_ref().filter(|_| names.holds()) else { continue };
            for group_version in definition.served() {
                let source = (definition.uid.as_str(), kind.origin.generation, kind.names.plural.as_str());
                sources.entry(group_version).or_default().push(source);
            }
        }
        let wanted = |mut sources: Vec<(&str, i64, &str)>| {
            sources.sort_unstable();
            let mut digest = Sha256::new();
            for (uid, generation, _) in &sources {
                digest.update(format!("{uid}:{generation}\n"));
            }
            let digest = short(digest);
            let resources = sources.iter().map(|(.., plural)| (*plural).to_owned()).collect();
            Wanted { resources, digest }
        };
        let uncounted = definitions.iter().zip(names).filter(|(definition, names)| {
            definition.deletion != Deletion::LetGo && names.holds() && !is_adoption_said(definition)
        });
        Self {
            wanted: sources.into_iter().map(|(group_version, sources)| (group_version, wanted(sources))).collect(),
            unknown: definitions.iter().flat_map(|it| unknown(it)).cloned().collect(),
            uncounted: uncounted.flat_map(|(definition, _)| definition.served()).collect(),
        }
    }

    /// Whether a definition adds the same to them as the other.
    pub(super) fn are_same(left: (&Definition, &Finding), right: (&Definition, &Finding)) -> bool {
        let ((left, left_names), (right, right_names)) = (left, right);
        let kinds = match (&left.verdict.kind, &right.verdict.kind) {
            (None, None) => true,
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            _ => false,
        };
        kinds
            && left.uid == right.uid
            && left.claimed == right.claimed
            && left_names.holds() == right_names.holds()
            && is_adoption_said(left) == is_adoption_said(right)
            && (left.deletion == Deletion::LetGo) == (right.deletion == Deletion::LetGo)
    }
}

pub(super) fn actions(registrations: &Registrations, cluster: &Cluster) -> Vec<Action> {
    let Registrations { wanted, unknown, uncounted } = registrations;
    let priorities = priorities(wanted.keys());
    let mut actions = Vec::new();
    for (group_version, wanted) in wanted {
        let priority = priorities.get(group_version).copied().unwrap_or(VERSION_PRIORITY_MINIMUM);
        let Some(bundle) = &cluster.bundle else { continue };
        // Whoever goes registers nothing: what is there goes by itself.
        let Installation::Stays { anchor } = &cluster.installation else { break };
        let desired = desired(group_version, priority, bundle, anchor.as_deref(), cluster);
        match find(cluster, group_version) {
            // Before tenants see releases that were made by hand, it is said which these are.
            None if cluster.releases == Backend::Served && uncounted.contains(group_version) => {}
            None => actions.push(Action::ApplyApiService { object: Box::new(desired), existing: None }),
            // A new holder is reported; ours comes back when it is gone.
            Some(existing) if !is_ours(existing) => {}
            Some(existing) if existing.spec != desired.spec || !is_owned(existing, anchor.as_deref()) => {
                actions.push(Action::ApplyApiService {
                    object: Box::new(desired),
                    existing: Some(ExistingApiService {
                        uid: existing.uid().unwrap_or_default(),
                        basis: existing.resource_version(),
                    }),
                })
            }
            Some(existing) => actions.extend(refresh(group_version, existing, wanted)),
        }
    }
    actions.extend(surplus(wanted, unknown, cluster));
    actions
}

/// Whether the status says which releases become instances by their chart, or there can be none. What was served before and
/// goes on while the present generation is refused shows nothing that was not shown.
fn is_adoption_said(definition: &Definition) -> bool {
    let kind = definition.verdict.kind.as_ref();
    let is_begun_with = definition.form.has_status() && definition.verdict.refused.is_none();
    let Some(kind) = kind.filter(|_| is_begun_with) else { return true };
    let said = |condition: &Condition| {
        condition.type_ == CONDITION_ADOPTS && condition.observed_generation == Some(kind.origin.generation)
    };
    definition.adopt() != Some(Adopt::Chart) || definition.status.conditions.iter().any(said)
}

/// Whether definitions are told the same of both, and decided about in the same way.
pub(super) fn are_same(left: &[Arc<APIService>], right: &[Arc<APIService>]) -> bool {
    fn said(it: &APIService) -> Option<(&String, &Option<String>, &Option<String>)> {
        available(it).map(|condition| (&condition.status, &condition.reason, &condition.message))
    }
    fn of_spec(it: &APIService) -> Option<(&Option<ByteString>, &Option<ServiceReference>)> {
        it.spec.as_ref().map(|spec| (&spec.ca_bundle, &spec.service))
    }
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            Arc::ptr_eq(left, right)
                || (left.metadata.name == right.metadata.name
                    && is_ours(left) == is_ours(right)
                    && said(left) == said(right)
                    && of_spec(left) == of_spec(right))
        })
}

/// What is announced of a group-version.
pub(super) struct Announced {
    /// Changes with what kube-aggregator was made to look at, and when it reached us again.
    pub text: String,
    /// Whether kube-aggregator was made to look at what is there now.
    pub is_told: bool,
}

/// What is announced of each group-version that is or is to be registered, and of those that are to go; none of which
/// kube-aggregator does not reach, or which is to go.
pub(super) fn announced<'a>(
    registrations: &'a Registrations,
    cluster: &'a Cluster,
) -> impl Iterator<Item = Option<Announced>> + 'a {
    let wanted = registrations.wanted.iter().map(|(group_version, wanted)| {
        let found = find(cluster, group_version).filter(|found| is_ours(found))?;
        let reached = available(found).filter(|condition| condition.status == "True")?;
        let since = reached.last_transition_time.as_ref().map(|time| time.0.as_second()).unwrap_or_default();
        let noted = found.annotations().get(REGISTRY_DIGEST_ANNOTATION).map(String::as_str).unwrap_or_default();
        let is_told = noted.strip_suffix(SETTLED).unwrap_or(noted) == wanted.digest;
        Some(Announced { text: format!("{group_version} {noted} {since}\n"), is_told })
    });
    wanted.chain(surplus(&registrations.wanted, &registrations.unknown, cluster).map(|_| None))
}

/// Group-versions that definitions which stay are served under.
pub(super) fn kept(definitions: &[Arc<Definition>], names: &[Finding]) -> BTreeSet<GroupVersion> {
    let stays =
        |(definition, names): &(&Arc<Definition>, &Finding)| definition.deletion != Deletion::LetGo && names.holds();
    definitions.iter().zip(names).filter(stays).flat_map(|(definition, _)| definition.served()).collect()
}

/// Whether kube-aggregator still looks here for a group-version that only definitions which may go have.
pub(super) fn is_registered(definition: &Definition, kept: &BTreeSet<GroupVersion>, cluster: &Cluster) -> bool {
    let of_ours = |group_version: &GroupVersion| find(cluster, group_version).is_some_and(is_ours);
    let served = definition.served();
    served.iter().chain(definition.claimed.iter()).any(|it| !kept.contains(it) && of_ours(it))
}

/// Priorities within each group: the version that Kubernetes would prefer has the greatest.
fn priorities<'a>(served: impl Iterator<Item = &'a GroupVersion>) -> BTreeMap<GroupVersion, i32> {
    let mut groups: BTreeMap<&str, Vec<&GroupVersion>> = BTreeMap::new();
    for group_version in served {
        groups.entry(&group_version.group).or_default().push(group_version);
    }
    groups
        .into_values()
        .flat_map(|mut versions| {
            versions.sort_by(|left, right| priority::compare(&right.version, &left.version));
            versions.into_iter().cloned().zip(VERSION_PRIORITY_MINIMUM..)
        })
        .collect()
}

/// The reference to the anchor: it neither controls nor waits for what it owns.
fn owned_by(anchor: &str) -> OwnerReference {
    OwnerReference {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "ClusterRole".to_owned(),
        name: ANCHOR.to_owned(),
        uid: anchor.to_owned(),
        controller: None,
        block_owner_deletion: None,
    }
}

/// Whether an APIService is owned by the anchor of that uid, or by none where there is none. The reference to an anchor that
/// was replaced does no harm besides: the garbage collector removes it.
fn is_owned(found: &APIService, anchor: Option<&str>) -> bool {
    let mut anchors = found.owner_references().iter().filter(|it| it.kind == "ClusterRole" && it.name == ANCHOR);
    match anchor {
        Some(anchor) => anchors.any(|it| it.uid == anchor),
        None => anchors.next().is_none(),
    }
}

fn desired(
    group_version: &GroupVersion,
    priority: i32,
    bundle: &ByteString,
    anchor: Option<&str>,
    cluster: &Cluster,
) -> APIService {
    APIService {
        metadata: ObjectMeta {
            name: Some(group_version.api_service_name()),
            labels: Some([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned())].into()),
            owner_references: anchor.map(|anchor| vec![owned_by(anchor)]),
            ..ObjectMeta::default()
        },
        spec: Some(APIServiceSpec {
            ca_bundle: Some(bundle.clone()),
            group: Some(group_version.group.clone()),
            group_priority_minimum: GROUP_PRIORITY_MINIMUM,
            insecure_skip_tls_verify: None,
            service: Some(ServiceReference {
                name: Some(cluster.service.name.clone()),
                namespace: Some(cluster.service.namespace.clone()),
                port: Some(i32::from(cluster.service.port)),
            }),
            version: Some(group_version.version.clone()),
            version_priority: priority,
        }),
        status: None,
    }
}

/// Whether kube-aggregator is to be made to look. While it does not reach us there is nothing to see, and it looks by
/// itself as soon as it does.
fn refresh(group_version: &GroupVersion, existing: &APIService, wanted: &Wanted) -> Option<Action> {
    available(existing).filter(|condition| condition.status == "True")?;
    let settled = format!("{}{SETTLED}", wanted.digest);
    let noted = existing.annotations().get(REGISTRY_DIGEST_ANNOTATION);
    let (when, digest) = match noted {
        Some(noted) if *noted == settled => return None,
        Some(noted) if *noted == wanted.digest => (Refresh::Again, settled),
        _ => (Refresh::Listed(wanted.resources.iter().cloned().collect()), wanted.digest.clone()),
    };
    Some(Action::Refresh {
        group_version: group_version.clone(),
        uid: existing.uid().unwrap_or_default(),
        basis: existing.resource_version(),
        when,
        digest,
    })
}

/// APIServices of ours that nothing is served under any more.
fn surplus<'a>(
    wanted: &'a BTreeMap<GroupVersion, Wanted>,
    unknown: &'a BTreeSet<GroupVersion>,
    cluster: &'a Cluster,
) -> impl Iterator<Item = Action> + 'a {
    let kept: BTreeSet<String> = wanted.keys().map(GroupVersion::api_service_name).collect();
    let retained = unknown.iter().filter(|group_version| works(group_version, cluster));
    let retained: BTreeSet<String> = retained.map(GroupVersion::api_service_name).collect();
    cluster.api_services.iter().filter(|found| is_ours(found)).filter_map(move |found| {
        let name = found.metadata.name.clone()?;
        let surplus = !kept.contains(&name) && !retained.contains(&name) && found.metadata.deletion_timestamp.is_none();
        surplus.then(|| Action::DeleteApiService {
            name,
            uid: found.uid().unwrap_or_default(),
            basis: found.resource_version(),
        })
    })
}

/// Group-versions that a definition is still served under although it is refused and its last good generation is not
/// known here, as after a restart of the operator: those whose APIService is ours and works.
pub(super) fn retained(definition: &Definition, cluster: &Cluster) -> Vec<GroupVersion> {
    unknown(definition).iter().filter(|group_version| works(group_version, cluster)).cloned().collect()
}

/// The group-versions of a definition that stays and of which no good generation is known.
fn unknown(definition: &Definition) -> &[GroupVersion] {
    if definition.is_unknown() { &definition.claimed } else { &[] }
}

/// Whether the APIService of a group-version is ours and works.
fn works(group_version: &GroupVersion, cluster: &Cluster) -> bool {
    find(cluster, group_version)
        .is_some_and(|found| is_ours(found) && available(found).is_some_and(|condition| condition.status == "True"))
}

fn available(api_service: &APIService) -> Option<&APIServiceCondition> {
    let conditions = api_service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Available")
}

/// Whether each group-version of a definition has its APIService, and kube-aggregator reaches us through it.
pub(super) fn registered(definition: &Definition, names: &Finding, cluster: &Cluster) -> Finding {
    let served = definition.served();
    if served.is_empty() || !names.holds() {
        return Finding::new(Truth::False, "NotAccepted", "only accepted definitions are registered");
    }
    for group_version in &served {
        let name = group_version.api_service_name();
        let Some(found) = find(cluster, group_version) else {
            return match cluster.bundle {
                _ if cluster.installation == Installation::NamespaceTerminating => {
                    let message = format!(
                        "the namespace {:?} is being deleted, and the server of the kind with it: it is served again \
                         when Kindsmith is installed again",
                        cluster.service.namespace
                    );
                    Finding::new(Truth::False, "NamespaceTerminating", message)
                }
                _ if cluster.installation == Installation::AnchorDeleted => {
                    let message = format!(
                        "ClusterRole {ANCHOR:?} was deleted, as when Kindsmith is uninstalled; the kind is registered \
                         when it is there again, or two minutes after it went"
                    );
                    Finding::new(Truth::False, "AnchorDeleted", message)
                }
                None => Finding::new(Truth::False, "CertificatePending", "the serving certificate is not issued yet"),
                Some(_) if cluster.releases == Backend::Served && !is_adoption_said(definition) => {
                    let message =
                        "the group is registered once it is said which releases made by hand become instances";
                    Finding::new(Truth::False, "CountingAdopted", message)
                }
                Some(_) => {
                    let message = format!("APIService {name:?} does not exist yet");
                    Finding::new(Truth::False, "APIServiceMissing", message)
                }
            };
        };
        // Available is found with the bundle that the APIService carries: while it is replaced, the old one works.
        match available(found) {
            Some(condition) if condition.status == "True" => {}
            _ if cluster.bundle.as_ref().is_none_or(|bundle| !carries(found, bundle)) => {
                let message = format!("APIService {name:?} does not carry the current CA bundle yet");
                return Finding::new(Truth::False, "CABundlePending", message);
            }
            Some(condition) => {
                let reason = condition.reason.as_deref().filter(|reason| !reason.is_empty());
                let message = condition.message.as_deref().unwrap_or("no reason is given");
                let message = format!("APIService {name:?} is not available: {message}");
                return Finding::new(Truth::False, reason.unwrap_or("APIServiceUnavailable"), message);
            }
            None => {
                let message = format!("kube-aggregator has not looked at APIService {name:?} yet");
                return Finding::new(Truth::False, "APIServicePending", message);
            }
        }
    }
    let names: Vec<String> = served.iter().map(GroupVersion::api_service_name).collect();
    Finding::new(Truth::True, "Available", format!("available through {}", names.join(", ")))
}
