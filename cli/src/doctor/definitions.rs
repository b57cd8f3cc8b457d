//! The CustomResourceDefinition, and each definition: what its conditions say of it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kindsmith_crds::{
    CONDITION_ACCEPTED, CONDITION_DISCOVERABLE, CONDITION_NAMES_ACCEPTED, CONDITION_READY, CONDITION_REGISTERED,
    CONDITION_RESOURCES_VISIBLE, CONDITION_ROLLED_OUT, CONDITION_SERVED, CONDITION_TERMINATING,
};
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::Value;

use super::{
    answers::{Answer, CRD},
    finding::{Finding, Topic},
};
use crate::cluster::Unanswered;

/// How many definitions have a line of their own.
const LINES_MAX: usize = 50;

/// Judges the CustomResourceDefinition.
pub(super) fn crd(answer: &Answer<CustomResourceDefinition>) -> Finding {
    let apply = "kindsmith crd | kubectl apply --server-side -f -";
    let crd = match answer {
        Ok(crd) => crd,
        Err(Unanswered::Missing) => {
            return Finding::broken(Topic::Crd, format!("the CustomResourceDefinition {CRD} is missing"), apply);
        }
        Err(why) => {
            let needs = format!("get on customresourcedefinitions {CRD}");
            return Finding::unanswered(Topic::Crd, "CustomResourceDefinition", &needs, why);
        }
    };
    if crd.metadata.deletion_timestamp.is_some() {
        let found = format!("the CustomResourceDefinition {CRD} is being deleted, and the definitions with it");
        return Finding::broken(
            Topic::Crd,
            found,
            "kindsmith uninstall --leave-instances frees it; then install it again",
        );
    }
    let conditions = crd.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    if !conditions.iter().any(|it| it.type_ == "Established" && it.status == "True") {
        let found = format!("the CustomResourceDefinition {CRD} is not established");
        return Finding::broken(Topic::Crd, found, format!("kubectl describe crd {CRD}"));
    }
    // Of fields that only one of both knows, values would be lost or not be looked at.
    let own = kindsmith_crds::custom_resource_definition().ok();
    let own = own.and_then(|own| serde_json::from_value::<CustomResourceDefinition>(own).ok());
    if own.is_some_and(|own| own.spec.versions != crd.spec.versions) {
        let found = format!("the CustomResourceDefinition {CRD} is another than the one of this program");
        return Finding::warning(Topic::Crd, found, format!("with the program of the installed version: {apply}"));
    }
    Finding::well(Topic::Crd, format!("the CustomResourceDefinition {CRD} is established"))
}

/// Judges each definition.
pub(super) fn judge(answer: &Answer<Vec<DynamicObject>>, namespace: &str) -> Vec<Finding> {
    let definitions = match answer {
        Ok(definitions) => definitions,
        // That the CustomResourceDefinition is missing is said already.
        Err(Unanswered::Missing) => return Vec::new(),
        Err(why) => {
            let needs = "list on applicationdefinitions.kindsmith.dev";
            return vec![Finding::unanswered(Topic::Definitions, "definitions", needs, why)];
        }
    };
    let mut findings: Vec<Finding> = definitions.iter().flat_map(|it| Judged(it).findings(namespace)).collect();
    let more = findings.len().saturating_sub(LINES_MAX);
    findings.truncate(LINES_MAX);
    if more > 0 {
        findings.push(Finding::warning(
            Topic::Definitions,
            format!("{more} more lines like these"),
            "kubectl get appdef",
        ));
    }
    let well = definitions.iter().filter(|it| Judged(it).is_well()).count();
    match (definitions.len(), well) {
        (0, _) => findings.push(Finding::well(Topic::Definitions, "there are no definitions yet")),
        (_, 0) => {}
        (all, well) => {
            findings.push(Finding::well(Topic::Definitions, format!("{well} of {all} definitions are Ready")))
        }
    }
    findings
}

/// Returns whether the kind of a definition is said to be served.
pub(super) fn is_served(definition: &DynamicObject) -> bool {
    Judged(definition).condition(CONDITION_SERVED).is_some_and(|it| it.status == "True")
}

/// A definition, and what its status says.
struct Judged<'a>(&'a DynamicObject);

/// A condition.
struct Condition<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    fn said(&self) -> String {
        match self.message {
            "" => self.reason.to_owned(),
            message => format!("{}: {message}", self.reason),
        }
    }
}

impl Judged<'_> {
    fn condition(&self, wanted: &str) -> Option<Condition<'_>> {
        let conditions = self.0.data.pointer("/status/conditions")?.as_array()?;
        let found = conditions.iter().find(|it| it["type"] == wanted)?;
        let text = |member: &str| found.get(member).and_then(Value::as_str).unwrap_or_default();
        Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
    }

    /// The first of these conditions that does not hold.
    fn failing(&self, wanted: &[&str]) -> Option<Condition<'_>> {
        wanted.iter().find_map(|kind| self.condition(kind).filter(|it| it.status != "True"))
    }

    fn observed(&self) -> Option<i64> {
        self.0.data.pointer("/status/observedGeneration")?.as_i64()
    }

    fn is_well(&self) -> bool {
        self.0.metadata.deletion_timestamp.is_none()
            && self.condition(CONDITION_READY).is_some_and(|it| it.status == "True")
            && self.observed() >= self.0.metadata.generation
    }

    fn findings(&self, namespace: &str) -> Vec<Finding> {
        let name = self.0.name_any();
        let describe = format!("kubectl describe appdef {name}");
        let warning = |found: String, remedy: &str| Finding::warning(Topic::Definitions, found, remedy);
        if self.0.metadata.deletion_timestamp.is_some() {
            let why = self
                .condition(CONDITION_TERMINATING)
                .map_or_else(|| "no operator has looked at it".to_owned(), |condition| condition.said());
            let remedy = "delete its instances, or set deletionPolicy: Orphan to leave their releases";
            return vec![warning(format!("definition {name} is being deleted: {why}"), remedy)];
        }
        let mut findings = Vec::new();
        if self.observed() < self.0.metadata.generation {
            let look = format!("kubectl -n {namespace} logs deployment/kindsmith-operator");
            findings
                .push(warning(format!("definition {name}: no operator has looked at its present generation"), &look));
        } else if !self.is_well() {
            // What its author wrote is refused: that is as it should be. That what is accepted does not work is not.
            let refused = self.failing(&[CONDITION_ACCEPTED, CONDITION_NAMES_ACCEPTED]);
            let broken = self.failing(&[CONDITION_REGISTERED, CONDITION_SERVED, CONDITION_DISCOVERABLE]);
            findings.push(match (refused, broken) {
                (Some(refused), _) => {
                    let found = format!("definition {name} is not accepted: {}", refused.said());
                    warning(found, "mend the definition; kindsmith check judges it before it is applied")
                }
                (None, Some(broken)) => {
                    let found = format!("definition {name} does not work: {}", broken.said());
                    Finding::broken(Topic::Definitions, found, describe.clone())
                }
                (None, None) => {
                    let ready = self.condition(CONDITION_READY);
                    let why = ready.map_or_else(|| "it has no condition Ready".to_owned(), |ready| ready.said());
                    Finding::broken(
                        Topic::Definitions,
                        format!("definition {name} is not Ready: {why}"),
                        describe.clone(),
                    )
                }
            });
        }
        // These have no part in Ready.
        for kind in [CONDITION_ROLLED_OUT, CONDITION_RESOURCES_VISIBLE] {
            let failing = self.condition(kind).filter(|it| it.status == "False" && it.reason != "NotAccepted");
            if let Some(condition) = failing.filter(|it| it.reason != "Progressing") {
                findings.push(warning(format!("definition {name}: {kind}: {}", condition.said()), &describe));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Level, *};

    fn definition(conditions: &[(&str, &str, &str)], observed: i64) -> DynamicObject {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason, "message": "so"}))
            .collect();
        serde_json::from_value(json!({"metadata": {"name": "redises.apps.example.com", "generation": 2},
            "status": {"observedGeneration": observed, "conditions": conditions}}))
        .unwrap()
    }

    fn judged(definition: DynamicObject) -> Finding {
        judge(&Ok(vec![definition]), "system").remove(0)
    }

    #[test]
    fn a_definition_that_is_refused_is_its_authors_and_one_that_does_not_work_is_ours() {
        let ready = definition(&[("Ready", "True", "Ready")], 2);
        assert_eq!(judged(ready), Finding::well(Topic::Definitions, "1 of 1 definitions are Ready"));
        let refused = judged(definition(&[("Ready", "False", "X"), ("Accepted", "False", "InvalidDefinition")], 2));
        assert_eq!(refused.level, Level::Warning);
        assert_eq!(refused.found, "definition redises.apps.example.com is not accepted: InvalidDefinition: so");
        let dead =
            [("Ready", "False", "X"), ("Accepted", "True", "A"), ("Registered", "False", "FailedDiscoveryCheck")];
        let dead = judged(definition(&dead, 2));
        assert_eq!((dead.level, dead.found.contains("FailedDiscoveryCheck: so")), (Level::Broken, true));
        assert_eq!(judged(definition(&[("Ready", "False", "Uninstalled")], 2)).level, Level::Broken);
        let old = judged(definition(&[("Ready", "True", "Ready")], 1));
        assert!(old.level == Level::Warning && old.found.contains("present generation"), "{old:?}");
    }

    #[test]
    fn one_that_goes_says_what_holds_it() {
        let mut going = definition(&[("Terminating", "True", "InstancesExist")], 2);
        going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-30T00:00:00Z")).unwrap();
        let going = judged(going);
        assert!(going.level == Level::Warning && going.found.contains("InstancesExist: so"), "{going:?}");
    }

    #[test]
    fn what_ready_does_not_depend_on_is_warned_of() {
        let one = definition(&[("Ready", "True", "Ready"), ("ResourcesVisible", "False", "Forbidden")], 2);
        let told = judge(&Ok(vec![one]), "system");
        assert_eq!((told[0].level, told[1].level), (Level::Warning, Level::Well), "{told:?}");
    }

    #[test]
    fn definitions_are_counted_and_bounded() {
        let broken = || definition(&[("Ready", "False", "X")], 2);
        let told = judge(&Ok((0..LINES_MAX + 5).map(|_| broken()).collect()), "system");
        assert_eq!((told.len(), told[LINES_MAX].found.as_str()), (LINES_MAX + 1, "5 more lines like these"));
        assert_eq!(judge(&Ok(Vec::new()), "system")[0].found, "there are no definitions yet");
        assert_eq!(judge(&Err(Unanswered::Missing), "system"), []);
        assert_eq!(judge(&Err(Unanswered::Forbidden(String::new())), "system")[0].level, Level::Unchecked);
    }

    #[test]
    fn the_crd_is_there_and_of_this_version() {
        let own = || {
            let mut own = kindsmith_crds::custom_resource_definition().unwrap();
            own["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
            own
        };
        let read = |value: Value| -> Answer<CustomResourceDefinition> { Ok(serde_json::from_value(value).unwrap()) };
        assert_eq!(crd(&read(own())).level, Level::Well);
        let mut other = own();
        other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "another".into();
        assert_eq!(crd(&read(other)).level, Level::Warning);
        let mut young = own();
        young["status"] = json!({});
        assert_eq!(crd(&read(young)).level, Level::Broken);
        let mut going = own();
        going["metadata"]["deletionTimestamp"] = "2026-11-30T00:00:00Z".into();
        assert!(crd(&read(going)).remedy.unwrap().contains("--leave-instances"));
        let missing = crd(&Err(Unanswered::Missing));
        assert!(missing.level == Level::Broken && missing.remedy.unwrap().starts_with("kindsmith crd"));
    }
}
