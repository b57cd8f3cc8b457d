//! From an Event about a release to the Event about its instance: pure.
//!
//! `kubectl describe` asks for Events by name, namespace, kind and uid of an object, `kubectl events --for` by kind, apiVersion and
//! name (k8s.io/kubectl/pkg/describe/describe.go, pkg/cmd/events/events.go). An instance has the uid of its release.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, ObjectReference},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kindsmith_schema::kind::{KindBackend, KindOutline};
use kube::{ResourceExt as _, api::ObjectMeta};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    digest::short,
    ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE},
    progress::ReleaseName,
    releases::{self, WatchedRelease},
};

/// The annotation with the uid of the Event that another one repeats.
pub(super) const REPEATS_ANNOTATION: &str = "kindsmith.dev/repeats-event";

/// How often something was said, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// How often.
    pub count: i32,
    /// When it was said last.
    pub last: Timestamp,
}

impl Said {
    /// Reads an Event of either API: the newer one has a series and `eventTime`.
    pub(super) fn of(event: &Event) -> Self {
        let series = event.series.as_ref();
        let count = series.and_then(|series| series.count).or(event.count).unwrap_or(1).max(1);
        let last = series.and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let last = last.or(event.last_timestamp.as_ref().map(|time| time.0));
        Self { count, last: last.unwrap_or_else(|| first(event)) }
    }
}

/// When an Event was said first.
fn first(event: &Event) -> Timestamp {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    let first = first.or(event.event_time.as_ref().map(|time| time.0));
    first.or(event.metadata.creation_timestamp.as_ref().map(|time| time.0)).unwrap_or_default()
}

/// Times of Events of the older API have whole seconds.
fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// The release that an Event is about; none where it is about something else, or repeats another.
pub(super) fn release(event: &Event) -> Option<ReleaseName> {
    let about = &event.involved_object;
    let group = about.api_version.as_deref()?.split_once('/')?.0;
    let resource = releases::resource();
    let is_ours = event.labels().get(MANAGED_BY_LABEL).is_some_and(|value| value == MANAGED_BY_VALUE);
    if is_ours || about.kind.as_deref() != Some(resource.kind.as_str()) || group != resource.group {
        return None;
    }
    // An Event is about an object of its namespace; of whom this is not so nothing is repeated.
    let namespace = event.namespace().filter(|namespace| about.namespace.as_ref() == Some(namespace))?;
    Some(ReleaseName { namespace, name: about.name.clone()? })
}

/// How the instance of a release is referred to in the version that clients prefer; none where it is of no kind.
pub(super) fn instance(release: &WatchedRelease, kinds: &[std::sync::Arc<KindOutline>]) -> Option<ObjectReference> {
    let name = release.metadata.name.as_deref()?;
    let mut whole = None;
    let found = kinds.iter().find_map(|kind| {
        let KindBackend::Release(template) = &kind.backend else { return None };
        let instance = template.instance_name(name)?;
        let whole: &Value = whole.get_or_insert_with(|| serde_json::to_value(release).unwrap_or_default());
        template.matches(whole).then_some((kind, instance))
    });
    let (kind, instance) = found?;
    Some(ObjectReference {
        api_version: Some(format!("{}/{}", kind.group, kind.served_versions().next()?.name)),
        kind: Some(kind.names.kind.clone()),
        name: Some(instance.to_owned()),
        namespace: release.namespace(),
        uid: release.uid(),
        ..ObjectReference::default()
    })
}

/// The Event about an instance that repeats one about its release. The same Event is repeated under the same name, whoever does it.
pub(super) fn repeated(event: &Event, about: ObjectReference) -> Event {
    let said = Said::of(event);
    let source = event.uid().unwrap_or_default();
    let hash = short(Sha256::new_with_prefix(&source));
    let speaker = event.source.as_ref().and_then(|source| source.component.clone()).filter(|it| !it.is_empty());
    let mut from = event.source.clone().unwrap_or_default();
    from.component = speaker.or_else(|| event.reporting_component.clone());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{hash}", about.name.as_deref().unwrap_or_default())),
            namespace: about.namespace.clone(),
            labels: Some([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned())].into()),
            annotations: Some([(REPEATS_ANNOTATION.to_owned(), source)].into()),
            ..ObjectMeta::default()
        },
        involved_object: about,
        reason: event.reason.clone(),
        message: event.message.clone(),
        type_: event.type_.clone(),
        count: Some(said.count),
        first_timestamp: Some(seconds(first(event))),
        last_timestamp: Some(seconds(said.last)),
        source: Some(from),
        ..Event::default()
    }
}

/// The merge patch that brings an Event that was repeated before up to date.
pub(super) fn patch(repeated: &Event) -> Value {
    json!({
        "count": repeated.count, "lastTimestamp": repeated.last_timestamp, "message": repeated.message,
        "reason": repeated.reason, "type": repeated.type_,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};

    use super::*;
    use crate::decide::testing::definition;

    fn event() -> Event {
        serde_json::from_value(json!({
            "metadata": {"name": "x-cache.17", "namespace": "team-a", "uid": "event-1"},
            "involvedObject": {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "name": "x-cache",
                "namespace": "team-a", "uid": "release-1", "resourceVersion": "7"},
            "reason": "InstallFailed", "message": "Helm install failed", "type": "Warning", "count": 3,
            "firstTimestamp": "2026-11-30T10:00:00Z", "lastTimestamp": "2026-11-30T10:05:00Z",
            "source": {"component": "helm-controller"}, "reportingComponent": "helm-controller", "reportingInstance": "",
        }))
        .unwrap()
    }

    fn kinds() -> Vec<Arc<KindOutline>> {
        let mut redis = definition("redises", "Redis");
        let schema = json!({"openAPIV3Schema": {"type": "object"}});
        redis["spec"]["versions"] = json!([
            {"name": "v1alpha1", "served": true, "storage": true, "schema": schema},
            {"name": "v1", "served": true, "storage": false, "schema": schema},
            {"name": "v2", "served": false, "storage": false, "schema": schema}]);
        let compiled = DefinitionForm::Kindsmith.compile(&redis, OwnStorage::Absent).unwrap();
        vec![Arc::new(KindOutline::from(&compiled))]
    }

    fn watched(name: &str, chart: &str) -> WatchedRelease {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "team-a", "uid": "release-1"},
            "spec": {"chartRef": {"kind": "OCIRepository", "name": chart, "namespace": "charts"}},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_said_of_a_release_is_said_of_its_instance_as_clients_ask_for_it() {
        let about = instance(&watched("x-cache", "redises"), &kinds()).unwrap();
        let told = serde_json::to_value(repeated(&event(), about)).unwrap();
        assert_eq!(
            told["involvedObject"],
            json!({"apiVersion": "apps.example.com/v1", "kind": "Redis", "name": "cache", "namespace": "team-a",
                "uid": "release-1"})
        );
        for part in ["reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "source"] {
            assert_eq!(told[part], serde_json::to_value(event()).unwrap()[part], "{part}");
        }
        let name = told["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("cache.") && name.len() == "cache.".len() + 16, "{name}");
    }

    #[test]
    fn an_event_has_one_name_however_often_it_is_repeated() {
        let about = || instance(&watched("x-cache", "redises"), &kinds()).unwrap();
        let mut later = event();
        later.count = Some(4);
        assert_eq!(repeated(&event(), about()).name_any(), repeated(&later, about()).name_any());
        later.metadata.uid = Some("event-2".to_owned());
        assert_ne!(repeated(&event(), about()).name_any(), repeated(&later, about()).name_any());
    }

    #[test]
    fn what_is_of_no_kind_or_about_something_else_is_not_repeated() {
        assert!(instance(&watched("x-cache", "others"), &kinds()).is_none());
        assert!(instance(&watched("cache", "redises"), &kinds()).is_none());
        assert_eq!(release(&event()).unwrap().to_string(), "team-a/x-cache");
        let about = instance(&watched("x-cache", "redises"), &kinds()).unwrap();
        assert_eq!(release(&repeated(&event(), about)), None, "what was repeated is not repeated");
        for change in [("kind", "Kustomization"), ("apiVersion", "apps.example.com/v1"), ("namespace", "team-b")] {
            let mut other = serde_json::to_value(event()).unwrap();
            other["involvedObject"][change.0] = json!(change.1);
            assert_eq!(release(&serde_json::from_value(other).unwrap()), None, "{change:?}");
        }
    }

    #[test]
    fn events_of_the_newer_api_are_read_too() {
        let newer: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "eventTime": "2026-11-30T10:00:00.123456Z",
            "reportingComponent": "helm-controller",
            "series": {"count": 5, "lastObservedTime": "2026-11-30T10:07:00.5Z"}}))
        .unwrap();
        assert_eq!(Said::of(&newer), Said { count: 5, last: "2026-11-30T10:07:00.5Z".parse().unwrap() });
        let told = serde_json::to_value(repeated(&newer, ObjectReference::default())).unwrap();
        assert_eq!((&told["firstTimestamp"], &told["count"]), (&json!("2026-11-30T10:00:00Z"), &json!(5)));
        assert_eq!(told["source"]["component"], "helm-controller");
    }
}
