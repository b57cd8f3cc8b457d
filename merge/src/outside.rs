//! Fields that others wrote past an endpoint, into the host object that holds the object.
//!
//! The host tells who owns which of its fields. What somebody else owns there of the part that the object is made of,
//! they own in the object too, as if they had updated it: those who owned it before lose it, as they would have, unless
//! the endpoint wrote it with the same value. What the object already knows of them is known and changes nothing.

use jiff::Timestamp;
use serde_json::Value;

use std::borrow::Cow;

use super::entries::{Identity, Managed, Operation};
use super::path::PathElement;
use super::set::Set;
use super::typed::Typed;
use super::types::ObjectType;
use super::updater::VersionedSet;

/// Where a part of an object is in its host object, and who keeps it there.
#[derive(Debug, Clone, Copy)]
pub struct HostPart<'a> {
    /// The fields that lead to it in the host object.
    pub from: &'a [&'a str],
    /// The field that it is in the object.
    pub field: &'a str,
    /// The manager by which the endpoint writes the host object.
    pub keeper: &'a str,
}

/// Gives the object the owners that `host_entries`, the `managedFields` of its host object, tell of. The object is of
/// `kind`, the type of `api_version`. One whose own entries cannot be read stays as it is.
pub fn own_from_outside(
    object: &mut Value,
    kind: &ObjectType,
    api_version: &str,
    host_entries: &Value,
    part: HostPart<'_>,
) {
    let entries = host_entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let outsiders: Vec<Outsider<'_>> = entries
        .iter()
        .filter(|entry| manager(entry) != part.keeper)
        .filter_map(|entry| outsider(entry, part))
        .collect();
    if outsiders.is_empty() {
        return;
    }
    let Ok(mut managed) = Managed::of(object) else { return };
    let Ok(held) = Typed::unchecked(Cow::Borrowed(&*object), kind).field_set() else { return };
    let field = PathElement::field(part.field);
    let Some(held) = held.below(&field) else { return };
    let kept = entries.iter().filter(|entry| manager(entry) == part.keeper).filter_map(|entry| owned(entry, part));
    let kept = held.at_or_below(&kept.fold(Set::default(), |all, set| all.union(&set)));
    let mut changed = false;
    for outsider in outsiders {
        let identifier = outsider.identity(api_version).identifier();
        let known = managed.fields.get(&identifier).and_then(|own| own.set.below(&field)).cloned().unwrap_or_default();
        let new = held.at_or_below(&outsider.owned).difference(&known);
        if new.is_empty() {
            continue;
        }
        changed = true;
        let below = |set: Set| {
            let mut whole = Set::default();
            whole.insert_below(&field, set);
            whole
        };
        let alone = below(new.difference(&kept));
        for own in managed.fields.values_mut().filter(|own| !own.set.intersection(&alone).is_empty()) {
            own.set = own.set.difference(&alone).into();
        }
        managed.fields.retain(|_, own| !own.set.is_empty());
        let own = managed.fields.entry(identifier.clone()).or_insert_with(|| VersionedSet {
            set: Set::default().into(),
            version: api_version.into(),
            operation: Operation::Update,
        });
        own.set = own.set.union(&below(new)).into();
        match outsider.time {
            Some(time) => managed.times.insert(identifier, time),
            None => managed.times.remove(&identifier),
        };
    }
    if changed {
        managed.write(object);
    }
}

/// Somebody who owns fields of the part.
struct Outsider<'a> {
    manager: &'a str,
    time: Option<i64>,
    owned: Set,
}

impl Outsider<'_> {
    fn identity(&self, api_version: &str) -> Identity {
        Identity {
            manager: self.manager.to_owned(),
            operation: Operation::Update,
            api_version: api_version.to_owned(),
            subresource: String::new(),
        }
    }
}

fn manager(entry: &Value) -> &str {
    entry.get("manager").and_then(Value::as_str).unwrap_or_default()
}

fn outsider<'a>(entry: &'a Value, part: HostPart<'_>) -> Option<Outsider<'a>> {
    let time = entry.get("time").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
    Some(Outsider { manager: manager(entry), time: time.map(Timestamp::as_second), owned: owned(entry, part)? })
}

/// What the entry has of the part; nothing when it has none of it.
fn owned(entry: &Value, part: HostPart<'_>) -> Option<Set> {
    let mut fields = entry.get("fieldsV1")?;
    for name in part.from {
        fields = fields.get(format!("f:{name}"))?;
    }
    Set::from_value(fields).ok().filter(|set| !set.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VERSION: &str = "apps.example.com/v1";

    const PART: HostPart<'_> = HostPart { from: &["spec", "values"], field: "spec", keeper: "kindsmith" };

    fn kind() -> ObjectType {
        let users = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"],
                "properties": {"name": {"type": "string"}, "quota": {"type": "integer"}}}});
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "note": {"type": "string"},
            "resources": {"type": "object", "properties": {"cpu": {"type": "string"}, "memory": {"type": "string"}}},
            "users": users}}}});
        ObjectType::of_schema(&schema)
    }

    fn host_entry(manager: &str, values: &Value) -> Value {
        json!({"manager": manager, "operation": "Update", "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:values": values}}})
    }

    fn entry(manager: &str, operation: &str, time: &str, spec: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": VERSION, "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": spec}})
    }

    fn object(entries: &[Value]) -> Value {
        json!({"apiVersion": VERSION, "kind": "Thing", "metadata": {"name": "a", "managedFields": entries},
            "spec": {"replicas": 3, "resources": {"cpu": "1", "memory": "1Gi"},
                "users": [{"name": "ann", "quota": 1}, {"name": "bob", "quota": 2}]}})
    }

    fn owners(object: &Value) -> &Value {
        &object["metadata"]["managedFields"]
    }

    fn seen(before: &[Value], host: &[Value]) -> Value {
        let mut object = object(before);
        own_from_outside(&mut object, &kind(), VERSION, &json!(host), PART);
        object
    }

    #[test]
    fn who_changed_a_value_of_the_host_owns_the_field() {
        let tenant =
            entry("tenant", "Apply", "2026-01-01T00:00:00Z", &json!({"f:replicas": {}, "f:resources": {"f:cpu": {}}}));
        let host = [
            host_entry("kindsmith", &json!({"f:resources": {".": {}, "f:cpu": {}}})),
            host_entry("kubectl-edit", &json!({"f:replicas": {}})),
        ];
        let object = seen(&[tenant], &host);
        assert_eq!(
            *owners(&object),
            json!([
                entry("tenant", "Apply", "2026-01-01T00:00:00Z", &json!({"f:resources": {"f:cpu": {}}})),
                entry("kubectl-edit", "Update", "2026-01-02T00:00:00Z", &json!({"f:replicas": {}})),
            ])
        );
        // What is known is known.
        let mut again = object.clone();
        own_from_outside(&mut again, &kind(), VERSION, &json!(host), PART);
        assert_eq!(again, object);
    }

    #[test]
    fn a_list_that_is_one_value_to_the_host_is_owned_item_by_item() {
        let object = seen(&[], &[host_entry("helper", &json!({"f:users": {}}))]);
        let ann = json!({".": {}, "f:name": {}, "f:quota": {}});
        let users = json!({"f:users": {"k:{\"name\":\"ann\"}": ann, "k:{\"name\":\"bob\"}": ann}});
        assert_eq!(*owners(&object), json!([entry("helper", "Update", "2026-01-02T00:00:00Z", &users)]));
    }

    #[test]
    fn who_wrote_the_same_value_owns_it_too() {
        let tenant = entry("tenant", "Apply", "2026-01-01T00:00:00Z", &json!({"f:replicas": {}}));
        let host =
            [host_entry("kindsmith", &json!({"f:replicas": {}})), host_entry("flux", &json!({"f:replicas": {}}))];
        let object = seen(std::slice::from_ref(&tenant), &host);
        assert_eq!(
            *owners(&object),
            json!([tenant, entry("flux", "Update", "2026-01-02T00:00:00Z", &json!({"f:replicas": {}})),])
        );
    }

    #[test]
    fn what_was_taken_back_since_is_not_given_again() {
        // Somebody of the API has applied the outsider's value: both own it, and the host does not know.
        let both = [
            entry("tenant", "Apply", "2026-01-03T00:00:00Z", &json!({"f:replicas": {}})),
            entry("kubectl-edit", "Update", "2026-01-02T00:00:00Z", &json!({"f:replicas": {}})),
        ];
        let object = seen(&both, &[host_entry("kubectl-edit", &json!({"f:replicas": {}}))]);
        assert_eq!(*owners(&object), json!(both));
    }

    #[test]
    fn other_fields_of_the_host_and_entries_that_cannot_be_read_say_nothing() {
        let tenant = entry("tenant", "Apply", "2026-01-01T00:00:00Z", &json!({"f:replicas": {}}));
        let status = json!({"manager": "helm-controller", "fieldsV1": {"f:status": {"f:values": {"f:replicas": {}}}}});
        let broken = host_entry("broken", &json!({"nothing": {}}));
        let gone = host_entry("gone", &json!({"f:note": {}, "f:unheard": {}}));
        let object = seen(std::slice::from_ref(&tenant), &[status, broken, gone, json!(1)]);
        assert_eq!(*owners(&object), json!([tenant]));
    }
}
