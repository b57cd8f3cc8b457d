//! A server process with a log, which cannot outlive its test.
//!
//! # Guarantees
//! - Dropping a [`Process`] ends it and waits for its end, during a panic as well.
//! - If the test itself is killed, the pipe on the process's standard input closes, and the process ends by itself.
//! - A Ctrl-C in the terminal reaches the test alone: the process has a process group of its own.
//!
//! # Assumptions
//! The program ends when its standard input closes. The control plane's binary does; for others it has `guard`.

use std::{
    fs::{self, OpenOptions},
    future::Future,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::wait;

/// How long a process may take to end once its standard input is closed; then it is killed.
const STOP_SECONDS: u64 = 10;

/// How many lines of a log an error message carries.
const TAIL_LINES: usize = 25;

/// A running server.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints is appended to `log`.
    ///
    /// # Errors
    /// The log cannot be opened or the program not be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().context("sharing the log")?;
        command.stdin(Stdio::piped()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("starting {name}: {}", command_line(command)))?;
        Ok(Process { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process's id; of a guarded program, its guard's.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails if the process has ended; the error carries the end of its log.
    ///
    /// # Errors
    /// The process has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().with_context(|| format!("looking after {}", self.name))? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended with {status}; its log ends:\n{}", self.name, tail(&self.log)),
        }
    }

    /// Ends the process in its orderly way, kills it if that takes too long, and waits for its end.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        drop(self.child.stdin.take());
        let end = Instant::now() + Duration::from_secs(STOP_SECONDS);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill()
    }

    /// Stops the process where it is, as if its machine were cut off, until [`Process::thaw`].
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status();
        let sent = sent.with_context(|| format!("sending {signal} to {}", self.name))?;
        anyhow::ensure!(sent.success(), "{signal} cannot be sent to {}", self.name);
        Ok(())
    }

    /// Kills the process as a crash would, and waits for its end.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Awaits `what`, but not longer than the processes live that it needs.
///
/// # Errors
/// As `what`, or one of the processes ended; the error carries the end of its log.
pub async fn alive<'a, T>(
    what: impl Future<Output = Result<T>>,
    processes: impl IntoIterator<Item = &'a mut Process>,
) -> Result<T> {
    let mut processes: Vec<&mut Process> = processes.into_iter().collect();
    let ended = async {
        loop {
            for process in &mut processes {
                process.check()?;
            }
            tokio::time::sleep(wait::INTERVAL).await;
        }
    };
    tokio::select! {
        done = what => done,
        ended = ended => ended,
    }
}

/// The processes that a process started, as Linux tells; none elsewhere.
pub fn children(id: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// Whether a process runs, as Linux tells. One that has ended and was not waited for does not.
pub fn runs(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

/// Bytes of memory that a process has resident, as Linux tells.
pub fn resident_bytes(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The process that a process guards, or else that process itself.
pub(crate) fn guarded(id: u32) -> u32 {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return id };
    let children = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let child =
        children.flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>());
    child.into_iter().next().unwrap_or(id)
}

/// The last lines of a log, for an error message.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// A command as one would type it, for an error message.
pub fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
