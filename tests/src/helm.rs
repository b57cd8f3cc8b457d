//! Helm as a test calls it: the real one, with a kubeconfig and a home of the test's own.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    binary::Binary,
    kubectl::{Kubectl, Output},
};

/// The folders that Helm keeps things in, by the variables that name them; else others might be set.
const FOLDERS: [(&str, &str); 3] =
    [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")];

/// Returns the folders that Helm keeps things in, below one, by the variables that name them.
pub(crate) fn folders(below: &Path) -> [(&'static str, PathBuf); 3] {
    FOLDERS.map(|(variable, name)| (variable, below.join(name)))
}

/// A call of Helm, not yet made.
#[derive(Debug, Clone)]
pub struct Helm(Kubectl);

impl Helm {
    /// A call for the user of a kubeconfig; `home` is where Helm keeps what it remembers.
    pub fn new(binary: &Binary, kubeconfig: &Path, home: &Path) -> Helm {
        let call = Kubectl::tool("helm", binary, kubeconfig, home);
        let folders = folders(&home.join("helm"));
        Helm(folders.iter().fold(call, |call, (variable, folder)| call.env(variable, &folder.to_string_lossy())))
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<String>>>(self, args: I) -> Helm {
        Helm(self.0.args(args))
    }

    /// What it reads, as with `--values -`.
    #[must_use]
    pub fn stdin(self, text: &str) -> Helm {
        Helm(self.0.stdin(text))
    }

    /// Makes the call; a failing one is an [`Output`] too.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn run(self) -> Result<Output> {
        self.0.run().await
    }

    /// Makes the call, which must succeed, and returns what it printed.
    ///
    /// # Errors
    /// As [`Kubectl::ok`].
    pub async fn ok(self) -> Result<String> {
        self.0.ok().await
    }

    /// Makes the call, which must fail, and returns what it complained about.
    ///
    /// # Errors
    /// As [`Kubectl::fails`].
    pub async fn fails(self) -> Result<String> {
        self.0.fails().await
    }
}
