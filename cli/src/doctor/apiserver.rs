//! The API server: its Deployment, its pods, and each replica as it announces itself.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kindsmith_apiserver::replica::{ADDRESS_ANNOTATION, CERTIFICATE_ANNOTATION};
use kindsmith_operator::certificates::Parsed;
use kube::ResourceExt as _;

use super::{
    answers::{APISERVER, Answer, Installation},
    finding::{Finding, Topic},
    operator::is_fresh,
    workload::Part,
};

/// Judges the API server.
pub(super) fn judge(installation: &Installation, namespace: &str, now: Timestamp) -> Vec<Finding> {
    let part = Part { topic: Topic::Apiserver, name: APISERVER, component: "apiserver", namespace };
    let mut findings = part.judge(&installation.apiserver, &installation.pods);
    let serving = installation.serving.as_ref().ok().and_then(|secret| {
        let pem = secret.data.as_ref()?.get("tls.crt")?;
        Some(Parsed::bundle(&pem.0).first()?.fingerprint())
    });
    findings.extend(replicas(&installation.replicas, serving.as_deref(), namespace, now));
    findings
}

/// Judges the replicas by their Leases, which each renews itself. A Lease of one that was killed is removed by the operator.
fn replicas(answer: &Answer<Vec<Lease>>, serving: Option<&str>, namespace: &str, now: Timestamp) -> Vec<Finding> {
    let pods = format!("kubectl -n {namespace} get pods -l app.kubernetes.io/component=apiserver");
    let leases = match answer {
        Ok(leases) => leases,
        Err(why) => {
            let needs = format!("list on leases in {namespace}");
            return vec![Finding::unanswered(Topic::Apiserver, "replicas", &needs, why)];
        }
    };
    let (alive, dead): (Vec<&Lease>, Vec<&Lease>) = leases.iter().partition(|lease| is_fresh(lease, now));
    let mut findings = Vec::new();
    if alive.is_empty() {
        let found = "no replica announces itself, so no kind is served";
        findings.push(Finding::broken(Topic::Apiserver, found, pods.clone()));
    }
    let annotation = |lease: &Lease, name: &str| lease.annotations().get(name).cloned();
    let address = |lease: &Lease| annotation(lease, ADDRESS_ANNOTATION).unwrap_or_else(|| lease.name_any());
    for lease in alive {
        let address = address(lease);
        findings.push(match (annotation(lease, CERTIFICATE_ANNOTATION), serving) {
            (None, _) => Finding::broken(
                Topic::Apiserver,
                format!("replica {address} serves no certificate, so nobody can ask it"),
                format!("kubectl -n {namespace} logs deployment/kindsmith-operator"),
            ),
            (Some(own), Some(serving)) if own != serving => Finding::warning(
                Topic::Apiserver,
                format!("replica {address} serves another certificate than the one of its Secret"),
                "kindsmith certs status; it takes a new one within seconds, else look at its log",
            ),
            (Some(_), _) => Finding::well(Topic::Apiserver, format!("replica {address} serves")),
        });
    }
    findings.extend(dead.into_iter().map(|lease| {
        let found = format!("replica {} does not renew its Lease {}", address(lease), lease.name_any());
        Finding::warning(Topic::Apiserver, found, pods.clone())
    }));
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Level, *};
    use crate::cluster::Unanswered;

    fn lease(address: &str, certificate: Option<&str>, renewed: &str) -> Lease {
        let mut annotations = json!({ADDRESS_ANNOTATION: address});
        if let Some(certificate) = certificate {
            annotations[CERTIFICATE_ANNOTATION] = certificate.into();
        }
        let spec = json!({"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": renewed});
        serde_json::from_value(json!({"metadata": {"name": "kindsmith-apiserver-3", "annotations": annotations},
            "spec": spec}))
        .unwrap()
    }

    #[test]
    fn each_replica_is_told_of() {
        let now: Timestamp = "2026-11-30T12:00:10Z".parse().unwrap();
        let (fresh, old) = ("2026-11-30T12:00:05.000000Z", "2026-11-30T11:00:00.000000Z");
        let leases = vec![
            lease("10.0.0.1:10250", Some("aa"), fresh),
            lease("10.0.0.2:10250", Some("bb"), fresh),
            lease("10.0.0.3:10250", None, fresh),
            lease("10.0.0.4:10250", Some("aa"), old),
        ];
        let found = replicas(&Ok(leases), Some("aa"), "system", now);
        let told: Vec<(Level, &str)> = found.iter().map(|it| (it.level, it.found.as_str())).collect();
        assert_eq!(
            told,
            [
                (Level::Well, "replica 10.0.0.1:10250 serves"),
                (Level::Warning, "replica 10.0.0.2:10250 serves another certificate than the one of its Secret"),
                (Level::Broken, "replica 10.0.0.3:10250 serves no certificate, so nobody can ask it"),
                (Level::Warning, "replica 10.0.0.4:10250 does not renew its Lease kindsmith-apiserver-3"),
            ]
        );
        let none = replicas(&Ok(Vec::new()), None, "system", now);
        assert_eq!((none.len(), none[0].level), (1, Level::Broken));
        let forbidden = replicas(&Err(Unanswered::Forbidden(String::new())), None, "system", now);
        assert_eq!(forbidden[0].level, Level::Unchecked);
    }
}
