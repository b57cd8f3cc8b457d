//! `kindsmith uninstall`: takes Kindsmith out of a cluster in an order in which nothing is left that would hold others up.
//!
//! # Rights
//! People run it as administrators. The Job of a chart runs it with a ServiceAccount of its own, which needs this and no more;
//! the test `uninstall` gives it these rules alone:
//!
//! ```yaml
//! kind: ClusterRole
//! rules:
//! - apiGroups: [apiregistration.k8s.io]
//!   resources: [apiservices]
//!   verbs: [list, delete]
//! - apiGroups: [apiextensions.k8s.io]
//!   resources: [customresourcedefinitions]
//!   resourceNames: [applicationdefinitions.kindsmith.dev]
//!   verbs: [get]             # and delete, with --crds
//! - apiGroups: [kindsmith.dev]
//!   resources: [applicationdefinitions]
//!   verbs: [get, list, patch]   # and delete, with --crds
//! - apiGroups: [kindsmith.dev]
//!   resources: [applicationdefinitions/status]
//!   verbs: [patch]
//! ---
//! kind: Role, in the namespace of Kindsmith
//! rules:
//! - apiGroups: [apps]
//!   resources: [deployments/scale]
//!   resourceNames: [kindsmith-operator]
//!   verbs: [get, patch]
//! - apiGroups: [coordination.k8s.io]
//!   resources: [leases]
//!   resourceNames: [kindsmith-operator]
//!   verbs: [get]
//! ```
//!
//! Instances are counted where they can be listed. Without `--leave-instances` they must be: a ClusterRole that is aggregated as
//! `kindsmith-operator:instances` grants that.
//!
//! # Guarantees
//! - What is missing is no fault, whatever it is, and so is a right to see what cannot be there.
//! - It ends within `--timeout`, and each call within [`crate::cluster::CALL_DEADLINE`].
//! - Definitions, releases and values are deleted with `--crds` alone, and releases never.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{cluster, output};

/// What is found, and what follows from it; pure.
mod plan;

/// What is left in the end; pure.
mod left;

/// Looks at the cluster.
mod look;

/// Carries steps out.
mod carry;

use plan::{Definitions, Instances, Plan};

/// What `kindsmith uninstall --help` says.
pub(crate) const ABOUT: &str = "\
Take Kindsmith out of a cluster

Run this before you delete the manifests; the chart runs it when Helm uninstalls it. An APIService whose server is gone holds up
the deletion of every namespace in the cluster, and a definition with a finalizer that nobody removes can never be deleted; this
takes both away, in an order in which the cluster works at each moment:

  1. It counts the instances of each definition. While a definition with deletionPolicy Block, which is the default, has
     instances, nothing is done, unless you say --leave-instances.
  2. It scales the Deployment of the operator to zero and waits until no operator acts, since an operator would register the
     kinds again.
  3. It deletes the APIServices of Kindsmith and waits until they are gone. From here on the kinds are not served.
  4. It removes the finalizer of Kindsmith from the definitions.
  5. It says in the definitions that their kinds are not served: Registered, Served, Discoverable and Ready are False, with the
     reason Uninstalled.
  6. With --crds it deletes the definitions and the CustomResourceDefinition, and waits until they are gone.

What it leaves, and says so: the HelmReleases of instances and what Flux made of them, the namespace with its Deployments,
Secrets and records, and without --crds the definitions and the CustomResourceDefinition. Releases go on working. When Kindsmith
is installed again with the definitions, the instances are back.

What is not there, because the installation was never complete or somebody has deleted it, is no fault. It can be run again after
it was interrupted, and ends within --timeout. With --dry-run it changes nothing and says what it would do.

Ends with 0 when all is done, and with 1 when something could not be done or instances hold it up.";

/// Flags of `kindsmith uninstall`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The cluster's kubeconfig; without it, KUBECONFIG or ~/.kube/config, and in a pod its service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace that Kindsmith runs in
    #[arg(long, value_name = "NAME", default_value = "kindsmith-system")]
    namespace: String,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on although definitions have instances: their releases are left and go on working
    #[arg(long)]
    leave_instances: bool,
    /// Delete the definitions and the CustomResourceDefinition too; releases of instances are left all the same
    #[arg(long)]
    crds: bool,
    /// How long it may take in all
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = crate::in_cluster::duration)]
    timeout: Duration,
}

/// Looks, says what is found, and does it unless it is only to be shown.
///
/// # Errors
/// The cluster is not reached, instances hold everything up, or a step fails.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let end = Instant::now() + arguments.timeout;
    let client = cluster::prompt_client(arguments.kubeconfig).await?;
    let cluster = look::Cluster { client, namespace: arguments.namespace, end };
    let found = cluster.look().await?;
    let instances = if arguments.leave_instances { Instances::Leave } else { Instances::Respect };
    let definitions = if arguments.crds { Definitions::Delete } else { Definitions::Keep };
    let plan = Plan::new(&found, instances, definitions);
    if !plan.held_up.is_empty() {
        for reason in &plan.held_up {
            output::complain(reason);
        }
        bail!("nothing was changed");
    }
    for note in &plan.notes {
        output::complain(note);
    }
    if arguments.dry_run {
        for step in &plan.steps {
            output::print(&format!("would {step}\n"))?;
        }
        if plan.steps.is_empty() {
            output::print("nothing is to be done\n")?;
        }
        return Ok(());
    }
    if plan.steps.is_empty() {
        output::print("nothing is to be done\n")?;
    }
    let mut failed = 0;
    for step in &plan.steps {
        output::print(&format!("{step}\n"))?;
        // What comes after a step that failed is of use all the same.
        if let Err(error) = cluster.carry_out(step).await {
            output::complain(&format!("failed: {step}: {error:#}"));
            failed += 1;
        }
    }
    let left = cluster.look_again().await.context("what is left cannot be seen")?;
    for line in left::lines(&found, &left, &cluster.namespace) {
        output::print(&format!("{line}\n"))?;
    }
    match failed {
        _ if !left::registered_again(&left).is_empty() => {
            bail!("kinds were registered again meanwhile: an operator runs; stop it and run this again")
        }
        0 => Ok(()),
        1 => bail!("one step failed; run this again when its cause is mended"),
        _ => bail!("{failed} steps failed; run this again when their cause is mended"),
    }
}
