//! The forms in which definitions come: Kindsmith's own, and those of platforms that are taken as they are.
//!
//! Each compiles to the same [`Kind`]. What a form has of its own is data of the kind; nothing behind it knows the
//! form.

use std::{fmt, str::FromStr};

use kindsmith_crds::ApplicationDefinition;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    compile::{OWN_RULES, Recompiled, Target, compile_by},
    cozystack,
    field::FieldError,
    kind::Kind,
    succession::FORCE_ANNOTATION,
};

/// Annotations that no form reads.
const UNREAD_ANNOTATIONS: [&str; 2] = [FORCE_ANNOTATION, "kubectl.kubernetes.io/last-applied-configuration"];

/// The hexadecimal digits of a hash of annotations.
const STATE_DIGITS: usize = 16;

/// A form of definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefinitionForm {
    /// `kindsmith.dev/v1alpha1`.
    #[default]
    Kindsmith,
    /// `cozystack.io/v1alpha1`.
    Cozystack,
}

/// No such form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no form of definitions; there are kindsmith and cozystack")]
pub struct UnknownForm(String);

/// Why a definition has no kind.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DefinitionError {
    /// It is not of its type.
    #[error("{0}")]
    Unreadable(String),
    /// It has faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Faulty(Vec<FieldError>),
}

impl DefinitionForm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Kindsmith, Self::Cozystack];

    /// The API group of such definitions.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Kindsmith => kindsmith_crds::GROUP,
            Self::Cozystack => cozystack::GROUP,
        }
    }

    /// Their version.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::Kindsmith => kindsmith_crds::VERSION,
            Self::Cozystack => cozystack::VERSION,
        }
    }

    /// Whether they have a status in which the operator can say what it found.
    #[must_use]
    pub fn has_status(self) -> bool {
        self == Self::Kindsmith
    }

    /// Whether annotations of a definition say something about its kind: they do not move its generation.
    #[must_use]
    pub fn reads_annotations(self) -> bool {
        self == Self::Cozystack
    }

    /// What of a definition its kind is made of, as a short text that changes with it: the generation, and the annotations
    /// of a form that reads them.
    #[must_use]
    pub fn state(self, definition: &Value) -> String {
        let metadata = |member: &str| definition.get("metadata").and_then(|metadata| metadata.get(member));
        let generation = metadata("generation").and_then(Value::as_i64).unwrap_or_default();
        let annotations = metadata("annotations").and_then(Value::as_object).filter(|_| self.reads_annotations());
        let Some(annotations) = annotations else { return generation.to_string() };
        let mut told: Vec<(&String, &Value)> =
            annotations.iter().filter(|(key, _)| !UNREAD_ANNOTATIONS.contains(&key.as_str())).collect();
        told.sort_by_key(|(key, _)| *key);
        let mut digest = Sha256::new();
        for (key, value) in told {
            digest.update(format!("{key:?}={value}\n"));
        }
        let mut digest = format!("{:x}", digest.finalize());
        digest.truncate(STATE_DIGITS);
        format!("{generation}-{digest}")
    }

    /// Compiles a definition of this form; its status is not looked at.
    ///
    /// # Errors
    /// All faults that were found, each with the path of its field.
    pub fn compile(self, object: &Value, target: impl Into<Target>) -> Result<Kind, DefinitionError> {
        self.recompile(object, target)?.sound().map_err(DefinitionError::Faulty)
    }

    /// Compiles a definition that was accepted before, perhaps by a version of ours with fewer rules, in spite of its faults.
    /// A setting stays as it is; a column, a selectable field, a computed field of the status or the scale that is faulty is
    /// left out.
    ///
    /// # Errors
    /// All faults, where they leave no kind: those of a schema, or of the backend as a whole.
    pub fn recompile(self, object: &Value, target: impl Into<Target>) -> Result<Recompiled, DefinitionError> {
        let target = target.into();
        match self {
            Self::Kindsmith => {
                let mut object = object.clone();
                if let Some(members) = object.as_object_mut() {
                    members.remove("status");
                }
                let definition: ApplicationDefinition =
                    serde_json::from_value(object).map_err(|error| DefinitionError::Unreadable(error.to_string()))?;
                compile_by(&definition, &target, &OWN_RULES).map_err(DefinitionError::Faulty)
            }
            Self::Cozystack => cozystack::recompile(object, target),
        }
    }

    /// The served group-versions that a definition asks for, read as loosely as can be: one that does not compile still
    /// names them.
    #[must_use]
    pub fn claimed(self, object: &Value) -> Vec<(String, String)> {
        match self {
            Self::Kindsmith => {
                let Some(group) = object.pointer("/spec/group").and_then(Value::as_str) else { return Vec::new() };
                let versions = object.pointer("/spec/versions").and_then(Value::as_array);
                let served = versions.into_iter().flatten().filter(|version| version["served"] == true);
                served.filter_map(|version| Some((group.to_owned(), version["name"].as_str()?.to_owned()))).collect()
            }
            Self::Cozystack => vec![(cozystack::KINDS_GROUP.to_owned(), cozystack::KINDS_VERSION.to_owned())],
        }
    }
}

impl fmt::Display for DefinitionForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kindsmith => "kindsmith",
            Self::Cozystack => "cozystack",
        })
    }
}

impl FromStr for DefinitionForm {
    type Err = UnknownForm;

    fn from_str(text: &str) -> Result<Self, UnknownForm> {
        Self::ALL.into_iter().find(|form| form.to_string() == text).ok_or_else(|| UnknownForm(text.to_owned()))
    }
}
