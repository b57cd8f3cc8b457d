//! Wakes the builder when a definition changes. Compiling happens in the builder's task and on no request's path.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use kindsmith_schema::form::DefinitionForm;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Registry,
    build::{Builder, Change, News},
    compiled::state,
};
use crate::storage::{
    feed::{Feed, Objects, View},
    host::HostError,
    packed::Packed,
};

/// How often to look whether definitions of a form can be read after all.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Changes that come this close together are built together.
const COALESCE: Duration = Duration::from_millis(5);

/// Building takes at most one part in so many of the time: where there are many kinds, more changes are built together.
const BUILD_SHARE: u32 = 4;

/// The definitions of one form.
pub type Source = (DefinitionForm, Arc<Feed>);

/// Which definitions of a form may have changed since they were looked at.
#[derive(Default)]
struct Pending {
    /// All may have.
    all: bool,
    /// By name.
    names: BTreeSet<String>,
}

/// Notes which definitions of a form changed, and tells the builder.
struct DefinitionsView {
    form: DefinitionForm,
    pending: Mutex<Pending>,
    changed: Arc<Notify>,
}

impl DefinitionsView {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, definition: &Value) {
        let name = definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        self.pending().names.insert(name.to_owned());
        self.changed.notify_one();
    }

    /// What changed since the last call.
    fn changes(&self, feed: &Feed, builder: &Builder) -> Vec<Change> {
        let mut pending = std::mem::take(&mut *self.pending());
        let form = self.form;
        let (all, held) = (pending.all, if pending.all { builder.names(form) } else { Vec::new() });
        pending.names.extend(held);
        pending.names.extend(builder.rerecorded(form));
        let found = feed.with_objects(|objects| {
            if all {
                pending.names.extend(objects.keys().map(|(_, name)| name.clone()));
            }
            let names = std::mem::take(&mut pending.names).into_iter();
            names
                .map(|name| (objects.get(&(String::new(), name.clone())).and_then(Packed::json), name))
                .collect::<Vec<_>>()
        });
        let change = |(json, name): (Option<Bytes>, String)| match json {
            None => builder.knows(form, &name).then_some(Change::Gone { form, name }),
            // A status that was written is no change.
            Some(json) => match state(form, &json) {
                Some(state) if builder.has(form, &name, &state) => None,
                _ => Some(Change::Applied { form, name, json }),
            },
        };
        found.unwrap_or_default().into_iter().filter_map(change).collect()
    }
}

impl View for DefinitionsView {
    fn fill(&self, _: &Objects, _: u64) {
        self.pending().all = true;
        self.changed.notify_one();
    }

    fn applied(&self, definition: &Value, _: &Bytes, _: u64) {
        self.note(definition);
    }

    fn deleted(&self, last: &Value, _: u64) {
        self.note(last);
    }

    fn progress(&self, _: u64) {}
}

/// Builds and swaps a snapshot after each change of the definitions, until the end. Changes that come while a snapshot is
/// built are taken together into the next one.
///
/// The first snapshot waits for the records of accepted generations and the names of CustomResourceDefinitions, and for the definitions of all forms; but a form that
/// the host does not serve has none.
pub async fn run(sources: Vec<Source>, mut builder: Builder, registry: Arc<Registry>, shutdown: CancellationToken) {
    let changed = Arc::new(Notify::new());
    let attach = |(form, feed): (DefinitionForm, Arc<Feed>)| {
        let pending = Mutex::default();
        let view = Arc::new(DefinitionsView { form, pending, changed: Arc::clone(&changed) });
        feed.attach(Arc::clone(&view) as Arc<dyn View>);
        (view, feed)
    };
    let views: Vec<(Arc<DefinitionsView>, Arc<Feed>)> = sources.into_iter().map(attach).collect();
    let (mut waiting, mut first) = (false, true);
    let mut rested = Instant::now();
    loop {
        let again =
            async { if waiting { tokio::time::sleep(LOOK_AGAIN_AFTER).await } else { std::future::pending().await } };
        let accepted = async {
            match builder.accepted() {
                Some(accepted) => accepted.changed().await,
                None => std::future::pending().await,
            }
        };
        let foreign = async {
            match builder.foreign() {
                Some(foreign) => foreign.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = changed.notified() => {}
            () = accepted => {}
            () = foreign => {}
            () = again => {}
        }
        // Before that, what was refused might be taken for the first generation.
        if builder.accepted().is_some_and(|accepted| !accepted.are_known()) {
            continue;
        }
        // Neither is anything served that may be somebody else's.
        if builder.foreign().is_some_and(|foreign| !foreign.are_known()) {
            continue;
        }
        if !known(&views) {
            waiting = views.len() > 1;
            continue;
        }
        waiting = false;
        if !first {
            tokio::time::sleep_until(rested.max(Instant::now() + COALESCE).into()).await;
        }
        let changes: Vec<Change> = views.iter().flat_map(|(view, feed)| view.changes(feed, &builder)).collect();
        if changes.is_empty() && !first && !builder.has_other_collisions() {
            continue;
        }
        let started = Instant::now();
        let (definitions, previous) = (changes.len(), registry.snapshot());
        let built = tokio::task::spawn_blocking(move || {
            let news = builder.take(changes);
            let next = (first || news == News::Kinds).then(|| builder.build(&previous));
            (builder, next)
        });
        first = false;
        let next;
        // It ends early only with the runtime, or in a panic, which is told where it happens.
        (builder, next) = match built.await {
            Ok(built) => built,
            Err(error) => return tracing::error!(%error, "no registry is built any more"),
        };
        rested = Instant::now() + started.elapsed() * (BUILD_SHARE - 1);
        let Some(next) = next else { continue };
        let kinds = next.kinds().count();
        registry.swap(next);
        tracing::info!(definitions, kinds, elapsed_us = started.elapsed().as_micros(), "registry swapped");
    }
}

/// Whether the definitions of all forms that are served have been read.
fn known(views: &[(Arc<DefinitionsView>, Arc<Feed>)]) -> bool {
    let served = |(_, feed): &&(Arc<DefinitionsView>, Arc<Feed>)| {
        feed.is_ready() || !matches!(feed.failure(), Some(HostError::NotServed(_)))
    };
    let mut served = views.iter().filter(served).peekable();
    served.peek().is_some() && served.all(|(_, feed)| feed.is_ready())
}
