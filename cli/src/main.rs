//! The one binary of Kindsmith: `dev` and `check` on a laptop, `operator` and `apiserver` in a cluster.

// Who reads may end first: see `output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// `kindsmith dev`.
mod dev;

/// `kindsmith operator` and `kindsmith apiserver`.
mod in_cluster;

/// Probes and metrics of the operator.
mod operator_endpoints;

/// The client for reviews.
mod review_client;

/// The cluster that a command asks.
mod cluster;

/// `kindsmith certs`.
mod certs;

/// `kindsmith crd`.
mod crd;

/// `kindsmith check`.
mod check;

/// `kindsmith adopt`.
mod adopt;

/// `kindsmith definition`.
mod definition;

/// `kindsmith uninstall`.
mod uninstall;

/// `kindsmith doctor`.
mod doctor;

/// `kindsmith completion`.
mod completion;

/// Manifests of files and directories.
mod manifests;

/// What is printed.
mod output;

/// The log.
mod log;

/// Most of the work is with small pieces of documents. This makes and drops them faster than the system's allocator, and
/// gives memory back.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Turn `kubectl apply -f applicationdefinition.yaml` into a served Kubernetes kind.
///
/// Start with `kindsmith dev`: it needs no cluster, serves the example kinds, and says how to use them with kubectl.
#[derive(Parser)]
#[command(name = "kindsmith", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve kinds on this machine, without a cluster, until Ctrl-C
    Dev(dev::Arguments),
    /// Run the operator in a cluster: judge definitions, register them, keep certificates
    Operator(in_cluster::OperatorArguments),
    /// Run the extension API server in a cluster
    Apiserver(in_cluster::ApiserverArguments),
    /// Look after certificates
    #[command(subcommand)]
    Certs(certs::Command),
    /// Take Kindsmith out of a cluster, in an order that holds nothing up
    #[command(long_about = uninstall::ABOUT)]
    Uninstall(uninstall::Arguments),
    /// Tell whether Kindsmith works in a cluster, and what to do where it does not
    #[command(long_about = doctor::ABOUT)]
    Doctor(doctor::Arguments),
    /// Print the CustomResourceDefinition of ApplicationDefinition
    Crd,
    /// Make definitions
    #[command(subcommand)]
    Definition(definition::Command),
    /// Judge definitions before they are applied, and what they would break
    #[command(long_about = check::ABOUT)]
    Check(check::Arguments),
    /// Tell which releases become instances of a kind, and whether their values fit
    #[command(long_about = adopt::ABOUT)]
    Adopt(adopt::Arguments),
    /// Print a script by which a shell completes command lines
    #[command(long_about = completion::ABOUT)]
    Completion(completion::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let default = match &arguments.command {
        Command::Operator(_) | Command::Apiserver(_) => "info,kube_runtime=error,kube_client=off",
        _ => "warn,kube_client=off",
    };
    log::start(default);
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    let done = match arguments.command {
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Operator(arguments) => in_cluster::operator(arguments).await,
        Command::Apiserver(arguments) => in_cluster::apiserver(arguments).await,
        Command::Certs(command) => match certs::run(command).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Command::Uninstall(arguments) => uninstall::run(arguments).await,
        Command::Doctor(arguments) => match doctor::run(arguments).await {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Completion(arguments) => completion::print::<Arguments>(&arguments),
        Command::Crd => crd::print(),
        Command::Definition(command) => definition::run(&command),
        Command::Check(arguments) => match check::run(&arguments) {
            Ok(check::Verdict::Sound) => Ok(()),
            Ok(check::Verdict::Faulty) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Command::Adopt(arguments) => match adopt::run(arguments).await {
            Ok(check::Verdict::Sound) => Ok(()),
            Ok(check::Verdict::Faulty) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("kindsmith: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
