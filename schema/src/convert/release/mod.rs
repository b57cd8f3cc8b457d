//! An instance and its Flux HelmRelease (`helm.toolkit.fluxcd.io/v2`): a lens.
//!
//! What the instance owns on its release: `spec.values` but reserved keys, labels and annotations under the template's
//! prefix, finalizers but Flux' own, owner references. All else is the release's and is never written after its
//! creation.
//!
//! Laws: `get(put(app, release)) = app` for an app that holds those finalizers of Flux that the release has and no reserved
//! key, and
//! `put(get(release), release) = release` for every release: only what differs from what was shown is written.

use kindsmith_crds::HelmReleaseBackend;
use serde_json::{Map, Value, json};

use super::metadata::{replace, set_map, strip};

/// Which releases are instances.
mod identity;

/// Kinds whose releases may ask for one name.
mod collisions;

/// What an instance may be called.
mod naming;

/// Settings of a definition as fields of a release.
mod settings;

/// What a release reports, as an instance shows it.
mod status;

/// What of it holds for what is wanted now.
mod conditions;

/// Fields of the status that others write.
mod written_status;

/// Texts in annotations.
mod annotation_text;

/// What is told about instances of suspended releases.
mod suspension;

/// What a definition computes from a release.
mod computed;

/// Annotations by which a tenant asks Flux for something.
mod requests;

/// What Helm calls a release, and where it installs it.
mod helm;

/// References to what belongs to an instance besides its release.
mod references;

/// Settings that changed, brought to releases there are.
mod rollout;

/// Who owns which field of the instance.
mod owners;

#[cfg(test)]
mod tests;

pub use collisions::{Collision, collisions};
pub use computed::StatusValue;
pub use conditions::{ConditionReason, ConditionType, is_suspended};
pub use helm::{helm_release_name, target_namespace};
pub use identity::{Marks, Overlap, overlaps};
pub use naming::{NamePattern, NameRules, NameSyntax, NamespaceRule};
pub(crate) use owners::ANNOTATION as OWNERS_ANNOTATION;
pub(crate) use references::is_fillable;
pub use references::{REFERENCES_MAX, RESOURCES_ANNOTATION, Reference, ResourceKind, Selectors};
pub use rollout::SETTINGS_ANNOTATION;
pub(crate) use settings::INSTANCE_FIELDS;
pub use settings::PlaceholderError;
pub(crate) use status::SHOWN as SHOWN_STATUS;
pub(crate) use status::schema as release_status_schema;
pub use written_status::WRITTEN_STATUS_BYTES_MAX;

/// The API version of releases.
pub const RELEASE_API_VERSION: &str = "helm.toolkit.fluxcd.io/v2";

/// The kind of releases.
pub const RELEASE_KIND: &str = "HelmRelease";

/// The longest name Helm gives a release, in bytes.
pub const RELEASE_NAME_BYTES_MAX: usize = 53;

/// What the annotations of an object take at most, keys and values together.
///
/// Source: `TotalAnnotationSizeLimitB` in k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
pub const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

/// The longest value of a label, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 63;

/// The domain of Flux' finalizers, and what the domain of one of its parts ends with. An instance shows those of its release,
/// and can neither take them away nor add others: Flux removes a finalizer from what it put it on alone.
const FLUX_FINALIZER_DOMAIN: &str = "finalizers.fluxcd.io";
const FLUX_FINALIZER_SUFFIX: &str = ".fluxcd.io";

/// Whether Flux alone sets and removes a finalizer.
#[must_use]
pub fn is_flux_finalizer(finalizer: &str) -> bool {
    let domain = finalizer.split('/').next().unwrap_or_default();
    domain == FLUX_FINALIZER_DOMAIN || domain.ends_with(FLUX_FINALIZER_SUFFIX)
}

/// What keys of labels and annotations begin with that are ours.
pub(crate) const OWN_KEY_PREFIX: &str = "kindsmith.dev/";

/// System metadata that an instance takes over from its release as it is.
const SHARED_METADATA: [&str; 9] = [
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
];

/// What a definition says about the releases of its instances. What is a rule of one platform alone is data here.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseTemplate {
    /// The group of the kind.
    pub group: String,
    /// The version of the kind that the release holds.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The settings of the definition.
    pub settings: HelmReleaseBackend,
    /// The labels by which releases that we made are known.
    pub marks: Marks,
    /// What an instance may be called.
    pub names: NameRules,
    /// What keys of values begin with that are the platform's: instances neither show nor hold them.
    pub reserved_key_prefix: Option<String>,
    /// Fields of the status that are computed.
    pub status_values: Vec<StatusValue>,
    /// Fields of the status in which versions tell how an instance is used.
    pub usage_fields: Vec<&'static str>,
    /// Labels of the definition that others move at run time: what they wrote is left when settings are rolled out.
    pub moving_labels: Vec<String>,
}

impl ReleaseTemplate {
    /// A template with Kindsmith's own labels and rules.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str, settings: HelmReleaseBackend) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            settings,
            marks: Marks::kindsmith(),
            names: NameRules::default(),
            reserved_key_prefix: None,
            status_values: Vec::new(),
            usage_fields: Vec::new(),
            moving_labels: Vec::new(),
        }
    }

    /// The name of the release of an instance.
    #[must_use]
    pub fn release_name(&self, instance: &str) -> String {
        format!("{}{instance}", self.settings.prefix)
    }

    /// The name of the instance of a release, if the release can be one.
    #[must_use]
    pub fn instance_name<'a>(&self, release: &'a str) -> Option<&'a str> {
        release.strip_prefix(self.settings.prefix.as_str()).filter(|name| !name.is_empty())
    }

    /// The longest name of an instance, in bytes.
    #[must_use]
    pub fn name_bytes_max(&self) -> usize {
        naming::room(&self.settings.prefix)
    }

    /// What stands before the keys of an instance's labels and annotations on its release.
    #[must_use]
    pub fn metadata_prefix(&self) -> String {
        format!("{}-", self.group)
    }

    /// What is wrong with the name of a new instance.
    #[must_use]
    pub fn name_faults(&self, name: &str, namespace: Option<&str>) -> Vec<String> {
        self.names.faults(name, namespace, &self.settings.prefix)
    }

    /// The first key of an instance's values that is the platform's.
    #[must_use]
    pub fn reserved_key<'a>(&self, instance: &'a Value) -> Option<&'a str> {
        let values = instance.get("spec").and_then(Value::as_object)?;
        values.keys().map(String::as_str).find(|key| self.is_reserved(key))
    }

    fn is_reserved(&self, key: &str) -> bool {
        self.reserved_key_prefix.as_deref().is_some_and(|prefix| key.starts_with(prefix))
    }

    /// Reads the instance out of a release.
    #[must_use]
    pub fn get(&self, release: &Value) -> Value {
        let mut instance = self.without_owners(release);
        let owners = owners_annotation(release).and_then(|annotation| owners::read(annotation, &instance));
        if let (Some(owners), Some(metadata)) = (owners, instance.get_mut("metadata").and_then(Value::as_object_mut)) {
            metadata.insert("managedFields".to_owned(), owners);
        }
        instance
    }

    fn without_owners(&self, release: &Value) -> Value {
        let empty = Value::Null;
        let held = release.get("metadata").unwrap_or(&empty);
        let mut metadata = Map::new();
        if let Some(name) = held.get("name").and_then(Value::as_str) {
            metadata.insert("name".to_owned(), json!(self.instance_name(name).unwrap_or(name)));
        }
        if let Some(base) = held.get("generateName").and_then(Value::as_str) {
            metadata.extend(self.instance_name(base).map(|base| ("generateName".to_owned(), json!(base))));
        }
        for member in SHARED_METADATA {
            metadata.extend(held.get(member).map(|value| (member.to_owned(), value.clone())));
        }
        let prefix = self.metadata_prefix();
        for member in ["labels", "annotations"] {
            let mut own = strip(held.get(member), &prefix);
            if member == "annotations" {
                own.extend(self.requests_to_flux(held.get(member)));
            }
            if !own.is_empty() {
                metadata.insert(member.to_owned(), Value::Object(own));
            }
        }
        let mut instance = Map::new();
        instance.insert("apiVersion".to_owned(), json!(format!("{}/{}", self.group, self.version)));
        instance.insert("kind".to_owned(), json!(self.kind));
        instance.insert("metadata".to_owned(), Value::Object(metadata));
        let values = release.pointer("/spec/values").filter(|values| !values.is_null());
        instance.extend(values.map(|values| ("spec".to_owned(), self.shown(values))));
        let mut status = status::of(release);
        for field in &self.status_values {
            status.extend(field.of(release).map(|value| (field.name().to_owned(), value)));
        }
        let resources = self.shown_references(release);
        status.extend(resources.map(|resources| ("resources".to_owned(), resources)));
        self.add_written_status(release, &mut status);
        if !status.is_empty() {
            instance.insert("status".to_owned(), Value::Object(status));
        }
        Value::Object(instance)
    }

    /// Values without what is reserved.
    fn shown(&self, values: &Value) -> Value {
        let mut values = values.clone();
        if let (Some(_), Some(members)) = (&self.reserved_key_prefix, values.as_object_mut()) {
            members.retain(|key, _| !self.is_reserved(key));
        }
        values
    }

    /// Makes the release of a new instance.
    #[must_use]
    pub fn create(&self, instance: &Value) -> Value {
        let member = |name: &str| instance.pointer(&format!("/metadata/{name}"));
        let mut metadata = Map::new();
        let name = member("name").and_then(Value::as_str);
        metadata.insert("labels".to_owned(), Value::Object(self.labels(name)));
        metadata.extend(name.map(|name| ("name".to_owned(), json!(self.release_name(name)))));
        let base = member("generateName").and_then(Value::as_str).filter(|base| !base.is_empty());
        metadata.extend(base.map(|base| ("generateName".to_owned(), json!(self.release_name(base)))));
        metadata.extend(member("namespace").map(|namespace| ("namespace".to_owned(), namespace.clone())));
        let namespace = member("namespace").and_then(Value::as_str);
        let spec = self.fields(name.unwrap_or_default(), namespace);
        if let Some(name) = name {
            let set = self.set_by_definition(name, namespace).to_string();
            metadata.insert("annotations".to_owned(), json!({SETTINGS_ANNOTATION: set}));
        }
        self.put(
            instance,
            json!({"apiVersion": RELEASE_API_VERSION, "kind": RELEASE_KIND, "metadata": metadata, "spec": spec}),
        )
    }

    /// Labels of a release: those of the definition, and those by which it is known.
    #[must_use]
    pub fn labels(&self, instance: Option<&str>) -> Map<String, Value> {
        let mut labels: Map<String, Value> =
            self.settings.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let marks = &self.marks;
        let named = marks.name.as_ref().zip(instance);
        let own = [(&marks.kind, self.kind.as_str()), (&marks.group, self.group.as_str())].into_iter().chain(named);
        // A longer group is told apart by chart and prefix alone.
        let own = own.filter(|(_, value)| value.len() <= LABEL_VALUE_BYTES_MAX);
        labels.extend(own.map(|(key, value)| (key.clone(), json!(value))));
        labels
    }

    /// Writes an instance into its release and returns the release. What the instance does not own stays as it is.
    #[must_use]
    pub fn put(&self, instance: &Value, release: Value) -> Value {
        let shown = self.get(&release);
        self.put_changes(instance, &shown, release)
    }

    /// Writes into a release what an instance has otherwise than it was shown. `shown` is what was read out of the
    /// release, perhaps with defaults filled in: those are not written back unless something else of the values
    /// changed.
    #[must_use]
    pub fn put_changes(&self, instance: &Value, shown: &Value, mut release: Value) -> Value {
        let prefix = self.metadata_prefix();
        let differs = |member: &str| {
            let of = |object: &Value| {
                let held = object.pointer(&format!("/metadata/{member}")).cloned().unwrap_or_default();
                if is_empty(&held) { Value::Null } else { held }
            };
            of(instance) != of(shown)
        };
        let own = instance.get("metadata");
        let own = |member: &str| own.and_then(|metadata| metadata.get(member));
        if let Some(metadata) = release.get_mut("metadata").and_then(Value::as_object_mut) {
            for member in ["labels", "annotations"].into_iter().filter(|member| differs(member)) {
                let mut merged = replace(metadata.get(member), own(member), &prefix);
                if member == "annotations" {
                    self.put_requests_to_flux(&mut merged);
                }
                set_map(metadata, member, merged);
            }
            if differs("finalizers") {
                let finalizers = finalizers(metadata.get("finalizers"), own("finalizers"));
                set_list(metadata, "finalizers", finalizers);
            }
            if differs("ownerReferences") {
                set_list(metadata, "ownerReferences", list(own("ownerReferences")));
            }
        }
        if instance.get("spec") != shown.get("spec")
            && let Some(spec) = release.get_mut("spec").and_then(Value::as_object_mut)
        {
            match self.values(instance.get("spec"), spec.get("values")) {
                Some(values) => spec.insert("values".to_owned(), values),
                None => spec.remove("values"),
            };
        }
        self.put_written_status(instance, shown, &mut release);
        let owners = own("managedFields").filter(|owners| owners.is_array() && !is_empty(owners));
        let stale = owners_annotation(&release).is_some_and(owners::depends_on_object) && instance != shown;
        if differs("managedFields") || (stale && owners.is_some()) {
            self.put_owners(owners, &mut release);
        }
        release
    }

    /// Writes who owns which field of the instance into its release, which has everything else already.
    fn put_owners(&self, owners: Option<&Value>, release: &mut Value) {
        let instance = self.without_owners(release);
        let Some(metadata) = release.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let mut annotations = metadata.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        annotations.remove(owners::ANNOTATION);
        if let Some(owners) = owners {
            let taken = annotations_bytes(&annotations) + owners::ANNOTATION.len();
            let room = ANNOTATIONS_BYTES_MAX.saturating_sub(taken);
            annotations.insert(owners::ANNOTATION.to_owned(), json!(owners::write(owners, &instance, room)));
        }
        set_map(metadata, "annotations", annotations);
    }

    /// What is wrong with the annotations of a release when they take more than [`ANNOTATIONS_BYTES_MAX`], in the words of
    /// kube-apiserver, and whose they are: only those of the instance can be made fewer by who writes it.
    #[must_use]
    pub fn annotations_fault(&self, release: &Value) -> Option<String> {
        let annotations = release.get("metadata")?.get("annotations")?.as_object()?;
        let all = annotations_bytes(annotations);
        if all <= ANNOTATIONS_BYTES_MAX {
            return None;
        }
        let prefix = self.metadata_prefix();
        let of = |is_one: &dyn Fn(&str) -> bool| {
            let these = annotations.iter().filter(|(key, _)| is_one(key));
            annotations_bytes(&these.map(|(key, value)| (key.clone(), value.clone())).collect())
        };
        let own = of(&|key| key.starts_with(&prefix) || self.is_request_to_flux(key));
        let owners = of(&|key| key == owners::ANNOTATION);
        Some(format!(
            "Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes; on the HelmRelease they take {all}: {own} those \
             of the object, {owners} who owns its fields, {} others",
            all - own - owners
        ))
    }

    /// The values of an instance but reserved ones, and what is reserved among those there are.
    fn values(&self, wanted: Option<&Value>, held: Option<&Value>) -> Option<Value> {
        let reserved: Map<String, Value> = held
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(key, _)| self.is_reserved(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        match wanted {
            Some(Value::Object(wanted)) => {
                let own = wanted.iter().filter(|(key, _)| !self.is_reserved(key));
                let mut values: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
                values.extend(reserved);
                Some(Value::Object(values))
            }
            _ if !reserved.is_empty() => Some(Value::Object(reserved)),
            Some(other) => Some(other.clone()),
            None => None,
        }
    }
}

/// Who owns which field of the instance, as the release remembers it.
fn owners_annotation(release: &Value) -> Option<&str> {
    release.get("metadata")?.get("annotations")?.get(owners::ANNOTATION)?.as_str()
}

/// What annotations take of [`ANNOTATIONS_BYTES_MAX`].
fn annotations_bytes(annotations: &Map<String, Value>) -> usize {
    annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn set_list(metadata: &mut Map<String, Value>, member: &str, list: Vec<Value>) {
    if list.is_empty() {
        metadata.remove(member);
    } else {
        metadata.insert(member.to_owned(), Value::Array(list));
    }
}

/// Flux' own finalizers that the release holds and the instance lacks, and the instance's as they are but those of Flux that
/// Flux did not set.
fn finalizers(held: Option<&Value>, own: Option<&Value>) -> Vec<Value> {
    let (held, own) = (list(held), list(own));
    let is_flux = |finalizer: &Value| finalizer.as_str().is_some_and(is_flux_finalizer);
    let mut merged: Vec<Value> =
        held.iter().filter(|finalizer| is_flux(finalizer) && !own.contains(finalizer)).cloned().collect();
    merged.extend(own.into_iter().filter(|finalizer| !is_flux(finalizer) || held.contains(finalizer)));
    merged
}
