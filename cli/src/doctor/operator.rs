//! The operator: its Deployment, its pods, and which of them leads.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kindsmith_operator::LEADER_LEASE;

use super::{
    answers::{Answer, Installation, Leader, OPERATOR, Renewal},
    finding::{Finding, Topic},
    workload::Part,
};
use crate::cluster::Unanswered;

/// Judges the operator.
pub(super) fn judge(installation: &Installation, namespace: &str) -> Vec<Finding> {
    let part = Part { topic: Topic::Operator, name: OPERATOR, component: "operator", namespace };
    let mut findings = part.judge(&installation.operator, &installation.pods);
    findings.push(leader(&installation.leader, namespace));
    findings
}

/// Reports whether a Lease was renewed within its duration.
pub(super) fn is_fresh(lease: &Lease, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return false };
    let renewed = spec.renew_time.as_ref().map(|time| time.0);
    let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into());
    let is_held = spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty());
    is_held && renewed.is_some_and(|at| now.duration_since(at) <= lasts)
}

fn leader(answer: &Answer<Leader>, namespace: &str) -> Finding {
    let look = format!("kubectl -n {namespace} logs deployment/{OPERATOR}");
    let nobody = |why: String| Finding::broken(Topic::Operator, format!("no operator acts: {why}"), look.clone());
    let leader = match answer {
        Ok(leader) => leader,
        Err(Unanswered::Missing) => {
            return nobody(format!("there is no Lease {LEADER_LEASE} in namespace {namespace}"));
        }
        Err(why) => {
            let needs = format!("get on leases {LEADER_LEASE} in {namespace}");
            return Finding::unanswered(Topic::Operator, "which operator acts", &needs, why);
        }
    };
    let spec = leader.lease.spec.clone().unwrap_or_default();
    match (spec.holder_identity.filter(|holder| !holder.is_empty()), leader.renewal) {
        (None, _) => nobody(format!("nobody holds the Lease {LEADER_LEASE}")),
        (Some(holder), Renewal::Stale) => {
            let last = spec.renew_time.map_or_else(|| "never".to_owned(), |time| format!("last at {}", time.0));
            nobody(format!("{holder} holds the Lease {LEADER_LEASE} and does not renew it, {last}"))
        }
        (Some(holder), Renewal::Fresh) => Finding::well(Topic::Operator, format!("{holder} acts")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Level, *};

    fn lease(holder: &str) -> Lease {
        let spec =
            json!({"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-11-30T12:00:00.000000Z"});
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    #[test]
    fn a_leader_is_one_that_renews_its_lease() {
        let now = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(is_fresh(&lease("a"), now("2026-11-30T12:00:15Z")));
        assert!(!is_fresh(&lease("a"), now("2026-11-30T12:00:16Z")));
        assert!(!is_fresh(&lease(""), now("2026-11-30T12:00:01Z")), "it was given back");
        let told = |holder, renewal| leader(&Ok(Leader { lease: lease(holder), renewal }), "system");
        assert_eq!(told("a", Renewal::Fresh), Finding::well(Topic::Operator, "a acts"));
        let stale = told("a", Renewal::Stale);
        assert_eq!(stale.level, Level::Broken);
        assert!(stale.found.contains("does not renew it, last at 2026-11-30T12:00:00Z"), "{}", stale.found);
        assert_eq!(told("", Renewal::Stale).level, Level::Broken);
        assert_eq!(leader(&Err(Unanswered::Missing), "system").level, Level::Broken);
        assert_eq!(leader(&Err(Unanswered::Forbidden(String::new())), "system").level, Level::Unchecked);
    }
}
