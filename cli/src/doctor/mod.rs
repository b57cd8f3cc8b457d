//! `kindsmith doctor`: whether a cluster can have Kindsmith, whether it works, and what to do where it does not.
//!
//! # Flow
//!
//! ```text
//! answers (all questions at once, each with a deadline) ─▶ one file a topic: pure judgement ─▶ report
//!         └─▶ rights, discovery: questions that depend on these answers
//! ```
//!
//! # Guarantees
//! - Nothing is changed.
//! - A question that is refused or late is a line, and the others go on. What may not be looked at is no error.
//! - Contents of Secrets are read by who has the right, and never printed.
//!
//! # Rights
//! Everybody may ask. `helm test` runs it with a ServiceAccount of its own, for which these rules leave unchecked only what needs
//! keys, or the Deployments of Flux; the test `doctor` gives it these alone:
//!
//! ```yaml
//! kind: ClusterRole
//! rules:
//! - {apiGroups: [apiregistration.k8s.io], resources: [apiservices], verbs: [list]}
//! - apiGroups: [apiextensions.k8s.io]
//!   resources: [customresourcedefinitions]
//!   resourceNames: [applicationdefinitions.kindsmith.dev, helmreleases.helm.toolkit.fluxcd.io]
//!   verbs: [get]
//! - {apiGroups: [kindsmith.dev], resources: [applicationdefinitions], verbs: [list]}
//! - {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
//! - {apiGroups: [""], resources: [namespaces], verbs: [list]}
//! ---
//! kind: Role, in the namespace of Kindsmith
//! rules:
//! - {apiGroups: [apps], resources: [deployments], resourceNames: [kindsmith-operator, kindsmith-apiserver], verbs: [get]}
//! - {apiGroups: [""], resources: [pods], verbs: [list]}
//! - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list]}
//! ---
//! kind: RoleBinding, in kube-system, to the Role extension-apiserver-authentication-reader
//! ```

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::{
    check::Output,
    cluster::{self, Unanswered},
    output,
};

/// Questions, and their answers.
mod answers;

/// What a check found.
mod finding;

/// What was found, printed.
mod report;

/// Kubernetes, its aggregation layer, and Flux.
mod surroundings;

/// A Deployment of ours.
mod workload;

/// The operator.
mod operator;

/// The API server.
mod apiserver;

/// Versions of both processes.
mod versions;

/// Rights.
mod rights;

/// Certificates.
mod certificates;

/// APIServices.
mod api_services;

/// Definitions.
mod definitions;

/// What clients find.
mod discovery;

/// Namespaces.
mod namespaces;

use answers::{Answer, Asker, Installation, Surroundings};
use finding::{Finding, Topic};
use report::Report;

/// What `kindsmith doctor --help` says.
pub(crate) const ABOUT: &str = "\
Tell whether Kindsmith works in a cluster, and what to do where it does not

Each line begins with a mark, as with flux check: ✔ is well, ▲ should be looked at, ✗ is broken, ○ may not be looked at by you, with the
right that it needs. Below what is not well stands what to do. Nothing is changed.

With --pre it tells whether Kindsmith can be installed: whether the cluster has what it needs, and whether you may create what it
consists of.

Ends with 0 when nothing is broken, with 1 when something is, and with 2 when the cluster cannot be asked or the command line is wrong.";

/// Flags of `kindsmith doctor`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  # Can it be installed here, and by me?
  kindsmith doctor --pre

  # What is broken, for a program
  kindsmith doctor -o json | jq '.checks[] | select(.status == \"error\")'")]
pub(crate) struct Arguments {
    /// The cluster's kubeconfig; without it, KUBECONFIG or ~/.kube/config, and in a pod its service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace that Kindsmith runs in
    #[arg(long, value_name = "NAME", default_value = "kindsmith-system")]
    namespace: String,
    /// Check what an installation needs, and not what is installed
    #[arg(long)]
    pre: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// How long it may take in all
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::in_cluster::duration)]
    timeout: Duration,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What must be there before an installation.
    Before,
    /// What is installed.
    Installed,
}

/// How it ends when the cluster cannot be asked.
const NOT_ASKED: u8 = 2;

/// Asks, judges, prints.
///
/// # Errors
/// What was found cannot be printed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let end = Instant::now() + arguments.timeout;
    let not_asked = |why: String| {
        output::complain(&format!("kindsmith: {why}"));
        Ok(ExitCode::from(NOT_ASKED))
    };
    let client = match cluster::prompt_client(arguments.kubeconfig).await {
        Ok(client) => client,
        Err(error) => return not_asked(format!("{error:#}")),
    };
    let asker = Asker { client, namespace: arguments.namespace, end };
    let version = match asker.version().await {
        Ok(version) => version,
        Err(why @ (Unanswered::Unreached(_) | Unanswered::Late(_))) => return not_asked(why.to_string()),
        Err(why) => return not_asked(format!("the cluster does not say its version: {why}")),
    };
    let phase = if arguments.pre { Phase::Before } else { Phase::Installed };
    let surroundings = asker.surroundings().await;
    let mut findings = surroundings::judge(&version, &surroundings);
    findings.extend(match phase {
        Phase::Before => before(&asker, &surroundings).await,
        Phase::Installed => installed(&asker, &surroundings).await,
    });
    let report = Report { phase, namespace: asker.namespace, findings };
    output::print(&match arguments.output {
        Output::Text => report.text(),
        Output::Json => format!("{:#}\n", report.json()),
    })?;
    Ok(if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn before(asker: &Asker, surroundings: &Surroundings) -> Vec<Finding> {
    let mut findings = rights::to_install(asker).await;
    let now = Timestamp::now();
    // One that is there already is no fault: it is kept when Kindsmith is uninstalled.
    if surroundings.crd != Err(Unanswered::Missing) {
        findings.push(definitions::crd(&surroundings.crd));
    }
    findings.extend(api_services::judge(&surroundings.api_services, &asker.namespace));
    findings.extend(namespaces::judge(&surroundings.namespaces, &[], &asker.namespace, now));
    findings
}

async fn installed(asker: &Asker, surroundings: &Surroundings) -> Vec<Finding> {
    let installation = asker.installation().await;
    if let Some(absent) = absent(surroundings, &installation, &asker.namespace) {
        let mut findings = vec![absent];
        findings.extend(api_services::judge(&surroundings.api_services, &asker.namespace));
        return findings;
    }
    let (rights, discovery) = futures::join!(
        rights::of_accounts(asker, &installation.definitions),
        discovery::check(asker, &installation.definitions),
    );
    let (namespace, now) = (asker.namespace.as_str(), Timestamp::now());
    let mut findings = rights;
    findings.push(definitions::crd(&surroundings.crd));
    findings.extend(operator::judge(&installation, namespace));
    findings.extend(apiserver::judge(&installation, namespace, now));
    findings.extend(versions::judge(&installation));
    findings.extend(certificates::judge(&installation, &surroundings.api_services, namespace, now));
    findings.extend(api_services::judge(&surroundings.api_services, namespace));
    findings.extend(definitions::judge(&installation.definitions, namespace));
    findings.extend(discovery);
    let groups = groups(&installation.definitions);
    findings.extend(namespaces::judge(&surroundings.namespaces, &groups, namespace, now));
    findings
}

/// One line in place of many, where nothing is installed.
fn absent(surroundings: &Surroundings, installation: &Installation, namespace: &str) -> Option<Finding> {
    let is_missing = matches!(surroundings.crd, Err(Unanswered::Missing))
        && matches!(installation.operator, Err(Unanswered::Missing))
        && matches!(installation.apiserver, Err(Unanswered::Missing));
    is_missing.then(|| {
        Finding::broken(
            Topic::Crd,
            format!("Kindsmith is not installed: neither its CustomResourceDefinition nor its Deployments in namespace {namespace} are there"),
            "kindsmith doctor --pre tells whether it can be; then install it",
        )
    })
}

/// The groups of the kinds that there are.
fn groups(definitions: &Answer<Vec<DynamicObject>>) -> Vec<String> {
    let definitions = definitions.as_ref().map(Vec::as_slice).unwrap_or_default();
    let group = |it: &DynamicObject| it.data.pointer("/spec/group").and_then(Value::as_str).map(str::to_owned);
    definitions.iter().filter_map(group).collect()
}
