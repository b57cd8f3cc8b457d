//! Judges definitions as kube-apiserver and the operator would.

use anyhow::{Context as _, anyhow};
use kindsmith_crds::{ApplicationDefinition, GROUP, VERSION};
use kindsmith_schema::{
    compatibility::{Break, compare_kinds},
    compile::{OwnStorage, compile},
    convert::release::{Collision, collisions, overlaps},
    cozystack,
    field::{FieldError, FieldPath},
    form::{DefinitionError, DefinitionForm},
    kind::Kind,
    names,
    structural::Schema,
};
use serde_json::Value;

use super::Document;

/// Something wrong with a definition.
#[derive(Debug)]
pub(super) struct Fault {
    /// The field; empty when it is the definition as a whole.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) message: String,
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self { field: error.field, message: error.detail }
    }
}

/// A definition, and what was found.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) file: String,
    /// `metadata.name`; may be empty.
    pub(super) name: String,
    form: DefinitionForm,
    /// The kind, when it compiles.
    pub(super) kind: Option<Kind>,
    pub(super) faults: Vec<Fault>,
    /// What it takes away from those who use the old definition.
    pub(super) breaks: Vec<Break>,
    /// Another kind among these whose releases may ask for the same names.
    pub(super) collision: Option<Collision>,
}

impl Judged {
    /// Whether nothing was found.
    pub(super) fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.breaks.is_empty()
    }
}

/// Judges definitions.
pub(super) struct Judge {
    storage: OwnStorage,
    /// The schema of ApplicationDefinition, by which kube-apiserver looks at one first.
    schema: Schema,
}

impl Judge {
    /// Judges by the storage there will be.
    pub(super) fn new(storage: OwnStorage) -> anyhow::Result<Self> {
        let crd =
            kindsmith_crds::custom_resource_definition().context("the CustomResourceDefinition cannot be made")?;
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let schema = Schema::compile(schema, &FieldPath::root())
            .map_err(|_| anyhow!("the schema of ApplicationDefinition does not compile"))?;
        Ok(Self { storage, schema })
    }

    /// Judges each of them, and then their names together.
    pub(super) fn judge(&self, documents: Vec<Document>) -> Vec<Judged> {
        let mut judged: Vec<Judged> = documents.into_iter().map(|document| self.one(document)).collect();
        let (with_kind, kinds): (Vec<usize>, Vec<&Kind>) =
            judged.iter().enumerate().filter_map(|(index, one)| Some((index, one.kind.as_ref()?))).unzip();
        let conflicts = names::conflicts(&kinds);
        let mut faults = Vec::new();
        for (index, overlap) in with_kind.iter().zip(overlaps(&kinds)) {
            faults.extend(overlap.map(|overlap| {
                let field = "spec.backend.helmRelease.prefix".to_owned();
                let message = format!(
                    "{:?} overlaps with {:?} of ApplicationDefinition {:?}, which has the same chart",
                    overlap.prefix, overlap.other, overlap.holder
                );
                (*index, Fault { field, message })
            }));
        }
        for (index, conflicts) in with_kind.into_iter().zip(conflicts) {
            let one = &judged[index];
            let others = || judged.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, other)| other);
            if let Some(twin) = others().find(|other| other.name == one.name).filter(|_| !conflicts.is_empty()) {
                let message = format!("{:?} is defined in {} too", one.name, twin.file);
                faults.push((index, Fault { field: "metadata.name".to_owned(), message }));
                continue;
            }
            for conflict in conflicts {
                let file = others().find(|other| other.name == conflict.holder).map_or("", |other| &other.file);
                let message = format!(
                    "{:?} is asked for by ApplicationDefinition {:?} in {file} too; only one of them can have it",
                    conflict.name, conflict.holder
                );
                faults.push((index, Fault { field: conflict.field.to_owned(), message }));
            }
        }
        for (index, fault) in faults {
            judged[index].faults.push(fault);
        }
        // Cozystack keeps the names of its releases apart itself, where prefixes do not.
        let own_form = |it: &&mut Judged| it.form == DefinitionForm::Kindsmith && it.faults.is_empty();
        let mut told: Vec<&mut Judged> = judged.iter_mut().filter(own_form).collect();
        let kinds: Vec<&Kind> = told.iter().filter_map(|one| one.kind.as_ref()).collect();
        let found = collisions(&kinds);
        for (one, collision) in told.iter_mut().filter(|one| one.kind.is_some()).zip(found) {
            one.collision = collision;
        }
        judged
    }

    fn one(&self, document: Document) -> Judged {
        let Document { file, mut object } = document;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        // As for the operator, the status does not matter.
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        let form = if is_cozystack(&object) { DefinitionForm::Cozystack } else { DefinitionForm::Kindsmith };
        let (kind, faults) = match self.compile(object) {
            Ok(kind) => (Some(kind), Vec::new()),
            Err(faults) => (None, faults),
        };
        Judged { file, name, form, kind, faults, breaks: Vec::new(), collision: None }
    }

    fn compile(&self, mut object: Value) -> Result<Kind, Vec<Fault>> {
        let wanted = format!("{GROUP}/{VERSION}");
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let whole = |message: String| vec![Fault { field: String::new(), message }];
        if is_cozystack(&object) {
            return DefinitionForm::Cozystack.compile(&object, self.storage).map_err(|error| match error {
                DefinitionError::Faulty(faults) => faults.into_iter().map(Fault::from).collect(),
                DefinitionError::Unreadable(message) => whole(message),
            });
        }
        if api_version != wanted {
            let message = format!("must be {wanted}, not {api_version:?}");
            return Err(vec![Fault { field: "apiVersion".to_owned(), message }]);
        }
        let mut faults: Vec<Fault> = self
            .schema
            .prune(&mut object)
            .into_iter()
            .map(|field| Fault { field, message: "is no field of an ApplicationDefinition".to_owned() })
            .collect();
        self.schema.default(&mut object);
        faults.extend(self.schema.validate(&object).into_iter().map(Fault::from));
        if !faults.is_empty() {
            return Err(faults);
        }
        let definition: ApplicationDefinition =
            serde_json::from_value(object).map_err(|error| whole(error.to_string()))?;
        compile(&definition, self.storage).map_err(|errors| errors.into_iter().map(Fault::from).collect())
    }
}

/// Whether a definition says that it is Cozystack's.
fn is_cozystack(object: &Value) -> bool {
    object["apiVersion"] == format!("{}/{}", cozystack::GROUP, cozystack::VERSION)
}

/// Compares definitions with old ones of the same name.
pub(super) fn compare(judged: &mut [Judged], old: &[Judged]) {
    for one in judged {
        let Some(before) = old.iter().find(|before| before.name == one.name) else { continue };
        match (&before.kind, &one.kind) {
            (Some(before), Some(kind)) => one.breaks = compare_kinds(before, kind),
            (None, Some(_)) => {
                let message = format!("cannot be compared: the definition in {} is faulty itself", before.file);
                one.faults.push(Fault { field: String::new(), message });
            }
            (_, None) => {}
        }
    }
}
