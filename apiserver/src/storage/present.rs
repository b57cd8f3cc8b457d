//! Whether a cache has all that a list of the host has: a proof for clusters whose revision moves with other resources, too.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    cache::{CacheListAt, Entry, WatchCache},
    host::{HostList, key_of, tree},
    projection::Projection,
};

/// How long a cache is waited for.
const CATCH_UP_MAX: Duration = Duration::from_secs(3);

/// How often it is looked whether what is gone has gone from the cache.
const STEP: Duration = Duration::from_millis(10);

/// The instances that were in a list of the host.
pub(super) struct Present {
    /// By namespace and name.
    names: HashMap<(String, String), u64>,
    /// The revision of the list.
    revision: u64,
}

impl Present {
    /// Those of one kind.
    pub(super) fn new(projection: &Projection, list: &HostList) -> Self {
        let hosts = list.items.iter().filter_map(|(_, json)| tree(json)).filter(|host| projection.matches(host));
        let names = hosts.map(|host| {
            let (namespace, name) = key_of(&host);
            let name = projection.instance_name(&name).unwrap_or(&name).to_owned();
            let revision = host.pointer("/metadata/resourceVersion").and_then(|held| held.as_str()?.parse().ok());
            ((namespace, name), revision.unwrap_or_default())
        });
        Self { names: names.collect(), revision: list.revision }
    }

    /// Whether a cache has all of them, and nothing besides that was gone by then; it is waited for.
    ///
    /// Changes come in order: a cache with the newest has every other, but for what went afterwards.
    pub(super) async fn in_cache(&self, cache: &WatchCache, namespace: Option<&str>) -> bool {
        let newest = self.names.values().copied().max().unwrap_or_default();
        let deadline = Instant::now() + CATCH_UP_MAX;
        if cache.wait_for(newest, deadline).await.is_err() {
            return false;
        }
        loop {
            let Ok(held) = cache.list(namespace, CacheListAt::Any) else { return false };
            if !held.entries.iter().any(|entry| self.was_gone(entry)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// Whether an object of the cache was not there any more.
    fn was_gone(&self, entry: &Arc<Entry>) -> bool {
        let key = (entry.namespace.clone().unwrap_or_default(), entry.name.clone());
        entry.revision <= self.revision && !self.names.contains_key(&key)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm, kind::KindBackend};
    use serde_json::{Value, json};

    use super::*;
    use crate::storage::{
        cache::CacheLimits,
        feed::View as _,
        host::{Key, encoded},
        kind_view::KindView,
    };

    fn projection() -> Projection {
        let definition = json!({
            "metadata": {"name": "cups.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": {"helmRelease": {"prefix": "cup-",
                    "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}}}}});
        let kind = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap();
        Projection::new(Arc::new(kind), 0).unwrap()
    }

    fn release(name: &str, revision: u64) -> Value {
        let projection = projection();
        let KindBackend::Release(template) = &projection.kind().backend else { panic!("there is no release") };
        let mut release = template.create(&json!({"metadata": {"name": name, "namespace": "a"}, "spec": {}}));
        release["metadata"]["resourceVersion"] = json!(revision.to_string());
        release
    }

    fn list(releases: &[Value], revision: u64) -> HostList {
        let items: Vec<(Key, Bytes)> = releases.iter().map(|release| (key_of(release), encoded(release))).collect();
        HostList { items, revision }
    }

    #[tokio::test]
    async fn a_cache_has_caught_up_when_it_has_what_is_there_and_lost_what_is_gone() {
        let cache = WatchCache::new(CacheLimits::default());
        let view = KindView::new(projection(), Arc::clone(&cache));
        view.fill(&Default::default(), 1);
        let applied = |release: &Value, revision: u64| view.applied(release, &encoded(release), revision);
        let (one, two) = (release("one", 5), release("two", 6));
        applied(&one, 5);
        let foreign = json!({"metadata": {"namespace": "a", "name": "plain", "resourceVersion": "8"}});
        let present = Present::new(&projection(), &list(&[one.clone(), two.clone(), foreign], 9));
        let caught_up = present.in_cache(&cache, Some("a"));
        let told = async {
            tokio::time::sleep(STEP).await;
            applied(&two, 6);
        };
        assert!(tokio::join!(caught_up, told).0, "what other releases and resources do is of no account");

        let present = Present::new(&projection(), &list(std::slice::from_ref(&two), 9));
        applied(&release("new", 12), 12);
        let caught_up = present.in_cache(&cache, Some("a"));
        let began = Instant::now();
        let told = async {
            tokio::time::sleep(STEP * 3).await;
            view.deleted(&one, 13);
        };
        assert!(tokio::join!(caught_up, told).0);
        assert!(began.elapsed() >= STEP * 3, "one was gone, and the cache still had it");
    }
}
