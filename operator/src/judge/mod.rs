//! Judges each definition once a generation, alone: what it asks for, or why it cannot be accepted; then who may have
//! the names that several ask for.
//!
//! A definition about which nothing changed is the same `Arc` as at the look before.

/// A definition that was judged.
mod definition;

/// How a verdict is found.
mod verdict;

pub(crate) use definition::{Definition, Deletion, Refusal};

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use kindsmith_crds::FINALIZER;
use kindsmith_schema::{
    compile::OwnStorage,
    form::DefinitionForm,
    holders::Holders,
    kind::{Claim, KindOutline},
    release_schema::ReleaseSchema,
};
use kube::ResourceExt;

use self::{
    definition::Verdict,
    verdict::{Verdicts, deletion, describe},
};
use crate::{
    inspection::Answers,
    listed::{List, differing},
    progress::Progress,
    records::Records,
    watched::{self, WatchedDefinition},
};

/// With the value `false`, the built-in roles view, edit and admin do not take up those of the kind.
const AGGREGATE_ROLES_ANNOTATION: &str = "kindsmith.dev/aggregate-roles";

/// Inputs to judging other than the definitions.
#[derive(Default)]
pub(crate) struct Grounds {
    /// The generations that were accepted; without a cluster nobody records them, and each change is taken at once.
    pub records: Option<Arc<Records>>,
    /// What was found about instances.
    pub answers: Answers,
    /// How far settings have come, by uid.
    pub progress: Arc<BTreeMap<String, Progress>>,
    /// What the cluster takes as a HelmRelease.
    pub releases: ReleaseSchema,
}

impl Grounds {
    /// The revision of the last record of a definition.
    fn recorded(&self, uid: &str) -> Option<i64> {
        Some(self.records.as_ref()?.last(uid)?.revision)
    }
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

/// All definitions there are, by their form.
pub(crate) type Lists = Vec<(DefinitionForm, List<WatchedDefinition>)>;

/// Judges definitions, and remembers what it found and which generation was the last good one.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    verdicts: Verdicts,
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
    answers: Answers,
    progress: Arc<BTreeMap<String, Progress>>,
    releases: ReleaseSchema,
    /// All definitions, the oldest first.
    definitions: List<Definition>,
}

impl Judge {
    /// Judges by the storage that the apiserver has.
    pub(crate) fn new(own_storage: OwnStorage) -> Self {
        Self { verdicts: Verdicts::new(own_storage), ..Self::default() }
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
        let releases = grounds.releases.clone();
        self.last = Last { lists, records, answers, progress, releases, definitions: Arc::clone(&definitions) };
        definitions
    }

    /// The objects, by uid, about which something else may be found than at the last look; none where that may be all,
    /// or where some may have come or gone.
    fn others(
        &self,
        lists: &Lists,
        grounds: &Grounds,
    ) -> Option<BTreeMap<String, (DefinitionForm, Arc<WatchedDefinition>)>> {
        let last = &self.last;
        let same_progress = Arc::ptr_eq(&last.progress, &grounds.progress);
        let same_grounds = same_progress && last.answers == grounds.answers && last.releases == grounds.releases;
        if !same_grounds || last.lists.len() != lists.len() {
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
        let same_grounds = self.last.answers == grounds.answers && self.last.releases == grounds.releases;
        for (form, object) in lists.iter().flat_map(|(form, list)| list.iter().map(|object| (*form, object))) {
            let waits = form.has_status() && object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
            if !waits && object.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let uid = object.metadata.uid.as_deref().unwrap_or_default();
            if let Some(seen) = self.seen.get_mut(uid) {
                let is_same = Arc::ptr_eq(&seen.object, object)
                    && same_grounds
                    && seen.recorded == grounds.recorded(uid)
                    && seen.definition.rollout.as_ref() == grounds.progress.get(uid);
                if is_same {
                    seen.look = self.look;
                    continue;
                }
            }
            self.look_at(form, object, grounds);
        }
        self.seen.retain(|_, seen| seen.look == self.look);
        self.verdicts.retain(|uid| self.seen.contains_key(uid));
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
        definition.collision = before.and_then(|before| before.definition.collision.clone());
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
            let findings = definition.verdict.kind.as_ref().and_then(|_| found.next());
            let conflict = findings.and_then(|findings| match &findings.overlap {
                _ if !findings.names.is_empty() => Some(describe(&findings.names)),
                overlap => overlap.as_ref().map(ToString::to_string),
            });
            let collision = findings.and_then(|findings| findings.collision.as_ref().map(ToString::to_string));
            if (&definition.conflict, &definition.collision) != (&conflict, &collision) {
                let told = Arc::make_mut(definition);
                told.conflict = conflict;
                told.collision = collision;
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
            verdict: Arc::new(Verdict { refused: None, forgiven: None, kind: None, question: None }),
            finalizers: object.finalizers().to_vec(),
            deletion: Deletion::NotAsked,
            aggregates_roles: object.annotations().get(AGGREGATE_ROLES_ANNOTATION).is_none_or(|it| it != "false"),
            rollout: metadata.uid.as_ref().and_then(|uid| grounds.progress.get(uid).cloned()),
            conflict: None,
            collision: None,
        };
        let known = self.verdicts.of(&definition, object, grounds);
        definition.claimed = Arc::clone(&known.claimed);
        definition.verdict = Arc::clone(&known.verdict);
        let deletion_policy = known.deletion_policy;
        if metadata.deletion_timestamp.is_some() {
            definition.deletion = deletion(&definition, deletion_policy, grounds);
        }
        definition
    }
}

#[cfg(test)]
impl Judge {
    /// One that knows as much, and has looked at nothing yet.
    pub(crate) fn before_any_look(&self) -> Self {
        Self { verdicts: self.verdicts.clone(), ..Self::default() }
    }
}
