//! `kindsmith check`: judges definitions before they are applied.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use kindsmith_schema::{compile::OwnStorage, kind::Kind};
use serde_json::Value;

use crate::manifests;

/// One definition, judged.
mod judge;

/// What was found, as text or as JSON.
mod report;

use judge::{Judge, Judged};

/// What `kindsmith check --help` begins with.
pub(crate) const ABOUT: &str = "\
Judge definitions before they are applied, and what they would break.

Reads the ApplicationDefinitions in files and directories, and says of each what the operator would
say of it: whether its fields are known, its names and versions sound, its schema structural, its
columns and paths parse, its backend complete, and whether two definitions ask for one name. Other
objects in the files are passed over. Nothing is sent to a cluster, so that names which are taken
there, by a CustomResourceDefinition or an APIService, are not noticed.

With --against, each definition is compared with the one of the same name in OLD, and every change
that can break stored instances or clients is named. What cannot be decided, such as another
pattern, is named too.

Warns of fields that one version of a kind has and another one loses. Notes which releases that were
made by hand are instances too; kindsmith adopt --dry-run finds them.

Prints one line a finding. Ends with 0 when there is none, with 1 when there is one or a file cannot
be read, and with 2 when the command line is wrong.";

/// Flags of `kindsmith check`.
#[derive(Args)]
#[command(after_long_help = "Examples:
  # Judge one definition, or all of a directory
  kindsmith check redis.yaml
  kindsmith check definitions/

  # Judge what a chart renders
  helm template ./definitions | kindsmith check -

  # What would this change break?
  git show main:redis.yaml | kindsmith check redis.yaml --against -")]
pub(crate) struct Arguments {
    /// Definitions to judge: files, directories of them, or - for the standard input
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// Compare with the definitions that are in use: a file, a directory, or - for the standard input
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// Where the kinds will be served; the backend `store` is there in dev alone
    #[arg(long = "in", value_name = "WHERE", value_enum, default_value_t)]
    place: Place,
    /// How to print what was found
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Output,
}

/// Where kinds are served.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Place {
    /// Behind kube-apiserver
    #[default]
    Cluster,
    /// By kindsmith dev
    Dev,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people
    #[default]
    Text,
    /// One object for programs
    Json,
}

/// Whether something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All definitions are sound, and break nothing.
    Sound,
    /// Something was found and printed.
    Faulty,
}

/// A document, and the file it is from.
struct Document {
    file: String,
    object: Value,
}

/// Judges, and prints what was found.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let stdin = Path::new("-");
    let inputs = arguments.paths.iter().chain(&arguments.against);
    if inputs.filter(|path| *path == stdin).count() > 1 {
        bail!("the standard input can be read once only: name - once");
    }
    let storage = match arguments.place {
        Place::Cluster => OwnStorage::Absent,
        Place::Dev => OwnStorage::Available,
    };
    let judge = Judge::new(storage)?;
    let mut judged = judge.judge(definitions(&arguments.paths)?);
    if let Some(old) = &arguments.against {
        judge::compare(&mut judged, &judge.judge(definitions(std::slice::from_ref(old))?));
    }
    let text = match arguments.output {
        Output::Text => report::text(&judged),
        Output::Json => serde_json::to_string_pretty(&report::json(&judged))? + "\n",
    };
    crate::output::print(&text).context("the report cannot be written")?;
    Ok(if judged.iter().all(Judged::is_sound) { Verdict::Sound } else { Verdict::Faulty })
}

/// The kinds of the definitions of the paths, as a cluster would serve them; what is wrong, as text, if something is.
pub(crate) fn kinds(paths: &[PathBuf]) -> anyhow::Result<Result<Vec<Kind>, String>> {
    let judged = Judge::new(OwnStorage::Absent)?.judge(definitions(paths)?);
    if judged.iter().all(Judged::is_sound) {
        return Ok(Ok(judged.into_iter().filter_map(|one| one.kind).collect()));
    }
    let faulty: Vec<Judged> = judged.into_iter().filter(|one| !one.is_sound()).collect();
    Ok(Err(report::text(&faulty)))
}

/// All definitions of the paths.
fn definitions(paths: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut found = Vec::new();
    for path in paths {
        for file in manifests::files(path)? {
            let name = file.display().to_string();
            let text = manifests::text(&file).with_context(|| format!("{name} cannot be read"))?;
            let objects = manifests::parse(&text).with_context(|| format!("{name} cannot be read"))?;
            let ours = objects.into_iter().filter(|object| object["kind"] == "ApplicationDefinition");
            found.extend(ours.map(|object| Document { file: name.clone(), object }));
        }
    }
    if found.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("there is no ApplicationDefinition in {}", names.join(", "));
    }
    Ok(found)
}
