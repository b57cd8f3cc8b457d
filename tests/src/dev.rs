//! `kindsmith dev` as a process: no control plane, but the same kubectl.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kube::Client;
use tempfile::TempDir;

use crate::{
    Kubectl,
    binary::{self, Binary, say},
    kubeconfig,
    process::{self, Process},
    program, wait,
};

/// What it prints last of all, once its manifests are applied; `/readyz` answers before that.
const LAST_LINE: &str = "Ctrl-C stops it.";

/// How long it may take to be ready.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running `kindsmith dev` with a data folder of its own; ends when dropped. The folder is kept after a panic.
#[derive(Debug)]
pub struct Dev {
    process: Option<Process>,
    guard: Binary,
    program: PathBuf,
    args: Vec<String>,
    folder: Option<TempDir>,
}

impl Dev {
    /// Starts it with these arguments, manifests first of all, and returns when it has applied them and is ready. It
    /// listens on a free port.
    ///
    /// # Errors
    /// A program cannot be built, or it does not start; the error carries the end of its log.
    pub async fn start<I: IntoIterator<Item: Into<String>>>(args: I) -> Result<Dev> {
        let programs = tokio::task::spawn_blocking(|| Ok::<_, anyhow::Error>((binary::obtain()?, program::obtain()?)));
        let (guard, program) = programs.await.context("waiting for the programs")??;
        let folder = tempfile::Builder::new().prefix("kindsmith-dev-").tempdir().context("creating a folder")?;
        let args = args.into_iter().map(Into::into).collect();
        let mut dev = Dev { process: None, guard, program, args, folder: Some(folder) };
        dev.restart().await?;
        Ok(dev)
    }

    /// Stops it if it runs, and starts it again on the same data. Its port changes, and with it the kubeconfig.
    ///
    /// # Errors
    /// As [`Dev::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.stop()?;
        match fs::remove_file(self.kubeconfig()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("removing a kubeconfig");
            }
            _ => {}
        }
        let mut command = self.guard.command("guard");
        command.arg(&self.program).args(["dev", "--listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(self.folder().join("data"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(&self.args);
        let before = fs::read(self.log()).map_or(0, |log| log.len());
        let mut process = Process::start("kindsmith dev", &mut command, &self.log())?;
        let (path, log) = (self.kubeconfig(), self.log());
        let ready = wait::until("kindsmith dev to be ready", START_DEADLINE, || async {
            let printed = fs::read(&log).context("reading its log")?;
            // The log goes on from the starts before.
            let printed = String::from_utf8_lossy(printed.get(before..).unwrap_or_default());
            ensure!(printed.contains(LAST_LINE), "it has not applied its manifests yet");
            kubeconfig::ready(&kubeconfig::client(&path).await?).await
        });
        let ready = process::alive(ready, [&mut process]).await;
        ready.with_context(|| format!("the log of kindsmith dev ends:\n{}", process::tail(&self.log())))?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it; what it has stored stays.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop().context("stopping kindsmith dev")?;
        }
        Ok(())
    }

    /// Kills it as a crash would, and waits until it is gone; what it has stored stays.
    ///
    /// # Errors
    /// It does not run, or cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("kindsmith dev does not run")?;
        let own = process::children(process.id());
        process.kill().context("killing kindsmith dev")?;
        // The kernel kills the program when its guard is gone, but nobody here is its parent and could wait for it.
        wait::until("kindsmith dev to be gone", START_DEADLINE, || async {
            ensure!(!own.iter().any(|id| process::runs(*id)), "it still runs");
            Ok(())
        })
        .await
    }

    /// Ids of its processes, without the guard's.
    pub fn process_ids(&self) -> Vec<u32> {
        self.process.as_ref().map(|process| process::children(process.id())).unwrap_or_default()
    }

    /// The kubeconfig that it wrote.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// What it printed.
    pub fn log(&self) -> PathBuf {
        self.folder().join("dev.log")
    }

    /// A client for the user of its kubeconfig.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig()).await
    }

    /// kubectl for the user of its kubeconfig.
    pub fn kubectl<I: IntoIterator<Item: Into<String>>>(&self, args: I) -> Kubectl {
        Kubectl::new(&self.guard, &self.kubeconfig(), &self.folder().join("home")).args(args)
    }

    /// Its folder. There is one until it is dropped.
    fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.process.take());
        if let Some(folder) = self.folder.take()
            && std::thread::panicking()
        {
            say(&format!("the log and data of kindsmith dev are kept: {}", folder.keep().display()));
        }
    }
}
