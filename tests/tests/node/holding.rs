//! A node whose holder is killed: nothing of it goes on, and the next one takes away what the kernel keeps.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{
    node::{Place, left},
    wait,
};

use crate::ground::Ground;

/// What the cgroups of this test begin with; nodes have other names.
const PREFIX: &str = "kindsmith-held-";

/// Makes cgroups, and starts processes that nobody waits for.
const HELD: &str = r#"
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if [ -e "$hierarchy/cgroup.procs" ]; then mkdir -p "$hierarchy/$CGROUP/pods/pod"; fi
done
mount -t tmpfs held "$1"
setsid sh -c 'sleep 1000; true' "$1" &
sh -c 'setsid sh -c "sleep 1001; true" "$1" & true' sh "$1"
echo up
wait
"#;

/// How long the kernel may take.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn a_killed_holder_leaves_nothing(ground: &Ground) -> Result<()> {
    let place = tokio::task::spawn_blocking(Place::again).await.context("finding programs")??;
    let folder = ground.folder().join("held");
    fs::create_dir_all(&folder)?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", HELD, "sh"]).arg(&folder);
    let mut holder = place.holder(PREFIX, &shell)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let name = format!("{PREFIX}{}", holder.id());
    let mut line = String::new();
    BufReader::new(holder.stdout.take().context("the holder has no output")?).read_line(&mut line)?;
    ensure!(line == "up\n", "it said {line:?}");
    let held = left(&name, &folder);
    let (processes, others): (Vec<_>, Vec<_>) = held.iter().partition(|it| it.contains("process"));
    ensure!(processes.len() >= 3 && others.iter().all(|it| it.contains("cgroup")), "it holds {held:?}");
    ensure!(!others.is_empty(), "it holds no cgroup: {held:?}");

    holder.kill()?;
    holder.wait()?;
    wait::until("processes to end", DEADLINE, || async {
        let left = left(&name, &folder);
        ensure!(left.iter().all(|it| it.contains("cgroup")), "{left:?}");
        Ok(())
    })
    .await?;
    let mut next = place.holder(PREFIX, &Command::new("true"))?.stdin(Stdio::piped()).spawn()?;
    // It would end when its standard input is closed.
    let input = next.stdin.take();
    let ended = next.wait()?;
    drop(input);
    ensure!(ended.success(), "the next holder ended with {ended}");
    let left = left(&name, &folder);
    ensure!(left.is_empty(), "there is {left:?}");
    Ok(())
}
