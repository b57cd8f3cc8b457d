//! What a write makes of an object: system metadata, generation, finalizers. No I/O, no clock.
//!
//! Sources: k8s.io/apiserver/pkg/registry/rest/{create,update,delete}.go, pkg/registry/generic/registry/store.go.

use serde_json::{Value, json};

use super::status;
use crate::{
    object::namespace::{IMMORTAL, NAME_LABEL},
    storage::host::{DeleteOptions, Generation, HostError, HostResource, Propagation, StatusEndpoint, WriteTarget},
};

/// What comes from outside: the time and randomness.
pub(super) struct Moment {
    /// Now, RFC 3339 in seconds.
    pub(super) now: String,
    /// A fresh uid.
    pub(super) uid: String,
}

/// What is to be stored.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// This, at a new revision.
    Store(Value),
    /// Nothing: the object is as it was.
    Unchanged(Value),
    /// The object goes. This is how it was last.
    Remove(Value),
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn is_namespace(resource: &HostResource) -> bool {
    resource.group.is_empty() && resource.plural == "namespaces"
}

/// The name of a namespace is a label of it after each write (Canonicalize of its strategy).
fn label_with_name(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    namespace["metadata"]["labels"][NAME_LABEL] = name;
}

pub(super) fn create(resource: &HostResource, mut object: Value, moment: &Moment) -> Value {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"]["uid"] = json!(moment.uid);
    object["metadata"]["creationTimestamp"] = json!(moment.now);
    if is_namespace(resource) {
        remove(&mut object["metadata"], &["generation"]);
    } else {
        object["metadata"]["generation"] = json!(1);
    }
    remove(&mut object["metadata"], &["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]);
    if resource.status == StatusEndpoint::Separate {
        remove(&mut object, &["status"]);
    }
    if is_namespace(resource) {
        label_with_name(&mut object);
        let finalizers = object.pointer_mut("/spec/finalizers").map(Value::take);
        let mut finalizers = match finalizers {
            Some(Value::Array(finalizers)) => finalizers,
            _ => Vec::new(),
        };
        if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
            finalizers.push(json!("kubernetes"));
        }
        object["spec"] = json!({"finalizers": finalizers});
        object["status"] = json!({"phase": "Active"});
    }
    object
}

pub(super) fn update(
    resource: &HostResource,
    stored: &Value,
    mut next: Value,
    revision: &str,
    target: WriteTarget,
    counted: Generation,
) -> Result<Outcome, HostError> {
    let name = text(stored, "/metadata/name");
    if revision != text(stored, "/metadata/resourceVersion") {
        return Err(status::modified(resource, name));
    }
    match (target, resource.status) {
        // Who counts the generations has settled what a write may not change, too.
        _ if counted != Generation::Host => {}
        (WriteTarget::Status, _) => {
            let mut changed = stored.clone();
            copy(&mut changed, &next, "status");
            copy(&mut changed["metadata"], &next["metadata"], "managedFields");
            next = changed;
        }
        (WriteTarget::Main, StatusEndpoint::Separate) => copy(&mut next, stored, "status"),
        (WriteTarget::Main, StatusEndpoint::Absent) => {}
    }
    if !next["metadata"].is_object() {
        next["metadata"] = json!({});
    }
    if is_namespace(resource) {
        copy(&mut next, stored, "spec");
        label_with_name(&mut next);
    }
    for member in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ] {
        copy(&mut next["metadata"], &stored["metadata"], member);
    }
    let deleting = stored.pointer("/metadata/deletionTimestamp").is_some();
    let finalizers = finalizers(&next);
    if deleting {
        let held = self::finalizers(stored);
        let added: Vec<String> = finalizers.iter().filter(|name| !held.contains(name)).cloned().collect();
        if !added.is_empty() {
            return Err(status::finalizers_added(resource, name, &added));
        }
    }
    // Generations of namespaces are not counted.
    let is_next = !is_namespace(resource)
        && match counted {
            Generation::Host => spec_changed(resource, stored, &next),
            Generation::Same => false,
            Generation::Next => true,
        };
    if next == *stored && !is_next {
        return Ok(Outcome::Unchanged(next));
    }
    if is_next {
        next["metadata"]["generation"] = json!(generation(stored) + 1);
    }
    if deleting && finalizers.is_empty() && namespace_is_empty(resource, &next) {
        return Ok(Outcome::Remove(next));
    }
    Ok(Outcome::Store(next))
}

pub(super) fn delete(
    resource: &HostResource,
    stored: &Value,
    options: &DeleteOptions,
    moment: &Moment,
) -> Result<Outcome, HostError> {
    let name = text(stored, "/metadata/name");
    let checks = [
        ("UID", options.uid.as_deref(), text(stored, "/metadata/uid")),
        ("ResourceVersion", options.resource_version.as_deref(), text(stored, "/metadata/resourceVersion")),
    ];
    for (what, wanted, held) in checks {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != held) {
            let reason =
                format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {held}");
            return Err(status::conflict(resource, name, &reason));
        }
    }
    if is_namespace(resource) && IMMORTAL.contains(&name) {
        return Err(status::immortal(resource, name));
    }
    let mut next = stored.clone();
    let mut finalizers = finalizers(stored);
    let deleting = stored.pointer("/metadata/deletionTimestamp").is_some();
    let own = ["foregroundDeletion", "orphan"];
    let wanted = match options.propagation {
        Some(Propagation::Foreground) => Some(own[0]),
        Some(Propagation::Orphan) => Some(own[1]),
        Some(Propagation::Background) | None => None,
    };
    if options.propagation.is_some() {
        finalizers.retain(|finalizer| !own.contains(&finalizer.as_str()));
        finalizers.extend(wanted.map(str::to_owned));
    }
    if finalizers.is_empty() && namespace_is_empty(resource, stored) {
        return Ok(Outcome::Remove(next));
    }
    let same_finalizers = finalizers == self::finalizers(stored);
    if deleting && same_finalizers {
        return Ok(Outcome::Unchanged(next));
    }
    next["metadata"]["finalizers"] = json!(finalizers);
    if finalizers.is_empty() {
        remove(&mut next["metadata"], &["finalizers"]);
    }
    if deleting {
        return Ok(Outcome::Store(next));
    }
    next["metadata"]["deletionTimestamp"] = json!(moment.now);
    if is_namespace(resource) {
        next["status"]["phase"] = json!("Terminating");
    } else {
        next["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        next["metadata"]["generation"] = json!(generation(stored) + 1);
    }
    Ok(Outcome::Store(next))
}

/// The contents of a namespace are gone: it can go when it is being deleted and nothing else holds it.
pub(super) fn finalize_namespace(stored: &Value) -> Outcome {
    let mut next = stored.clone();
    if next.pointer("/metadata/deletionTimestamp").is_none() {
        return Outcome::Unchanged(next);
    }
    next["spec"]["finalizers"] = json!([]);
    if finalizers(&next).is_empty() { Outcome::Remove(next) } else { Outcome::Store(next) }
}

fn namespace_is_empty(resource: &HostResource, object: &Value) -> bool {
    !is_namespace(resource) || object.pointer("/spec/finalizers").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

fn generation(object: &Value) -> i64 {
    object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

fn finalizers(object: &Value) -> Vec<String> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Whether anything outside of the metadata changed; a status that is written apart does not count.
fn spec_changed(resource: &HostResource, stored: &Value, next: &Value) -> bool {
    let members = |object: &Value| -> Vec<(String, Value)> {
        object
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(member, _)| *member != "metadata")
            .filter(|(member, _)| !(resource.status == StatusEndpoint::Separate && *member == "status"))
            .map(|(member, value)| (member.clone(), value.clone()))
            .collect()
    };
    members(stored) != members(next)
}

fn copy(to: &mut Value, from: &Value, member: &str) {
    let Some(object) = to.as_object_mut() else { return };
    match from.get(member) {
        Some(value) => object.insert(member.to_owned(), value.clone()),
        None => object.remove(member),
    };
}

fn remove(object: &mut Value, members: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        members.iter().for_each(|member| drop(object.remove(*member)));
    }
}
