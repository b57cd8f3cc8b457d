//! Reads a document of OpenAPI v3 through kube-apiserver, and proves on the way that it is whole.
//!
//! The document of many kinds has tens of megabytes: it is parsed as it comes, and only the names of resources are kept.

use std::{collections::BTreeSet, fmt, io, time::Duration};

use futures::stream;
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use tokio::time::timeout;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::group_version::GroupVersion;

/// How long each piece of a document may take.
const PIECE_DEADLINE: Duration = Duration::from_secs(15);

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// A request could not be put together.
    #[error("cannot ask for {0:?}: {1}")]
    Ask(String, #[source] http::Error),
    /// It could not be had.
    #[error("cannot read {0:?}: {1}")]
    Send(String, #[source] kube::Error),
    /// No answer came.
    #[error("no answer to {0:?} within {PIECE_DEADLINE:?}")]
    Deadline(String),
    /// It was refused.
    #[error("{0:?} is answered with {1}")]
    Refused(String, http::StatusCode),
    /// It is no JSON, or ends too early.
    #[error("{0:?} is no OpenAPI document: {1}")]
    Broken(String, #[source] serde_json::Error),
    /// The thread that read it panicked.
    #[error("reading {0:?} ended: {1}")]
    Ended(String, #[source] tokio::task::JoinError),
}

/// The plurals of the resources that the document of a group-version has paths for.
///
/// # Errors
/// kube-apiserver does not give the document, or not all of it.
pub(crate) async fn resources(
    client: &Client,
    group_version: &GroupVersion,
    url: &str,
) -> Result<BTreeSet<String>, DocumentError> {
    let named = || url.to_owned();
    let request = http::Request::get(url).header("Accept", "application/json").body(Body::empty());
    let request = request.map_err(|error| DocumentError::Ask(named(), error))?;
    let answer = timeout(PIECE_DEADLINE, client.send(request)).await;
    let answer =
        answer.map_err(|_| DocumentError::Deadline(named()))?.map_err(|error| DocumentError::Send(named(), error))?;
    if answer.status() != http::StatusCode::OK {
        return Err(DocumentError::Refused(named(), answer.status()));
    }
    let pieces = Box::pin(stream::try_unfold(answer.into_body().into_data_stream(), |mut body| async move {
        match timeout(PIECE_DEADLINE, futures::StreamExt::next(&mut body)).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some((piece, body))),
            Ok(Some(Err(error))) => Err(io::Error::other(error)),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }));
    let reader = io::BufReader::new(SyncIoBridge::new(StreamReader::new(pieces)));
    let root = format!("/apis/{group_version}/");
    let read = tokio::task::spawn_blocking(move || names(reader, &root)).await;
    read.map_err(|error| DocumentError::Ended(named(), error))?.map_err(|error| DocumentError::Broken(named(), error))
}

/// Reads a document to its end.
fn names(reader: impl io::Read, root: &str) -> Result<BTreeSet<String>, serde_json::Error> {
    let mut document = serde_json::Deserializer::from_reader(reader);
    let names = Document { root }.deserialize(&mut document)?;
    document.end()?;
    Ok(names)
}

/// A document, of which the paths count.
struct Document<'r> {
    root: &'r str,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = BTreeSet<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = BTreeSet<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document of OpenAPI v3")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeSet::new();
        while let Some(member) = members.next_key::<String>()? {
            if member == "paths" {
                found = members.next_value_seed(Paths { root: self.root })?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The paths of a document.
struct Paths<'r> {
    root: &'r str,
}

impl<'de> DeserializeSeed<'de> for Paths<'_> {
    type Value = BTreeSet<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Paths<'_> {
    type Value = BTreeSet<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the paths of a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut paths: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeSet::new();
        while let Some(path) = paths.next_key::<String>()? {
            paths.next_value::<IgnoredAny>()?;
            let rest = path.strip_prefix(self.root);
            let rest = rest.map(|rest| rest.strip_prefix("namespaces/{namespace}/").unwrap_or(rest));
            if let Some(plural) = rest.and_then(|rest| rest.split('/').next()).filter(|it| !it.is_empty()) {
                found.insert(plural.to_owned());
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"openapi": "3.0.0", "paths": {
        "/apis/apps.example.com/v1/": {"get": {}},
        "/apis/apps.example.com/v1/namespaces/{namespace}/redises": {"get": {}},
        "/apis/apps.example.com/v1/namespaces/{namespace}/redises/{name}/status": {"get": {}},
        "/apis/apps.example.com/v1/clusters/{name}": {"get": {}},
        "/apis/apps.example.com/v2/buckets": {"get": {}}}, "components": {"schemas": {"a": [1, "x", null]}}}"#;

    #[test]
    fn the_names_are_read_of_a_document_that_is_whole() {
        let found = names(DOCUMENT.as_bytes(), "/apis/apps.example.com/v1/").unwrap();
        assert_eq!(found, ["clusters", "redises"].map(str::to_owned).into());
    }

    #[test]
    fn no_beginning_of_a_document_and_nothing_behind_one_counts() {
        for end in 0..DOCUMENT.len() {
            assert!(names(&DOCUMENT.as_bytes()[..end], "/apis/").is_err(), "{end}");
        }
        assert!(names(format!("{DOCUMENT}x").as_bytes(), "/apis/").is_err());
        assert!(names(DOCUMENT.replace("null", "nul").as_bytes(), "/apis/").is_err());
    }
}
