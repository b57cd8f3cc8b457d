//! `kindsmith uninstall`: takes Kindsmith out of a cluster in an order in which nothing is left that would hold others up.

use std::path::PathBuf;

use anyhow::bail;

use crate::{certs, output};

/// What is found, and what follows from it; pure.
mod plan;

/// The calls.
mod carry;

use plan::{Instances, Plan};

/// What `kindsmith uninstall --help` says.
pub(crate) const ABOUT: &str = "\
Take Kindsmith out of a cluster

Run this before you delete the manifests or the chart. An APIService whose server is gone holds up the deletion of every
namespace in the cluster, and a definition with a finalizer that nobody removes can never be deleted; this takes both away, in
an order in which the cluster works at each moment:

  1. It counts the instances of each definition. While a definition with deletionPolicy Block, which is the default, has
     instances, nothing is done, unless you say --leave-instances.
  2. It scales the Deployment of the operator to zero and waits until no operator acts, since an operator would register the
     kinds again.
  3. It deletes the APIServices of Kindsmith and waits until they are gone. From here on the kinds are not served.
  4. It removes the finalizer of Kindsmith from the definitions.
  5. It says in the definitions that their kinds are not served: Registered, Served, Discoverable and Ready are False, with the
     reason Uninstalled.

What it leaves, and says so: the definitions themselves, the HelmReleases of instances and what Flux made of them, the
CustomResourceDefinition, the namespace with its Deployments, Secrets and records. Releases go on working. When Kindsmith is
installed again with the definitions there are, the instances are back.

It can be run again after it was interrupted. With --dry-run it changes nothing and says what it would do.";

/// Flags of `kindsmith uninstall`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The cluster's kubeconfig; without it, KUBECONFIG or ~/.kube/config
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
}

/// Looks, says what is found, and does it unless it is only to be shown.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let client = certs::client(arguments.kubeconfig).await?;
    let found = carry::look(&client, &arguments.namespace).await?;
    let instances = if arguments.leave_instances { Instances::Leave } else { Instances::Respect };
    let plan = Plan::new(found, instances);
    if !plan.held_up.is_empty() {
        for reason in &plan.held_up {
            output::complain(reason);
        }
        bail!("nothing was changed; delete the instances, or say --leave-instances to leave their releases");
    }
    if arguments.dry_run {
        for step in &plan.steps {
            output::print(&format!("would {step}\n"))?;
        }
    } else {
        for step in &plan.steps {
            output::print(&format!("{step}\n"))?;
            carry::out(&client, &arguments.namespace, step).await?;
        }
    }
    for line in plan.left(&arguments.namespace) {
        output::print(&format!("{line}\n"))?;
    }
    Ok(())
}
