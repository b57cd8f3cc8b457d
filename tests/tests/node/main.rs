//! Kindsmith installed on a real node: pods, probes, Services, limits, and what becomes of all that when it is changed or taken away.
//!
//! The program runs itself again in namespaces of its own, with one node for all tests, which come one after the other.
//! Where there can be no node, the tests are ignored, and a line says why.

/// The installation that tests are about.
mod ground;

/// Instances under constant traffic.
mod traffic;

/// Installed, and changed under load.
mod install;

/// Pods that are killed, and a node that is drained.
mod disruption;

/// Taken away, and put back.
mod uninstall;

/// Attacks on a pod that may use so much memory.
mod limits;

/// Nodes that were killed themselves.
mod holding;

use std::{
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use futures::{FutureExt as _, future::LocalBoxFuture};
use kindsmith_tests::{
    instance::KEEP_VARIABLE,
    node::{Absent, Place, held_folder},
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use ground::Ground;

/// A test: what it does with the node that all share.
type Check = for<'a> fn(&'a Ground) -> LocalBoxFuture<'a, Result<()>>;

/// All tests, in their order.
const CHECKS: [(&str, Check); 9] = [
    ("a_killed_holder_leaves_nothing", |ground| holding::a_killed_holder_leaves_nothing(ground).boxed_local()),
    ("helm_installs_what_serves_instances", |ground| {
        install::helm_installs_what_serves_instances(ground).boxed_local()
    }),
    ("an_upgrade_under_load_fails_nothing", |ground| {
        install::an_upgrade_under_load_fails_nothing(ground).boxed_local()
    }),
    ("a_killed_replica_is_covered", |ground| disruption::a_killed_replica_is_covered(ground).boxed_local()),
    ("a_drain_leaves_one_replica", |ground| disruption::a_drain_leaves_one_replica(ground).boxed_local()),
    ("limits_of_memory_hold_under_attack", |ground| limits::limits_of_memory_hold_under_attack(ground).boxed_local()),
    ("helm_uninstall_harms_nothing", |ground| uninstall::helm_uninstall_harms_nothing(ground).boxed_local()),
    ("without_hooks_nothing_is_harmed", |ground| uninstall::without_hooks_nothing_is_harmed(ground).boxed_local()),
    ("a_deleted_namespace_harms_nothing", |ground| uninstall::a_deleted_namespace_harms_nothing(ground).boxed_local()),
];

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    match held_folder() {
        Some(folder) => on_the_node(arguments, &folder),
        None => around_the_node(&arguments),
    }
}

/// Looks whether there can be a node, and lets the tests run on it.
fn around_the_node(arguments: &Arguments) -> Result<ExitCode> {
    let ignored = |why: String| {
        let trial = |(name, _): &(&str, Check)| {
            let why = why.clone();
            Trial::ignorable_test(*name, move || Ok(Completion::ignored_with(why)))
        };
        CHECKS.iter().map(trial).collect::<Vec<Trial>>()
    };
    let none = ignored(String::new());
    if arguments.list || none.iter().all(|trial| arguments.is_filtered_out(trial)) {
        return Ok(libtest_mimic::run(arguments, none).exit_code());
    }
    let place = match Place::find() {
        Ok(place) => place,
        Err(Absent::NotHere(why)) => {
            eprintln!("kindsmith-tests: the tests on a real node are ignored: {why:#}");
            return Ok(libtest_mimic::run(arguments, ignored(format!("{why:#}"))).exit_code());
        }
        Err(Absent::Broken(error)) => return Err(error.context("preparing a node")),
    };
    let folder = tempfile::Builder::new().prefix("kindsmith-node-").tempdir().context("creating a folder")?;
    let mut again = Command::new(std::env::current_exe().context("finding this program")?);
    again.args(std::env::args_os().skip(1));
    let status = place.hold(&again, folder.path())?;
    if std::env::var_os(KEEP_VARIABLE).is_some() || !status.success() {
        eprintln!("kindsmith-tests: the node's logs and data are kept: {}", folder.keep().display());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Runs the tests in the namespaces of the node, which the first one starts.
fn on_the_node(mut arguments: Arguments, folder: &Path) -> Result<ExitCode> {
    arguments.test_threads = Some(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = Arc::new(runtime.context("starting a runtime")?);
    let ground = Arc::new(Ground::new(folder.to_owned()));
    let trials = CHECKS.map(|(name, check)| trial(name, check, &runtime, &ground));
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    runtime.block_on(async { ground.end().await });
    Ok(conclusion.exit_code())
}

fn trial(name: &'static str, check: Check, runtime: &Arc<Runtime>, ground: &Arc<Ground>) -> Trial {
    let (runtime, ground) = (Arc::clone(runtime), Arc::clone(ground));
    Trial::test(name, move || runtime.block_on(check(&ground)).map_err(|error| Failed::from(format!("{error:#}"))))
}
