//! The processors that an image is for, as Go and Rust name them.

use std::{fmt, path::PathBuf, str::FromStr};

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// The name that Go, and with it the image specification, has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's target of static binaries for it.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The number by which ELF knows it (`e_machine`).
    pub(crate) fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Amd64, Self::Arm64]
            .into_iter()
            .find(|arch| arch.name() == text)
            .ok_or_else(|| format!("{text:?} is none of amd64 and arm64"))
    }
}

/// A file for a processor, written `ARCH=FILE`.
///
/// # Errors
/// There is no `=`, or what is in front of it is no processor.
pub(crate) fn file(text: &str) -> Result<(Arch, PathBuf), String> {
    let (arch, file) = text.split_once('=').ok_or_else(|| format!("{text:?} is not written as ARCH=FILE"))?;
    Ok((arch.parse()?, file.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_for_a_processor_is_read() {
        assert_eq!(file("arm64=a=b"), Ok((Arch::Arm64, "a=b".into())));
        assert!(file("arm64").is_err() && file("i386=x").is_err());
    }
}
