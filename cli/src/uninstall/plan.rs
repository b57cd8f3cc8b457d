//! From what is found in the cluster to the steps, in their order.

use std::fmt;

/// What can be seen of something, or why it cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen<T> {
    /// It is so.
    Known(T),
    /// It cannot be seen, and why.
    Unknown(String),
}

impl<T> Seen<T> {
    /// What is seen.
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown(_) => None,
        }
    }
}

/// A definition, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its name.
    pub name: String,
    /// Whether it has our finalizer.
    pub finalizer: Option<Finalizer>,
    /// Finalizers of others.
    pub others: Vec<String>,
    /// Whether it is being deleted.
    pub fate: Fate,
    /// Whether instances hold it.
    pub policy: Policy,
    /// What there is of instances.
    pub instances: Count,
    /// What its status says.
    pub said: Said,
}

/// Whether something is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is not.
    Stays,
    /// It is.
    Goes,
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

/// The operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// There is no Deployment of it.
    Absent,
    /// Its Deployment has replicas.
    Runs,
    /// Its Deployment is scaled to zero, and one may act still.
    Ends,
}

/// The CustomResourceDefinition of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crd {
    /// There is none.
    Absent,
    /// It is there.
    There(Fate),
}

/// All that is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The operator.
    pub operator: Seen<Operator>,
    /// APIServices of ours.
    pub api_services: Seen<Vec<String>>,
    /// The CustomResourceDefinition.
    pub crd: Seen<Crd>,
    /// Definitions.
    pub definitions: Seen<Vec<Found>>,
}

/// What is done about instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instances {
    /// They hold their definitions, as these say.
    Respect,
    /// They are left.
    Leave,
}

/// What is done about definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Definitions {
    /// They are left.
    Keep,
    /// They are deleted, and so is their CustomResourceDefinition.
    Delete,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Scale the Deployment of the operator to zero, and wait until nobody leads.
    StopOperator,
    /// Wait until nobody leads.
    AwaitOperator,
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
    /// Delete a definition.
    DeleteDefinition(String),
    /// Delete the CustomResourceDefinition.
    DeleteCrd,
    /// Wait until it is gone.
    AwaitCrd,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopOperator => {
                write!(f, "scale Deployment kindsmith-operator to zero and wait until no operator acts")
            }
            Self::AwaitOperator => write!(f, "wait until no operator acts"),
            Self::DeleteApiService(name) => write!(f, "delete APIService {name}"),
            Self::AwaitApiServices(names) => {
                write!(f, "wait until {} gone", if names.len() == 1 { "it is" } else { "they are" })
            }
            Self::TellUninstalled(name) => write!(f, "say in the status of definition {name} that it is not served"),
            Self::RemoveFinalizer { name, .. } => write!(f, "remove the finalizer of definition {name}"),
            Self::DeleteDefinition(name) => write!(f, "delete definition {name}"),
            Self::DeleteCrd => write!(f, "delete the CustomResourceDefinition {CRD}"),
            Self::AwaitCrd => write!(f, "wait until the CustomResourceDefinition {CRD} is gone"),
        }
    }
}

/// The name of the CustomResourceDefinition.
pub(crate) const CRD: &str = "applicationdefinitions.kindsmith.dev";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Why nothing is done.
    pub held_up: Vec<String>,
    /// What could not be looked at, where that holds nothing up.
    pub notes: Vec<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Returns what follows from what is found and wanted.
    pub(crate) fn new(found: &Surroundings, instances: Instances, definitions: Definitions) -> Self {
        let there: &[Found] = found.definitions.known().map(Vec::as_slice).unwrap_or_default();
        let (mut held_up, mut notes) = (Vec::new(), Vec::new());
        if instances == Instances::Respect {
            held_up.extend(there.iter().filter(|it| it.policy == Policy::Block).filter_map(blocking));
            if !held_up.is_empty() {
                held_up.push("delete the instances, or say --leave-instances to leave their releases".to_owned());
            }
        }
        // Where there never was a definition, nothing was registered.
        let none = found.definitions == Seen::Known(Vec::new());
        match &found.api_services {
            Seen::Unknown(why) if none => notes.push(format!("APIServices are not looked at: {why}")),
            Seen::Unknown(why) => held_up.push(format!("APIServices cannot be listed: {why}")),
            Seen::Known(_) => {}
        }
        if let Seen::Unknown(why) = &found.operator {
            notes.push(format!("the operator is not stopped, as its Deployment cannot be seen: {why}"));
        }
        match (&found.definitions, definitions) {
            (Seen::Unknown(why), Definitions::Keep) => {
                notes.push(format!("the finalizers of definitions stay, as these cannot be listed: {why}"));
            }
            (Seen::Unknown(why), Definitions::Delete) => held_up.push(format!("definitions cannot be listed: {why}")),
            (Seen::Known(_), _) => {}
        }
        let steps = if held_up.is_empty() { steps(found, there, definitions) } else { Vec::new() };
        Self { held_up, notes, steps }
    }
}

fn steps(found: &Surroundings, there: &[Found], definitions: Definitions) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(match found.operator {
        Seen::Known(Operator::Runs) => Some(Step::StopOperator),
        Seen::Known(Operator::Ends) => Some(Step::AwaitOperator),
        Seen::Known(Operator::Absent) | Seen::Unknown(_) => None,
    });
    let api_services = found.api_services.known().cloned().unwrap_or_default();
    steps.extend(api_services.iter().cloned().map(Step::DeleteApiService));
    if !api_services.is_empty() {
        steps.push(Step::AwaitApiServices(api_services));
    }
    // The finalizers first: they are removed from the definitions as they were seen.
    let held = there.iter().filter_map(|it| Some((it.name.clone(), it.finalizer.clone()?)));
    steps.extend(held.map(|(name, finalizer)| Step::RemoveFinalizer { name, finalizer }));
    let staying = there.iter().filter(|it| it.fate == Fate::Stays);
    let crd = found.crd.known();
    let is_crd_going = crd == Some(&Crd::There(Fate::Goes));
    match definitions {
        // Nobody reads it where all of them go.
        Definitions::Keep if is_crd_going => {}
        Definitions::Keep => {
            let told = staying.filter(|it| it.said == Said::Otherwise);
            steps.extend(told.map(|it| Step::TellUninstalled(it.name.clone())));
        }
        Definitions::Delete => {
            steps.extend(staying.map(|it| Step::DeleteDefinition(it.name.clone())));
            if !is_crd_going && crd != Some(&Crd::Absent) {
                steps.push(Step::DeleteCrd);
            }
        }
    }
    if is_crd_going || steps.contains(&Step::DeleteCrd) {
        steps.push(Step::AwaitCrd);
    }
    steps
}

fn blocking(found: &Found) -> Option<String> {
    let name = &found.name;
    match &found.instances {
        Count::NotServed | Count::Known { count: 0, .. } => None,
        Count::Unknown(why) => Some(format!("{name}: its instances cannot be counted: {why}")),
        Count::Known { count, first } => {
            let more = count.saturating_sub(first.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Some(format!("{name} has {}: {}{more}", counted(*count, "instance"), first.join(", ")))
        }
    }
}

/// A number with its noun.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn found(policy: Policy, instances: Count) -> Surroundings {
        let finalizer = Some(Finalizer { others: Vec::new(), resource_version: "7".to_owned() });
        Surroundings {
            operator: Seen::Known(Operator::Runs),
            api_services: Seen::Known(vec!["v1.apps.example.com".to_owned()]),
            crd: Seen::Known(Crd::There(Fate::Stays)),
            definitions: Seen::Known(vec![Found {
                name: "redises.apps.example.com".to_owned(),
                finalizer,
                others: Vec::new(),
                fate: Fate::Stays,
                policy,
                instances,
                said: Said::Otherwise,
            }]),
        }
    }

    pub(crate) fn nothing() -> Surroundings {
        Surroundings {
            operator: Seen::Known(Operator::Absent),
            api_services: Seen::Known(Vec::new()),
            crd: Seen::Known(Crd::Absent),
            definitions: Seen::Known(Vec::new()),
        }
    }

    fn two() -> Count {
        Count::Known { count: 12, first: vec!["default/a".to_owned(), "default/b".to_owned()] }
    }

    fn told(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn api_services_go_before_finalizers_and_the_operator_before_both() {
        let plan = Plan::new(&found(Policy::Orphan, two()), Instances::Respect, Definitions::Keep);
        assert_eq!(plan.held_up, [] as [String; 0]);
        assert_eq!(
            told(&plan),
            [
                "scale Deployment kindsmith-operator to zero and wait until no operator acts",
                "delete APIService v1.apps.example.com",
                "wait until it is gone",
                "remove the finalizer of definition redises.apps.example.com",
                "say in the status of definition redises.apps.example.com that it is not served",
            ]
        );
    }

    #[test]
    fn definitions_are_deleted_when_asked_for_alone() {
        let found = found(Policy::Orphan, two());
        let kept = Plan::new(&found, Instances::Leave, Definitions::Keep);
        assert!(!told(&kept).iter().any(|step| step.starts_with("delete definition") || step.contains("Custom")));
        let deleted = Plan::new(&found, Instances::Leave, Definitions::Delete);
        assert_eq!(
            told(&deleted)[3..],
            [
                "remove the finalizer of definition redises.apps.example.com",
                "delete definition redises.apps.example.com",
                "delete the CustomResourceDefinition applicationdefinitions.kindsmith.dev",
                "wait until the CustomResourceDefinition applicationdefinitions.kindsmith.dev is gone",
            ]
        );
        // Not although instances hold them.
        let held = Plan::new(&tests::found(Policy::Block, two()), Instances::Respect, Definitions::Delete);
        assert_eq!((held.steps.len(), held.held_up.len()), (0, 2));
    }

    #[test]
    fn a_definition_that_hangs_with_its_crd_is_freed_and_waited_for() {
        let mut going = found(Policy::Block, two());
        going.crd = Seen::Known(Crd::There(Fate::Goes));
        if let Seen::Known(definitions) = &mut going.definitions {
            definitions[0].fate = Fate::Goes;
        }
        for definitions in [Definitions::Keep, Definitions::Delete] {
            let plan = Plan::new(&going, Instances::Leave, definitions);
            assert_eq!(
                told(&plan)[3..],
                [
                    "remove the finalizer of definition redises.apps.example.com",
                    "wait until the CustomResourceDefinition applicationdefinitions.kindsmith.dev is gone",
                ]
            );
        }
    }

    #[test]
    fn instances_of_a_definition_that_blocks_hold_everything_up() {
        let plan = |policy, instances, wish| Plan::new(&found(policy, instances), wish, Definitions::Keep).held_up;
        let held_up = plan(Policy::Block, two(), Instances::Respect);
        assert_eq!(held_up[0], "redises.apps.example.com has 12 instances: default/a, default/b and 10 more");
        let unknown = || Count::Unknown("no answer".to_owned());
        assert!(plan(Policy::Block, unknown(), Instances::Respect)[0].contains("no answer"));
        assert!(plan(Policy::Block, unknown(), Instances::Leave).is_empty());
        assert!(plan(Policy::Block, two(), Instances::Leave).is_empty());
        assert!(plan(Policy::Block, Count::NotServed, Instances::Respect).is_empty());
    }

    #[test]
    fn what_is_done_already_is_not_done_again() {
        let mut again = found(Policy::Block, Count::NotServed);
        (again.operator, again.api_services) = (Seen::Known(Operator::Absent), Seen::Known(Vec::new()));
        if let Seen::Known(definitions) = &mut again.definitions {
            definitions[0].finalizer = None;
            definitions[0].said = Said::Uninstalled;
        }
        assert_eq!(Plan::new(&again, Instances::Respect, Definitions::Keep).steps, []);
    }

    #[test]
    fn nothing_is_done_and_nothing_fails_where_nothing_is() {
        for definitions in [Definitions::Keep, Definitions::Delete] {
            let plan = Plan::new(&nothing(), Instances::Respect, definitions);
            assert_eq!(plan, Plan { held_up: Vec::new(), notes: Vec::new(), steps: Vec::new() });
        }
        // Nor where it may not even be looked whether it is there.
        let unseen = Surroundings {
            operator: Seen::Unknown("no".to_owned()),
            api_services: Seen::Unknown("no".to_owned()),
            crd: Seen::Unknown("no".to_owned()),
            ..nothing()
        };
        let plan = Plan::new(&unseen, Instances::Respect, Definitions::Keep);
        assert_eq!((plan.held_up.len(), plan.notes.len(), plan.steps.len()), (0, 2, 0), "{plan:?}");
    }

    #[test]
    fn api_services_that_cannot_be_seen_are_not_left_behind_silently() {
        let mut unseen = found(Policy::Orphan, Count::NotServed);
        unseen.api_services = Seen::Unknown("forbidden".to_owned());
        let plan = Plan::new(&unseen, Instances::Leave, Definitions::Keep);
        assert_eq!(plan.held_up, ["APIServices cannot be listed: forbidden"]);
        unseen.definitions = Seen::Unknown("forbidden".to_owned());
        assert_eq!(Plan::new(&unseen, Instances::Leave, Definitions::Keep).held_up.len(), 1);
    }
}
