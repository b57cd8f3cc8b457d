//! APIServices: ours, and dead ones of anybody, which hold up the deletion of every namespace.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceCondition};
use kube::ResourceExt as _;

use super::{
    answers::Answer,
    finding::{Finding, Topic},
};

/// The label of ours, and its value.
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
const MANAGED_BY_VALUE: &str = "kindsmith";

/// What a dead one does.
const HOLDS_UP: &str = "no namespace can be deleted meanwhile";

/// Returns ours.
pub(super) fn ours(all: &[APIService]) -> impl Iterator<Item = &APIService> {
    all.iter().filter(|it| it.labels().get(MANAGED_BY_LABEL).is_some_and(|value| value == MANAGED_BY_VALUE))
}

/// Judges all.
pub(super) fn judge(answer: &Answer<Vec<APIService>>, namespace: &str) -> Vec<Finding> {
    let all = match answer {
        Ok(all) => all,
        Err(why) => {
            return vec![Finding::unanswered(Topic::ApiServices, "APIServices", "list on apiservices", why)];
        }
    };
    let own: Vec<String> = ours(all).map(|it| it.name_any()).collect();
    let mut findings = Vec::new();
    for found in all {
        let Some(condition) = dead(found) else { continue };
        let name = found.name_any();
        let (reason, message) = (condition.reason.as_deref().unwrap_or("unknown"), condition.message.as_deref());
        let said = format!("{reason}{}", message.map(|message| format!(": {message}")).unwrap_or_default());
        if own.contains(&name) {
            findings.push(Finding::broken(
                Topic::ApiServices,
                format!("APIService {name} is dead, {HOLDS_UP}: {said}"),
                format!(
                    "kubectl -n {namespace} get pods -l app.kubernetes.io/component=apiserver; if Kindsmith is not to come back: \
                     kindsmith uninstall --namespace {namespace}"
                ),
            ));
        } else {
            let service = found.spec.as_ref().and_then(|spec| spec.service.as_ref());
            let service = service.map(|it| {
                let text = |part: &Option<String>| part.clone().unwrap_or_default();
                format!(" of Service {}/{}", text(&it.namespace), text(&it.name))
            });
            findings.push(Finding::warning(
                Topic::ApiServices,
                format!(
                    "APIService {name}{}, which is not ours, is dead, {HOLDS_UP}: {said}",
                    service.unwrap_or_default()
                ),
                format!("mend what serves it, or where that is gone for good: kubectl delete apiservice {name}"),
            ));
        }
    }
    if findings.is_empty() {
        let told = match own.len() {
            0 => "all APIServices are available; none is ours".to_owned(),
            1 => "all APIServices are available; one is ours".to_owned(),
            many => format!("all APIServices are available; {many} are ours"),
        };
        findings.push(Finding::well(Topic::ApiServices, told));
    }
    findings
}

/// What an APIService that others serve says of being unreachable.
fn dead(found: &APIService) -> Option<&APIServiceCondition> {
    found.spec.as_ref()?.service.as_ref()?;
    let conditions = found.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|it| it.type_ == "Available" && it.status != "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Level, *};
    use crate::cluster::Unanswered;

    fn one(name: &str, status: &str, labels: &serde_json::Value) -> APIService {
        let service = json!({"name": "api", "namespace": "metrics"});
        let spec = json!({"service": service, "groupPriorityMinimum": 1, "versionPriority": 1});
        let condition = json!({"type": "Available", "status": status, "reason": "MissingEndpoints", "message": "none"});
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec,
            "status": {"conditions": [condition]}}))
        .unwrap()
    }

    #[test]
    fn a_dead_one_of_ours_is_broken_and_one_of_others_is_warned_of() {
        let ours = json!({MANAGED_BY_LABEL: MANAGED_BY_VALUE});
        let well = judge(&Ok(vec![one("v1.a", "True", &ours), one("v1.b", "True", &json!({}))]), "system");
        assert_eq!(well, [Finding::well(Topic::ApiServices, "all APIServices are available; one is ours")]);
        let dead = judge(&Ok(vec![one("v1.a", "False", &ours), one("v1.b", "False", &json!({}))]), "system");
        assert_eq!((dead[0].level, dead[1].level), (Level::Broken, Level::Warning));
        assert_eq!(
            dead[0].found,
            "APIService v1.a is dead, no namespace can be deleted meanwhile: MissingEndpoints: none"
        );
        assert!(dead[1].found.contains("of Service metrics/api, which is not ours"), "{}", dead[1].found);
        assert!(dead[1].remedy.as_ref().unwrap().ends_with("kubectl delete apiservice v1.b"));
        let forbidden = judge(&Err(Unanswered::Forbidden(String::new())), "system");
        assert_eq!(forbidden[0].level, Level::Unchecked);
    }
}
