//! Namespaces that are being deleted and stay, because of what we serve or what is dead.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use kube::ResourceExt as _;

use super::{
    answers::Answer,
    finding::{Finding, Topic},
};

/// How long a deletion may take before it is told of.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// How many have a line.
const LINES_MAX: usize = 20;

/// Judges all namespaces. `groups` are those of our kinds.
pub(super) fn judge(answer: &Answer<Vec<Namespace>>, groups: &[String], own: &str, now: Timestamp) -> Vec<Finding> {
    let namespaces = match answer {
        Ok(namespaces) => namespaces,
        Err(why) => return vec![Finding::unanswered(Topic::Namespaces, "namespaces", "list on namespaces", why)],
    };
    let mut findings: Vec<Finding> = namespaces.iter().filter_map(|it| stuck(it, groups, own, now)).collect();
    findings.truncate(LINES_MAX);
    if findings.is_empty() {
        findings.push(Finding::well(Topic::Namespaces, "no namespace hangs while it is deleted"));
    }
    findings
}

fn stuck(namespace: &Namespace, groups: &[String], own: &str, now: Timestamp) -> Option<Finding> {
    let since = namespace.metadata.deletion_timestamp.as_ref()?.0;
    let name = namespace.name_any();
    if name == own {
        let found = format!("namespace {name}, in which Kindsmith is, is being deleted");
        let remedy =
            format!("kindsmith uninstall --leave-instances --namespace {name}; install it again when it is gone");
        return Some(Finding::broken(Topic::Namespaces, found, remedy));
    }
    if now.duration_since(since) < PATIENCE {
        return None;
    }
    let conditions = namespace.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    // Set by k8s.io/kubernetes/pkg/controller/namespace/deletion/status_condition_utils.go.
    let condition = |kind: &str| conditions.iter().find(|it| it.type_ == kind && it.status == "True");
    let said = |it: &NamespaceCondition| it.message.clone().unwrap_or_default();
    let of_ours = |text: &str| groups.iter().any(|group| text.contains(group.as_str()));
    let failed = condition("NamespaceDeletionDiscoveryFailure")
        .or_else(|| condition("NamespaceDeletionContentFailure"))
        .or_else(|| condition("NamespaceDeletionGroupVersionParsingFailure"));
    if let Some(failed) = failed {
        let text = said(failed);
        let found = format!("namespace {name} hangs while it is deleted: {text}");
        return Some(if of_ours(&text) {
            Finding::broken(Topic::Namespaces, found, "mend what is said of APIServices and the apiserver here")
        } else {
            Finding::warning(Topic::Namespaces, found, format!("kubectl get namespace {name} -o yaml"))
        });
    }
    let remaining = condition("NamespaceFinalizersRemaining").or_else(|| condition("NamespaceContentRemaining"))?;
    let text = said(remaining);
    let is_flux = of_ours(&text) || text.contains("fluxcd.io");
    is_flux.then(|| {
        let found = format!("namespace {name} hangs while it is deleted: {text}");
        Finding::warning(
            Topic::Namespaces,
            found,
            format!("flux get helmreleases -n {name}; see whether helm-controller runs"),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::finding::Level, *};
    use crate::cluster::Unanswered;

    fn deleted(name: &str, kind: &str, message: &str) -> Namespace {
        let condition = json!({"type": kind, "status": "True", "reason": "X", "message": message});
        serde_json::from_value(json!({"metadata": {"name": name, "deletionTimestamp": "2026-11-30T12:00:00Z"},
            "status": {"phase": "Terminating", "conditions": [condition]}}))
        .unwrap()
    }

    fn judged(namespace: Namespace, now: &str) -> Finding {
        judge(&Ok(vec![namespace]), &["apps.example.com".to_owned()], "system", now.parse().unwrap()).remove(0)
    }

    #[test]
    fn one_that_hangs_because_of_us_is_broken() {
        let stale = "Discovery failed: stale GroupVersion discovery: apps.example.com/v1";
        let one = |message: &str| deleted("team", "NamespaceDeletionDiscoveryFailure", message);
        assert_eq!(judged(one(stale), "2026-11-30T12:00:30Z").level, Level::Well, "it is young");
        let ours = judged(one(stale), "2026-11-30T12:02:00Z");
        assert!(ours.level == Level::Broken && ours.found.ends_with(stale), "{ours:?}");
        let others = judged(one("stale GroupVersion discovery: metrics.k8s.io/v1beta1"), "2026-11-30T12:02:00Z");
        assert_eq!(others.level, Level::Warning);
        let flux = "finalizers.fluxcd.io in 2 resource instances";
        let flux = judged(deleted("team", "NamespaceFinalizersRemaining", flux), "2026-11-30T12:02:00Z");
        assert!(flux.level == Level::Warning && flux.remedy.unwrap().contains("helm-controller"));
        let foreign = deleted("team", "NamespaceFinalizersRemaining", "example.com/x in 1 resource instances");
        assert_eq!(judged(foreign, "2026-11-30T12:02:00Z").level, Level::Well, "not our affair");
        let own = judged(deleted("system", "X", ""), "2026-11-30T12:00:00Z");
        assert_eq!(own.level, Level::Broken);
    }

    #[test]
    fn who_may_not_list_them_is_told_so() {
        let forbidden = judge(&Err(Unanswered::Forbidden(String::new())), &[], "system", Timestamp::UNIX_EPOCH);
        assert_eq!(forbidden[0].level, Level::Unchecked);
        let none: Namespace = serde_json::from_value(Value::Object(serde_json::Map::new())).unwrap();
        assert_eq!(judged(none, "2026-11-30T12:00:00Z").level, Level::Well);
    }
}
