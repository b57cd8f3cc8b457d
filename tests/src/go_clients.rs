//! Clients as controllers are written in Go: a program with client-go, which tells what it sees as lines of JSON.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::binary;

/// How long a client may take to say something.
const LINE_MAX: Duration = Duration::from_secs(90);

/// The program, once this process has built it. Go keeps it in its cache.
static PROGRAM: Mutex<Option<PathBuf>> = Mutex::new(None);

fn obtain() -> Result<PathBuf> {
    let mut built = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = built.as_ref() {
        return Ok(program.clone());
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/clients");
    let folder = tempfile::tempdir().context("creating a folder for the clients")?.keep();
    let program = folder.join("clients");
    let mut build = std::process::Command::new(binary::find_go()?);
    build.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(&sources);
    binary::run(&mut build)?;
    Ok(built.insert(program).clone())
}

/// A running client; it ends when dropped.
#[derive(Debug)]
pub struct GoClient {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl GoClient {
    /// Starts one of the clients on a resource, `GROUP/VERSION/PLURAL`.
    ///
    /// # Errors
    /// Go is absent, or the program cannot be built or started.
    pub async fn start(
        kubeconfig: &Path,
        client: &str,
        resource: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let program = tokio::task::spawn_blocking(obtain).await.context("waiting for the build")??;
        let mut parts = resource.split('/');
        let mut part = || parts.next().context("a resource is GROUP/VERSION/PLURAL");
        let (group, version, plural) = (part()?, part()?, part()?);
        let mut command = Command::new(program);
        command.arg(client).arg("--kubeconfig").arg(kubeconfig);
        command.args(["--group", group, "--version", version, "--resource", plural]).args(arguments);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("starting a client")?;
        let output = process.stdout.take().context("the client has no output")?;
        Ok(Self { process, lines: BufReader::new(output).lines() })
    }

    /// The next thing that it tells.
    ///
    /// # Errors
    /// It ends, or says nothing for long.
    pub async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(LINE_MAX, self.lines.next_line()).await.context("waiting for a client")??;
        let Some(line) = line else {
            let mut complaints = String::new();
            if let Some(errors) = self.process.stderr.as_mut() {
                errors.read_to_string(&mut complaints).await?;
            }
            bail!("the client ended with {}: {complaints}", self.process.wait().await?);
        };
        serde_json::from_str(&line).with_context(|| format!("the client said {line:?}"))
    }

    /// Skips what it tells until an event of a kind; says what was skipped and the event.
    ///
    /// # Errors
    /// It ends before, or says nothing for long.
    pub async fn until(&mut self, event: &str) -> Result<(Vec<Value>, Value)> {
        let mut before = Vec::new();
        loop {
            let told = self.next().await?;
            if told["event"] == event {
                return Ok((before, told));
            }
            ensure!(before.len() < 10_000, "the client tells much, but not {event}");
            before.push(told);
        }
    }
}
