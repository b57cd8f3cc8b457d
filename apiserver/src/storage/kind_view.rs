//! One served version of a kind: fed with host objects, it keeps the instances that clients list and watch.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    cache::{Change, Entry, WatchCache},
    feed::{Key, Objects, View, key_of},
    host::tree,
    packed::Packed,
    projection::Projection,
};

/// The instances of one version of a kind.
pub struct KindView {
    projection: ArcSwap<Projection>,
    cache: Arc<WatchCache>,
}

impl KindView {
    /// A view that is not filled yet.
    #[must_use]
    pub fn new(projection: Projection, cache: Arc<WatchCache>) -> Arc<Self> {
        Arc::new(Self { projection: ArcSwap::from_pointee(projection), cache })
    }

    /// How host objects are shown.
    #[must_use]
    pub fn projection(&self) -> Arc<Projection> {
        self.projection.load_full()
    }

    /// What lists and watches are served from.
    #[must_use]
    pub fn cache(&self) -> &Arc<WatchCache> {
        &self.cache
    }

    /// Shows the same objects by another schema. Open watches go on; nothing is sent, as nothing was written.
    pub fn reproject(&self, projection: Projection, objects: &Objects) {
        let mut shown: BTreeMap<(Option<String>, String), Arc<Entry>> = instances(&projection, objects)
            .map(|(host, json)| {
                let entry = projection.entry(&host, json, Self::revision_of(&host, 0));
                ((entry.namespace.clone(), entry.name.clone()), entry)
            })
            .collect();
        self.cache.reproject(|entry| match shown.remove(&(entry.namespace.clone(), entry.name.clone())) {
            Some(shown) if shown.revision == entry.revision => shown,
            _ => Arc::clone(entry),
        });
        self.projection.store(Arc::new(projection));
    }

    fn revision_of(host: &Value, fallback: u64) -> u64 {
        host.pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .unwrap_or(fallback)
    }
}

/// The host objects that are instances. Of others, only those are decoded whose name could be an instance's.
fn instances<'a>(projection: &Projection, objects: &'a Objects) -> impl Iterator<Item = (Value, Option<&'a Bytes>)> {
    objects
        .iter()
        .filter(|(key, _): &(&Key, _)| projection.instance_name(&key.1).is_some())
        .filter_map(|(_, held)| Some((held.tree()?, Packed::shared(held))))
        .filter(|(host, _)| projection.matches(host))
}

impl View for KindView {
    fn prefix(&self) -> String {
        // A kind whose releases are others gets another view.
        self.projection().host_name("")
    }

    fn fill(&self, objects: &Objects, revision: u64) {
        let projection = self.projection();
        let entries = instances(&projection, objects)
            .map(|(host, json)| projection.entry(&host, json, Self::revision_of(&host, revision)))
            .collect();
        self.cache.fill(entries, revision);
    }

    fn applied(&self, object: &Value, json: &Bytes, revision: u64) {
        let projection = self.projection();
        if projection.matches(object) {
            self.cache.apply(Change::Applied(projection.entry(object, Some(json), revision)));
        } else {
            self.deleted(object, revision);
        }
    }

    fn deleted(&self, last: &Value, revision: u64) {
        let projection = self.projection();
        let (namespace, host_name) = key_of(last);
        let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
        // A release that ceases to match, or one of another kind: only what we showed can go.
        let held = projection.instance_name(&host_name).and_then(|name| self.cache.get(namespace, name));
        let Some(held) = held else {
            self.cache.progress(revision);
            return;
        };
        let shown = if projection.matches(last) { None } else { held.json.text().as_ref().and_then(tree) };
        let mut instance = shown.unwrap_or_else(|| projection.instance(last));
        instance["metadata"]["resourceVersion"] = json!(revision.to_string());
        let last = projection.encode(&instance, revision);
        let last = Arc::new(Entry { json: last.json.deflated(), ..last });
        self.cache.apply(Change::Deleted { revision, last });
    }

    fn progress(&self, revision: u64) {
        self.cache.progress(revision);
    }
}
