//! kubectl as a test calls it: the real one, with a kubeconfig and a home of the test's own.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{binary::Binary, process::command_line};

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(120);

/// How long a watching kubectl may take to print the next line.
const LINE_DEADLINE: Duration = Duration::from_secs(30);

/// A call of kubectl, not yet made.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    tool: &'static str,
    kubeconfig: PathBuf,
    home: PathBuf,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: String,
}

/// What a call gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    line: String,
}

/// A kubectl that goes on running, as `get --watch` does. Ends when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    line: String,
}

impl Kubectl {
    /// A call for the user of a kubeconfig; `home` is where kubectl keeps what it remembers.
    pub fn new(binary: &Binary, kubeconfig: &Path, home: &Path) -> Kubectl {
        Self::tool("kubectl", binary, kubeconfig, home)
    }

    /// A call of another tool that the binary is, which takes its kubeconfig as kubectl does.
    pub(crate) fn tool(tool: &'static str, binary: &Binary, kubeconfig: &Path, home: &Path) -> Kubectl {
        Kubectl {
            program: binary.path(),
            tool,
            kubeconfig: kubeconfig.to_owned(),
            home: home.to_owned(),
            args: Vec::new(),
            environment: Vec::new(),
            stdin: String::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<String>>>(mut self, args: I) -> Kubectl {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Calls as another user.
    #[must_use]
    pub fn kubeconfig(mut self, path: &Path) -> Kubectl {
        path.clone_into(&mut self.kubeconfig);
        self
    }

    /// Sets an environment variable, such as `KUBE_EDITOR`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Kubectl {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it reads, as with `-f -`.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Kubectl {
        text.clone_into(&mut self.stdin);
        self
    }

    /// Makes the call; a failing one is an [`Output`] too.
    ///
    /// # Errors
    /// kubectl cannot be started, or does not end in time.
    pub async fn run(self) -> Result<Output> {
        let mut command = self.command();
        let line = line(&command);
        let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| format!("starting {line}"))?;
        let mut stdin = child.stdin.take().context("kubectl has no standard input")?;
        let write = async {
            // An error here says that it ended without reading all; its own message says why.
            let _ = stdin.write_all(self.stdin.as_bytes()).await;
            drop(stdin);
        };
        let both = async { tokio::join!(write, child.wait_with_output()).1 };
        let output = tokio::time::timeout(CALL_DEADLINE, both).await;
        let output = output.with_context(|| format!("{line} takes longer than {} s", CALL_DEADLINE.as_secs()))?;
        let output = output.with_context(|| format!("waiting for {line}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Output { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr), line })
    }

    /// Makes the call, which must succeed, and returns what it printed.
    ///
    /// # Errors
    /// It fails; the error carries the command line and both streams.
    pub async fn ok(self) -> Result<String> {
        let output = self.run().await?;
        if !output.status.success() {
            bail!("{output}");
        }
        Ok(output.stdout)
    }

    /// Makes the call, which must fail, and returns what it complained about.
    ///
    /// # Errors
    /// It succeeds; the error carries the command line and both streams.
    pub async fn fails(self) -> Result<String> {
        let output = self.run().await?;
        if output.status.success() {
            bail!("this was to fail: {output}");
        }
        Ok(output.stderr)
    }

    /// Starts a call that goes on running; its complaints go to the test's own standard error.
    ///
    /// # Errors
    /// kubectl cannot be started.
    pub fn spawn(self) -> Result<Running> {
        let mut command = self.command();
        let line = line(&command);
        let mut child = command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {line}"))?;
        let stdout = child.stdout.take().context("kubectl has no standard output")?;
        Ok(Running { child, lines: BufReader::new(stdout).lines(), line })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.tool).arg("--kubeconfig").arg(&self.kubeconfig).args(&self.args);
        command.env("HOME", &self.home).env_remove("KUBECONFIG").env_remove("KUBECACHEDIR");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    }
}

impl Running {
    /// The next line that it prints, or `None` when it has ended.
    ///
    /// # Errors
    /// No line comes in time.
    pub async fn next_line(&mut self) -> Result<Option<String>> {
        let next = tokio::time::timeout(LINE_DEADLINE, self.lines.next_line()).await;
        let next = next.with_context(|| format!("{} printed nothing for {} s", self.line, LINE_DEADLINE.as_secs()))?;
        next.with_context(|| format!("reading from {}", self.line))
    }

    /// Whether it is still running.
    ///
    /// # Errors
    /// The system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().with_context(|| format!("looking after {}", self.line))?.is_none())
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nended with {}\nstdout:\n{}\nstderr:\n{}", self.line, self.status, self.stdout, self.stderr)
    }
}

fn line(command: &Command) -> String {
    command_line(command.as_std())
}
