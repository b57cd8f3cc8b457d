//! `watch`: the changes of a collection as a stream of JSON events.
//!
//! Sources: k8s.io/apiserver/pkg/endpoints/handlers/watch.go, pkg/storage/cacher. Once the stream has begun, errors are
//! events in it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::{Response, StatusCode};
use kindsmith_schema::{kind::Kind, table::Headers};
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    list::{cache_error, selectable, selected},
    websocket,
};
use crate::{
    encode::{response, status::ApiError},
    endpoints::{context::Context, represent},
    metrics::WatchRecord,
    request::{As, Bookmarks, Expected as Purpose, InitialEvents, ListOptions, Representation, ResourceVersion},
    server::Body,
    storage::{
        cache::{CacheError, CacheEvent, Entry, EventKind, WatchStart, Watcher, WatcherItem, frame},
        freshness::Waiting,
        projection::Projection,
    },
};

/// How often a client that takes bookmarks is told the revision.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// How long before the end of a watch its last bookmark is sent.
const LAST_BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// A watch without `timeoutSeconds` lasts between this and twice this.
const TIMEOUT_MIN: Duration = Duration::from_secs(30 * 60);

/// How long a watch waits for the cache to be filled for the first time.
const READY_WAIT: Duration = Duration::from_secs(3);

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation_at_last(Purpose::Watch)?;
    let mut options = ListOptions::for_watch(context.query.as_deref(), selectable(context))?;
    if let Some(name) = context.target.name.as_deref() {
        options.restrict_to_name(name)?;
    }
    let cache = context.resource.view.cache();
    let ready_by = Instant::now() + READY_WAIT;
    while !cache.is_ready() {
        if Instant::now() >= ready_by {
            return Err(context.store().unavailable(&context.named("")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Without a revision, or with "0", the present state comes first as ADDED events.
    let start = match (options.send_initial_events, options.resource_version) {
        // The most recent state: what the host has now must be in the cache first.
        (Some(InitialEvents::Send), ResourceVersion::Unset) => {
            match context.store().catch_up(cache, context.namespace(), &context.named("")).await {
                Err(error @ ApiError::TooLargeResourceVersion { .. }) => {
                    return Ok(failed(context, representation?.content_type(), &error));
                }
                caught_up => caught_up?,
            }
            WatchStart::InitialEvents { complete_to: 0 }
        }
        // To who does not ask for it in so many words kube-apiserver gives what it has.
        (None, ResourceVersion::Unset) => {
            context.store().has_reached(cache, Waiting::WhereItHelps).await;
            WatchStart::InitialEvents { complete_to: 0 }
        }
        (Some(InitialEvents::Send), ResourceVersion::At(revision)) => {
            match context.store().catch_up_with(cache, revision, context.namespace(), &context.named("")).await {
                Err(error @ ApiError::TooLargeResourceVersion { .. }) => {
                    return Ok(failed(context, representation?.content_type(), &error));
                }
                caught_up => caught_up?,
            }
            WatchStart::InitialEvents { complete_to: revision }
        }
        (Some(InitialEvents::Send) | None, ResourceVersion::Any) => WatchStart::InitialEvents { complete_to: 0 },
        (_, ResourceVersion::At(revision)) => WatchStart::After(revision),
        (Some(InitialEvents::Skip), _) => WatchStart::After(cache.revision()),
    };
    let watched = cache.watch(context.namespace().map(str::to_owned), start);
    let representation = representation?;
    let content_type = representation.content_type();
    let watcher = match watched {
        Ok(watcher) => watcher,
        Err(CacheError::Expired { oldest }) => {
            let wanted = match start {
                WatchStart::After(revision) => revision,
                WatchStart::InitialEvents { .. } => 0,
            };
            let error = ApiError::Expired {
                message: format!("too old resource version: {wanted} ({oldest})"),
                continue_token: None,
            };
            return Ok(failed(context, content_type, &error));
        }
        Err(error) => return Err(cache_error(context, error)),
    };
    let lasts = options.timeout.unwrap_or_else(|| TIMEOUT_MIN.mul_f64(1.0 + rand::rng().random::<f64>()));
    let now = Instant::now();
    let follow = Follow {
        watcher,
        projection: Arc::clone(&context.projection),
        representation,
        bookmarks: options.allow_watch_bookmarks,
        mark_initial_end: options.send_initial_events == Some(InitialEvents::Send),
        options,
        headers: Headers::Included,
        end: now + lasts,
        bookmark: next_bookmark(now, now + lasts),
        closing: closing(context),
        record: context.transport.record.watch(),
        // What has no time is not begun.
        ended: lasts.is_zero(),
    };
    let events = stream::unfold(follow, |mut follow| async move {
        let bytes = follow.next().await?;
        follow.record.sent(bytes.len());
        Some((bytes, follow))
    });
    Ok(deliver(context, content_type, events.boxed()))
}

/// A watch that ends with an error before it begins.
fn failed(context: &Context, content_type: &str, error: &ApiError) -> Response<Body> {
    let event = json!({"type": "ERROR", "object": error.to_status()});
    let frame = Bytes::from(format!("{event}\n"));
    deliver(context, content_type, stream::iter([frame]).boxed())
}

/// Sends events as a stream of lines, or as messages of a websocket if the client wants one.
fn deliver(context: &Context, content_type: &str, events: BoxStream<'static, Bytes>) -> Response<Body> {
    if websocket::is_wanted(&context.headers) {
        return websocket::run(context, events);
    }
    response::answer_with(StatusCode::OK, content_type, response::stream(events.map(Ok)))
}

fn next_bookmark(now: Instant, end: Instant) -> Instant {
    let last = end.checked_sub(LAST_BOOKMARK_BEFORE_END).filter(|last| *last > now);
    last.unwrap_or(end).min(now + BOOKMARK_INTERVAL)
}

/// One client's watch.
struct Follow {
    watcher: Watcher,
    projection: Arc<Projection>,
    representation: Representation,
    options: ListOptions,
    bookmarks: Bookmarks,
    mark_initial_end: bool,
    headers: Headers,
    end: Instant,
    bookmark: Instant,
    closing: BoxFuture<'static, ()>,
    record: WatchRecord,
    ended: bool,
}

/// Ends when the server closes and it is this watch's turn.
fn closing(context: &Context) -> BoxFuture<'static, ()> {
    let lifecycle = Arc::clone(&context.transport.lifecycle);
    Box::pin(async move { lifecycle.watch_end().await })
}

fn timer(at: Instant) -> Sleep {
    sleep_until(at)
}

impl Follow {
    /// The next bytes for the client; none at the end of the watch.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let (end, bookmark) = (timer(self.end), timer(self.bookmark));
            tokio::select! {
                biased;
                item = self.watcher.next() => match item {
                    None => self.ended = true,
                    Some(item) => if let Some(bytes) = self.item(&item) {
                        return Some(bytes);
                    },
                },
                () = end => self.ended = true,
                () = self.closing.as_mut() => self.ended = true,
                () = bookmark, if self.bookmarks == Bookmarks::Wanted => {
                    self.bookmark = next_bookmark(Instant::now(), self.end);
                    return Some(self.bookmark(self.watcher.revision(), json!({})));
                }
            }
        }
        None
    }

    fn item(&mut self, item: &WatcherItem) -> Option<Bytes> {
        match item {
            WatcherItem::Initial(entry) => self.selects(entry).then(|| self.event(EventKind::Added, entry)).flatten(),
            WatcherItem::InitialEnd { revision } => (self.mark_initial_end && self.bookmarks == Bookmarks::Wanted)
                .then(|| self.bookmark(*revision, json!({"k8s.io/initial-events-end": "true"}))),
            WatcherItem::Event(event) => self.change(event),
        }
    }

    fn selects(&self, entry: &Entry) -> bool {
        selected(&self.options, &entry.name, entry.namespace.as_deref(), &entry.labels, &entry.fields)
    }

    /// An object that begins to be selected is ADDED for this client, one that ceases to be is DELETED.
    fn change(&mut self, event: &CacheEvent) -> Option<Bytes> {
        let before = event.previous.as_ref().is_some_and(|entry| self.selects(entry));
        let after = event.kind != EventKind::Deleted && self.selects(&event.entry);
        match (before, after) {
            (false, false) => None,
            (false, true) if event.kind == EventKind::Added => self.whole(EventKind::Added, event),
            (true, true) if event.kind == EventKind::Modified => self.whole(EventKind::Modified, event),
            (false, true) => self.event(EventKind::Added, &event.entry),
            (true, true) => self.event(EventKind::Modified, &event.entry),
            (true, false) if event.kind == EventKind::Deleted => self.whole(EventKind::Deleted, event),
            (true, false) => {
                // What the client knew, at the revision at which it ceased to be selected.
                let mut last = represent::held_tree(event.previous.as_ref()?).ok()?;
                last["metadata"]["resourceVersion"] = json!(event.revision.to_string());
                self.tree(EventKind::Deleted, &last)
            }
        }
    }

    /// An event as it is, encoded once for all watchers.
    fn whole(&mut self, kind: EventKind, event: &CacheEvent) -> Option<Bytes> {
        if self.representation.as_ == As::Object {
            return event.frame();
        }
        self.event(kind, &event.entry)
    }

    fn event(&mut self, kind: EventKind, entry: &Entry) -> Option<Bytes> {
        if self.representation.as_ == As::Object {
            return frame(kind, entry);
        }
        self.tree(kind, &represent::held_tree(entry).ok()?)
    }

    fn tree(&mut self, kind: EventKind, object: &Value) -> Option<Bytes> {
        let object =
            represent::object_tree(&self.representation, &self.projection.version().columns, object, self.headers);
        self.headers = Headers::Omitted;
        let event = json!({"type": kind.name(), "object": object});
        Some(Bytes::from(format!("{event}\n")))
    }

    /// An empty object that says up to which revision everything was sent.
    fn bookmark(&mut self, revision: u64, annotations: Value) -> Bytes {
        let kind: &Kind = self.projection.kind();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if annotations.as_object().is_some_and(|annotations| !annotations.is_empty()) {
            metadata["annotations"] = annotations;
        }
        let object = match self.representation.as_ {
            As::Object | As::AggregatedDiscovery => json!({
                "apiVersion": kind.api_version(&self.projection.version().name),
                "kind": kind.names.kind,
                "metadata": metadata,
            }),
            As::PartialMetadata { version } | As::PartialMetadataList { version } => {
                json!({"apiVersion": version.api_version(), "kind": "PartialObjectMetadata", "metadata": metadata})
            }
            As::Table { .. } => {
                let object = json!({
                    "apiVersion": kind.api_version(&self.projection.version().name),
                    "kind": kind.names.kind,
                    "metadata": metadata,
                });
                // Columns are in the first event, whatever it is.
                let headers = std::mem::replace(&mut self.headers, Headers::Omitted);
                represent::object_tree(&self.representation, &self.projection.version().columns, &object, headers)
            }
        };
        let event = json!({"type": "BOOKMARK", "object": object});
        Bytes::from(format!("{event}\n"))
    }
}
