//! What commands print where no terminal is: text without codes that only a terminal understands.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

#[test]
fn no_command_prints_ansi_codes_where_no_terminal_is() {
    for args in [
        &[][..],
        &["--help"],
        &["dev", "--help"],
        &["dev", "--unknown"],
        &["dev", "--definitions", "/nowhere"],
        &["operator", "--help"],
        &["operator", "--namespace=x", "--kubeconfig=/nowhere"],
        &["apiserver", "--help"],
        &["apiserver", "--namespace=x", "--kubeconfig=/nowhere"],
        &["certs", "status", "--kubeconfig=/nowhere"],
        &["uninstall", "--help"],
        &["uninstall", "--kubeconfig=/nowhere"],
        &["doctor", "--help"],
        &["doctor", "--kubeconfig=/nowhere"],
        &["completion", "--help"],
        &["completion", "bash"],
        &["crd"],
        &["definition", "from-chart", "/nowhere"],
        &["check", "--help"],
        &["check", "/nowhere"],
        &["adopt", "--help"],
        &["adopt", "/nowhere", "--dry-run"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kindsmith"));
        command.args(args).env("RUST_LOG", "trace").env("TERM", "xterm-256color").env("KUBECONFIG", "/nowhere");
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "KUBERNETES_SERVICE_HOST"] {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        let printed = [&output.stdout[..], &output.stderr[..]].concat();
        assert!(!printed.is_empty(), "{args:?} prints nothing");
        assert!(!printed.contains(&0x1b), "{args:?}: {}", String::from_utf8_lossy(&printed));
    }
}
