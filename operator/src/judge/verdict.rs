//! How a verdict is found: a definition is compiled once a generation, and compared with the generation that is served.
//!
//! What was accepted stays so. What was refused is judged again when what it is judged by changes: the record of the
//! last accepted generation, what was found about the instances, or the consent of the user.

use std::{collections::HashMap, sync::Arc};

use kindsmith_crds::{CONDITION_NAMES_ACCEPTED, DeletionPolicy};
use kindsmith_schema::{
    compile::{OwnStorage, Recompiled, Target},
    form::{DefinitionError, DefinitionForm},
    kind::{Kind, KindOutline},
    release_schema::ReleaseSchema,
    succession::{self, AcceptedGeneration, FORCE_ANNOTATION, RecordError},
};
use kube::ResourceExt as _;

use super::{
    Grounds,
    definition::{Definition, Deletion, Refusal, Verdict},
};
use crate::{
    finding::Truth,
    group_version::GroupVersion,
    inspection::{Answer, Asker, Asking, Question},
    watched::{self, WatchedDefinition},
};

/// The most faults of a definition that its status repeats.
const FAULTS_MAX: usize = 16;

/// The most changes that hurt instances that its status repeats.
const THREATS_MAX: usize = 5;

/// What is known of a definition.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The state that was judged.
    state: String,
    /// What it was judged by.
    light: Light,
    /// What was found.
    pub(super) verdict: Arc<Verdict>,
    /// Where the kind of the verdict can be had whole: its schemas are large, and seldom asked for.
    source: Option<Source>,
    /// The group-versions that the generation asks for.
    pub(super) claimed: Arc<[GroupVersion]>,
    /// What becomes of instances when the definition goes.
    pub(super) deletion_policy: DeletionPolicy,
}

/// What a definition is judged by besides itself: when it changes, what was refused is judged again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Light {
    /// The revision of the last record.
    recorded: Option<i64>,
    /// What was found about the instances.
    answer: Option<Answer>,
    /// The value of the annotation that consents to harm.
    force: Option<String>,
    /// What the cluster takes as a HelmRelease.
    releases: ReleaseSchema,
}

/// What a kind was compiled from.
#[derive(Clone, Debug)]
enum Source {
    Definition(DefinitionForm, Arc<WatchedDefinition>),
    Record(Arc<AcceptedGeneration>),
}

impl Source {
    fn compile(&self, own_storage: OwnStorage) -> Result<Kind, RecordError> {
        match self {
            Self::Definition(form, object) => Ok(form.recompile(&watched::whole(*form, object), own_storage)?.kind),
            Self::Record(record) => record.kind(own_storage),
        }
    }
}

/// What is known of all definitions, and what they are compiled for.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    own_storage: OwnStorage,
    /// By uid.
    known: HashMap<String, Known>,
}

impl Verdicts {
    /// Nothing is known yet.
    pub(super) fn new(own_storage: OwnStorage) -> Self {
        Self { own_storage, known: HashMap::new() }
    }

    /// Forgets those of which the uid is not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.known.retain(|uid, _| is_kept(uid));
    }

    /// What is known of a definition, which is found out where something changed.
    pub(super) fn of(&mut self, definition: &Definition, object: &Arc<WatchedDefinition>, grounds: &Grounds) -> &Known {
        let uid = &definition.uid;
        let record = grounds.records.as_ref().and_then(|records| records.last(uid));
        let light = Light {
            recorded: record.as_ref().map(|record| record.revision),
            answer: grounds.answers.get(&(uid.clone(), Asker::Generation(definition.state.clone()))).cloned(),
            force: object.annotations().get(FORCE_ANNOTATION).cloned(),
            releases: grounds.releases.clone(),
        };
        // What was accepted stays so; what was refused may be seen in another light.
        let settled = |known: &Known| {
            known.state == definition.state && (known.light == light || known.verdict.refused.is_none())
        };
        let before = self.known.remove(uid);
        let known = match before {
            Some(known) if settled(&known) => known,
            before => self.find_out(definition, object, grounds, record.as_ref(), light, before),
        };
        self.known.entry(uid.clone()).or_insert(known)
    }

    fn find_out(
        &self,
        definition: &Definition,
        object: &Arc<WatchedDefinition>,
        grounds: &Grounds,
        record: Option<&Arc<AcceptedGeneration>>,
        light: Light,
        before: Option<Known>,
    ) -> Known {
        let form = definition.form;
        let whole = watched::whole(form, object);
        let claimed = form.claimed(&whole).iter().map(|(group, version)| GroupVersion::new(group, version)).collect();
        let deletion_policy = match whole.pointer("/spec/deletionPolicy").and_then(|policy| policy.as_str()) {
            Some("Orphan") => DeletionPolicy::Orphan,
            _ => DeletionPolicy::Block,
        };
        let last = before.and_then(|known| known.verdict.kind.clone().zip(known.source)).or_else(|| {
            // One that is recorded in this state was accepted in another life.
            let record = record.filter(|record| record.state != definition.state)?;
            let kind = record.kind(self.own_storage).inspect_err(|error| {
                tracing::warn!(definition = definition.name, %error, "there is no last good generation");
            });
            Some((Arc::new(KindOutline::from(&kind.ok()?)), Source::Record(Arc::clone(record))))
        });
        let own = Source::Definition(form, Arc::clone(object));
        let recorded = record.is_some_and(|record| record.state == definition.state);
        let target = Target { own_storage: self.own_storage, releases: grounds.releases.clone() };
        // What was accepted stays so, whatever rules have come since.
        let compiled = if recorded {
            form.recompile(&whole, &target).map(|Recompiled { kind, faults }| (kind, faults))
        } else {
            form.compile(&whole, &target).map(|kind| (kind, Vec::new()))
        };
        let (verdict, source) = match compiled.map_err(described) {
            Err(faults) => {
                tracing::warn!(definition = definition.name, %faults, "the definition is refused");
                let refused = Refusal { truth: Truth::False, reason: "InvalidDefinition", message: faults };
                let (kind, source) = last.unzip();
                (Verdict { refused: Some(refused), forgiven: None, kind, question: None }, source)
            }
            Ok((kind, faults)) => {
                let forgiven = (!faults.is_empty()).then(|| describe(&faults));
                if let Some(faults) = &forgiven {
                    tracing::warn!(
                        definition = definition.name,
                        faults,
                        "accepted before, and goes on in spite of faults"
                    );
                }
                let consented = recorded || grounds.records.is_none() || was_never_served(definition);
                let generation = definition.generation.unwrap_or_default();
                let forced = light.force.as_deref().is_some_and(|force| succession::forces(force, generation));
                let last = last.filter(|_| !consented && !forced);
                let last = last.and_then(|(_, source)| Some((source.compile(self.own_storage).ok()?, source)));
                let answer = light.answer.as_ref();
                match last.and_then(|(last, source)| Some((refuse(definition, last, &kind, answer)?, source))) {
                    Some((refused, source)) => (refused, Some(source)),
                    None => {
                        let kind = Some(Arc::new(KindOutline::from(&kind)));
                        (Verdict { refused: None, forgiven, kind, question: None }, Some(own))
                    }
                }
            }
        };
        Known { state: definition.state.clone(), light, verdict: Arc::new(verdict), source, claimed, deletion_policy }
    }
}

/// Whether a definition that is being deleted may go.
pub(super) fn deletion(definition: &Definition, policy: DeletionPolicy, grounds: &Grounds) -> Deletion {
    let is_served = grounds.records.is_some() && definition.verdict.kind.is_some() && !was_never_served(definition);
    if policy == DeletionPolicy::Orphan || !is_served {
        return Deletion::LetGo;
    }
    match grounds.answers.get(&(definition.uid.clone(), Asker::Deletion)) {
        Some(Answer::Harmless) => Deletion::LetGo,
        answer => Deletion::Held(answer.cloned()),
    }
}

/// Whether another holds the names, so that there can be no instances.
fn was_never_served(definition: &Definition) -> bool {
    let mut conditions = definition.status.conditions.iter();
    conditions.any(|found| found.type_ == CONDITION_NAMES_ACCEPTED && found.status == "False")
}

/// What is found about a kind that compiles and may not follow the one before it, or not yet.
fn refuse(definition: &Definition, last: Kind, next: &Kind, answer: Option<&Answer>) -> Option<Verdict> {
    let threats = succession::threats(&last, next);
    if threats.is_empty() || answer == Some(&Answer::Harmless) {
        return None;
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
    let outline = Arc::new(KindOutline::from(&last));
    let question = Question {
        uid: definition.uid.clone(),
        asker: Asker::Generation(definition.state.clone()),
        old: Arc::clone(&outline),
        asking: Asking::Harm { old: Arc::new(last), new: Arc::new(next.clone()), threats: threats.into() },
    };
    Some(Verdict { refused: Some(refused), forgiven: None, kind: Some(outline), question: Some(question) })
}

fn described(error: DefinitionError) -> String {
    match error {
        DefinitionError::Faulty(faults) => describe(&faults),
        unreadable @ DefinitionError::Unreadable(_) => unreadable.to_string(),
    }
}

/// The first of several faults as one text, and how many more there are.
pub(super) fn describe<T: std::fmt::Display>(faults: &[T]) -> String {
    let mut text = faults.iter().take(FAULTS_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if let Some(more) = faults.len().checked_sub(FAULTS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
