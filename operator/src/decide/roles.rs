//! Who may do what with each kind: three ClusterRoles a definition, which the built-in view, edit and admin take up.
//!
//! Each is whole in itself, so that it can be bound alone. The labels are those of
//! k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go; read and write are told apart as there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    api::rbac::v1::{ClusterRole, PolicyRule},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kindsmith_schema::kind::{KindOutline, StatusRole};
use kube::{ResourceExt as _, api::ObjectMeta};

use super::{Action, Cluster};
use crate::{
    finding::Finding,
    judge::{Definition, Deletion},
    ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE},
};

/// The label of our ClusterRoles; its value is the uid of the definition.
pub(crate) const ROLES_LABEL: &str = "kindsmith.dev/roles-of";

/// What a role is taken up into: this and the name of the role.
const AGGREGATE_LABEL: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// What the operator itself may read of instances: see `deploy/manifests`.
const AGGREGATE_TO_OPERATOR_LABEL: &str = "kindsmith.dev/aggregate-to-operator";

const READ: [&str; 3] = ["get", "list", "watch"];

const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    View,
    Edit,
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Admin];

    fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Admin => "admin",
        }
    }

    /// The built-in roles that take it up.
    fn taken_up_by(self) -> &'static [Self] {
        match self {
            Self::View => &Self::ALL,
            Self::Edit => &[Self::Edit, Self::Admin],
            Self::Admin => &[Self::Admin],
        }
    }
}

pub(super) fn actions(definitions: &[Arc<Definition>], names: &[Finding], cluster: &Cluster) -> Vec<Action> {
    let mut there: BTreeMap<String, &ClusterRole> =
        cluster.roles.iter().map(|role| (role.name_any(), role.as_ref())).collect();
    let mut actions = Vec::new();
    for (definition, names) in definitions.iter().zip(names) {
        let Some(kind) = definition.verdict.kind.as_ref().filter(|_| names.holds()) else { continue };
        if definition.deletion == Deletion::LetGo {
            continue;
        }
        for role in Role::ALL {
            let mut wanted = wanted(role, definition, kind);
            match there.remove(&wanted.name_any()) {
                Some(found) if is_as(found, &wanted) => {}
                found => {
                    wanted.metadata.resource_version = found.and_then(|found| found.resource_version());
                    actions.push(Action::WriteRole { object: Box::new(wanted) });
                }
            }
        }
    }
    // One that is refused, and whose last good generation is not known here, may be served all the same.
    let unknown = definitions.iter().filter(|definition| definition.is_unknown());
    let unknown: BTreeSet<&str> = unknown.map(|it| it.uid.as_str()).collect();
    there.retain(|_, role| role.labels().get(ROLES_LABEL).is_none_or(|uid| !unknown.contains(uid.as_str())));
    actions.extend(
        there
            .into_values()
            .filter(|role| role.metadata.deletion_timestamp.is_none())
            .map(|role| Action::DeleteRole { name: role.name_any(), uid: role.uid().unwrap_or_default() }),
    );
    actions
}

/// Whether both have the same roles, or none.
pub(super) fn are_same(left: (&Definition, &Finding), right: (&Definition, &Finding)) -> bool {
    let ((left, left_names), (right, right_names)) = (left, right);
    let stays = |definition: &Definition| definition.deletion != Deletion::LetGo;
    let kinds = match (&left.verdict.kind, &right.verdict.kind) {
        (None, None) => true,
        (Some(left), Some(right)) => {
            Arc::ptr_eq(left, right)
                || ((&left.group, &left.names.plural) == (&right.group, &right.names.plural)
                    && subresources(left) == subresources(right))
        }
        _ => false,
    };
    kinds
        && stays(left) == stays(right)
        && left.is_unknown() == right.is_unknown()
        && left_names.holds() == right_names.holds()
        && left.aggregates_roles == right.aggregates_roles
        && (left.form, &left.name, &left.uid) == (right.form, &right.name, &right.uid)
}

/// Whether a kind has a status and a scale to be written.
fn subresources(kind: &KindOutline) -> (bool, bool) {
    let status = kind.versions.iter().any(|version| version.status != StatusRole::Field);
    let scale = kind.versions.iter().any(|version| version.scale.is_some());
    (status, scale)
}

/// Whether a role says what it should; what others put on it besides may stay.
fn is_as(found: &ClusterRole, wanted: &ClusterRole) -> bool {
    let aggregates = |role: &ClusterRole| -> Vec<(String, String)> {
        let labels = role.labels().iter().filter(|(key, _)| key.starts_with(AGGREGATE_LABEL));
        labels.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let owners = |role: &ClusterRole| role.owner_references().iter().map(|it| it.uid.clone()).collect::<Vec<_>>();
    found.rules == wanted.rules
        && aggregates(found) == aggregates(wanted)
        && wanted.labels().iter().all(|(key, value)| found.labels().get(key) == Some(value))
        && owners(found) == owners(wanted)
}

fn wanted(role: Role, definition: &Definition, kind: &KindOutline) -> ClusterRole {
    let mut labels: BTreeMap<String, String> =
        [(MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned()), (ROLES_LABEL.to_owned(), definition.uid.clone())]
            .into();
    if definition.aggregates_roles {
        let into = role.taken_up_by().iter();
        labels.extend(into.map(|into| (format!("{AGGREGATE_LABEL}{}", into.name()), "true".to_owned())));
    }
    if role == Role::View {
        labels.insert(AGGREGATE_TO_OPERATOR_LABEL.to_owned(), "true".to_owned());
    }
    ClusterRole {
        metadata: ObjectMeta {
            name: Some(format!("{}:{}:{}", kind.group, kind.names.plural, role.name())),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{}/{}", definition.form.group(), definition.form.version()),
                kind: "ApplicationDefinition".to_owned(),
                name: definition.name.clone(),
                uid: definition.uid.clone(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        rules: Some(rules(role, kind)),
        aggregation_rule: None,
    }
}

fn rules(role: Role, kind: &KindOutline) -> Vec<PolicyRule> {
    let plural = &kind.names.plural;
    let (status, scale) = subresources(kind);
    let status = status.then(|| format!("{plural}/status"));
    let scale = scale.then(|| format!("{plural}/scale"));
    let rule = |resources: Vec<String>, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![kind.group.clone()]),
        resources: Some(resources),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    };
    let all = || [plural.clone()].into_iter().chain(status.clone()).chain(scale.clone()).collect::<Vec<_>>();
    match role {
        Role::View => vec![rule(all(), &READ)],
        // A status says what was found; who edits does not write it.
        Role::Edit => {
            let written = [plural.clone()].into_iter().chain(scale.clone()).collect();
            vec![rule(all(), &READ), rule(written, &WRITE)]
        }
        Role::Admin => vec![rule(all(), &[READ.as_slice(), WRITE.as_slice()].concat())],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::{
        CrdClaim, Surroundings, World, holders,
        testing::{WorldBuilder, definition},
    };

    fn of(world: &World) -> Vec<Action> {
        let Surroundings::Registered(cluster) = &world.surroundings else { panic!("there is no cluster") };
        actions(&world.definitions, &holders::all_names(world), cluster)
    }

    fn written(actions: &[Action]) -> Vec<&ClusterRole> {
        let mut roles = Vec::new();
        for action in actions {
            if let Action::WriteRole { object } = action {
                roles.push(object.as_ref());
            }
        }
        roles
    }

    #[test]
    fn a_kind_has_three_roles_that_the_built_in_ones_take_up() {
        let mut scaled = definition("redises", "Redis");
        scaled["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}});
        scaled["spec"]["versions"][0]["subresources"] =
            json!({"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}});
        let found = of(&WorldBuilder::registered().define(&scaled).build());
        let roles = written(&found);
        let names: Vec<String> = roles.iter().map(|role| role.name_any()).collect();
        assert_eq!(names, ["view", "edit", "admin"].map(|role| format!("apps.example.com:redises:{role}")));
        let aggregates = |role: &ClusterRole| {
            let labels = role.labels().keys().filter_map(|key| key.strip_prefix(AGGREGATE_LABEL));
            labels.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(aggregates(roles[0]), ["admin", "edit", "view"]);
        assert_eq!(aggregates(roles[1]), ["admin", "edit"]);
        assert_eq!(aggregates(roles[2]), ["admin"]);
        let resources = |rule: &PolicyRule| rule.resources.clone().unwrap();
        let view = roles[0].rules.clone().unwrap();
        assert_eq!(resources(&view[0]), ["redises", "redises/status", "redises/scale"]);
        let edit = roles[1].rules.clone().unwrap();
        assert_eq!(resources(&edit[1]), ["redises", "redises/scale"]);
        assert!(roles.iter().all(|role| role.owner_references()[0].uid == "uid-of-redises"));
    }

    #[test]
    fn who_opts_out_has_roles_that_nothing_takes_up() {
        let mut apart = definition("redises", "Redis");
        apart["metadata"]["annotations"] = json!({"kindsmith.dev/aggregate-roles": "false"});
        let found = of(&WorldBuilder::registered().define(&apart).build());
        let labelled = |role: &&ClusterRole| role.labels().keys().any(|key| key.starts_with(AGGREGATE_LABEL));
        assert_eq!(written(&found).len(), 3);
        assert!(!written(&found).iter().any(labelled));
    }

    #[test]
    fn roles_go_when_a_custom_resource_definition_serves_the_plural_in_any_version() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        world.settle();
        assert_eq!(world.cluster().roles.len(), 3);
        world.cluster().crds.push(CrdClaim {
            name: "redises.apps.example.com".to_owned(),
            group: "apps.example.com".to_owned(),
            plural: "redises".to_owned(),
            served: vec!["v9".to_owned()],
            created: "2030-01-01T00:00:00Z".parse().unwrap(),
        });
        world.settle();
        assert!(world.cluster().roles.is_empty());
        assert_eq!(world.cluster().api_services.len(), 0);
        let (status, reason, _) = world.condition("redises", "Served");
        assert_eq!(format!("{status} {reason}"), "False ServedByOther");
        world.cluster().crds.clear();
        world.settle();
        assert_eq!(world.cluster().roles.len(), 3);
    }

    #[test]
    fn roles_in_a_group_of_others_go_although_an_earlier_version_made_them() {
        let mut before = WorldBuilder::registered().define(&definition("redises", "Redis"));
        before.settle();
        let mut foreign = definition("redises", "Redis");
        foreign["spec"]["group"] = "kustomize.toolkit.fluxcd.io".into();
        // The operator of another version begins anew: no kind comes of what was recorded in such a group.
        let mut world = WorldBuilder::registered().define(&foreign);
        world.cluster().roles = before.cluster().roles.clone();
        assert_eq!(world.cluster().roles.len(), 3);
        world.settle();
        assert!(world.cluster().roles.is_empty());
    }

    #[test]
    fn roles_go_with_their_kind_and_come_back_into_shape() {
        let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
        world.settle();
        assert_eq!(world.cluster().roles.len(), 3);
        let roles = Arc::make_mut(&mut world.cluster().roles);
        Arc::make_mut(&mut roles[0]).rules = None;
        assert_eq!(written(&of(&world.look())).len(), 1);
        world.settle();
        assert_eq!(of(&world.look()), []);
        world.objects.clear();
        world.settle();
        assert!(world.cluster().roles.is_empty());
    }
}
