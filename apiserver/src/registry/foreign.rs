//! Resources of CustomResourceDefinitions: no kind of ours is served where one is, whatever the versions.
//!
//! RBAC knows no versions, so who has rights on the objects of others would have them on ours. The operator does not accept such
//! a definition (operator/src/decide/holders.rs); but another definition may register the same group-version, and requests would
//! come in by that. So each API server looks for itself.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kindsmith_schema::kind::Kind;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
};
use kube_runtime::watcher;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::following::{follow, is_forbidden};
use crate::rights;

/// A CustomResourceDefinition, of which the metadata alone is asked for: its name says all.
type Seen = PartialObjectMeta<DynamicObject>;

#[derive(Default)]
struct Held {
    names: HashSet<String>,
    is_known: bool,
}

/// The names of all CustomResourceDefinitions: `<plural>.<group>`, which Kubernetes sees to
/// (k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go, ValidateCustomResourceDefinition).
#[derive(Default)]
pub struct ForeignResources {
    held: Mutex<Held>,
    changed: Notify,
}

impl ForeignResources {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports whether they were read, or never will be.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.held().is_known
    }

    /// Returns the name of the CustomResourceDefinition that has the address of a kind, if there is one.
    #[must_use]
    pub fn holder(&self, kind: &Kind) -> Option<String> {
        let name = format!("{}.{}", kind.names.plural, kind.group);
        self.held().names.contains(&name).then_some(name)
    }

    /// Waits for the next change.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Follows the cluster until the end.
    pub async fn follow(self: Arc<Self>, client: Client, shutdown: CancellationToken) {
        let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        let api = Api::<Seen>::all_with(client, &ApiResource::from_gvk(&kind));
        let mut listed = HashSet::new();
        let tell = |event| match event {
            Ok(event) => self.take(event, &mut listed),
            Err(error) => self.failed(&error),
        };
        follow(api, watcher::Config::default(), shutdown, tell).await;
    }

    fn take(&self, event: watcher::Event<Seen>, listed: &mut HashSet<String>) {
        let mut held = self.held();
        let is_news = match event {
            watcher::Event::Init => {
                listed.clear();
                false
            }
            watcher::Event::InitApply(object) => {
                listed.extend(object.metadata.name);
                false
            }
            watcher::Event::InitDone => {
                let names = std::mem::take(listed);
                let is_news = !held.is_known || held.names != names;
                *held = Held { names, is_known: true };
                is_news
            }
            watcher::Event::Apply(object) => object.metadata.name.is_some_and(|name| held.names.insert(name)),
            watcher::Event::Delete(object) => object.metadata.name.is_some_and(|name| held.names.remove(&name)),
        };
        drop(held);
        if is_news {
            self.changed.notify_one();
        }
    }

    fn failed(&self, error: &watcher::Error) {
        let mut held = self.held();
        if is_forbidden(error) && !held.is_known {
            // To serve nothing would be worse: the operator looks at them too.
            let error = rights::told(error);
            tracing::error!(
                error,
                "CustomResourceDefinitions cannot be read; it is left to the operator what is served"
            );
            held.is_known = true;
            drop(held);
            self.changed.notify_one();
        } else if is_forbidden(error) {
            tracing::debug!(%error, "it is still not allowed; trying again");
        } else {
            tracing::warn!(%error, "cannot watch CustomResourceDefinitions; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::json;

    use super::*;

    fn kind(plural: &str) -> Kind {
        let definition = json!({"metadata": {"name": format!("{plural}.example.com"), "uid": "u", "generation": 1},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": plural},
                "versions": [{"name": "v9", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": {"helmRelease": {"prefix": "cup-",
                    "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}}}}});
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap()
    }

    fn named(name: &str) -> Seen {
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
    }

    #[tokio::test]
    async fn a_plural_that_others_have_in_the_group_is_theirs() {
        let (foreign, mut listed) = (ForeignResources::default(), HashSet::new());
        foreign.take(watcher::Event::Init, &mut listed);
        foreign.take(watcher::Event::InitApply(named("cups.example.com")), &mut listed);
        assert!(!foreign.are_known() && foreign.holder(&kind("cups")).is_none());
        foreign.take(watcher::Event::InitDone, &mut listed);
        foreign.changed().await;
        assert_eq!(foreign.holder(&kind("cups")), Some("cups.example.com".to_owned()));
        assert_eq!(foreign.holder(&kind("mugs")), None);
        foreign.take(watcher::Event::Apply(named("mugs.example.com")), &mut listed);
        foreign.changed().await;
        assert!(foreign.holder(&kind("mugs")).is_some());
        foreign.take(watcher::Event::Delete(named("mugs.example.com")), &mut listed);
        foreign.changed().await;
        assert_eq!(foreign.holder(&kind("mugs")), None);
        // A status that is written is no news.
        foreign.take(watcher::Event::Apply(named("cups.example.com")), &mut listed);
        let woken = tokio::time::timeout(std::time::Duration::from_millis(10), foreign.changed()).await;
        assert!(woken.is_err());
    }

    #[test]
    fn who_may_not_read_them_leaves_them_to_the_operator() {
        let foreign = ForeignResources::default();
        let failed = |code: u16| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
        };
        foreign.failed(&failed(500));
        assert!(!foreign.are_known(), "they may come");
        foreign.failed(&failed(403));
        assert!(foreign.are_known());
    }
}
