//! Judges each definition once a generation, alone: what it asks for, or why it cannot be accepted.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kindsmith_crds::{ApplicationDefinitionStatus, Names};
use kindsmith_schema::{
    compile::OwnStorage,
    convert::release::overlaps,
    form::{DefinitionError, DefinitionForm},
    kind::Kind,
    names,
};
use kube::{ResourceExt, api::DynamicObject};

use crate::{group_version::GroupVersion, rollout::Progress};

/// The most faults of a definition that its status repeats.
const FAULTS_MAX: usize = 16;

/// A definition, judged.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// Its form.
    pub form: DefinitionForm,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The generation that was judged.
    pub generation: Option<i64>,
    /// The state of the object that was judged.
    pub resource_version: Option<String>,
    /// When it was created; the older definition keeps a name.
    pub created: jiff::Timestamp,
    /// The status it has.
    pub status: ApplicationDefinitionStatus,
    /// The group-versions that it asks for, accepted or not.
    pub claimed: Vec<GroupVersion>,
    /// What was found.
    pub verdict: Arc<Verdict>,
    /// How far its settings have come; none while that is not known.
    pub rollout: Option<Progress>,
}

/// What was found about the generation of a definition.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Why the generation is refused, if it is.
    pub refused: Option<String>,
    /// The kind: of this generation, or of the last good one while this one is refused. None when there was none.
    pub kind: Option<Arc<Kind>>,
}

impl Definition {
    /// The group-versions of the kind that is or would be served.
    pub(crate) fn served(&self) -> Vec<GroupVersion> {
        let Some(kind) = &self.verdict.kind else { return Vec::new() };
        kind.served_versions().map(|version| GroupVersion::new(&kind.group, &version.name)).collect()
    }

    /// The names of the kind, filled in, as its status reports them.
    pub(crate) fn names(&self) -> Option<Names> {
        self.verdict.kind.as_ref().map(|kind| Names {
            kind: kind.names.kind.clone(),
            plural: kind.names.plural.clone(),
            singular: Some(kind.names.singular.clone()),
            list_kind: Some(kind.names.list_kind.clone()),
            short_names: kind.names.short_names.clone(),
            categories: kind.names.categories.clone(),
        })
    }
}

/// Judges definitions, and remembers what it found and which generation was the last good one.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    own_storage: OwnStorage,
    /// By uid: the state that was judged, and the verdict.
    known: HashMap<String, (String, Arc<Verdict>)>,
}

impl Judge {
    /// Judges by the storage that the apiserver has.
    pub(crate) fn new(own_storage: OwnStorage) -> Self {
        Self { own_storage, known: HashMap::new() }
    }

    /// Judges all definitions there are. One that is being deleted is gone.
    pub(crate) fn judge<'a>(
        &mut self,
        objects: impl IntoIterator<Item = (DefinitionForm, &'a DynamicObject)>,
    ) -> Vec<Definition> {
        let mut definitions: Vec<Definition> = objects
            .into_iter()
            .filter(|(_, object)| object.metadata.deletion_timestamp.is_none())
            .map(|(form, object)| self.definition(form, object))
            .collect();
        definitions.sort_by(|left, right| (left.created, &left.name).cmp(&(right.created, &right.name)));
        let alive: HashSet<&str> = definitions.iter().map(|definition| definition.uid.as_str()).collect();
        self.known.retain(|uid, _| alive.contains(uid.as_str()));
        definitions
    }

    fn definition(&mut self, form: DefinitionForm, object: &DynamicObject) -> Definition {
        let metadata = &object.metadata;
        let claimed = form.claimed(&object.data);
        Definition {
            form,
            name: object.name_any(),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation,
            resource_version: metadata.resource_version.clone(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0).unwrap_or_default(),
            // A status that does not parse is written anew.
            status: object
                .data
                .get("status")
                .cloned()
                .and_then(|it| serde_json::from_value(it).ok())
                .unwrap_or_default(),
            claimed: claimed.iter().map(|(group, version)| GroupVersion::new(group, version)).collect(),
            verdict: self.verdict(form, object),
            rollout: None,
        }
    }

    fn verdict(&mut self, form: DefinitionForm, object: &DynamicObject) -> Arc<Verdict> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let state = match object.metadata.generation {
            Some(generation) if !form.reads_annotations() => format!("generation {generation}"),
            _ => format!("resource version {}", object.metadata.resource_version.as_deref().unwrap_or_default()),
        };
        let before = self.known.get(&uid);
        if let Some((_, verdict)) = before.filter(|(judged, _)| *judged == state) {
            return Arc::clone(verdict);
        }
        let verdict = Arc::new(match compile(form, object, self.own_storage) {
            Ok(kind) => Verdict { refused: None, kind: Some(Arc::new(kind)) },
            Err(faults) => {
                tracing::warn!(definition = object.name_any(), %faults, "the definition is refused");
                Verdict { refused: Some(faults), kind: before.and_then(|(_, verdict)| verdict.kind.clone()) }
            }
        });
        self.known.insert(uid, (state, Arc::clone(&verdict)));
        verdict
    }
}

fn compile(form: DefinitionForm, object: &DynamicObject, own_storage: OwnStorage) -> Result<Kind, String> {
    let object = serde_json::to_value(object).map_err(|error| error.to_string())?;
    form.compile(&object, own_storage).map_err(|error| match error {
        DefinitionError::Faulty(faults) => describe(&faults),
        unreadable @ DefinitionError::Unreadable(_) => unreadable.to_string(),
    })
}

/// Which definitions may not have the names they ask for, and why. One entry a definition, in the order given.
pub(crate) fn name_conflicts(definitions: &[Definition]) -> Vec<Option<String>> {
    let (with_kind, kinds): (Vec<usize>, Vec<&Kind>) = definitions
        .iter()
        .enumerate()
        .filter_map(|(index, definition)| Some((index, definition.verdict.kind.as_deref()?)))
        .unzip();
    let mut found = vec![None; definitions.len()];
    let overlaps = with_kind.iter().copied().zip(overlaps(&kinds));
    let overlapping: Vec<_> = overlaps.filter_map(|(index, overlap)| Some((index, overlap?))).collect();
    for (index, conflicts) in with_kind.into_iter().zip(names::conflicts(&kinds)) {
        if !conflicts.is_empty() {
            found[index] = Some(describe(&conflicts));
        }
    }
    for (index, overlap) in overlapping {
        found[index].get_or_insert_with(|| overlap.to_string());
    }
    found
}

fn describe<T: std::fmt::Display>(faults: &[T]) -> String {
    let mut text = faults.iter().take(FAULTS_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if let Some(more) = faults.len().checked_sub(FAULTS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
