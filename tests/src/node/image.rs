//! The image of Kindsmith: a release's, or one that is made of the binary that the tests build anyway.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::archive::{self, Entry, Reference};
use crate::{binary, program};

/// Names the archive of an image, as `cargo run -p release -- image` writes it, in place of one of the tests' own binary.
pub const IMAGE_VARIABLE: &str = "KINDSMITH_IMAGE";

/// How the image is named that is made here: containerd knows an image by the registry, too.
const NAME: &str = concat!("localhost/kindsmith:", env!("CARGO_PKG_VERSION"));

/// Where the binary is in the image.
const PROGRAM: &str = "/kindsmith";

/// An image, and how it is named.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) archive: PathBuf,
    pub(super) reference: Reference,
}

/// Builds what the image is made of, while there is a network.
pub(super) fn prepare() -> Result<()> {
    match given() {
        Some(archive) => Reference::of(&archive).map(drop),
        None => program::obtain().map(drop),
    }
}

/// The image, in a folder if it is made here.
pub(super) async fn obtain(folder: &Path) -> Result<Image> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || made(&folder)).await.context("waiting for the image")?
}

fn made(folder: &Path) -> Result<Image> {
    if let Some(archive) = given() {
        let reference = Reference::of(&archive)?;
        return Ok(Image { archive, reference });
    }
    let (stripped, archive) = (folder.join("kindsmith"), folder.join("kindsmith.tar"));
    let program = program::obtain()?;
    binary::run(Command::new("strip").arg("-o").arg(&stripped).arg(program))?;
    let mut files = libraries(&stripped)?;
    files.push((stripped, PROGRAM.to_owned()));
    let reference = Reference::parse(NAME)?;
    archive::write(&archive, &reference, PROGRAM, &files)?;
    Ok(Image { archive, reference })
}

fn given() -> Option<PathBuf> {
    env::var_os(IMAGE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The shared libraries that a program needs, and the program that loads them, as `ldd` names them.
fn libraries(program: &Path) -> Result<Vec<Entry>> {
    let told = binary::output(Command::new("ldd").arg(program))?;
    let mut found = Vec::new();
    // `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)`, or `NAME (ADDRESS)` for what the kernel brings along.
    for path in told.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/'))) {
        let file = fs::canonicalize(path).with_context(|| format!("finding {path}"))?;
        found.push((file, path.to_owned()));
    }
    ensure!(!told.contains("not found"), "a library is missing:\n{told}");
    Ok(found)
}
