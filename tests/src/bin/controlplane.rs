//! The tests' control plane for a person: starts it in a folder and serves until Ctrl-C.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use kindsmith_tests::{ControlPlane, Kindsmith};

/// A real Kubernetes control plane without nodes, on this machine, for trying things.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts etcd, kube-apiserver and kube-controller-manager, and stops them at Ctrl-C.
    Up {
        /// Where certificates, data, logs and `kubeconfig` go. What an earlier start left there is removed.
        #[arg(long)]
        dir: PathBuf,
        /// Runs Kindsmith's operator and apiserver on it.
        #[arg(long)]
        with_kindsmith: bool,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let Command::Up { dir, with_kindsmith } = Arguments::parse().command;
    let control_plane = ControlPlane::builder().folder(&dir).controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = match with_kindsmith {
        true => Some(Kindsmith::start(&control_plane).await?),
        false => None,
    };
    let kubectl = link_kubectl(&control_plane)?;
    println!("The control plane is ready at {}. Logs: {}/logs", control_plane.url(), control_plane.folder().display());
    if let Some(kindsmith) = &kindsmith {
        println!("Kindsmith runs on it; its apiserver listens on 127.0.0.1:{}.", kindsmith.port());
    }
    println!("\n  export KUBECONFIG={}", control_plane.kubeconfig().display());
    println!("  alias kubectl={}", kubectl.display());
    println!("  kubectl api-resources\n\nCtrl-C stops it.");
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    // Ours end before what they run on.
    drop(kindsmith);
    Ok(())
}

/// kubectl under its own name: the binary is whatever it is called by.
fn link_kubectl(control_plane: &ControlPlane) -> Result<PathBuf> {
    let kubectl = control_plane.folder().join("kubectl");
    remove(&kubectl)?;
    std::os::unix::fs::symlink(control_plane.binary().path(), &kubectl).context("linking kubectl")?;
    Ok(kubectl)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("removing an old link"),
        _ => Ok(()),
    }
}
