//! Wakes the builder when a definition changes. Compiling happens in the builder's task and on no request's path.

use std::sync::Arc;

use kindsmith_crds::ApplicationDefinition;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Registry, build::Builder};
use crate::storage::feed::{Feed, Objects, View};

/// Tells the builder that definitions changed.
#[derive(Default)]
pub struct DefinitionsView {
    changed: Notify,
}

impl View for DefinitionsView {
    fn fill(&self, _: &Objects, _: u64) {
        self.changed.notify_one();
    }

    fn applied(&self, _: &Value, _: u64) {
        self.changed.notify_one();
    }

    fn deleted(&self, _: &Value, _: u64) {
        self.changed.notify_one();
    }

    fn progress(&self, _: u64) {}
}

/// Builds and swaps a snapshot after each change of the definitions, until the end. Changes that come while a snapshot is
/// built are taken together into the next one.
pub async fn run(definitions: Arc<Feed>, mut builder: Builder, registry: Arc<Registry>, shutdown: CancellationToken) {
    let view = Arc::new(DefinitionsView::default());
    definitions.attach(Arc::clone(&view) as Arc<dyn View>);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = view.changed.notified() => {}
        }
        let Some(objects) = definitions.with_objects(|objects, _| objects.values().cloned().collect::<Vec<_>>()) else {
            continue;
        };
        let started = std::time::Instant::now();
        let parsed = objects.iter().filter_map(|object| parse(object)).collect();
        let previous = registry.snapshot();
        let next = builder.build(parsed, &previous);
        let kinds = next.kinds().count();
        registry.swap(next);
        tracing::info!(kinds, elapsed_us = started.elapsed().as_micros(), "registry swapped");
    }
}

fn parse(object: &Value) -> Option<ApplicationDefinition> {
    match serde_json::from_value(object.clone()) {
        Ok(definition) => Some(definition),
        Err(error) => {
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            tracing::warn!(definition = name, %error, "definition cannot be read and is not served");
            None
        }
    }
}
