//! Labels and annotations of an instance on its host object: kept under the prefix `<group>-`, stripped on reading.

use serde_json::{Map, Value};

/// The entries of the instance in a map of the host object.
pub(super) fn strip(host: Option<&Value>, prefix: &str) -> Map<String, Value> {
    let Some(Value::Object(host)) = host else { return Map::new() };
    host.iter()
        .filter_map(|(key, value)| key.strip_prefix(prefix).map(|key| (key.to_owned(), value.clone())))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// Replaces the entries of the instance in a map of the host object and keeps all others.
pub(super) fn replace(host: Option<&Value>, instance: Option<&Value>, prefix: &str) -> Map<String, Value> {
    let mut merged: Map<String, Value> = match host {
        Some(Value::Object(host)) => host
            .iter()
            .filter(|(key, _)| key.strip_prefix(prefix).is_none_or(str::is_empty))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        _ => Map::new(),
    };
    if let Some(Value::Object(instance)) = instance {
        merged.extend(instance.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
    }
    merged
}

/// Sets a member, or removes it when the map is empty and was not there before.
pub(super) fn set_map(metadata: &mut Map<String, Value>, member: &str, map: Map<String, Value>) {
    if map.is_empty() && metadata.get(member).is_none_or(|held| held.as_object().is_none_or(|held| !held.is_empty())) {
        metadata.remove(member);
    } else {
        metadata.insert(member.to_owned(), Value::Object(map));
    }
}
