//! The engine of Argo CD as a process: a Go program that answers questions, one line of JSON each.
//!
//! It is a module of its own, of the versions that the engine is built with, and is built once: it stays beside the control plane
//! in the cache, in a folder named after its sources.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{binary, cache};

/// How long an answer may take; the first one says that the engine has read the cluster.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Why the engine is not there.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    /// There is no Go, or the modules cannot be had: nothing of ours is wrong.
    #[error("the engine of Argo CD cannot be built here: {0:#}")]
    NotBuilt(anyhow::Error),
    /// It does not build, or does not start.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

/// Returns the program, which is built if it must be: for minutes, once.
fn obtain() -> Result<PathBuf, Absent> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops-engine");
    let cache = binary::cache_folder()?.join("gitops-engine");
    let key = binary::hash(&[&sources])?;
    let folder =
        cache::obtain(&cache, &key, "building Argo CD's engine for a test: once, some minutes on 2 cores", |into| {
            build(&sources, into)
        })?;
    Ok(folder.join("gitops-engine"))
}

fn build(sources: &Path, into: &Path) -> Result<(), Absent> {
    let go = binary::find_go().map_err(Absent::NotBuilt)?;
    let mut fetch = std::process::Command::new(&go);
    binary::run(fetch.args(["list", "-deps", "."]).current_dir(sources)).map_err(Absent::NotBuilt)?;
    let mut build = std::process::Command::new(&go);
    build.args(["build", "-buildvcs=false", "-ldflags", "-s -w", "-o"]).arg(into.join("gitops-engine"));
    Ok(binary::run(build.arg(".").current_dir(sources))?)
}

/// The engine, running on a cluster; it ends when dropped.
#[derive(Debug)]
pub struct GitopsEngine {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl GitopsEngine {
    /// Starts it, and waits until it has read the cluster.
    ///
    /// # Errors
    /// It cannot be built here, or it does not start.
    pub async fn start(kubeconfig: &Path) -> Result<Self, Absent> {
        let program = tokio::task::spawn_blocking(obtain).await.context("waiting for the build")??;
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(kubeconfig).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("starting the engine")?;
        let questions = process.stdin.take().context("the engine has no input")?;
        let answers = BufReader::new(process.stdout.take().context("the engine has no output")?).lines();
        let mut engine = Self { process, questions, answers };
        engine.next().await?;
        Ok(engine)
    }

    /// Asks, and returns the answer.
    ///
    /// # Errors
    /// It says that something failed, it ends, or it says nothing for long.
    pub async fn ask(&mut self, question: &Value) -> Result<Value> {
        self.questions.write_all(format!("{question}\n").as_bytes()).await.context("asking the engine")?;
        self.next().await.with_context(|| format!("asked {question}"))
    }

    /// Whether it finds a difference between objects of a repository and those in the cluster, in one of its modes.
    ///
    /// # Errors
    /// As [`GitopsEngine::ask`].
    pub async fn diff(&mut self, mode: &str, targets: &[Value]) -> Result<bool> {
        let answer = self.ask(&json!({"do": "diff", "mode": mode, "targets": targets})).await?;
        answer["modified"].as_bool().context("it does not say")
    }

    /// Brings the objects of a repository into the cluster and deletes what is not there any more; returns what became of each.
    ///
    /// # Errors
    /// As [`GitopsEngine::ask`].
    pub async fn sync(&mut self, targets: &[Value]) -> Result<Vec<String>> {
        let answer = self.ask(&json!({"do": "sync", "targets": targets})).await?;
        Ok(serde_json::from_value(answer["results"].clone()).unwrap_or_default())
    }

    async fn next(&mut self) -> Result<Value> {
        let line =
            tokio::time::timeout(ANSWER_MAX, self.answers.next_line()).await.context("waiting for the engine")??;
        let Some(line) = line else { bail!("the engine ended with {}", self.process.wait().await?) };
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("the engine said {line:?}"))?;
        match answer["error"].as_str() {
            Some(error) => bail!("the engine says {error}"),
            None => Ok(answer),
        }
    }
}
