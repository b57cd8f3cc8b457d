//! A file on this machine as the host: an API server for plain objects on an embedded store.
//!
//! One thread writes. It takes all writes that wait, does them in one transaction, and answers them after the transaction
//! is on the disk; then their changes go to the watches. Reads are snapshots of the file and wait for nobody.
//!
//! Guarantees: those of [`Host`]. One revision counts the writes of all resources. Errors are the Status objects that
//! kube-apiserver gives.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    host::{
        DeleteOptions, Deleted, Host, HostError, HostEvent, HostList, HostResource, ListAt, Progress, WriteOptions,
        WriteTarget,
    },
    private, status,
};
use crate::request::{Name, Namespace};

/// Tables of the file, and reads of them.
mod file;

/// What a write makes of an object. No I/O.
mod semantics;

/// How large an object may be.
mod size;

/// The thread that writes.
mod writer;

/// Who follows the changes.
mod followers;

#[cfg(test)]
mod tests;

use file::StoreFile;
use followers::Followers;
use writer::{Request, Write, Writer, Written};

/// How much of the past is remembered, for watches that resume and lists at an older revision. What is older is answered
/// with 410, as kube-apiserver does after a compaction.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Changes, of all resources together.
    pub changes_max: u64,
    /// What they take, in bytes: an object before and after each.
    pub bytes_max: u64,
    /// The age of a change.
    pub age_max: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        // kube-apiserver compacts what is older than five to ten minutes.
        Self { changes_max: 100 << 10, bytes_max: 128 << 20, age_max: Duration::from_secs(15 * 60) }
    }
}

/// The name of the file in the data directory.
pub const FILE_NAME: &str = "kindsmith.redb";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made, or kept from others.
    #[error("the data directory {path} cannot be created and kept private: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has the file open.
    #[error("the data directory {path} is in use by another process; stop it or choose another directory")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the store {path} cannot be opened: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A file on this machine as the host.
pub struct Embedded {
    file: Arc<StoreFile>,
    writer: Writer,
    followers: Arc<Followers>,
}

impl Embedded {
    /// Opens the store in a directory, or makes it.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process uses it.
    pub fn open(directory: &Path) -> Result<Arc<Self>, OpenError> {
        Self::open_with(directory, Retention::default())
    }

    /// Opens the store in a directory, or makes it, with another memory of the past.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process uses it.
    pub fn open_with(directory: &Path, retention: Retention) -> Result<Arc<Self>, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| OpenError::Directory { path, source }
        };
        private::folder(directory).map_err(failed(directory))?;
        let file = Arc::new(StoreFile::open(directory)?);
        let followers = Arc::new(Followers::default());
        let path = directory.join(FILE_NAME);
        private::keep(&path).map_err(failed(&path))?;
        let writer = Writer::start(Arc::clone(&file), Arc::clone(&followers), retention)
            .map_err(|error| OpenError::Broken { path, reason: error.to_string() })?;
        Ok(Arc::new(Self { file, writer, followers }))
    }

    /// Ends the deletion of a namespace whose contents are gone, as kube-controller-manager does by `finalize`.
    ///
    /// # Errors
    /// When there is no such namespace, or it cannot be written.
    pub async fn finalize_namespace(&self, name: &str) -> Result<(), HostError> {
        let write = Write::FinalizeNamespace { name: name.to_owned() };
        self.write(super::builtin::namespaces(), write, super::host::Persistence::Durable).await.map(drop)
    }

    async fn write(
        &self,
        resource: HostResource,
        write: Write,
        persistence: super::host::Persistence,
    ) -> Result<Written, HostError> {
        let (answer, answered) = oneshot::channel();
        self.writer.send(Request { resource, write, persistence, answer }).await?;
        answered.await.map_err(|_| HostError::Malformed("the writer of the store has stopped".to_owned()))?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoreFile) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || read(&file))
            .await
            .map_err(|error| HostError::Malformed(format!("a read of the store did not end: {error}")))?
    }
}

fn owned(namespace: Namespace<'_>) -> String {
    namespace.as_str().to_owned()
}

#[async_trait]
impl Host for Embedded {
    async fn get(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
    ) -> Result<Value, HostError> {
        let resource = resource.clone();
        let (namespace, name) = (namespace.map(owned), name.as_str().to_owned());
        self.read(move |file| {
            file.get(&resource, namespace.as_deref(), &name)?.ok_or_else(|| status::not_found(&resource, &name))
        })
        .await
    }

    async fn list(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        at: ListAt,
    ) -> Result<HostList, HostError> {
        let resource = resource.clone();
        let namespace = namespace.map(owned);
        self.read(move |file| file.list(&resource, namespace.as_deref(), at)).await
    }

    async fn revision(&self, _: &HostResource) -> Result<u64, HostError> {
        Ok(self.file.newest())
    }

    fn progress(&self) -> Progress {
        Progress::Prompt
    }

    async fn create(&self, resource: &HostResource, object: Value, options: &WriteOptions) -> Result<Value, HostError> {
        let written = self.write(resource.clone(), Write::Create { object }, options.persistence).await?;
        Ok(written.into_object())
    }

    async fn update(
        &self,
        resource: &HostResource,
        current: &Value,
        next: Value,
        target: WriteTarget,
        options: &WriteOptions,
    ) -> Result<Value, HostError> {
        let revision = semantics::text(current, "/metadata/resourceVersion").to_owned();
        let write = Write::Update { revision, next, target, counted: options.generation };
        let written = self.write(resource.clone(), write, options.persistence).await?;
        Ok(written.into_object())
    }

    async fn delete(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
        options: &DeleteOptions,
    ) -> Result<Deleted, HostError> {
        let (namespace, name) = (namespace.map(owned), name.as_str().to_owned());
        let write = Write::Delete { namespace, name, options: options.clone() };
        match self.write(resource.clone(), write, options.persistence).await? {
            Written::Removed(_) => Ok(Deleted::Gone),
            Written::Kept(object) => Ok(Deleted::Finalizing(object)),
        }
    }

    async fn watch(
        &self,
        resource: &HostResource,
        after: u64,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        // Followed first and read then: a change in between comes twice, and is told apart by its revision.
        let live = self.followers.follow(resource);
        let wanted = resource.clone();
        let past = self.read(move |file| file.changes(&wanted, after)).await?;
        let newest = past.last().map_or(after, followers::revision);
        let live = live.filter(move |event| {
            let newer = followers::revision(event) > newest;
            std::future::ready(newer)
        });
        Ok(futures::stream::iter(past).chain(live).map(Ok).boxed())
    }
}
