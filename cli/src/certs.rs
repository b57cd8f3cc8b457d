//! `kindsmith certs status`: the certificates, how far a rotation is, what happens next.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Secret},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kindsmith_apiserver::replica::{ADDRESS_ANNOTATION, CERTIFICATE_ANNOTATION, REPLICA_LABEL, REPLICA_LABEL_VALUE};
use kindsmith_operator::{
    DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET,
    certificates::{Described, Summary, summarize, wanted_sans},
};
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::cluster;

/// What `kindsmith certs` does.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the certificates, how far a rotation is, and what happens next; fails when one cannot be used
    Status(Arguments),
}

/// Flags of `kindsmith certs status`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The cluster's kubeconfig; without it, KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of the Secrets and of the Service
    #[arg(long, value_name = "NAME", default_value = "kindsmith-system")]
    namespace: String,
    /// The Service behind which the apiserver runs
    #[arg(long, value_name = "NAME", default_value = "kindsmith-apiserver")]
    service: String,
    /// The Secret that holds the CA of the serving certificate
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CA_SECRET)]
    ca_secret: String,
    /// The Secret that holds the serving certificate
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SERVING_SECRET)]
    serving_cert_secret: String,
}

/// Prints how certificates stand. Whether all can be used is the answer.
pub(crate) async fn run(Command::Status(arguments): Command) -> anyhow::Result<bool> {
    let client = cluster::client(arguments.kubeconfig).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &arguments.namespace);
    let read = async |name: &str| {
        secrets.get_opt(name).await.with_context(|| format!("Secret {}/{name} cannot be read", arguments.namespace))
    };
    let (ca, serving) = (read(&arguments.ca_secret).await?, read(&arguments.serving_cert_secret).await?);
    let announced = ListParams::default().labels(&format!("{REPLICA_LABEL}={REPLICA_LABEL_VALUE}"));
    let leases = Api::<Lease>::namespaced(client.clone(), &arguments.namespace).list(&announced).await;
    let leases = leases.context("the Leases of the replicas cannot be listed")?.items;
    let api_services = Api::<APIService>::all(client).list(&ListParams::default()).await;
    let api_services = api_services.context("APIServices cannot be listed")?.items;
    let names = wanted_sans(&arguments.service, &arguments.namespace);
    let now = Timestamp::now();
    let summary = summarize(now, ca.as_ref(), serving.as_ref(), &names, &api_services);
    crate::output::print(&text(&summary, &leases, now))?;
    Ok(summary.faults.is_empty())
}

fn text(summary: &Summary, replicas: &[Lease], now: Timestamp) -> String {
    let mut lines = vec![format!("stage: {}", summary.stage), format!("next:  {}", summary.next_step)];
    for one in &summary.certificates {
        lines.push(String::new());
        lines.extend(described(one, now));
    }
    if !replicas.is_empty() {
        lines.extend([String::new(), "replicas".to_owned()]);
        let current = summary.certificates.iter().find(|one| one.purpose == "serving");
        let current = current.map(|one| one.fingerprint.as_str()).unwrap_or_default();
        lines.extend(replicas.iter().map(|lease| format!("  {}", replica(lease, current, now))));
    }
    if !summary.faults.is_empty() {
        lines.push(String::new());
        lines.extend(summary.faults.iter().map(|fault| format!("fault: {fault}")));
    }
    lines.join("\n") + "\n"
}

/// What a replica has announced: where it is, and which certificate it serves.
fn replica(lease: &Lease, current: &str, now: Timestamp) -> String {
    let text = |name: &str| lease.annotations().get(name).map(String::as_str);
    let address = text(ADDRESS_ANNOTATION).unwrap_or("an unknown address");
    let spec = lease.spec.as_ref();
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    let alive = renewed.is_some_and(|at| now.duration_since(at) <= SignedDuration::from_secs(seconds.into()));
    match (alive, text(CERTIFICATE_ANNOTATION)) {
        (false, _) => {
            let since = renewed.map_or_else(|| "never".to_owned(), |at| format!("last {}", distance(now, at)));
            format!("{address}  does not renew its Lease, {since}")
        }
        (true, None) => format!("{address}  serves no certificate yet"),
        (true, Some(own)) if own == current => format!("{address}  serves the serving certificate"),
        (true, Some(own)) => format!("{address}  serves another certificate, SHA-256 {own}"),
    }
}

fn described(one: &Described, now: Timestamp) -> Vec<String> {
    let title = match one.purpose {
        "serving" => "serving certificate",
        "ca" => "CA",
        "next-ca" => "next CA",
        _ => "former CA, still trusted",
    };
    let mut lines = vec![
        title.to_owned(),
        format!("  SHA-256  {}", one.fingerprint),
        format!("  expires  {} ({})", one.not_after, distance(now, one.not_after)),
    ];
    lines.extend(one.renew_at.map(|at| format!("  renewed  {at} ({})", distance(now, at))));
    if !one.names.is_empty() {
        lines.push(format!("  names    {}", one.names.join(", ")));
    }
    lines
}

/// `in 61d 4h`, `3h 20m ago`.
fn distance(now: Timestamp, moment: Timestamp) -> String {
    let apart = moment.duration_since(now);
    let text = |apart: SignedDuration| {
        let seconds = apart.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => format!("{seconds}s"),
            (0, 0, minutes) => format!("{minutes}m"),
            (0, hours, minutes) => format!("{hours}h {minutes}m"),
            (days, hours, _) => format!("{days}d {hours}h"),
        }
    };
    let apart = apart.round(Unit::Second).unwrap_or(apart);
    if apart.is_negative() { format!("{} ago", text(apart.abs())) } else { format!("in {}", text(apart)) }
}

#[cfg(test)]
mod tests {
    use kindsmith_operator::certificates::Stage;

    use super::*;

    #[test]
    fn certificates_are_shown_with_what_is_left_of_them() {
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let one = Described {
            purpose: "serving",
            fingerprint: "abcd".to_owned(),
            not_before: now,
            not_after: "2027-02-21T01:00:00Z".parse().unwrap(),
            renew_at: Some("2026-11-22T23:20:00Z".parse().unwrap()),
            names: vec!["api.system.svc".to_owned()],
        };
        let summary = Summary {
            stage: Stage::Serving { served: 1, replicas: 2 },
            certificates: vec![one],
            faults: vec!["it is lost".to_owned()],
            next_step: "wait".to_owned(),
        };
        let lease = |address: &str, certificate: &str, renewed: &str| -> Lease {
            serde_json::from_value(serde_json::json!({
                "metadata": {"annotations": {ADDRESS_ANNOTATION: address, CERTIFICATE_ANNOTATION: certificate}},
                "spec": {"leaseDurationSeconds": 15, "renewTime": renewed}}))
            .unwrap()
        };
        let replicas = [
            lease("10.0.0.7:8443", "abcd", "2026-11-22T23:59:55.000000Z"),
            lease("10.0.0.8:8443", "ef01", "2026-11-22T23:59:50.000000Z"),
            lease("10.0.0.9:8443", "abcd", "2026-11-22T23:58:00.000000Z"),
        ];
        assert_eq!(
            text(&summary, &replicas, now),
            "stage: serving (1/2)\nnext:  wait\n\nserving certificate\n  SHA-256  abcd\n  \
             expires  2027-02-21T01:00:00Z (in 90d 1h)\n  renewed  2026-11-22T23:20:00Z (40m ago)\n  \
             names    api.system.svc\n\nreplicas\n  \
             10.0.0.7:8443  serves the serving certificate\n  \
             10.0.0.8:8443  serves another certificate, SHA-256 ef01\n  \
             10.0.0.9:8443  does not renew its Lease, last 2m ago\n\nfault: it is lost\n"
        );
    }
}
