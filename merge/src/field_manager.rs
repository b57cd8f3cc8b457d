//! The owners of an object's fields, from request to request.
//!
//! Follows managedfields/internal/{fieldmanager,versioncheck,lastappliedmanager,skipnonapplied,buildmanagerinfo,
//! managedfieldsupdater,stripmeta,structuredmerge,versionconverter}.go of apimachinery, in that order of layers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::capping;
use super::conflict::Conflicts;
use super::entries::{self, Entries, Identity, Managed, Operation};
use super::last_applied;
use super::set::Set;
use super::typed::{Duplicates, Typed};
use super::types::ObjectType;
use super::updater::{ConvertError, Converter, Force, Noop, UpdateError, Updater};
use super::value;

/// The manager of what was there before anybody applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The manager of requests that name none.
const UNKNOWN: &str = "unknown";

/// Stands for the manager of an update while it is computed; no identifier is equal to it.
const CURRENT_OPERATION: &str = "current-operation";

/// What is never owned.
static STRIPPED: LazyLock<Set> = LazyLock::new(|| {
    let mut set = Set::default();
    let inside = ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"];
    for name in inside.into_iter().chain(["managedFields", "resourceVersion"]) {
        set = set.union(&Set::of_fields(&["metadata", name]));
    }
    for name in ["apiVersion", "kind", "metadata"] {
        set = set.union(&Set::of_fields(&[name]));
    }
    set
});

/// The versions of a kind.
pub trait Kinds {
    /// The type of the objects of an API version, as `group/version`; nothing for versions that are gone.
    fn object_type(&self, api_version: &str) -> Option<&ObjectType>;

    /// The type of what is applied, where less is allowed in it than in an object.
    fn config_type(&self, api_version: &str) -> Option<&ObjectType> {
        self.object_type(api_version)
    }

    /// The object in another API version.
    ///
    /// # Errors
    /// The version is gone, or the object cannot be converted.
    fn convert(&self, object: &Value, api_version: &str) -> Result<Value, ConvertError>;

    /// Fills in the defaults of the object's version.
    fn default(&self, object: &mut Value);
}

/// Who writes, and when.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The name of the manager; empty is `unknown`.
    pub manager: &'a str,
    /// The time of the request.
    pub now: Timestamp,
}

/// Why an apply fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 400: the configuration is not for this endpoint.
    #[error("{0}")]
    BadRequest(String),
    /// 409: others own what is applied.
    #[error("{}", .0.message())]
    Conflict(Conflicts),
    /// 500, as kube-apiserver has it also for configurations that do not fit the schema.
    #[error("{0}")]
    Internal(String),
}

impl From<UpdateError> for ApplyError {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Conflicts(conflicts) => Self::Conflict(conflicts),
            UpdateError::Failed(error) => Self::Internal(error),
        }
    }
}

/// An object that is written by other means than apply.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The object, with its owners.
    pub object: Value,
    /// Why its owners are those from before, if they are: such a write does not fail.
    pub problem: Option<ApplyError>,
}

/// Keeps the owners of the objects of one endpoint.
pub struct FieldManager<'k, K: ?Sized> {
    /// The versions of the kind.
    pub kinds: &'k K,
    /// The API version of the endpoint.
    pub api_version: &'k str,
    /// The kind.
    pub kind: &'k str,
    /// The subresource of the endpoint, or nothing.
    pub subresource: &'k str,
    /// What the endpoint does not write, by API version; with everything below.
    pub reset: &'k BTreeMap<String, Set>,
}

impl<K: Kinds + ?Sized> Converter for FieldManager<'_, K> {
    fn convert<'a>(&'a self, object: &'a Typed<'_>, version: &str) -> Result<Typed<'a>, ConvertError> {
        if object.value().get("apiVersion").and_then(Value::as_str) == Some(version) {
            return Ok(object.borrowed());
        }
        if !object.value().is_object() {
            let error =
                format!("failed to convert value to unstructured for type {}", value::type_name(object.value()));
            return Err(ConvertError::Failed(error));
        }
        if version.matches('/').count() > 1 {
            return Err(ConvertError::Failed(format!("unexpected GroupVersion string: {version}")));
        }
        let converted = self.kinds.convert(object.value(), version)?;
        let kind = self.kinds.object_type(version).ok_or_else(|| {
            ConvertError::MissingVersion(format!("no corresponding type for {}", gvk_text(version, self.kind)))
        })?;
        Typed::new(Cow::Owned(converted), kind, Duplicates::Refused)
            .map_err(|error| ConvertError::Failed(error.to_string()))
    }
}

impl<K: Kinds + ?Sized> FieldManager<'_, K> {
    /// The object `new` that replaces `live`, with its owners. On create, `live` is null.
    pub fn update(&self, live: &Value, mut new: Value, by: By<'_>) -> Updated {
        let mut managed = self.managed_of(live, &new);
        entries::remove(&mut new);
        let base;
        let live_object = if live.is_null() {
            base = self.empty();
            &base
        } else {
            live
        };
        let is_update = live.pointer("/metadata/uid").and_then(Value::as_str).is_some_and(|uid| !uid.is_empty());
        if managed.fields.is_empty() && is_update {
            // Nobody has tracked this object so far.
            return Updated { object: new, problem: None };
        }
        match self.updated(&entries::without(live_object), &new, &mut managed, by) {
            Ok(()) => {
                managed.write(&mut new);
                Updated { object: new, problem: None }
            }
            Err(problem) => {
                if let (Some(entries), Some(metadata)) =
                    (live.pointer("/metadata/managedFields"), new.get_mut("metadata").and_then(Value::as_object_mut))
                {
                    metadata.insert("managedFields".to_owned(), entries.clone());
                }
                Updated { object: new, problem: Some(problem) }
            }
        }
    }

    /// The object that is created, with its owner.
    pub fn create(&self, new: Value, by: By<'_>) -> Updated {
        self.update(&Value::Null, new, by)
    }

    /// The object `live` with `patch` applied, in the version of the endpoint. Null for `live` creates.
    ///
    /// # Errors
    /// Others own what is applied, or the configuration is not right.
    pub fn apply(&self, live: &Value, patch: &Value, by: By<'_>, force: Force) -> Result<Value, ApplyError> {
        let failed = |error| ApplyError::Internal(format!("failed to decode managed fields: {error}"));
        let managed = Managed::of(live).map_err(failed)?;
        let (version, kind) = (text(patch, "apiVersion"), text(patch, "kind"));
        if (version, kind) != (self.api_version, self.kind) {
            return Err(ApplyError::BadRequest(format!("invalid object type: {}", gvk_text(version, kind))));
        }
        let live = if live.is_null() { self.empty() } else { entries::without(live) };
        let result = self.applied(&live, patch, &managed, by, force);
        let result = match result {
            Err(ApplyError::Conflict(conflicts)) if by.manager == last_applied::MANAGER => {
                match self.allowed_by_last_applied(&live) {
                    None => Err(ApplyError::Conflict(conflicts)),
                    Some(allowed) if conflicts.to_set().difference(&allowed).is_empty() => {
                        self.applied(&live, patch, &managed, by, Force::Take)
                    }
                    Some(allowed) => Err(ApplyError::Conflict(conflicts.without(&allowed))),
                }
            }
            other => other,
        };
        let (mut object, managed) = result?;
        if by.manager == last_applied::MANAGER && last_applied::of(&object).is_some() {
            last_applied::set(&mut object, patch);
        }
        managed.write(&mut object);
        Ok(object)
    }

    fn empty(&self) -> Value {
        json!({ "apiVersion": self.api_version, "kind": self.kind })
    }

    /// The owners as a request leaves them before it changes anything.
    fn managed_of(&self, live: &Value, new: &Value) -> Managed {
        if self.subresource.is_empty() {
            let own = Entries::of(new);
            if own.is_reset() {
                return Managed::default();
            }
            if let Ok(managed) = own.decode()
                && !managed.fields.is_empty()
            {
                return managed;
            }
        }
        Managed::of(live).unwrap_or_default()
    }

    /// How errors name an object, once it is in the version of the endpoint.
    fn name_text(&self, object: &Value) -> String {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let (namespace, name) = (text(metadata, "namespace"), text(metadata, "name"));
        format!("{namespace}/{name}; {}", gvk_text(self.api_version, text(object, "kind")))
    }

    fn identifier(&self, manager: &str, operation: Operation) -> String {
        let manager = if manager.is_empty() { UNKNOWN } else { manager };
        let identity = Identity {
            manager: manager.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
        };
        identity.identifier()
    }

    fn updater(&self) -> Updater<'_, Self> {
        Updater { converter: self, ignored: self.reset, noop: Noop::Nothing }
    }

    fn typed<'v>(&'v self, object: &'v Value, duplicates: Duplicates, what: &str) -> Result<Typed<'v>, ApplyError> {
        let failed = |error: &dyn std::fmt::Display| ApplyError::Internal(format!("{what}: {error}"));
        let kind = match duplicates {
            Duplicates::Allowed => self.kinds.object_type(self.api_version),
            Duplicates::Refused => self.kinds.config_type(self.api_version),
        };
        let kind = kind.ok_or_else(|| {
            failed(&format_args!("no corresponding type for {}", gvk_text(self.api_version, self.kind)))
        })?;
        if text(object, "apiVersion") == self.api_version {
            return Typed::new(Cow::Borrowed(object), kind, duplicates).map_err(|error| failed(&error));
        }
        let converted = self.kinds.convert(object, self.api_version).map_err(|error| failed(&error))?;
        Typed::new(Cow::Owned(converted), kind, duplicates).map_err(|error| failed(&error))
    }

    fn updated(&self, live: &Value, new: &Value, managed: &mut Managed, by: By<'_>) -> Result<(), ApplyError> {
        let manager = self.identifier(by.manager, Operation::Update);
        let what =
            |which: &str, object| format!("failed to convert {which} object ({}) to smd typed", self.name_text(object));
        let new_typed = self.typed(new, Duplicates::Allowed, &what("new", new))?;
        let live_typed = self.typed(live, Duplicates::Allowed, &what("live", live))?;
        let updater = self.updater();
        managed.fields = updater
            .update(&live_typed, &new_typed, self.api_version, &managed.fields, CURRENT_OPERATION)
            .map_err(|error| {
                ApplyError::Internal(format!("failed to update ManagedFields ({}): {error}", self.name_text(new)))
            })?;
        if let Some(mut own) = managed.fields.remove(CURRENT_OPERATION) {
            let set = own.set.difference(&STRIPPED);
            if !set.is_empty() {
                own.set = match managed.fields.get(&manager) {
                    Some(before) => set.union(&before.set).into(),
                    None => set.into(),
                };
                managed.times.insert(manager.clone(), by.now.as_second());
                managed.fields.insert(manager, own);
            }
        }
        capping::cap(managed);
        Ok(())
    }

    fn applied(
        &self,
        live: &Value,
        patch: &Value,
        managed: &Managed,
        by: By<'_>,
        force: Force,
    ) -> Result<(Value, Managed), ApplyError> {
        let mut managed = managed.clone();
        if managed.fields.is_empty() {
            let before = By { manager: BEFORE_FIRST_APPLY, now: by.now };
            self.updated(&self.empty(), live, &mut managed, before).map_err(|error| match error {
                ApplyError::Internal(error) => {
                    ApplyError::Internal(format!("failed to create manager for existing fields: {error}"))
                }
                other => other,
            })?;
        }
        if patch.pointer("/metadata/managedFields").is_some_and(Value::is_array) {
            return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
        }
        let manager = self.identifier(by.manager, Operation::Apply);
        let what = |which: &str, object| format!("failed to create typed {which} object ({})", self.name_text(object));
        let patch_typed = self.typed(patch, Duplicates::Refused, &what("patch", patch))?;
        let live_typed = self.typed(live, Duplicates::Allowed, &what("live", live))?;
        let updater = self.updater();
        let (object, fields) =
            updater.apply(&live_typed, &patch_typed, self.api_version, &managed.fields, &manager, force)?;
        managed.fields = fields;
        let object = match object {
            Some(object) => {
                let mut object = object.into_value();
                self.kinds.default(&mut object);
                managed.times.insert(manager.clone(), by.now.as_second());
                object
            }
            None => live.clone(),
        };
        if let Some(own) = managed.fields.remove(&manager) {
            let set = own.set.difference(&STRIPPED);
            if !set.is_empty() {
                managed.fields.insert(manager, super::updater::VersionedSet { set: set.into(), ..own });
            }
        }
        Ok((object, managed))
    }

    /// What client-side apply owned and nobody has changed since; nothing if the object was not so applied.
    fn allowed_by_last_applied(&self, live: &Value) -> Option<Set> {
        let last: Value = serde_json::from_str(last_applied::of(live)?).ok()?;
        if (text(&last, "apiVersion"), text(&last, "kind")) != (self.api_version, self.kind) {
            return None;
        }
        let live = self.typed(live, Duplicates::Refused, "").ok()?;
        let last = self.typed(&last, Duplicates::Refused, "").ok()?;
        last_applied::unchanged(&last, &live)
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `GroupVersionKind.String`.
fn gvk_text(api_version: &str, kind: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    format!("{group}/{version}, Kind={kind}")
}
