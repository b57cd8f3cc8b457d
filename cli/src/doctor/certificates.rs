//! Certificates: whether there are any, whether kube-apiserver believes them, and for how long.

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::{ByteString, api::core::v1::Secret, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kindsmith_operator::{
    DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET,
    certificates::{Described, Parsed, Stage, Summary, summarize, wanted_sans},
};
use kube::ResourceExt as _;

use super::{
    answers::{APISERVER, Answer, Installation},
    api_services::ours,
    finding::{Finding, Topic},
};
use crate::cluster::Unanswered;

/// How long after its time a renewal is overdue.
const OVERDUE: SignedDuration = SignedDuration::from_hours(24);

/// How long before its end one that nobody of ours renews is warned of.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Judges both Secrets, and what APIServices carry.
pub(super) fn judge(
    installation: &Installation,
    api_services: &Answer<Vec<APIService>>,
    namespace: &str,
    now: Timestamp,
) -> Vec<Finding> {
    let there = |answer: &Answer<Secret>| match answer {
        Ok(secret) => Ok(Some(secret.clone())),
        Err(Unanswered::Missing) => Ok(None),
        Err(why) => Err(why.clone()),
    };
    let own: Vec<APIService> = api_services.as_ref().map(|all| ours(all).cloned().collect()).unwrap_or_default();
    match (there(&installation.ca), there(&installation.serving)) {
        (Ok(ca), Ok(serving)) => Held { ca, serving, api_services: &own, namespace, now }.judge(),
        (Err(why), _) | (_, Err(why)) => {
            let needs = format!("get on secrets {DEFAULT_CA_SECRET}, {DEFAULT_SERVING_SECRET} in {namespace}");
            let mut findings = vec![Finding::unanswered(Topic::Certificates, "Secrets", &needs, &why)];
            findings.extend(bundles(&own, now));
            findings
        }
    }
}

/// What both Secrets hold, and who believes it.
struct Held<'a> {
    ca: Option<Secret>,
    serving: Option<Secret>,
    api_services: &'a [APIService],
    namespace: &'a str,
    now: Timestamp,
}

impl Held<'_> {
    fn judge(&self) -> Vec<Finding> {
        let names = wanted_sans(APISERVER, self.namespace);
        let summary = summarize(self.now, self.ca.as_ref(), self.serving.as_ref(), &names, self.api_services);
        let remedy = match summary.stage {
            Stage::External => format!(
                "somebody else keeps it: renew it there, with cert-manager: kubectl -n {} get certificates",
                self.namespace
            ),
            _ => format!(
                "the operator issues a new one while it acts: kubectl -n {} logs deployment/kindsmith-operator",
                self.namespace
            ),
        };
        let leaf = summary.certificates.iter().find(|it| it.purpose == "serving");
        let is_over = leaf.is_some_and(|leaf| leaf.not_after <= self.now);
        let mut findings = Vec::new();
        if let Some(leaf) = leaf.filter(|_| is_over) {
            let found = format!("the serving certificate expired at {}", leaf.not_after);
            findings.push(Finding::broken(Topic::Certificates, found, remedy.clone()));
        } else {
            // Of one that is over it goes without saying.
            let faults = summary.faults.iter().cloned();
            findings.extend(faults.map(|fault| Finding::broken(Topic::Certificates, fault, remedy.clone())));
            findings.extend(self.disbelief(&remedy));
            findings.extend(self.other_bundles(&summary));
        }
        findings.extend(summary.certificates.iter().filter_map(|it| self.due(it, summary.stage, &remedy)));
        if findings.is_empty() {
            findings.push(Finding::well(Topic::Certificates, well(&summary, leaf)));
        }
        findings
    }

    /// APIServices whose bundle does not lead to the serving certificate: kube-apiserver does not believe it for these.
    fn disbelief(&self, remedy: &str) -> Vec<Finding> {
        let data = self.serving.as_ref().and_then(|serving| serving.data.as_ref()?.get("tls.crt"));
        let chain = data.map(|pem| Parsed::bundle(&pem.0)).unwrap_or_default();
        let Some((leaf, along)) = chain.split_first() else { return Vec::new() };
        let along: Vec<_> = along.iter().map(|it| it.der.clone()).collect();
        let believes = |found: &&APIService| {
            let authorities = bundle(found).map(|it| Parsed::bundle(&it.0)).unwrap_or_default();
            leaf.is_trusted_through(&along, &authorities, self.now)
        };
        let disbelief = self.api_services.iter().filter(|found| !believes(found));
        let told = disbelief.map(|found| {
            let found = format!(
                "under APIService {} kube-apiserver does not believe the serving certificate",
                found.name_any()
            );
            Finding::broken(Topic::Certificates, found, remedy)
        });
        told.collect()
    }

    /// APIServices with another bundle than the Secret has, while no CA is brought in. The operator brings it to them in seconds.
    fn other_bundles(&self, summary: &Summary) -> Option<Finding> {
        let wanted = self.ca.as_ref().and_then(|ca| ca.data.as_ref()?.get("ca.crt"))?;
        let others = self.api_services.iter().filter(|found| bundle(found) != Some(wanted)).count();
        let is_still = matches!(summary.stage, Stage::Settled | Stage::Retired);
        (others > 0 && is_still).then(|| {
            Finding::warning(
                Topic::Certificates,
                format!(
                    "{others} of {} APIServices do not carry the CA bundle of their Secret",
                    self.api_services.len()
                ),
                format!("kubectl -n {} logs deployment/kindsmith-operator", self.namespace),
            )
        })
    }

    /// A certificate whose renewal is late.
    fn due(&self, one: &Described, stage: Stage, remedy: &str) -> Option<Finding> {
        if one.not_after <= self.now {
            return None;
        }
        let left = whole(one.not_after.duration_since(self.now));
        let is_late = match one.renew_at {
            Some(at) => self.now.duration_since(at) > OVERDUE,
            None => {
                stage == Stage::External
                    && one.purpose == "serving"
                    && one.not_after.duration_since(self.now) < ENDS_SOON
            }
        };
        is_late.then(|| {
            let found =
                format!("the certificate {} is not renewed, and ends in {left}, at {}", one.purpose, one.not_after);
            Finding::warning(Topic::Certificates, found, remedy)
        })
    }
}

fn well(summary: &Summary, leaf: Option<&Described>) -> String {
    let until = leaf.map(|leaf| format!(" until {}", leaf.not_after)).unwrap_or_default();
    let renewal = leaf.and_then(|leaf| leaf.renew_at);
    let renewal = renewal.map(|at| format!(", and renewed at {at}")).unwrap_or_default();
    format!("the serving certificate is believed{until}{renewal}; rotation: {}", summary.stage)
}

/// `3d 4h`.
fn whole(span: SignedDuration) -> String {
    let span = span.round(Unit::Second).unwrap_or(span);
    let hours = span.as_hours();
    if hours < 24 { format!("{hours}h {}m", span.as_mins() % 60) } else { format!("{}d {}h", hours / 24, hours % 24) }
}

fn bundle(found: &APIService) -> Option<&ByteString> {
    found.spec.as_ref()?.ca_bundle.as_ref()
}

/// What can be said without the Secrets: whether each of our APIServices trusts anybody still.
fn bundles(own: &[APIService], now: Timestamp) -> Vec<Finding> {
    let trusts = |found: &&APIService| {
        let authorities = bundle(found).map(|it| Parsed::bundle(&it.0)).unwrap_or_default();
        authorities.iter().any(|it| it.is_valid_at(now))
    };
    let none = own.iter().filter(|found| !trusts(found));
    let told = none.map(|found| {
        Finding::broken(
            Topic::Certificates,
            format!("the CA bundle of APIService {} has no CA that is valid now", found.name_any()),
            "kindsmith certs status, with the right to read the Secrets",
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use kindsmith_operator::certificates::{Issued, Lifetimes, Signer, issue_ca, issue_leaf};
    use serde_json::json;

    use super::{super::finding::Level, *};

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn secret(issued: &Issued, ca_pem: &str) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let data = json!({"tls.crt": bytes(&issued.certificate_pem), "tls.key": bytes(&issued.key_pem),
            "ca.crt": bytes(ca_pem)});
        serde_json::from_value(
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "kindsmith"}}, "data": data}),
        )
        .unwrap()
    }

    struct World {
        ca: Secret,
        serving: Secret,
        api_services: Vec<APIService>,
    }

    fn api_service(ca_pem: &str) -> APIService {
        let spec = json!({"caBundle": ByteString(ca_pem.as_bytes().to_vec()), "groupPriorityMinimum": 1,
            "versionPriority": 1});
        let labels = json!({"app.kubernetes.io/managed-by": "kindsmith"});
        serde_json::from_value(json!({"metadata": {"name": "v1.apps.example.com", "labels": labels}, "spec": spec}))
            .unwrap()
    }

    fn world() -> World {
        let ca = issue_ca(now(), Lifetimes::default().ca()).unwrap();
        let signer = Signer { certificate_pem: &ca.certificate_pem, key_pem: &ca.key_pem };
        let leaf = issue_leaf(now(), Lifetimes::default().leaf(), signer, &wanted_sans(APISERVER, "system")).unwrap();
        World {
            serving: secret(&leaf, &ca.certificate_pem),
            api_services: vec![api_service(&ca.certificate_pem)],
            ca: secret(&ca, &ca.certificate_pem),
        }
    }

    fn judged(world: &World, after: SignedDuration) -> Vec<Finding> {
        let held = Held {
            ca: Some(world.ca.clone()),
            serving: Some(world.serving.clone()),
            api_services: &world.api_services,
            namespace: "system",
            now: now() + after,
        };
        held.judge()
    }

    #[test]
    fn what_is_believed_is_well_until_its_renewal_is_late() {
        let world = world();
        let well = judged(&world, SignedDuration::from_hours(1));
        assert_eq!((well.len(), well[0].level), (1, Level::Well), "{well:?}");
        assert!(well[0].found.contains("is believed until 2027-02-28"), "{}", well[0].found);
        let late = judged(&world, SignedDuration::from_hours(24 * 80));
        assert_eq!((late.len(), late[0].level), (1, Level::Warning), "{late:?}");
        assert!(
            late[0].found.starts_with("the certificate serving is not renewed, and ends in 10d"),
            "{}",
            late[0].found
        );
        let over = judged(&world, SignedDuration::from_hours(24 * 100));
        assert_eq!((over.len(), over[0].level), (1, Level::Broken), "{over:?}");
        assert!(over[0].found.contains("expired at 2027-02-28"), "{}", over[0].found);
        assert!(over[0].remedy.as_ref().unwrap().contains("logs deployment/kindsmith-operator"));
    }

    #[test]
    fn what_a_stranger_signed_is_broken() {
        let mut world = world();
        world.serving = self::world().serving;
        let foreign = judged(&world, SignedDuration::ZERO);
        let told: Vec<&str> = foreign.iter().map(|it| it.found.as_str()).collect();
        assert_eq!(
            told,
            [
                "the serving certificate is not believed under the bundle",
                "under APIService v1.apps.example.com kube-apiserver does not believe the serving certificate",
            ]
        );
        assert!(foreign.iter().all(|it| it.level == Level::Broken));
    }

    #[test]
    fn an_api_service_with_the_bundle_of_a_stranger_is_named() {
        let mut world = world();
        world.api_services.push(self::world().api_services.remove(0));
        let other = judged(&world, SignedDuration::ZERO);
        assert_eq!((other[0].level, other[1].level), (Level::Broken, Level::Warning), "{other:?}");
        assert_eq!(other[1].found, "1 of 2 APIServices do not carry the CA bundle of their Secret");
    }

    #[test]
    fn missing_secrets_are_broken_and_forbidden_ones_are_not_checked() {
        let world = world();
        let api_services = Ok(world.api_services);
        let none = Held { ca: None, serving: None, api_services: &[], namespace: "system", now: now() }.judge();
        assert_eq!((none.len(), none[0].level), (2, Level::Broken), "{none:?}");
        let forbidden = || Err(Unanswered::Forbidden(String::new()));
        let missing = || Err(Unanswered::Missing);
        let installation = Installation {
            operator: Err(Unanswered::Missing),
            apiserver: Err(Unanswered::Missing),
            pods: Ok(Vec::new()),
            leader: Err(Unanswered::Missing),
            replicas: Ok(Vec::new()),
            ca: forbidden(),
            serving: missing(),
            definitions: Ok(Vec::new()),
        };
        let unseen = judge(&installation, &api_services, "system", now());
        assert_eq!((unseen.len(), unseen[0].level), (1, Level::Unchecked), "{unseen:?}");
        let later = now() + SignedDuration::from_hours(24 * 400);
        let unseen = judge(&installation, &api_services, "system", later);
        assert_eq!((unseen.len(), unseen[1].level), (2, Level::Broken), "{unseen:?}");
    }
}
