//! Which right was missing, as far as a refusal of kube-apiserver tells, and the rule that grants it.
//!
//! Its message is made by `forbiddenMessage` in k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

/// How often it is told that a right is missing.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many things may miss a right at once; of what comes then it is told each time.
const HELD_MAX: usize = 1024;

/// A right that was missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRight {
    user: String,
    verb: String,
    what: What,
}

/// What was to be done something with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Path(String),
    Resource {
        group: String,
        /// With its subresource, `leases` or `deployments/scale`.
        resource: String,
        name: Option<String>,
        /// None at the scope of the cluster.
        namespace: Option<String>,
    },
}

impl MissingRight {
    /// Reads the message of a refusal; none where it is another message.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        let (about, said) = message.split_once("User \"")?;
        let (user, said) = said.split_once("\" cannot ")?;
        let (verb, said) = said.split_once(' ')?;
        let what = if let Some(path) = said.strip_prefix("path \"") {
            What::Path(path.split('"').next()?.to_owned())
        } else {
            let said = said.strip_prefix("resource \"")?;
            let (resource, said) = said.split_once("\" in API group \"")?;
            let (group, said) = said.split_once('"')?;
            let namespace = said.strip_prefix(" in the namespace \"").and_then(|said| said.split('"').next());
            // `leases.coordination.k8s.io "kindsmith-operator" is forbidden: `; without a name where all were asked for.
            let named = about.split_once('"').and_then(|(_, named)| named.split('"').next());
            What::Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                name: named.filter(|name| !name.is_empty()).map(str::to_owned),
                namespace: namespace.map(str::to_owned),
            }
        };
        Some(Self { user: user.to_owned(), verb: verb.to_owned(), what })
    }

    /// The rule, as one writes it into a role.
    fn rule(&self) -> String {
        let Self { verb, .. } = self;
        match &self.what {
            What::Path(path) => format!("{{nonResourceURLs: [{path:?}], verbs: [{verb}]}}"),
            What::Resource { group, resource, name, .. } => {
                let named = name.as_ref().map(|name| format!(", resourceNames: [{name:?}]")).unwrap_or_default();
                format!("{{apiGroups: [{group:?}], resources: [{resource:?}]{named}, verbs: [{verb}]}}")
            }
        }
    }
}

impl fmt::Display for MissingRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, verb, what } = self;
        match what {
            What::Path(path) => write!(f, "{user} may not {verb} {path}")?,
            What::Resource { group, resource, name, namespace } => {
                write!(f, "{user} may not {verb} {resource}")?;
                if !group.is_empty() {
                    write!(f, ".{group}")?;
                }
                if let Some(name) = name {
                    write!(f, " {name:?}")?;
                }
                if let Some(namespace) = namespace {
                    write!(f, " in the namespace {namespace}")?;
                }
            }
        }
        let role = match what {
            What::Resource { namespace: Some(namespace), .. } => format!("a Role in {namespace}"),
            _ => "a ClusterRole".to_owned(),
        };
        write!(f, "; {role} that is bound to it needs the rule {}", self.rule())
    }
}

/// The rights that a process misses, by what it needs them for.
#[derive(Debug, Default)]
pub struct MissingRights {
    held: BTreeMap<String, (MissingRight, Instant)>,
}

/// What is to be told of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A right is missing, which is to be told now.
    Missing(MissingRight),
    /// A right is missing, which was told a short while ago.
    Known,
    /// It failed for another reason.
    Other,
}

impl MissingRights {
    /// Notes that something failed, with the message of the failure.
    pub fn failed(&mut self, what: &str, message: &str, now: Instant) -> Failure {
        let Some(right) = MissingRight::parse(message) else {
            self.held.remove(what);
            return Failure::Other;
        };
        match self.held.get(what) {
            Some((held, told)) if *held == right && now.saturating_duration_since(*told) < TELL_EVERY => Failure::Known,
            held => {
                if held.is_none() && self.held.len() >= HELD_MAX {
                    return Failure::Missing(right);
                }
                self.held.insert(what.to_owned(), (right.clone(), now));
                Failure::Missing(right)
            }
        }
    }

    /// Notes that something went well.
    pub fn granted(&mut self, what: &str) {
        self.held.remove(what);
    }

    /// The right that something misses.
    #[must_use]
    pub fn of(&self, what: &str) -> Option<&MissingRight> {
        self.held.get(what).map(|(right, _)| right)
    }

    /// All rights that are missing.
    pub fn all(&self) -> impl Iterator<Item = &MissingRight> {
        self.held.values().map(|(right, _)| right)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "secrets is forbidden: User \"system:serviceaccount:kindsmith-system:kindsmith-operator\" cannot list resource \"secrets\" in API group \"\" in the namespace \"kindsmith-system\"",
        "system:serviceaccount:kindsmith-system:kindsmith-operator may not list secrets in the namespace kindsmith-system; a Role in kindsmith-system that is bound to it needs the rule {apiGroups: [\"\"], resources: [\"secrets\"], verbs: [list]}"
    )]
    #[case(
        "leases.coordination.k8s.io \"kindsmith-operator\" is forbidden: User \"ann\" cannot get resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"a\": RBAC: role.rbac.authorization.k8s.io \"x\" not found",
        "ann may not get leases.coordination.k8s.io \"kindsmith-operator\" in the namespace a; a Role in a that is bound to it needs the rule {apiGroups: [\"coordination.k8s.io\"], resources: [\"leases\"], resourceNames: [\"kindsmith-operator\"], verbs: [get]}"
    )]
    #[case(
        "applicationdefinitions.kindsmith.dev \"a\" is forbidden: User \"ann\" cannot patch resource \"applicationdefinitions/status\" in API group \"kindsmith.dev\" at the cluster scope",
        "ann may not patch applicationdefinitions/status.kindsmith.dev \"a\"; a ClusterRole that is bound to it needs the rule {apiGroups: [\"kindsmith.dev\"], resources: [\"applicationdefinitions/status\"], resourceNames: [\"a\"], verbs: [patch]}"
    )]
    #[case(
        "forbidden: User \"ann\" cannot get path \"/kindsmith/registry\"",
        "ann may not get /kindsmith/registry; a ClusterRole that is bound to it needs the rule {nonResourceURLs: [\"/kindsmith/registry\"], verbs: [get]}"
    )]
    fn a_refusal_tells_the_rule_that_is_missing(#[case] message: &str, #[case] told: &str) {
        assert_eq!(MissingRight::parse(message).unwrap().to_string(), told);
    }

    #[rstest]
    #[case("")]
    #[case("pods \"a\" is forbidden: exceeded quota: a, requested: pods=1, used: pods=1, limited: pods=1")]
    #[case("secrets \"a\" is forbidden: unable to create new content in namespace a because it is being terminated")]
    #[case("User \"a\" cannot")]
    #[case("User \"a\" cannot get resource \"")]
    fn other_refusals_are_no_missing_rights(#[case] message: &str) {
        assert_eq!(MissingRight::parse(message), None);
    }

    #[test]
    fn a_missing_right_is_told_once_a_minute_until_it_is_granted() {
        let message = |resource: &str| {
            format!(
                "x is forbidden: User \"a\" cannot list resource {resource:?} in API group \"\" at the cluster scope"
            )
        };
        let (mut rights, now) = (MissingRights::default(), Instant::now());
        assert_eq!(rights.failed("pods", "no answer", now), Failure::Other);
        assert!(matches!(rights.failed("pods", &message("pods"), now), Failure::Missing(_)));
        assert_eq!(rights.failed("pods", &message("pods"), now + TELL_EVERY / 2), Failure::Known);
        assert!(matches!(rights.failed("pods", &message("nodes"), now), Failure::Missing(_)), "it is another");
        assert!(matches!(rights.failed("pods", &message("nodes"), now + TELL_EVERY), Failure::Missing(_)));
        assert_eq!(rights.all().count(), 1);
        rights.granted("pods");
        assert_eq!((rights.all().count(), rights.of("pods")), (0, None));
        rights.failed("pods", &message("pods"), now);
        assert_eq!(rights.failed("pods", "no answer", now), Failure::Other);
        assert_eq!(rights.of("pods"), None, "it is not known any more");
    }
}
