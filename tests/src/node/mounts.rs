//! What is mounted for the node, in a namespace of its own: nothing that it writes is seen outside of its folder.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::binary;

/// What kubelet sets for the whole machine, which is not the tests' to set: it finds this set already.
///
/// Source: k8s.io/kubernetes/pkg/kubelet/cm/container_manager_linux.go (`setupKernelTunables`).
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Mounts what the node needs.
pub(super) fn set_up(folder: &Path) -> Result<()> {
    let make = |name: &str| -> Result<String> {
        let path = folder.join(name);
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(path.display().to_string())
    };
    // Network namespaces, sockets and states of containerd and of network plugins go there, whatever is configured.
    mount(&["-t", "tmpfs", "run", "/run"])?;
    let (above, work) = (make("var-lib")?, make("var-lib.work")?);
    let layers = format!("lowerdir=/var/lib,upperdir={above},workdir={work}");
    mount(&["-t", "overlay", "-o", &layers, "var-lib", "/var/lib"])?;
    let tunables = make("tunables")?;
    for (name, value) in TUNABLES {
        let file = format!("{tunables}/{}", name.replace('/', "."));
        fs::write(&file, format!("{value}\n")).with_context(|| format!("writing {file}"))?;
        mount(&["--bind", &file, &format!("/proc/sys/{name}")])?;
    }
    // Containers' mounts reach into pods.
    mount(&["--make-rshared", "/"])
}

fn mount(args: &[&str]) -> Result<()> {
    binary::run(Command::new("mount").args(args))
}
