//! Judges each definition once a generation, alone: what it asks for, or why it cannot be accepted.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kindsmith_crds::{ApplicationDefinitionStatus, FINALIZER, Names};
use kindsmith_schema::{
    compile::OwnStorage,
    convert::release::overlaps,
    form::{DefinitionError, DefinitionForm},
    kind::Kind,
    names,
    succession::{self, FORCE_ANNOTATION},
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::json;

use crate::{
    decide::Truth,
    group_version::GroupVersion,
    inspection::{Answer, Asking, DELETION, Question},
    records::Records,
    rollout::Progress,
};

/// The most faults of a definition that its status repeats.
const FAULTS_MAX: usize = 16;

/// The most changes that hurt instances that its status repeats.
const THREATS_MAX: usize = 5;

/// With the value `false`, the built-in roles view, edit and admin do not take up those of the kind.
const AGGREGATE_ROLES_ANNOTATION: &str = "kindsmith.dev/aggregate-roles";

/// What is judged by besides the definitions themselves.
#[derive(Default)]
pub(crate) struct Grounds {
    /// The generations that were accepted; without a cluster nobody records them, and each change is taken at once.
    pub records: Option<Arc<Records>>,
    /// What was found about instances, by the uid of the definition and the generation that asked.
    pub answers: HashMap<(String, String), Answer>,
}

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
    /// What its kind is made of: see [`DefinitionForm::state`].
    pub state: String,
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
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Whether it stays.
    pub deletion: Deletion,
    /// Whether the built-in roles take up those of the kind.
    pub aggregates_roles: bool,
    /// How far its settings have come; none while that is not known.
    pub rollout: Option<Progress>,
}

/// Whether a definition stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Nobody deletes it.
    NotAsked,
    /// It stays while there are instances; what was found about these, once it was.
    Held(Option<Answer>),
    /// It may go: instances may be left, or there are none.
    LetGo,
}

/// What was found about the generation of a definition.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Why the generation is refused, if it is.
    pub refused: Option<Refusal>,
    /// The kind: of this generation, or of the last good one while this one is refused. None when there was none.
    pub kind: Option<Arc<Kind>>,
    /// What has to be found out about instances before the generation can be accepted, or is accepted again.
    pub question: Option<Question>,
}

/// Why a generation is not accepted, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Whether that is certain.
    pub truth: Truth,
    /// The reason, CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Definition {
    /// What has to be found out about instances.
    pub(crate) fn question(&self) -> Option<Question> {
        if self.deletion == Deletion::NotAsked {
            return self.verdict.question.clone();
        }
        // Asked as long as the definition is there: the answer is what lets it go.
        self.verdict.kind.as_ref().map(|kind| Question {
            uid: self.uid.clone(),
            state: DELETION.to_owned(),
            old: Arc::clone(kind),
            asking: Asking::Existence,
        })
    }

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

/// A verdict, and what it was reached by.
#[derive(Debug)]
struct Known {
    state: String,
    grounds: String,
    verdict: Arc<Verdict>,
}

/// Judges definitions, and remembers what it found and which generation was the last good one.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    own_storage: OwnStorage,
    /// By uid.
    known: HashMap<String, Known>,
}

impl Judge {
    /// Judges by the storage that the apiserver has.
    pub(crate) fn new(own_storage: OwnStorage) -> Self {
        Self { own_storage, known: HashMap::new() }
    }

    /// Judges all definitions there are. One that is being deleted is gone, unless it waits for us.
    pub(crate) fn judge<'a>(
        &mut self,
        objects: impl IntoIterator<Item = (DefinitionForm, &'a DynamicObject)>,
        grounds: &Grounds,
    ) -> Vec<Definition> {
        let mut definitions: Vec<Definition> = objects
            .into_iter()
            .filter(|(form, object)| {
                let waits = form.has_status() && object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
                waits || object.metadata.deletion_timestamp.is_none()
            })
            .map(|(form, object)| self.definition(form, object, grounds))
            .collect();
        definitions.sort_by(|left, right| (left.created, &left.name).cmp(&(right.created, &right.name)));
        let alive: HashSet<&str> = definitions.iter().map(|definition| definition.uid.as_str()).collect();
        self.known.retain(|uid, _| alive.contains(uid.as_str()));
        definitions
    }

    fn definition(&mut self, form: DefinitionForm, object: &DynamicObject, grounds: &Grounds) -> Definition {
        let metadata = &object.metadata;
        let claimed = form.claimed(&object.data);
        let annotations = metadata.annotations.as_ref().filter(|_| form.reads_annotations());
        let state = json!({"metadata": {"generation": metadata.generation, "annotations": annotations}});
        let mut definition = Definition {
            form,
            name: object.name_any(),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation,
            state: form.state(&state),
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
            verdict: Arc::new(Verdict { refused: None, kind: None, question: None }),
            finalizers: object.finalizers().to_vec(),
            deletion: Deletion::NotAsked,
            aggregates_roles: object.annotations().get(AGGREGATE_ROLES_ANNOTATION).is_none_or(|it| it != "false"),
            rollout: None,
        };
        definition.verdict = self.verdict(&definition, object, grounds);
        if metadata.deletion_timestamp.is_some() {
            definition.deletion = deletion(&definition, object, grounds);
        }
        definition
    }

    fn verdict(&mut self, definition: &Definition, object: &DynamicObject, grounds: &Grounds) -> Arc<Verdict> {
        let uid = &definition.uid;
        let record = grounds.records.as_ref().and_then(|records| records.last(uid));
        let answer = grounds.answers.get(&(uid.clone(), definition.state.clone()));
        let force = object.annotations().get(FORCE_ANNOTATION).map(String::as_str).unwrap_or_default();
        let by = format!("{:?} {answer:?} {force:?}", record.as_ref().map(|record| record.revision));
        let before = self.known.get(uid);
        // What was accepted stays so; what was refused may be seen in another light.
        let settled = |known: &&Known| {
            known.state == definition.state && (known.grounds == by || known.verdict.refused.is_none())
        };
        if let Some(known) = before.filter(settled) {
            return Arc::clone(&known.verdict);
        }
        let last = before.and_then(|known| known.verdict.kind.clone()).or_else(|| {
            // One that is recorded in this state was accepted in another life.
            let record = record.as_ref().filter(|record| record.state != definition.state)?;
            let kind = record.kind(self.own_storage).inspect_err(|error| {
                tracing::warn!(definition = definition.name, %error, "there is no last good generation");
            });
            kind.ok().map(Arc::new)
        });
        let verdict = match compile(definition.form, object, self.own_storage) {
            Err(faults) => {
                tracing::warn!(definition = definition.name, %faults, "the definition is refused");
                let refused = Refusal { truth: Truth::False, reason: "InvalidDefinition", message: faults };
                Verdict { refused: Some(refused), kind: last, question: None }
            }
            Ok(kind) => {
                let recorded = record.is_some_and(|record| record.state == definition.state);
                let consented = recorded || grounds.records.is_none() || was_never_served(definition);
                let forced = succession::forces(force, definition.generation.unwrap_or_default());
                let last = last.filter(|_| !consented && !forced);
                succeed(definition, last, Arc::new(kind), answer)
            }
        };
        let verdict = Arc::new(verdict);
        let known = Known { state: definition.state.clone(), grounds: by, verdict: Arc::clone(&verdict) };
        self.known.insert(uid.clone(), known);
        verdict
    }
}

/// Whether a definition that is being deleted may go.
fn deletion(definition: &Definition, object: &DynamicObject, grounds: &Grounds) -> Deletion {
    let orphan = object.data.pointer("/spec/deletionPolicy").and_then(|policy| policy.as_str()) == Some("Orphan");
    let is_served = grounds.records.is_some() && definition.verdict.kind.is_some() && !was_never_served(definition);
    if orphan || !is_served {
        return Deletion::LetGo;
    }
    match grounds.answers.get(&(definition.uid.clone(), DELETION.to_owned())) {
        Some(Answer::Harmless) => Deletion::LetGo,
        answer => Deletion::Held(answer.cloned()),
    }
}

/// Whether another holds the names, so that there can be no instances.
fn was_never_served(definition: &Definition) -> bool {
    let mut conditions = definition.status.conditions.iter();
    conditions.any(|found| found.type_ == kindsmith_crds::CONDITION_NAMES_ACCEPTED && found.status == "False")
}

/// Whether a kind that compiles may follow the one before it.
fn succeed(definition: &Definition, last: Option<Arc<Kind>>, next: Arc<Kind>, answer: Option<&Answer>) -> Verdict {
    let accepted = |next| Verdict { refused: None, kind: Some(next), question: None };
    let Some(last) = last else { return accepted(next) };
    let threats = succession::threats(&last, &next);
    if threats.is_empty() || answer == Some(&Answer::Harmless) {
        return accepted(next);
    }
    let told = threats.iter().take(THREATS_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let (served, generation) = (last.origin.generation, definition.generation.unwrap_or_default());
    let refused = match answer {
        None => Refusal {
            truth: Truth::Unknown,
            reason: "InspectingInstances",
            message: format!("generation {served} goes on until the instances were looked at: {told}"),
        },
        Some(unreadable @ Answer::Unreadable(_)) => Refusal {
            truth: Truth::Unknown,
            reason: "InstancesUnreadable",
            message: format!("generation {served} goes on: {unreadable}; the change may hurt them: {told}"),
        },
        Some(answer) => Refusal {
            truth: Truth::False,
            reason: "BreaksInstances",
            message: format!(
                "generation {served} goes on, as {answer}. Mend the instances, change the definition, or consent with \
                 the annotation {FORCE_ANNOTATION}: {generation:?}. What changed: {told}",
                generation = generation.to_string(),
            ),
        },
    };
    let question = Question {
        uid: definition.uid.clone(),
        state: definition.state.clone(),
        old: Arc::clone(&last),
        asking: Asking::Harm { new: next, threats: threats.into() },
    };
    Verdict { refused: Some(refused), kind: Some(last), question: Some(question) }
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
