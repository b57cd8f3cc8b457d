//! `kindsmith adopt --dry-run`: which releases there are become instances of a definition's kind.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    check::{self, Output, Verdict},
    cluster, output,
};

/// Where releases come from.
mod releases;

/// What becomes of each; pure.
mod outcome;

/// What was found, as text or as JSON.
mod report;

use outcome::Outcome;

/// What `kindsmith adopt --help` begins with.
pub(crate) const ABOUT: &str = "\
Tell which releases become instances of a kind when its definition is applied.

A HelmRelease is an instance of a kind when its name begins with the prefix of the definition and it
either has the labels of the kind, or, with adopt: Chart, which is the default, no such labels and the
chart of the definition. Tenants with rights on the kind then read, change and delete it, values
included. This command says which releases these are, how each is known, and which have values that do
not fit the schema: such an instance is served all the same, but cannot be changed before it is mended.

Nothing is changed. There is no other command to adopt releases: to apply the definition does it, and to
delete it undoes it.

The releases are those of the cluster, or with --releases those in files, so that it can be run before
anything is applied. Values from valuesFrom are not seen.

Ends with 0 when all values fit, with 1 when some do not, a definition is faulty or something cannot be
read, and with 2 when the command line is wrong.";

/// Flags of `kindsmith adopt`.
#[derive(Args)]
#[command(after_long_help = "Examples:
  # Which releases of the cluster would be instances?
  kindsmith adopt --dry-run redis.yaml

  # And which of a repository of manifests?
  kindsmith adopt --dry-run definitions/ --releases clusters/production/

  # Only those that do not fit, for programs
  kindsmith adopt --dry-run redis.yaml -o json | jq '.releases[] | select(.faults != [])'")]
pub(crate) struct Arguments {
    /// Definitions: files, directories of them, or - for the standard input
    #[arg(value_name = "FILE|DIR", required = true)]
    definitions: Vec<PathBuf>,
    /// Say what would be adopted; needed, since to apply the definition is what adopts
    #[arg(long)]
    dry_run: bool,
    /// Look at the HelmReleases in a file or below a directory instead of a cluster; may be given again
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "kubeconfig")]
    releases: Vec<PathBuf>,
    /// The namespace of releases in files that name none
    #[arg(short, long, value_name = "NAME", default_value = "default", requires = "releases")]
    namespace: String,
    /// The cluster's kubeconfig; without it, KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How to print what was found
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Output,
}

/// Looks, and prints what was found.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Verdict> {
    if !arguments.dry_run {
        bail!(
            "nothing was done: releases become instances when the definition is applied, with kubectl apply. \
             Say --dry-run to see which"
        );
    }
    let kinds = match check::kinds(&arguments.definitions)? {
        Ok(kinds) => kinds,
        Err(faults) => {
            output::print(&faults)?;
            return Ok(Verdict::Faulty);
        }
    };
    let mut outcome = Outcome::new(kinds);
    if arguments.releases.is_empty() {
        let client = cluster::client(arguments.kubeconfig).await?;
        releases::of_cluster(&client, |release| outcome.add(&release)).await?;
    } else {
        releases::of_files(&arguments.releases, &arguments.namespace, |release| outcome.add(&release))?;
    }
    let outcome = outcome.sorted();
    let text = match arguments.output {
        Output::Text => report::text(&outcome),
        Output::Json => serde_json::to_string_pretty(&report::json(&outcome))? + "\n",
    };
    output::print(&text).context("the report cannot be written")?;
    Ok(if outcome.is_sound() { Verdict::Sound } else { Verdict::Faulty })
}
