//! The binary of an image: static, for one processor, without symbols, and without paths of who built it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{arch::Arch, source};

/// How the bytes of a file begin that Linux runs.
const ELF: &[u8; 4] = b"\x7fELF";

/// Where ELF says for which processor it is.
const MACHINE_AT: usize = 18;

/// Reads a binary.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// Builds the binary with cargo, and reads it.
///
/// # Errors
/// A tool is missing, which the error names, or the build fails.
pub(crate) fn build(arch: Arch) -> anyhow::Result<Vec<u8>> {
    let target = arch.target();
    require_target(target)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["rustc", "--locked", "--profile", "image", "--package", "kindsmith", "--bin", "kindsmith"])
        // The profile says so too, and cargo forgets it: the profile says something else of this package besides.
        .args(["--target", target, "--", "-Cstrip=symbols"])
        .current_dir(source::workspace())
        .env("CARGO_ENCODED_RUSTFLAGS", flags(arch).join("\x1f"))
        .env("CFLAGS", c_flags().join(" "));
    compiler(arch, &mut cargo)?;
    eprintln!("building kindsmith for {arch}");
    let status = cargo.status().context("cargo cannot be started")?;
    anyhow::ensure!(status.success(), "the build for {arch} failed");
    let binary = read(&target_folder().join(target).join("image/kindsmith"))?;
    check(&binary, arch)?;
    Ok(binary)
}

/// Checks that a file is a static binary for a processor.
///
/// # Errors
/// It is none.
fn check(binary: &[u8], arch: Arch) -> anyhow::Result<()> {
    anyhow::ensure!(binary.starts_with(ELF), "the binary is none of Linux");
    let machine = binary.get(MACHINE_AT..MACHINE_AT + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    anyhow::ensure!(machine == Some(arch.machine()), "the binary is not for {arch}");
    anyhow::ensure!(!needs_linker(binary), "the binary needs a dynamic linker, which the image does not have");
    anyhow::ensure!(!has_symbols(binary), "the binary has symbols");
    Ok(())
}

/// Whether a section is a table of symbols (`SHT_SYMTAB` of elf(5)).
fn has_symbols(binary: &[u8]) -> bool {
    const SYMBOLS: usize = 2;
    let Some((begin, size, count)) = headers(binary, 40, 58) else { return false };
    (0..count).any(|at| number(binary, begin.saturating_add(at * size).saturating_add(4), 4) == Some(SYMBOLS))
}

/// Returns where a table of headers begins, how large each is, and how many there are, as the header of a file of 64 bits says.
fn headers(binary: &[u8], begin_at: usize, size_at: usize) -> Option<(usize, usize, usize)> {
    Some((number(binary, begin_at, 8)?, number(binary, size_at, 2)?, number(binary, size_at + 2, 2)?))
}

/// Returns a number of that many bytes, the least first.
fn number(binary: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let field = binary.get(at..at.saturating_add(bytes))?;
    let number = field.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}

/// Whether a program header names a dynamic linker (`PT_INTERP` of elf(5), in a file of 64 bits).
fn needs_linker(binary: &[u8]) -> bool {
    const INTERPRETER: usize = 3;
    let Some((begin, size, count)) = headers(binary, 32, 54) else { return false };
    (0..count).any(|at| number(binary, begin.saturating_add(at * size), 4) == Some(INTERPRETER))
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source::workspace().join("target"), PathBuf::from)
}

fn require_target(target: &str) -> anyhow::Result<()> {
    let listed = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let there = listed.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let there = there.is_some_and(|folder| Path::new(folder.trim()).is_dir());
    anyhow::ensure!(there, "the target {target} is not installed: run `rustup target add {target}`");
    Ok(())
}

/// Flags of rustc: no path of this machine is in the binary.
fn flags(arch: Arch) -> Vec<String> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(paths().into_iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")));
    if arch == Arch::Arm64 {
        flags.push("-Clinker=rust-lld".to_owned());
    }
    flags
}

/// The same for C.
fn c_flags() -> Vec<String> {
    paths().into_iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect()
}

/// The paths of this machine, and what stands for them.
fn paths() -> Vec<(String, &'static str)> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let rustup = std::env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
    let places =
        [(target_folder(), "/target"), (source::workspace(), "/kindsmith"), (cargo, "/cargo"), (rustup, "/rustup")];
    places.into_iter().map(|(from, to)| (from.display().to_string(), to)).collect()
}

/// Says which C compiler cargo takes.
fn compiler(arch: Arch, cargo: &mut Command) -> anyhow::Result<()> {
    let has = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    match arch {
        Arch::Amd64 => {
            anyhow::ensure!(has("musl-gcc", "--version"), "musl-gcc is needed: install the package musl-tools");
            cargo.env("CC_x86_64_unknown_linux_musl", "musl-gcc");
        }
        Arch::Arm64 => {
            anyhow::ensure!(has("zig", "version"), "zig is needed as C compiler for arm64: run `pip install ziglang`");
            cargo.env("CC_aarch64_unknown_linux_musl", "zig cc -target aarch64-linux-musl -fno-sanitize=all");
            cargo.env("AR_aarch64_unknown_linux_musl", "zig ar");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one program header of a type.
    fn elf(machine: u16, header: u32) -> Vec<u8> {
        let mut bytes = ELF.to_vec();
        bytes.resize(64, 0);
        bytes[MACHINE_AT..MACHINE_AT + 2].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes.extend(header.to_le_bytes());
        bytes.resize(64 + 56, 0);
        bytes
    }

    #[test]
    fn only_a_static_binary_for_the_processor_is_taken() {
        let (loaded, interpreter) = (1, 3);
        assert!(check(&elf(62, loaded), Arch::Amd64).is_ok());
        assert!(check(&elf(62, loaded), Arch::Arm64).is_err());
        assert!(check(b"#!/bin/sh", Arch::Amd64).is_err());
        assert!(check(&elf(62, interpreter), Arch::Amd64).is_err());
        assert!(check(&fs::read(std::env::current_exe().unwrap()).unwrap(), Arch::Amd64).is_err());

        let mut with_symbols = elf(62, loaded);
        let section = u8::try_from(with_symbols.len()).unwrap();
        with_symbols[40] = section;
        with_symbols[58] = 64;
        with_symbols[60] = 1;
        with_symbols.extend([0, 0, 0, 0, 2, 0, 0, 0]);
        assert!(check(&with_symbols, Arch::Amd64).unwrap_err().to_string().contains("symbols"));
    }
}
