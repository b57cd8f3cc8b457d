//! Judges each definition once a generation, alone: what it asks for, or why it cannot be accepted; then who may have the
//! names that several ask for.
//!
//! A definition about which nothing changed is the same `Arc` as at the look before.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use kindsmith_crds::{
    ApplicationDefinitionStatus, CONDITION_NAMES_ACCEPTED, CONDITION_REGISTERED, CONDITION_SERVED, FINALIZER, Names,
};
use kindsmith_schema::{
    compile::OwnStorage,
    form::{DefinitionError, DefinitionForm},
    holders::Holders,
    kind::{Claim, Kind, KindOutline},
    succession::{self, AcceptedGeneration, FORCE_ANNOTATION, RecordError},
};
use kube::ResourceExt;

use crate::{
    decide::Truth,
    group_version::GroupVersion,
    inspection::{Answer, Asking, DELETION, Question},
    listed::{List, differing},
    records::Records,
    rollout::Progress,
    watched::{self, WatchedDefinition},
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
    /// How far settings have come, by uid.
    pub progress: Arc<BTreeMap<String, Progress>>,
}

impl Grounds {
    /// The revision of the last record of a definition.
    fn recorded(&self, uid: &str) -> Option<i64> {
        Some(self.records.as_ref()?.last(uid)?.revision)
    }
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
    pub status: Arc<ApplicationDefinitionStatus>,
    /// The group-versions that it asks for, accepted or not.
    pub claimed: Arc<[GroupVersion]>,
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
    /// Why it may not have the names or the prefix that it asks for.
    pub conflict: Option<String>,
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
    pub kind: Option<Arc<KindOutline>>,
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
    /// Whether it is the same in all that is decided by.
    fn is_same(&self, other: &Self) -> bool {
        let Self { form, name, uid, generation, state, resource_version, created, finalizers, .. } = self;
        let written = (form, name, uid, generation, state, resource_version, created, finalizers)
            == (
                &other.form,
                &other.name,
                &other.uid,
                &other.generation,
                &other.state,
                &other.resource_version,
                &other.created,
                &other.finalizers,
            );
        written
            && (Arc::ptr_eq(&self.status, &other.status) || self.status == other.status)
            && Arc::ptr_eq(&self.claimed, &other.claimed)
            && Arc::ptr_eq(&self.verdict, &other.verdict)
            && self.deletion == other.deletion
            && self.aggregates_roles == other.aggregates_roles
            && self.rollout == other.rollout
            && self.conflict == other.conflict
    }

    /// Whether its status says that it is served.
    pub(crate) fn is_said_to_be_served(&self) -> bool {
        self.is_said_to_be(CONDITION_SERVED)
    }

    /// Whether it has the names that it asks for and is registered, by its status, and stays.
    pub(crate) fn is_established(&self) -> bool {
        let said =
            [CONDITION_NAMES_ACCEPTED, CONDITION_REGISTERED].iter().all(|condition| self.is_said_to_be(condition));
        said && self.conflict.is_none() && self.deletion == Deletion::NotAsked
    }

    fn is_said_to_be(&self, condition: &str) -> bool {
        self.status.conditions.iter().any(|found| found.type_ == condition && found.status == "True")
    }

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

/// What is known of a definition.
#[derive(Clone, Debug)]
struct Known {
    /// The state that was judged.
    state: String,
    /// What it was judged by.
    grounds: String,
    /// What was found.
    verdict: Arc<Verdict>,
    /// Where the kind of the verdict can be had whole: its schemas are large, and seldom asked for.
    source: Option<Source>,
    /// The group-versions that the generation asks for.
    claimed: Arc<[GroupVersion]>,
    /// Whether instances may be left when the definition goes.
    orphans: bool,
}

/// A definition as it was seen last.
#[derive(Debug)]
struct Seen {
    object: Arc<WatchedDefinition>,
    /// Its last record then.
    recorded: Option<i64>,
    definition: Arc<Definition>,
    /// In which look.
    look: u64,
}

/// Whether definitions ask for the names and prefixes that they asked for before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claims {
    AsBefore,
    Others,
}

fn claim_the_same(before: &Definition, now: &Definition) -> bool {
    match (&before.verdict.kind, &now.verdict.kind) {
        (None, None) => true,
        (Some(before), Some(now)) => {
            Arc::ptr_eq(before, now) || Claim::from(before.as_ref()).is_same(&Claim::from(now.as_ref()))
        }
        _ => false,
    }
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
            Self::Definition(form, object) => Ok(watched::compile(*form, object, own_storage)?),
            Self::Record(record) => record.kind(own_storage),
        }
    }
}

/// All definitions there are, by their form.
pub(crate) type Lists = Vec<(DefinitionForm, List<WatchedDefinition>)>;

/// Judges definitions, and remembers what it found and which generation was the last good one.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    own_storage: OwnStorage,
    /// By uid.
    known: HashMap<String, Known>,
    /// By uid.
    seen: HashMap<String, Seen>,
    look: u64,
    last: Last,
    holders: Holders<KindOutline>,
}

/// What was judged in the last look, by what, and what it gave.
#[derive(Debug, Default)]
struct Last {
    lists: Lists,
    /// How often the records had changed.
    records: Option<u64>,
    answers: HashMap<(String, String), Answer>,
    progress: Arc<BTreeMap<String, Progress>>,
    /// All definitions, the oldest first.
    definitions: List<Definition>,
}

impl Judge {
    /// Judges by the storage that the apiserver has.
    pub(crate) fn new(own_storage: OwnStorage) -> Self {
        Self { own_storage, ..Self::default() }
    }

    /// Judges all definitions there are, the oldest first. One that is being deleted is gone, unless it waits for us.
    pub(crate) fn judge(&mut self, lists: Lists, grounds: &Grounds) -> List<Definition> {
        // Before anything is read: what changes meanwhile is seen at the next look.
        let records = grounds.records.as_ref().map(|records| records.changes());
        let definitions = match self.others(&lists, grounds) {
            Some(others) => self.judge_some(others, grounds),
            None => self.judge_all(&lists, grounds),
        };
        let (answers, progress) = (grounds.answers.clone(), Arc::clone(&grounds.progress));
        self.last = Last { lists, records, answers, progress, definitions: Arc::clone(&definitions) };
        definitions
    }

    /// The objects, by uid, about which something else may be found than at the last look; none where that may be all, or
    /// where some may have come or gone.
    fn others(
        &self,
        lists: &Lists,
        grounds: &Grounds,
    ) -> Option<BTreeMap<String, (DefinitionForm, Arc<WatchedDefinition>)>> {
        let last = &self.last;
        let same_progress = Arc::ptr_eq(&last.progress, &grounds.progress);
        if !same_progress || last.answers != grounds.answers || last.lists.len() != lists.len() {
            return None;
        }
        let mut others = BTreeMap::new();
        for ((last_form, before), (form, now)) in last.lists.iter().zip(lists) {
            if last_form != form {
                return None;
            }
            if Arc::ptr_eq(before, now) {
                continue;
            }
            for (_, before, now) in differing(before, now)? {
                let leaves = [before, now].iter().any(|object| object.metadata.deletion_timestamp.is_some());
                if leaves || before.metadata.uid != now.metadata.uid {
                    return None;
                }
                others.insert(now.metadata.uid.clone()?, (*form, Arc::clone(now)));
            }
        }
        match (&grounds.records, last.records) {
            (None, None) => {}
            (Some(records), Some(seen)) => {
                for uid in records.changed_since(seen)? {
                    if let Some(seen) = self.seen.get(&uid) {
                        others.entry(uid).or_insert_with(|| (seen.definition.form, Arc::clone(&seen.object)));
                    }
                }
            }
            _ => return None,
        }
        Some(others)
    }

    /// Judges some of those that were judged at the last look.
    fn judge_some(
        &mut self,
        others: BTreeMap<String, (DefinitionForm, Arc<WatchedDefinition>)>,
        grounds: &Grounds,
    ) -> List<Definition> {
        let mut definitions = Arc::clone(&self.last.definitions);
        let mut claims = Claims::AsBefore;
        for (uid, (form, object)) in others {
            let before = self.seen.get(&uid).map(|seen| Arc::clone(&seen.definition));
            let Some(definition) = self.look_at(form, &object, grounds) else { continue };
            let place = definitions.iter().position(|it| before.as_ref().is_some_and(|before| Arc::ptr_eq(it, before)));
            if !before.is_some_and(|before| claim_the_same(&before, &definition)) {
                claims = Claims::Others;
            }
            if let Some(held) = place.and_then(|place| Arc::make_mut(&mut definitions).get_mut(place)) {
                *held = definition;
            }
        }
        if claims == Claims::Others {
            self.settle_conflicts(Arc::make_mut(&mut definitions).as_mut_slice());
        }
        definitions
    }

    fn judge_all(&mut self, lists: &Lists, grounds: &Grounds) -> List<Definition> {
        self.look = self.look.wrapping_add(1);
        let same_answers = self.last.answers == grounds.answers;
        for (form, object) in lists.iter().flat_map(|(form, list)| list.iter().map(|object| (*form, object))) {
            let waits = form.has_status() && object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
            if !waits && object.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let uid = object.metadata.uid.as_deref().unwrap_or_default();
            if let Some(seen) = self.seen.get_mut(uid) {
                let is_same = Arc::ptr_eq(&seen.object, object)
                    && same_answers
                    && seen.recorded == grounds.recorded(uid)
                    && seen.definition.rollout == grounds.progress.get(uid).copied();
                if is_same {
                    seen.look = self.look;
                    continue;
                }
            }
            self.look_at(form, object, grounds);
        }
        self.seen.retain(|_, seen| seen.look == self.look);
        self.known.retain(|uid, _| self.seen.contains_key(uid));
        let mut definitions: Vec<_> = self.seen.values().map(|seen| Arc::clone(&seen.definition)).collect();
        definitions.sort_by(|left, right| {
            (left.created, &left.name, left.form).cmp(&(right.created, &right.name, right.form))
        });
        self.settle_conflicts(&mut definitions);
        Arc::new(definitions)
    }

    /// Judges one; none when all is as it was found before.
    fn look_at(
        &mut self,
        form: DefinitionForm,
        object: &Arc<WatchedDefinition>,
        grounds: &Grounds,
    ) -> Option<Arc<Definition>> {
        let recorded = grounds.recorded(object.metadata.uid.as_deref().unwrap_or_default());
        let mut definition = self.definition(form, object, grounds);
        let before = self.seen.get(&definition.uid);
        definition.conflict = before.and_then(|before| before.definition.conflict.clone());
        let (definition, news) = match before {
            Some(before) if before.definition.is_same(&definition) => (Arc::clone(&before.definition), None),
            _ => {
                let definition = Arc::new(definition);
                (Arc::clone(&definition), Some(definition))
            }
        };
        let seen = Seen { object: Arc::clone(object), recorded, definition, look: self.look };
        self.seen.insert(seen.definition.uid.clone(), seen);
        news
    }

    /// Finds out which definitions may not have the names and the prefix they ask for.
    fn settle_conflicts(&mut self, definitions: &mut [Arc<Definition>]) {
        let kinds = definitions.iter().filter_map(|it| it.verdict.kind.clone());
        let kinds: Vec<Arc<KindOutline>> = kinds.collect();
        let mut found = self.holders.judge(&kinds);
        for definition in definitions {
            let denied = definition.verdict.kind.as_ref().and_then(|_| found.next());
            let conflict = denied.and_then(|denied| match &denied.overlap {
                _ if !denied.names.is_empty() => Some(describe(&denied.names)),
                overlap => overlap.as_ref().map(ToString::to_string),
            });
            if definition.conflict != conflict {
                Arc::make_mut(definition).conflict = conflict;
                if let Some(seen) = self.seen.get_mut(&definition.uid) {
                    seen.definition = Arc::clone(definition);
                }
            }
        }
    }

    fn definition(&mut self, form: DefinitionForm, object: &Arc<WatchedDefinition>, grounds: &Grounds) -> Definition {
        let metadata = &object.metadata;
        let mut definition = Definition {
            form,
            name: object.name_any(),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation,
            state: watched::state(form, metadata),
            resource_version: metadata.resource_version.clone(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0).unwrap_or_default(),
            status: object.status.as_ref().map(|status| Arc::clone(&status.0)).unwrap_or_default(),
            claimed: Arc::new([]),
            verdict: Arc::new(Verdict { refused: None, kind: None, question: None }),
            finalizers: object.finalizers().to_vec(),
            deletion: Deletion::NotAsked,
            aggregates_roles: object.annotations().get(AGGREGATE_ROLES_ANNOTATION).is_none_or(|it| it != "false"),
            rollout: metadata.uid.as_ref().and_then(|uid| grounds.progress.get(uid).copied()),
            conflict: None,
        };
        let known = self.known(&definition, object, grounds);
        definition.claimed = Arc::clone(&known.claimed);
        definition.verdict = Arc::clone(&known.verdict);
        let orphans = known.orphans;
        if metadata.deletion_timestamp.is_some() {
            definition.deletion = deletion(&definition, orphans, grounds);
        }
        definition
    }

    /// What is known of a definition, which is found out where something changed.
    fn known(&mut self, definition: &Definition, object: &Arc<WatchedDefinition>, grounds: &Grounds) -> &Known {
        let uid = &definition.uid;
        let record = grounds.records.as_ref().and_then(|records| records.last(uid));
        let answer = grounds.answers.get(&(uid.clone(), definition.state.clone()));
        let force = object.annotations().get(FORCE_ANNOTATION).map(String::as_str).unwrap_or_default();
        let by = format!("{:?} {answer:?} {force:?}", record.as_ref().map(|record| record.revision));
        // What was accepted stays so; what was refused may be seen in another light.
        let settled =
            |known: &Known| known.state == definition.state && (known.grounds == by || known.verdict.refused.is_none());
        let before = self.known.remove(uid);
        let known = match before {
            Some(known) if settled(&known) => known,
            before => self.find_out(definition, object, grounds, Light { record, answer, force, by }, before),
        };
        self.known.entry(uid.clone()).or_insert(known)
    }

    fn find_out(
        &self,
        definition: &Definition,
        object: &Arc<WatchedDefinition>,
        grounds: &Grounds,
        light: Light<'_>,
        before: Option<Known>,
    ) -> Known {
        let form = definition.form;
        let whole = watched::whole(form, object);
        let claimed = form.claimed(&whole).iter().map(|(group, version)| GroupVersion::new(group, version)).collect();
        let orphans = whole.pointer("/spec/deletionPolicy").and_then(|policy| policy.as_str()) == Some("Orphan");
        let last = before.and_then(|known| known.verdict.kind.clone().zip(known.source)).or_else(|| {
            // One that is recorded in this state was accepted in another life.
            let record = light.record.as_ref().filter(|record| record.state != definition.state)?;
            let kind = record.kind(self.own_storage).inspect_err(|error| {
                tracing::warn!(definition = definition.name, %error, "there is no last good generation");
            });
            Some((Arc::new(KindOutline::from(&kind.ok()?)), Source::Record(Arc::clone(record))))
        });
        let own = Source::Definition(form, Arc::clone(object));
        let (verdict, source) = match form.compile(&whole, self.own_storage).map_err(described) {
            Err(faults) => {
                tracing::warn!(definition = definition.name, %faults, "the definition is refused");
                let refused = Refusal { truth: Truth::False, reason: "InvalidDefinition", message: faults };
                let (kind, source) = last.unzip();
                (Verdict { refused: Some(refused), kind, question: None }, source)
            }
            Ok(kind) => {
                let recorded = light.record.is_some_and(|record| record.state == definition.state);
                let consented = recorded || grounds.records.is_none() || was_never_served(definition);
                let forced = succession::forces(light.force, definition.generation.unwrap_or_default());
                let last = last.filter(|_| !consented && !forced);
                let last = last.and_then(|(_, source)| Some((source.compile(self.own_storage).ok()?, source)));
                match last.and_then(|(last, source)| Some((refuse(definition, last, &kind, light.answer)?, source))) {
                    Some((refused, source)) => (refused, Some(source)),
                    None => {
                        let kind = Some(Arc::new(KindOutline::from(&kind)));
                        (Verdict { refused: None, kind, question: None }, Some(own))
                    }
                }
            }
        };
        Known {
            state: definition.state.clone(),
            grounds: light.by,
            verdict: Arc::new(verdict),
            source,
            claimed,
            orphans,
        }
    }
}

/// What a definition is judged by.
struct Light<'a> {
    record: Option<Arc<AcceptedGeneration>>,
    answer: Option<&'a Answer>,
    force: &'a str,
    /// All of it, as a text that changes with it.
    by: String,
}

/// Whether a definition that is being deleted may go.
fn deletion(definition: &Definition, orphans: bool, grounds: &Grounds) -> Deletion {
    let is_served = grounds.records.is_some() && definition.verdict.kind.is_some() && !was_never_served(definition);
    if orphans || !is_served {
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
        state: definition.state.clone(),
        old: Arc::clone(&outline),
        asking: Asking::Harm { old: Arc::new(last), new: Arc::new(next.clone()), threats: threats.into() },
    };
    Some(Verdict { refused: Some(refused), kind: Some(outline), question: Some(question) })
}

fn described(error: DefinitionError) -> String {
    match error {
        DefinitionError::Faulty(faults) => describe(&faults),
        unreadable @ DefinitionError::Unreadable(_) => unreadable.to_string(),
    }
}

fn describe<T: std::fmt::Display>(faults: &[T]) -> String {
    let mut text = faults.iter().take(FAULTS_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if let Some(more) = faults.len().checked_sub(FAULTS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

#[cfg(test)]
impl Judge {
    /// One that knows as much, and has looked at nothing yet.
    pub(crate) fn before_any_look(&self) -> Self {
        Self { own_storage: self.own_storage, known: self.known.clone(), ..Self::default() }
    }
}

#[cfg(test)]
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}
