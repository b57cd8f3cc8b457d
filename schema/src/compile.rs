//! From an ApplicationDefinition to a kind, or to the errors that the operator and the apiserver both report.
//!
//! Rules are those of CustomResourceDefinitions where there is one:
//! k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.

use kindsmith_crds::ApplicationDefinition;
use serde_json::json;

use crate::{
    field::{FieldError, FieldPath},
    kind::{Kind, KindBackend, KindVersion, Origin, StorageRole},
    priority,
    release_schema::ReleaseSchema,
    structural::Dialect,
};

/// Where its instances are.
mod backend;

/// What it is called.
mod names;

/// What each version tells users of its instances.
mod usage;

/// What it is in each version.
mod version;

#[cfg(test)]
mod tests;

/// The most versions of one definition.
pub const VERSIONS_MAX: usize = 32;

/// The most selectable fields of one version, as for CustomResourceDefinitions.
pub const SELECTABLE_FIELDS_MAX: usize = 8;

/// Whether there is a storage of our own, for kinds whose backend is `store`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnStorage {
    /// There is one.
    Available,
    /// There is none: in a cluster, the host's objects are all there is.
    #[default]
    Absent,
}

/// What a definition is compiled for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Whether there is a storage of our own.
    pub own_storage: OwnStorage,
    /// What the cluster takes as a HelmRelease.
    pub releases: ReleaseSchema,
}

impl From<OwnStorage> for Target {
    /// Where the schema of the cluster is not known.
    fn from(own_storage: OwnStorage) -> Self {
        Self { own_storage, releases: ReleaseSchema::built_in() }
    }
}

impl From<&Target> for Target {
    fn from(target: &Target) -> Self {
        target.clone()
    }
}

/// What the name of a definition must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefinitionNames {
    /// `<plural>.<group>`, as for CustomResourceDefinitions.
    PluralAndGroup,
    /// Anything.
    Free,
}

/// What differs between forms of definitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What the schema was written for.
    pub(crate) dialect: Dialect,
    /// What the name of a definition must be.
    pub(crate) names: DefinitionNames,
}

/// The rules of our own form.
pub(crate) const OWN_RULES: Rules = Rules { dialect: Dialect::CustomResource, names: DefinitionNames::PluralAndGroup };

/// A kind, and what is wrong with its definition.
#[derive(Debug)]
pub struct Recompiled {
    /// The kind, in spite of the faults.
    pub kind: Kind,
    /// The faults, each with the path of its field.
    pub faults: Vec<FieldError>,
}

impl Recompiled {
    /// The kind, if nothing is wrong.
    ///
    /// # Errors
    /// The faults.
    pub fn sound(self) -> Result<Kind, Vec<FieldError>> {
        if self.faults.is_empty() { Ok(self.kind) } else { Err(self.faults) }
    }
}

/// Compiles a definition.
///
/// # Errors
/// All faults that were found, each with the path of its field.
pub fn compile(definition: &ApplicationDefinition, target: impl Into<Target>) -> Result<Kind, Vec<FieldError>> {
    compile_by(definition, &target.into(), &OWN_RULES)?.sound()
}

/// Compiles a definition by the rules of its form. Faults that leave a kind are told with it.
pub(crate) fn compile_by(
    definition: &ApplicationDefinition,
    target: &Target,
    rules: &Rules,
) -> Result<Recompiled, Vec<FieldError>> {
    let mut errors = Vec::new();
    let spec = &definition.spec;
    let at = FieldPath::root().child("spec");
    let group = names::check_group(&spec.group, rules, &at.child("group"), &mut errors);
    let names = names::names(&spec.names, &at.child("names"), &mut errors);
    let name = definition.metadata.name.clone().unwrap_or_default();
    let wanted = format!("{}.{}", names.plural, spec.group);
    if rules.names == DefinitionNames::PluralAndGroup && name != wanted {
        errors.push(FieldError::invalid(
            &FieldPath::root().child("metadata").child("name"),
            &json!(name),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    let storage = version::storage_version(&spec.versions, &at.child("versions"), &mut errors);
    let judged = backend::Judged { definition, names: &names, storage: storage.as_deref(), releases: &target.releases };
    let mut backend = backend::compile(&judged, &at.child("backend"), &mut errors);
    if backend == Some(KindBackend::Stored) && target.own_storage == OwnStorage::Absent {
        backend = None;
        errors.push(FieldError::forbidden(
            &at.child("backend").child("store"),
            "there is no storage of our own in this cluster; use helmRelease",
        ));
    }
    let mut versions: Vec<KindVersion> = spec
        .versions
        .iter()
        .take(VERSIONS_MAX)
        .enumerate()
        .filter_map(|(index, version)| {
            let at = at.child("versions").index(index);
            let deprecation = version::deprecation(version, &spec.versions, &spec.group, &names.kind);
            version::compile_version(version, deprecation, backend.as_ref(), rules, &at, &mut errors)
        })
        .collect();
    if let Some(KindBackend::Release(template)) = &mut backend {
        template.usage_fields = usage::all_fields(&spec.versions);
        let storage = versions.iter().find(|version| version.storage == StorageRole::Storage);
        let at = at.child("backend").child("helmRelease").child("status");
        backend::compile_status(template, storage, &at, &mut errors);
    }
    versions.sort_by(|left, right| priority::compare(&left.name, &right.name));
    let is_whole = !versions.is_empty() && versions.len() == spec.versions.len();
    match backend {
        Some(backend) if is_whole && group == names::GroupUse::Open => {
            let (origin, group) = (origin(definition), spec.group.clone());
            let kind = Kind { origin, group, scope: spec.scope, names, versions, backend };
            Ok(Recompiled { kind, faults: errors })
        }
        _ => Err(errors),
    }
}

fn origin(definition: &ApplicationDefinition) -> Origin {
    let metadata = &definition.metadata;
    Origin {
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
    }
}
