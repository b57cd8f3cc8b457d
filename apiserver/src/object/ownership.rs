//! Who owns which field: `metadata.managedFields` of every write.
//!
//! Sources: k8s.io/apiserver/pkg/endpoints/handlers/{create,update,patch}.go, handlers/fieldmanager/equality.go.

use kindsmith_merge::{ApplyError, By, FieldManager, Force, Kinds, Set, Updated};
use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use kindsmith_schema::{
    convert::release::ReleaseTemplate,
    kind::{Kind, KindBackend},
    ownership::{Endpoint, ScaleKind},
};
use serde_json::Value;

use super::scale::EXPECTED as SCALE;
use crate::{
    encode::status::{ApiError, Cause},
    request::FIELD_MANAGER_BYTES_MAX,
};

/// Keeps the owners of fields for one request.
pub struct Ownership<'k> {
    kinds: &'k (dyn Kinds + Sync),
    api_version: &'k str,
    kind: &'k str,
    subresource: &'static str,
    reset: BTreeMap<String, Set>,
    /// Whose status has fields that nobody writes, where it is the status that is written.
    reporting: Option<&'k ReleaseTemplate>,
    manager: String,
    now: Timestamp,
}

impl<'k> Ownership<'k> {
    /// For a write of an object of `kind` in the version `api_version`, or of its status, by `manager`.
    #[must_use]
    pub fn new(kind: &'k Kind, api_version: &'k str, endpoint: Endpoint, manager: String) -> Self {
        Self {
            kinds: kind,
            api_version,
            kind: &kind.names.kind,
            subresource: match endpoint {
                Endpoint::Main => "",
                Endpoint::Status => "status",
            },
            reset: kind.reset_fields(api_version, endpoint),
            reporting: match (&kind.backend, endpoint) {
                (KindBackend::Release(template), Endpoint::Status) => Some(template),
                _ => None,
            },
            manager,
            now: Timestamp::now(),
        }
    }

    /// For a write of a Scale by `manager`.
    #[must_use]
    pub fn of_scale(manager: String) -> Self {
        Self {
            kinds: &ScaleKind,
            api_version: SCALE.api_version,
            kind: SCALE.kind,
            subresource: "scale",
            reset: BTreeMap::new(),
            reporting: None,
            manager,
            now: Timestamp::now(),
        }
    }

    fn field_manager(&self) -> FieldManager<'_, dyn Kinds + Sync + 'k> {
        FieldManager {
            kinds: self.kinds,
            api_version: self.api_version,
            kind: self.kind,
            subresource: self.subresource,
            reset: &self.reset,
        }
    }

    fn by(&self) -> By<'_> {
        By { manager: &self.manager, now: self.now }
    }

    /// A new object with its owner.
    #[must_use]
    pub fn created(&self, object: Value) -> Value {
        self.settled(self.field_manager().create(object, self.by()))
    }

    /// An object that replaces `live`, with its owners.
    #[must_use]
    pub fn updated(&self, live: &Value, object: Value) -> Value {
        let live = self.writable(live);
        let object = if self.reporting.is_some() { self.writable(&object).into_owned() } else { object };
        self.settled(self.field_manager().update(&live, object, self.by()))
    }

    /// An object without what nobody writes: it has no owner, and is put back when the object is admitted.
    fn writable<'v>(&self, object: &'v Value) -> Cow<'v, Value> {
        let Some(template) = self.reporting else { return Cow::Borrowed(object) };
        let mut writable = object.clone();
        template.drop_reported_status(&mut writable);
        Cow::Owned(writable)
    }

    /// Such a write does not fail: its owners are those from before. What was wrong may quote values, so it is not logged.
    fn settled(&self, updated: Updated) -> Value {
        if updated.problem.is_some() {
            let name = super::metadata::member(&updated.object, "name");
            tracing::warn!(kind = self.kind, name, "the owners of fields cannot be updated and stay as they were");
        }
        updated.object
    }

    /// `live` with `configuration` applied. Null for `live` creates.
    ///
    /// # Errors
    /// 409 when others own what is applied, 400 when the configuration is for another endpoint, 500 as kube-apiserver has
    /// it when it does not fit the schema.
    pub fn applied(&self, live: &Value, configuration: &Value, force: Force) -> Result<Value, ApiError> {
        let (live, configuration) = (self.writable(live), self.writable(configuration));
        self.field_manager().apply(&live, &configuration, self.by(), force).map_err(|error| match error {
            ApplyError::BadRequest(text) => ApiError::BadRequest(text),
            ApplyError::Internal(text) => ApiError::Plain(text),
            ApplyError::Conflict(conflicts) => ApiError::ApplyConflict {
                message: conflicts.message(),
                causes: conflicts
                    .causes()
                    .into_iter()
                    .map(|cause| Cause {
                        reason: "FieldManagerConflict".to_owned(),
                        message: cause.message,
                        field: cause.field,
                    })
                    .collect(),
            },
        })
    }
}

/// The manager of a request: the one that it names, else its user agent up to the first `/` (`managerOrUserAgent`).
#[must_use]
pub fn manager(named: Option<&str>, user_agent: Option<&str>) -> String {
    if let Some(named) = named {
        return named.to_owned();
    }
    let program = user_agent.unwrap_or_default().split('/').next().unwrap_or_default();
    let mut manager = String::new();
    for character in program.chars().filter(|character| crate::request::is_printable(*character)) {
        if manager.len() + character.len_utf8() > FIELD_MANAGER_BYTES_MAX {
            break;
        }
        manager.push(character);
    }
    manager
}

/// Lets the times of owners be as they were when nothing else changed, so that a write which changes nothing is none
/// (`IgnoreManagedFieldsTimestampsTransformer`).
pub fn keep_times(object: &mut Value, stored: &Value) {
    let entries = |object: &Value| object.pointer("/metadata/managedFields").cloned().unwrap_or_default();
    let (new, held) = (entries(object), entries(stored));
    if new == held || !equal_but_for_times(&new, &held) {
        return;
    }
    if let Some(own) = object.pointer_mut("/metadata/managedFields") {
        *own = held;
    }
    if object != stored
        && let Some(own) = object.pointer_mut("/metadata/managedFields")
    {
        *own = new;
    }
}

fn equal_but_for_times(new: &Value, held: &Value) -> bool {
    let (Value::Array(new), Value::Array(held)) = (new, held) else { return false };
    let timeless = |entry: &Value| {
        let mut entry = entry.clone();
        if let Some(members) = entry.as_object_mut() {
            members.remove("time");
        }
        entry
    };
    new.len() == held.len() && new.iter().zip(held).all(|(new, held)| timeless(new) == timeless(held))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_without_a_manager_is_its_programs() {
        assert_eq!(manager(Some("me"), Some("kubectl/v1.37 (linux)")), "me");
        assert_eq!(manager(None, Some("kubectl/v1.37 (linux)")), "kubectl");
        assert_eq!(manager(None, Some("a\u{7}b")), "ab");
        assert_eq!(manager(None, Some(&"é".repeat(100))).len(), 128);
        assert_eq!(manager(None, None), "");
    }

    #[test]
    fn times_alone_are_no_change() {
        let object = |time: &str, size: i64| json!({"metadata": {"managedFields": [{"manager": "a", "time": time}]}, "spec": {"size": size}});
        let mut same = object("2", 1);
        keep_times(&mut same, &object("1", 1));
        assert_eq!(same, object("1", 1));
        let mut other = object("2", 2);
        keep_times(&mut other, &object("1", 1));
        assert_eq!(other, object("2", 2));
    }
}
