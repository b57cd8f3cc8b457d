//! The present state of a resource as a stream (a watch-list): from the cluster's memory, consistent, object by object.
//!
//! A list in pages makes kube-apiserver read and decode each object from etcd, which for a thousand definitions takes
//! seconds; a list at once would have to be held here as one tree.
//!
//! Source: k8s.io/apiserver/pkg/storage/cacher (KEP-3157, "watch-list").

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value;

use super::{Cluster, parse_event, text, url::Url};
use crate::storage::host::{HostError, HostEvent, HostList, HostResource, Key, encoded, key_of};

/// How long the stream may be silent before its end; one that does not know what it was asked for never says that it is
/// through.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long the whole may take.
const SECONDS_MAX: u64 = 120;

/// The annotation of the bookmark that says: this was everything.
const INITIAL_EVENTS_END: &str = "/object/metadata/annotations/k8s.io~1initial-events-end";

/// What a cluster makes of the question.
pub(super) enum Streamed {
    /// Everything.
    List(HostList),
    /// It does not stream.
    Unsupported,
}

impl Cluster {
    /// The present state of a resource, all namespaces together.
    pub(super) async fn streamed(&self, resource: &HostResource) -> Result<Streamed, HostError> {
        let url = Url::collection(resource, None)
            .with("watch", true)
            .with("sendInitialEvents", true)
            .with("allowWatchBookmarks", true)
            .with("resourceVersionMatch", "NotOlderThan")
            .with("timeoutSeconds", SECONDS_MAX);
        let mut lines = match self.lines(resource, url).await {
            Ok(lines) => lines,
            Err(error) if is_refusal(&error) => return Ok(Streamed::Unsupported),
            Err(error) => return Err(error),
        };
        let mut items: BTreeMap<Key, Bytes> = BTreeMap::new();
        loop {
            let line = match tokio::time::timeout(SILENCE_MAX, lines.next()).await {
                Err(_) => return Ok(Streamed::Unsupported),
                Ok(None) => {
                    return Err(HostError::Unreachable("the stream of the present state ended early".to_owned()));
                }
                Ok(Some(line)) => line?,
            };
            match parse_event(&line, resource) {
                Ok(HostEvent::Applied { object, .. }) => {
                    items.insert(key_of(&object), encoded(&object));
                }
                // Changes may overtake the end.
                Ok(HostEvent::Deleted { object, .. }) => {
                    items.remove(&key_of(&object));
                }
                Ok(HostEvent::Progress { revision }) if is_end(&line) => {
                    return Ok(Streamed::List(HostList { items: items.into_iter().collect(), revision }));
                }
                Ok(HostEvent::Progress { .. }) => {}
                Err(error) if is_refusal(&error) => return Ok(Streamed::Unsupported),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether it is the question that is refused.
fn is_refusal(error: &HostError) -> bool {
    matches!(error, HostError::Status(status) if matches!(status.code, 400 | 422))
}

fn is_end(bookmark: &str) -> bool {
    let bookmark: Value = serde_json::from_str(bookmark).unwrap_or_default();
    text(&bookmark, INITIAL_EVENTS_END) == "true"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_an_annotated_bookmark() {
        let bookmark = |annotations: &str| {
            format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"7"{annotations}}}}}}}"#)
        };
        assert!(is_end(&bookmark(r#","annotations":{"k8s.io/initial-events-end":"true"}"#)));
        assert!(!is_end(&bookmark("")));
    }
}
