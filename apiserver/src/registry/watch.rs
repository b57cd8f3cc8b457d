//! Wakes the builder when a definition changes. Compiling happens in the builder's task and on no request's path.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kindsmith_schema::form::DefinitionForm;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Registry, build::Builder};
use crate::storage::{
    feed::{Feed, Objects, View, tree},
    host::HostError,
};

/// How often to look whether definitions of a form can be read after all.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The definitions of one form.
pub type Source = (DefinitionForm, Arc<Feed>);

/// Tells the builder that definitions changed.
#[derive(Default)]
pub struct DefinitionsView {
    changed: Notify,
}

impl View for DefinitionsView {
    fn fill(&self, _: &Objects, _: u64) {
        self.changed.notify_one();
    }

    fn applied(&self, _: &Value, _: &Bytes, _: u64) {
        self.changed.notify_one();
    }

    fn deleted(&self, _: &Value, _: u64) {
        self.changed.notify_one();
    }

    fn progress(&self, _: u64) {}
}

/// Builds and swaps a snapshot after each change of the definitions, until the end. Changes that come while a snapshot is
/// built are taken together into the next one.
///
/// The first snapshot waits for the records of accepted generations and for the definitions of all forms; but a form that the host does not serve has none.
pub async fn run(sources: Vec<Source>, mut builder: Builder, registry: Arc<Registry>, shutdown: CancellationToken) {
    let view = Arc::new(DefinitionsView::default());
    for (_, feed) in &sources {
        feed.attach(Arc::clone(&view) as Arc<dyn View>);
    }
    let mut waiting = false;
    loop {
        let again =
            async { if waiting { tokio::time::sleep(LOOK_AGAIN_AFTER).await } else { std::future::pending().await } };
        let accepted = async {
            match builder.accepted() {
                Some(accepted) => accepted.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = view.changed.notified() => {}
            () = accepted => {}
            () = again => {}
        }
        // Before that, what was refused might be taken for the first generation.
        if builder.accepted().is_some_and(|accepted| !accepted.are_known()) {
            continue;
        }
        let Some(definitions) = read(&sources) else {
            waiting = sources.len() > 1;
            continue;
        };
        waiting = false;
        let started = std::time::Instant::now();
        let previous = registry.snapshot();
        let next = builder.build(definitions, &previous);
        let kinds = next.kinds().count();
        registry.swap(next);
        tracing::info!(kinds, elapsed_us = started.elapsed().as_micros(), "registry swapped");
    }
}

/// All definitions there are; none while it is not known.
fn read(sources: &[Source]) -> Option<Vec<(DefinitionForm, Arc<Value>)>> {
    let mut definitions = Vec::new();
    let mut ready = false;
    for (form, feed) in sources {
        match feed.with_objects(|objects, _| objects.values().filter_map(tree).map(Arc::new).collect::<Vec<_>>()) {
            Some(objects) => {
                ready = true;
                definitions.extend(objects.into_iter().map(|object| (*form, object)));
            }
            None if matches!(feed.failure(), Some(HostError::NotServed(_))) => {}
            None => return None,
        }
    }
    ready.then_some(definitions)
}
