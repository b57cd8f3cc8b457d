//! From what is found in the cluster to the steps, in their order.

use std::fmt;

/// A definition, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its name.
    pub name: String,
    /// Whether it has our finalizer.
    pub finalizer: Option<Finalizer>,
    /// Whether instances hold it.
    pub policy: Policy,
    /// What there is of instances.
    pub instances: Count,
    /// What its status says.
    pub said: Said,
}

/// What the status of a definition says of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// That it is not served any more, since Kindsmith was uninstalled.
    Uninstalled,
    /// Something else.
    Otherwise,
}

/// Our finalizer, and those of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finalizer {
    /// Those of others.
    pub others: Vec<String>,
    /// The state of the definition that they were seen in.
    pub resource_version: String,
}

/// Whether instances hold a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// They do.
    Block,
    /// They do not.
    Orphan,
}

/// How many instances a definition has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// So many, and the first of them.
    Known {
        /// How many.
        count: usize,
        /// The first.
        first: Vec<String>,
    },
    /// It is not served, so there are none that anybody sees.
    NotServed,
    /// They cannot be read.
    Unknown(String),
}

/// All that is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The Deployment of the operator, unless it is scaled to zero already or absent.
    pub operator: Option<String>,
    /// APIServices of ours.
    pub api_services: Vec<String>,
    /// Definitions.
    pub definitions: Vec<Found>,
}

/// What is done about instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instances {
    /// They hold their definitions, as these say.
    Respect,
    /// They are left.
    Leave,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Scale the Deployment of the operator to zero, and wait until nobody leads.
    StopOperator(String),
    /// Delete an APIService.
    DeleteApiService(String),
    /// Wait until they are gone.
    AwaitApiServices(Vec<String>),
    /// Write into the status of a definition that its kind is not served.
    TellUninstalled(String),
    /// Remove our finalizer.
    RemoveFinalizer {
        /// Of this definition.
        name: String,
        /// What it had besides.
        finalizer: Finalizer,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopOperator(name) => write!(f, "scale Deployment {name} to zero and wait until no operator acts"),
            Self::DeleteApiService(name) => write!(f, "delete APIService {name}"),
            Self::AwaitApiServices(names) => write!(f, "wait until {} APIServices are gone", names.len()),
            Self::TellUninstalled(name) => write!(f, "say in the status of definition {name} that it is not served"),
            Self::RemoveFinalizer { name, .. } => write!(f, "remove the finalizer of definition {name}"),
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Why nothing is done.
    pub held_up: Vec<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    definitions: usize,
    instances: usize,
}

impl Plan {
    /// What follows from what is found.
    pub(crate) fn new(found: Surroundings, instances: Instances) -> Self {
        let Surroundings { operator, api_services, definitions } = found;
        let respected = instances == Instances::Respect;
        let held_up = definitions.iter().filter(|it| respected && it.policy == Policy::Block).filter_map(held_up);
        let held_up = held_up.collect();
        let known = |it: &Found| if let Count::Known { count, .. } = it.instances { count } else { 0 };
        let (count, instances) = (definitions.len(), definitions.iter().map(known).sum());
        let mut steps: Vec<Step> = operator.map(Step::StopOperator).into_iter().collect();
        steps.extend(api_services.iter().cloned().map(Step::DeleteApiService));
        if !api_services.is_empty() {
            steps.push(Step::AwaitApiServices(api_services));
        }
        let told = definitions.iter().filter(|it| it.said == Said::Otherwise);
        let told: Vec<Step> = told.map(|found| Step::TellUninstalled(found.name.clone())).collect();
        steps.extend(
            definitions
                .into_iter()
                .filter_map(|found| Some(Step::RemoveFinalizer { name: found.name, finalizer: found.finalizer? })),
        );
        // The finalizers first: they are removed from the definitions as they were seen.
        steps.extend(told);
        Self { held_up, steps, definitions: count, instances }
    }

    /// What is left, and how it is removed.
    pub(crate) fn left(&self, namespace: &str) -> Vec<String> {
        vec![
            format!("left: {} definitions and {} instances, as HelmReleases", self.definitions, self.instances),
            format!("left: the namespace {namespace}; delete it with: kubectl delete -f deploy/manifests/"),
            "left: the CustomResourceDefinition; deleting it deletes the definitions: kubectl delete -f deploy/crds/"
                .to_owned(),
        ]
    }
}

fn held_up(found: &Found) -> Option<String> {
    let name = &found.name;
    match &found.instances {
        Count::NotServed | Count::Known { count: 0, .. } => None,
        Count::Unknown(why) => Some(format!("{name}: its instances cannot be counted: {why}")),
        Count::Known { count, first } => {
            let more = count.saturating_sub(first.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Some(format!("{name} has {count} instances: {}{more}", first.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(policy: Policy, instances: Count) -> Surroundings {
        let finalizer = Some(Finalizer { others: Vec::new(), resource_version: "7".to_owned() });
        Surroundings {
            operator: Some("kindsmith-operator".to_owned()),
            api_services: vec!["v1.apps.example.com".to_owned()],
            definitions: vec![Found {
                name: "redises.apps.example.com".to_owned(),
                finalizer,
                policy,
                instances,
                said: Said::Otherwise,
            }],
        }
    }

    fn two() -> Count {
        Count::Known { count: 12, first: vec!["default/a".to_owned(), "default/b".to_owned()] }
    }

    #[test]
    fn api_services_go_before_finalizers_and_the_operator_before_both() {
        let plan = Plan::new(found(Policy::Orphan, two()), Instances::Respect);
        assert_eq!(plan.held_up, [] as [String; 0]);
        let told: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "scale Deployment kindsmith-operator to zero and wait until no operator acts",
                "delete APIService v1.apps.example.com",
                "wait until 1 APIServices are gone",
                "remove the finalizer of definition redises.apps.example.com",
                "say in the status of definition redises.apps.example.com that it is not served",
            ]
        );
        assert!(plan.left("system")[0].contains("1 definitions and 12 instances"));
    }

    #[test]
    fn instances_of_a_definition_that_blocks_hold_everything_up() {
        let plan = Plan::new(found(Policy::Block, two()), Instances::Respect);
        assert_eq!(plan.held_up, ["redises.apps.example.com has 12 instances: default/a, default/b and 10 more"]);
        let unknown = Count::Unknown("no answer".to_owned());
        assert_eq!(Plan::new(found(Policy::Block, unknown), Instances::Respect).held_up.len(), 1);
        assert!(Plan::new(found(Policy::Block, two()), Instances::Leave).held_up.is_empty());
        assert!(Plan::new(found(Policy::Block, Count::NotServed), Instances::Respect).held_up.is_empty());
    }

    #[test]
    fn what_is_done_already_is_not_done_again() {
        let mut again = found(Policy::Block, Count::NotServed);
        (again.operator, again.api_services) = (None, Vec::new());
        again.definitions[0].finalizer = None;
        again.definitions[0].said = Said::Uninstalled;
        assert_eq!(Plan::new(again, Instances::Respect).steps, []);
    }
}
