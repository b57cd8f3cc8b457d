//! Objects that cannot be read, as those of others that nest deeper than `serde_json` follows. They are told in the log, and
//! are as if they were not there: all other objects of the resource are served all the same.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::storage::host::HostEvent;

/// A page of a list, of which each object is read for itself.
#[derive(Deserialize)]
pub(super) struct Page {
    /// Of the list.
    pub(super) metadata: Value,
    items: Option<Vec<Box<RawValue>>>,
}

impl Page {
    /// The objects that can be read.
    pub(super) fn objects(&self) -> impl Iterator<Item = Value> {
        self.items.iter().flatten().filter_map(|text| match serde_json::from_str(text.get()) {
            Ok(object) => Some(object),
            Err(error) => {
                let head: Option<Head> = serde_json::from_str(text.get()).ok();
                tell(head.map(|head| head.metadata).unwrap_or_default(), &error);
                None
            }
        })
    }
}

/// What can be read of an object however deep the rest nests.
#[derive(Deserialize)]
struct Head {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    resource_version: String,
}

/// The change that a line of a watch brings, whose object cannot be read for `error`: who saw the object sees it go. None
/// when the line is no change of an object.
pub(super) fn change(line: &str, error: &serde_json::Error) -> Option<HostEvent> {
    #[derive(Deserialize)]
    struct Event {
        object: Head,
    }
    let Event { object: Head { metadata } } = serde_json::from_str(line).ok()?;
    let revision = metadata.resource_version.parse().ok()?;
    let Metadata { name, namespace, resource_version } = &metadata;
    let object = json!({"metadata": {"name": name, "namespace": namespace, "resourceVersion": resource_version}});
    tell(metadata, error);
    Some(HostEvent::Deleted { object, revision })
}

fn tell(metadata: Metadata, error: &serde_json::Error) {
    let Metadata { name, namespace, .. } = metadata;
    tracing::warn!(name, namespace, %error, "an object of the cluster cannot be read, and is not served");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep() -> String {
        let values = format!("{}{}", r#"{"a":"#.repeat(200), "1".to_owned() + &"}".repeat(200));
        format!(
            r#"{{"metadata":{{"name":"x","namespace":"n","resourceVersion":"7","managedFields":[{values}]}},"spec":{values}}}"#
        )
    }

    #[test]
    fn of_an_object_that_nests_too_deep_it_is_told_that_it_goes() {
        let line = format!(r#"{{"type":"MODIFIED","object":{}}}"#, deep());
        let error = serde_json::from_str::<Value>(&line).unwrap_err();
        let Some(HostEvent::Deleted { object, revision }) = change(&line, &error) else { panic!("no change") };
        assert_eq!(object["metadata"], json!({"name": "x", "namespace": "n", "resourceVersion": "7"}));
        assert_eq!(revision, 7);
        for broken in ["{", r#"{"type":"ERROR","object":{"code":410}}"#] {
            assert!(change(broken, &error).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_page_has_the_objects_that_can_be_read() {
        let text = format!(r#"{{"metadata":{{"resourceVersion":"9"}},"items":[{{"a":1}},{},{{"b":2}}]}}"#, deep());
        let page: Page = serde_json::from_str(&text).unwrap();
        assert_eq!(page.objects().collect::<Vec<_>>(), [json!({"a": 1}), json!({"b": 2})]);
        let empty: Page = serde_json::from_str(r#"{"metadata":{},"items":null}"#).unwrap();
        assert_eq!(empty.objects().count(), 0);
    }
}
