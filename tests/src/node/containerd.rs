//! What runs containers: containerd with runc, in the node's folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    Place,
    archive::{self, Reference},
};
use crate::{
    binary::{self, Binary},
    process::{self, Process},
    wait,
};

/// How long containerd may take to answer.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How the image is named that holds pods' namespaces.
const PAUSE: &str = "kindsmith.test/pause:local";

/// containerd, running.
#[derive(Debug)]
pub(super) struct Containerd {
    _process: Process,
    program: PathBuf,
    socket: PathBuf,
}

impl Containerd {
    /// Starts it, and loads the image of an archive, and the one that pods themselves need.
    pub(super) async fn start(guard: &Binary, place: &Place, folder: &Path, image: &Path) -> Result<Containerd> {
        let own = folder.join("containerd");
        fs::create_dir_all(&own).context("creating containerd's folder")?;
        let pause = own.join("pause.tar");
        let program = (place.programs.pause(), "/pause".to_owned());
        archive::write(&pause, &Reference::parse(PAUSE)?, "/pause", &[program])?;
        let (socket, configuration) = (own.join("containerd.sock"), own.join("config.toml"));
        fs::write(&configuration, self::configuration(place, folder, &own)?).context("configuring containerd")?;
        // containerd goes on when its standard input closes.
        let mut command = guard.command("guard");
        command.arg(place.packages.program("containerd")?).arg("--config").arg(&configuration);
        let mut process = Process::start("containerd", &mut command, &folder.join("containerd.log"))?;
        let program = place.packages.program("ctr")?;
        // What it has no plugin for yet it refuses: only the plugin of pods' containers comes last.
        let answers = wait::until("containerd to answer", START_DEADLINE, || async {
            ctr(&program, &socket, &["version"]).map(drop)
        });
        process::alive(answers, [&mut process]).await?;
        let containerd = Containerd { _process: process, program, socket };
        for image in [image, &pause] {
            containerd.ctr(&["images", "import", &image.to_string_lossy()])?;
        }
        Ok(containerd)
    }

    /// Where it answers.
    pub(super) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Calls its own client, on what kubelet has.
    pub(super) fn ctr(&self, args: &[&str]) -> Result<String> {
        ctr(&self.program, &self.socket, args)
    }
}

fn ctr(program: &Path, socket: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    binary::output(command.arg("--address").arg(socket).args(["--namespace", "k8s.io"]).args(args))
}

/// Written as the TOML that containerd reads; JSON's strings are TOML's.
fn configuration(place: &Place, folder: &Path, own: &Path) -> Result<String> {
    let text = |path: &Path| serde_json::to_string(&path.to_string_lossy()).context("writing a path");
    let (root, state, socket) =
        (text(&own.join("root"))?, text(&own.join("state"))?, text(&own.join("containerd.sock"))?);
    let (plugins, networks) = (text(&place.packages.network_plugins())?, text(&folder.join("network"))?);
    let runc = text(&place.packages.program("runc")?)?;
    Ok(format!(
        "version = 2
root = {root}
state = {state}
disabled_plugins = [\"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.zfs\", \
\"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.tracing.processor.v1.otlp\"]
[grpc]
address = {socket}
[plugins.\"io.containerd.grpc.v1.cri\"]
sandbox_image = \"{PAUSE}\"
disable_apparmor = true
# Without the right to lower it, as in some virtual machines, runc would fail.
restrict_oom_score_adj = true
[plugins.\"io.containerd.grpc.v1.cri\".cni]
bin_dir = {plugins}
conf_dir = {networks}
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
runtime_type = \"io.containerd.runc.v2\"
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]
SystemdCgroup = false
BinaryName = {runc}
"
    ))
}
