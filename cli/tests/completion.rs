//! Scripts of `kindsmith completion`, in the shells that are there.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    process::{Command, Stdio},
};

/// The script for a shell.
fn script(shell: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kindsmith")).args(["completion", shell]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a shell is there; says so where it is not.
fn is_there(shell: &str) -> bool {
    let there = Command::new(shell).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("{shell} is not installed, so its script is not run");
    }
    there
}

/// What bash offers for a command line, whose last word is begun.
fn offered(line: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kindsmith");
    fs::write(&file, script("bash")).unwrap();
    // As readline calls it: the command, the word, and the one before it.
    let run = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
        _kindsmith \"$1\" \"${@: -1}\" \"${@: -2:1}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", run, "bash"]).arg(&file).args(line).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !is_there("bash") {
        return;
    }
    assert_eq!(offered(&["kindsmith", "unin"]), ["uninstall"]);
    assert_eq!(offered(&["kindsmith", "certs", "st"]), ["status"]);
    assert_eq!(offered(&["kindsmith", "uninstall", "--le"]), ["--leave-instances"]);
    assert_eq!(offered(&["kindsmith", "check", "--output", "j"]), ["json"]);
}

#[test]
fn each_script_can_be_read_by_its_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let text = script(shell);
        assert!(text.contains("adopt") && text.contains("leave-instances"), "{shell} does not know all commands");
        if !is_there(shell) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        fs::write(&file, text).unwrap();
        let read = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(read.status.success(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn other_shells_are_refused_with_those_there_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_kindsmith")).args(["completion", "tcsh"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("bash, zsh, fish"), "{told}");
}
