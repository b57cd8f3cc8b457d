//! A Deployment of ours and each of its pods.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::ResourceExt as _;

use super::{
    answers::Answer,
    finding::{Finding, Topic},
};
use crate::cluster::Unanswered;

/// The label that says which part a pod is.
const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// What is said of a part.
pub(super) struct Part<'a> {
    /// What lines are about.
    pub topic: Topic,
    /// The Deployment.
    pub name: &'a str,
    /// The value of the label of its pods.
    pub component: &'a str,
    /// The namespace.
    pub namespace: &'a str,
}

impl Part<'_> {
    /// Judges the Deployment and its pods.
    pub(super) fn judge(&self, deployment: &Answer<Deployment>, pods: &Answer<Vec<Pod>>) -> Vec<Finding> {
        let Self { topic, name, namespace, .. } = self;
        let deployment = match deployment {
            Ok(deployment) => deployment,
            Err(Unanswered::Missing) => {
                return vec![Finding::warning(
                    *topic,
                    format!("there is no Deployment {name} in namespace {namespace}"),
                    "name the namespace with --namespace, or install Kindsmith; where something else runs it, look there",
                )];
            }
            Err(why) => {
                let needs = format!("get on deployments {name} in {namespace}");
                return vec![Finding::unanswered(*topic, &format!("Deployment {name}"), &needs, why)];
            }
        };
        let mut findings = vec![self.replicas(deployment)];
        match pods {
            Ok(pods) => findings.extend(pods.iter().filter(|pod| self.is_of(pod)).filter_map(|pod| self.pod(pod))),
            Err(why) => {
                let needs = format!("list on pods in {namespace}");
                findings.push(Finding::unanswered(*topic, &format!("pods of {name}"), &needs, why));
            }
        }
        findings
    }

    fn is_of(&self, pod: &Pod) -> bool {
        pod.labels().get(COMPONENT_LABEL).is_some_and(|value| value == self.component)
    }

    fn replicas(&self, deployment: &Deployment) -> Finding {
        let Self { topic, name, namespace, .. } = self;
        let wanted = deployment.spec.replicas.unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let available = status.available_replicas.unwrap_or_default();
        let look = format!("kubectl -n {namespace} describe deployment {name}");
        let told = format!("Deployment {name} has {available} of {wanted} replicas available");
        if wanted == 0 {
            let found = format!("Deployment {name} is scaled to zero");
            return Finding::broken(
                *topic,
                found,
                format!("kubectl -n {namespace} scale deployment {name} --replicas=2"),
            );
        }
        match available {
            0 => Finding::broken(*topic, told, look),
            some if some < wanted => Finding::warning(*topic, told, look),
            1 if self.topic == Topic::Apiserver => Finding::warning(
                *topic,
                format!("Deployment {name} has one replica: while it is replaced, kinds cannot be used"),
                format!("kubectl -n {namespace} scale deployment {name} --replicas=2"),
            ),
            _ => Finding::well(*topic, told),
        }
    }

    /// What is wrong with a pod.
    fn pod(&self, pod: &Pod) -> Option<Finding> {
        let Self { topic, namespace, .. } = self;
        let name = pod.name_any();
        let status = pod.status.as_ref()?;
        // One that ends is on its way out, and one that has ended is nobody's replica.
        if pod.metadata.deletion_timestamp.is_some() || matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
        {
            return None;
        }
        let containers = status.container_statuses.as_deref().unwrap_or_default();
        let waiting = containers.iter().find_map(|it| it.state.as_ref()?.waiting.as_ref());
        if let Some(waiting) = waiting {
            let reason = waiting.reason.as_deref().unwrap_or("unknown");
            let found = format!(
                "pod {name} does not start: {reason}{}",
                waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
            );
            let remedy = match reason {
                "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
                    "say where the image is: helm upgrade with image.repository, or load it onto the node".to_owned()
                }
                "CrashLoopBackOff" => format!("kubectl -n {namespace} logs {name} --previous"),
                _ => format!("kubectl -n {namespace} describe pod {name}"),
            };
            return Some(Finding::broken(*topic, found, remedy));
        }
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let condition = |kind: &str| conditions.iter().find(|it| it.type_ == kind && it.status != "True");
        let said = |it: &k8s_openapi::api::core::v1::PodCondition| {
            it.message.clone().or_else(|| it.reason.clone()).unwrap_or_default()
        };
        if let Some(unscheduled) = condition("PodScheduled") {
            let found = format!("pod {name} has no node: {}", said(unscheduled));
            return Some(Finding::broken(*topic, found, format!("kubectl -n {namespace} describe pod {name}")));
        }
        let unready = condition("Ready")?;
        let found = format!("pod {name} is not ready: {}", said(unready));
        Some(Finding::warning(*topic, found, format!("kubectl -n {namespace} logs {name}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::finding::Level, *};

    const PART: Part<'_> =
        Part { topic: Topic::Apiserver, name: "kindsmith-apiserver", component: "apiserver", namespace: "system" };

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn deployment(wanted: i32, available: i32) -> Answer<Deployment> {
        let spec = json!({"replicas": wanted, "selector": {}, "template": {}});
        Ok(read(json!({"spec": spec, "status": {"availableReplicas": available}})))
    }

    fn pod(component: &str, status: &Value) -> Pod {
        let labels = json!({COMPONENT_LABEL: component});
        read(json!({"metadata": {"name": "one", "labels": labels}, "status": status}))
    }

    fn of_pods(pods: Vec<Pod>) -> Vec<Finding> {
        PART.judge(&deployment(2, 2), &Ok(pods)).split_off(1)
    }

    #[test]
    fn replicas_are_counted() {
        let level = |wanted, available| PART.judge(&deployment(wanted, available), &Ok(Vec::new()))[0].level;
        assert_eq!(level(2, 2), Level::Well);
        assert_eq!(level(2, 1), Level::Warning);
        assert_eq!(level(1, 1), Level::Warning, "nothing covers for it");
        assert_eq!(level(2, 0), Level::Broken);
        assert_eq!(level(0, 0), Level::Broken);
        let missing = PART.judge(&Err(Unanswered::Missing), &Ok(Vec::new()));
        assert_eq!((missing.len(), missing[0].level), (1, Level::Warning));
        let forbidden = PART.judge(&deployment(2, 2), &Err(Unanswered::Forbidden(String::new())));
        assert_eq!(forbidden[1].found, "pods of kindsmith-apiserver: not checked: needs list on pods in system");
    }

    #[test]
    fn each_pod_that_does_not_run_is_told_with_its_reason() {
        let waiting = |reason: &str| {
            let state = json!({"waiting": {"reason": reason, "message": "it is so"}});
            json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
                "restartCount": 0, "state": state}]})
        };
        let found = of_pods(vec![pod("apiserver", &waiting("ImagePullBackOff"))]);
        assert_eq!(found[0].found, "pod one does not start: ImagePullBackOff: it is so");
        assert!(found[0].remedy.as_ref().unwrap().contains("image.repository"));
        let found = of_pods(vec![pod("apiserver", &waiting("CrashLoopBackOff"))]);
        assert_eq!(found[0].remedy.as_deref(), Some("kubectl -n system logs one --previous"));
        // Of another part, or over.
        assert_eq!(of_pods(vec![pod("operator", &waiting("ImagePullBackOff"))]), []);
        assert_eq!(of_pods(vec![pod("apiserver", &json!({"phase": "Failed"}))]), []);
        let unready = json!({"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]});
        let found = of_pods(vec![pod("apiserver", &unready)]);
        assert_eq!(
            (found[0].level, found[0].found.as_str()),
            (Level::Warning, "pod one is not ready: ContainersNotReady")
        );
        let unscheduled = json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]});
        let found = of_pods(vec![pod("apiserver", &unscheduled)]);
        assert_eq!(found[0].found, "pod one has no node: 0/1 nodes");
    }
}
