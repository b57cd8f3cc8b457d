//! Metadata and discovery in protobuf, as Go's encoder of Kubernetes writes them.
//!
//! Source: k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto.

use std::{borrow::Borrow, convert::Infallible};

use jiff::Timestamp;
use serde_json::Value;

use super::{enveloped, wire::Wire};

/// A `PartialObjectMetadata`, `PartialObjectMetadataList`, `APIVersions`, `APIGroupList`, `APIGroup` or
/// `APIResourceList` in protobuf; none for anything else.
#[must_use]
pub fn document(document: &Value) -> Option<Vec<u8>> {
    let (api_version, kind) = (&document["apiVersion"], document["kind"].as_str()?);
    let mut wire = Wire::default();
    match kind {
        "PartialObjectMetadata" => partial(&mut wire, document),
        "PartialObjectMetadataList" => {
            let api_version = api_version.as_str().unwrap_or_default();
            return list(api_version, &document["metadata"], each(&document["items"]).map(Ok::<_, Infallible>)).ok();
        }
        "APIVersions" => {
            wire.texts(1, &document["versions"]);
            addresses(&mut wire, 2, &document["serverAddressByClientCIDRs"]);
        }
        "APIGroupList" => {
            for group in each(&document["groups"]) {
                wire.message(1, |wire| api_group(wire, group));
            }
        }
        "APIGroup" => api_group(&mut wire, document),
        "APIResourceList" => {
            wire.text(1, &document["groupVersion"]);
            for resource in each(&document["resources"]) {
                wire.message(2, |wire| api_resource(wire, resource));
            }
        }
        _ => return None,
    }
    // Lists of versions have no group, and go out as `v1`.
    Some(enveloped(api_version.as_str().unwrap_or("v1"), kind, wire.into_bytes()))
}

/// A `PartialObjectMetadataList` in protobuf. Each item is written as it comes, and needed no longer.
///
/// # Errors
/// The first one of an item.
pub fn list<E>(
    api_version: &str,
    metadata: &Value,
    items: impl Iterator<Item = Result<impl Borrow<Value>, E>>,
) -> Result<Vec<u8>, E> {
    let mut wire = Wire::default();
    // In v1beta1 the two have changed places.
    let (meta_tag, items_tag) = if api_version == "meta.k8s.io/v1beta1" { (2, 1) } else { (1, 2) };
    let write_meta = |wire: &mut Wire| wire.message(meta_tag, |wire| list_meta(wire, metadata));
    if meta_tag < items_tag {
        write_meta(&mut wire);
    }
    for item in items {
        let item = item?;
        wire.message(items_tag, |wire| partial(wire, item.borrow()));
    }
    if meta_tag > items_tag {
        write_meta(&mut wire);
    }
    Ok(enveloped(api_version, "PartialObjectMetadataList", wire.into_bytes()))
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn addresses(wire: &mut Wire, tag: u32, list: &Value) {
    for address in each(list) {
        wire.message(tag, |wire| {
            wire.text(1, &address["clientCIDR"]);
            wire.text(2, &address["serverAddress"]);
        });
    }
}

fn api_group(wire: &mut Wire, group: &Value) {
    let version = |wire: &mut Wire, version: &Value| {
        wire.text(1, &version["groupVersion"]);
        wire.text(2, &version["version"]);
    };
    wire.text(1, &group["name"]);
    for one in each(&group["versions"]) {
        wire.message(2, |wire| version(wire, one));
    }
    wire.message(3, |wire| version(wire, &group["preferredVersion"]));
    addresses(wire, 4, &group["serverAddressByClientCIDRs"]);
}

fn api_resource(wire: &mut Wire, resource: &Value) {
    wire.text(1, &resource["name"]);
    wire.varint(2, i64::from(resource["namespaced"] == true));
    wire.text(3, &resource["kind"]);
    if resource["verbs"].is_array() {
        wire.message(4, |wire| wire.texts(1, &resource["verbs"]));
    }
    wire.texts(5, &resource["shortNames"]);
    wire.text(6, &resource["singularName"]);
    wire.texts(7, &resource["categories"]);
    wire.text(8, &resource["group"]);
    wire.text(9, &resource["version"]);
    wire.text(10, &resource["storageVersionHash"]);
}

fn list_meta(wire: &mut Wire, meta: &Value) {
    wire.text(1, &meta["selfLink"]);
    wire.text(2, &meta["resourceVersion"]);
    wire.text(3, &meta["continue"]);
    wire.integer_if_any(4, &meta["remainingItemCount"]);
}

fn partial(wire: &mut Wire, object: &Value) {
    wire.message(1, |wire| object_meta(wire, &object["metadata"]));
}

fn time(wire: &mut Wire, tag: u32, value: &Value) {
    // A time that is absent, and always written, is an empty message.
    let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    wire.message(tag, |wire| {
        if let Some(time) = time {
            wire.varint(1, time.as_second());
            wire.varint(2, i64::from(time.subsec_nanosecond()));
        }
    });
}

fn object_meta(wire: &mut Wire, meta: &Value) {
    let texts = ["name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"];
    for (tag, name) in (1..).zip(texts) {
        wire.text(tag, &meta[name]);
    }
    wire.varint(7, meta["generation"].as_i64().unwrap_or_default());
    time(wire, 8, &meta["creationTimestamp"]);
    if meta["deletionTimestamp"].is_string() {
        time(wire, 9, &meta["deletionTimestamp"]);
    }
    wire.integer_if_any(10, &meta["deletionGracePeriodSeconds"]);
    wire.text_map(11, &meta["labels"]);
    wire.text_map(12, &meta["annotations"]);
    for owner in each(&meta["ownerReferences"]) {
        wire.message(13, |wire| {
            wire.text(1, &owner["kind"]);
            wire.text(3, &owner["name"]);
            wire.text(4, &owner["uid"]);
            wire.text(5, &owner["apiVersion"]);
            for (tag, name) in [(6, "controller"), (7, "blockOwnerDeletion")] {
                if let Some(set) = owner[name].as_bool() {
                    wire.varint(tag, i64::from(set));
                }
            }
        });
    }
    wire.texts(14, &meta["finalizers"]);
    for entry in each(&meta["managedFields"]) {
        wire.message(17, |wire| {
            wire.text(1, &entry["manager"]);
            wire.text(2, &entry["operation"]);
            wire.text(3, &entry["apiVersion"]);
            if entry["time"].is_string() {
                time(wire, 4, &entry["time"]);
            }
            wire.text(6, &entry["fieldsType"]);
            if !entry["fieldsV1"].is_null() {
                wire.message(7, |wire| wire.bytes(1, entry["fieldsV1"].to_string().as_bytes()));
            }
            wire.text(8, &entry["subresource"]);
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn item() -> Value {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {
            "name": "x", "namespace": "default", "uid": "98", "resourceVersion": "252", "generation": 1,
            "creationTimestamp": "2026-11-30T07:01:55Z", "labels": {"a": "b"}, "annotations": {"k": "v"},
            "finalizers": ["e.org/f"], "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "g/v1",
                "time": "2026-11-30T07:01:55Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]}})
    }

    /// The metadata of `item`, as kube-apiserver writes it.
    const META: &str = "0a017812001a0764656661756c742200\
        2a0239383203323532380142\
        0808e3beb4d80610005a060a016112016262060a016b120176\
        7207652e6f72672f668a0138\
        0a016d120655706461746\
        51a04672f7631220808e3beb4d8061000\
        32084669656c64735631\
        3a0f0a0d7b22663a73706563223a7b7d7d4200";

    #[test]
    fn metadata_has_the_bytes_that_kube_apiserver_writes() {
        let inner = META.replace(char::is_whitespace, "");
        let length = inner.len() / 2;
        let written = hex(&document(&item()).unwrap());
        let wanted = format!(
            "6b3873000a270a0e6d6574612e6b38732e696f2f7631121550617274\
             69616c4f626a6563744d65746164617461127b0a{length:02x}{inner}1a002200"
        );
        let wanted = wanted.replace("127b", &format!("12{:02x}", length + 2));
        assert_eq!(written, wanted);
    }

    #[test]
    fn lists_of_metadata_have_their_fields_in_the_order_of_their_version() {
        let list = |version: &str| {
            let list = json!({"apiVersion": version, "kind": "PartialObjectMetadataList", "items": null,
                "metadata": {"resourceVersion": "265"}});
            hex(&document(&list).unwrap())
        };
        assert!(list("meta.k8s.io/v1").ends_with("120b0a090a0012033236351a001a002200"));
        assert!(list("meta.k8s.io/v1beta1").ends_with("120b12090a0012033236351a001a002200"));
    }

    #[test]
    fn a_list_that_is_written_item_by_item_is_that_of_the_document() {
        for version in ["meta.k8s.io/v1", "meta.k8s.io/v1beta1"] {
            let metadata = json!({"resourceVersion": "265", "continue": "next", "remainingItemCount": 3});
            let whole = json!({"apiVersion": version, "kind": "PartialObjectMetadataList", "items": [item(), item()],
                "metadata": metadata});
            let items = [item(), item()].into_iter().map(Ok::<_, Infallible>);
            assert_eq!(list(version, &metadata, items).unwrap(), document(&whole).unwrap());
        }
        let failing = [Ok(item()), Err("broken")].into_iter();
        assert_eq!(list("meta.k8s.io/v1", &json!({}), failing), Err("broken"));
    }

    #[test]
    fn discovery_has_the_bytes_that_kube_apiserver_writes() {
        let version = json!({"groupVersion": "two.example.org/v1", "version": "v1"});
        let group = json!({"kind": "APIGroup", "apiVersion": "v1", "name": "two.example.org", "versions": [version],
            "preferredVersion": version});
        let bytes = document(&group).unwrap();
        let wanted =
            b"k8s\0\n\x0e\n\x02v1\x12\x08APIGroup\x12\x45\n\x0ftwo.example.org\x12\x18\n\x12two.example.org/v1\
            \x12\x02v1\x1a\x18\n\x12two.example.org/v1\x12\x02v1\x1a\0\"\0";
        assert_eq!(bytes, wanted);
        assert_eq!(document(&json!({"kind": "HatList", "apiVersion": "v1"})), None);
    }
}
