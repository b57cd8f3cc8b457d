//! What is told of the definitions to those who go on beside the loop, when it is something else than before.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use kindsmith_schema::kind::KindOutline;

use crate::{
    announcement::Announcer,
    discoverable::{Address, Discoverable},
    events::Events,
    inspection::{Inspections, Question},
    judge::{Definition, Deletion},
    listed::{List, differing},
    references::References,
    replicas::Replicas,
    rollout::Rollouts,
};

/// What goes on beside the loop, by itself.
pub(super) struct Following {
    pub(super) rollouts: Arc<Rollouts>,
    /// None where there is no cluster, and nothing to refer to.
    pub(super) references: Option<Arc<References>>,
    pub(super) inspections: Arc<Inspections>,
    /// None without a cluster.
    pub(super) discoverable: Option<Arc<Discoverable>>,
    /// None without a cluster.
    pub(super) events: Option<Arc<Events>>,
    /// None without a cluster.
    pub(super) announcer: Option<Arc<Announcer>>,
    /// None when nobody asks them.
    pub(super) replicas: Option<Arc<Replicas>>,
    pub(super) told: Told,
}

/// What was told of the definitions to those who go on beside the loop.
#[derive(Default)]
pub(super) struct Told {
    definitions: List<Definition>,
    /// What was told of each definition.
    each: Vec<ToldOf>,
    /// The groups that definitions ask for, or have asked for.
    pub(super) groups: HashSet<String>,
    /// Changes with the generations of all definitions.
    pub(super) generations: u64,
}

/// What is told of one definition.
#[derive(Default)]
struct ToldOf {
    /// Changes with its generation.
    generation: u64,
    question: Option<Question>,
    kind: Option<Arc<KindOutline>>,
    /// Whether the kind may be begun with.
    sound: Option<Sound>,
    /// What clients should find of it.
    addresses: Vec<Address>,
}

/// Whether there is something to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    Some,
}

/// Whether this generation itself was accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sound {
    Yes,
    Refused,
}

impl ToldOf {
    /// What is to be told now; `before` is what was told of the same definition.
    fn new(definition: &Definition, before: &Self) -> Self {
        let mut hash = DefaultHasher::new();
        (&definition.uid, definition.generation).hash(&mut hash);
        // What is not served is not looked for; but while a change comes to all replicas, clients find what they found.
        let is_served = definition.is_said_to_be_served();
        let is_kept =
            |address: &Address| is_served || definition.is_established() && before.addresses.contains(address);
        let plural = definition.verdict.kind.as_ref().map(|kind| kind.names.plural.clone()).unwrap_or_default();
        let served = definition.served().into_iter().map(|group_version| (group_version, plural.clone()));
        Self {
            generation: hash.finish(),
            question: definition.question(),
            kind: definition.verdict.kind.clone(),
            sound: Some(if definition.verdict.refused.is_none() { Sound::Yes } else { Sound::Refused }),
            addresses: served.filter(is_kept).collect(),
        }
    }

    /// Whether the same was told of its kind.
    fn has_same_kind(&self, other: &Self) -> bool {
        let kind = |told: &Self| told.kind.as_ref().map(Arc::as_ptr);
        kind(self) == kind(other) && self.sound == other.sound
    }
}

impl Following {
    /// Tells them what there is, where that is something else than before.
    pub(super) fn tell(&mut self, definitions: &List<Definition>) {
        let told = &mut self.told;
        if Arc::ptr_eq(&told.definitions, definitions) {
            return;
        }
        let (mut kinds, mut questions, mut addresses) = (News::None, News::None, News::None);
        let others: Vec<usize> = match differing(&told.definitions, definitions) {
            Some(others) => others.map(|(index, ..)| index).collect(),
            None => {
                (kinds, questions, addresses) = (News::Some, News::Some, News::Some);
                let all = told.definitions.iter().map(|definition| definition.uid.clone());
                let mut before: HashMap<String, ToldOf> = all.zip(told.each.drain(..)).collect();
                let each = definitions.iter().map(|definition| before.remove(&definition.uid).unwrap_or_default());
                told.each = each.collect();
                told.groups.clear();
                (0..definitions.len()).collect()
            }
        };
        for (index, definition) in others.iter().filter_map(|index| Some((*index, definitions.get(*index)?))) {
            let groups = definition.claimed.iter().map(|claimed| &claimed.group);
            for group in groups {
                if !told.groups.contains(group) {
                    told.groups.insert(group.clone());
                }
            }
            let Some(held) = told.each.get_mut(index) else { continue };
            let now = ToldOf::new(definition, held);
            if held.addresses != now.addresses {
                addresses = News::Some;
            }
            if !held.has_same_kind(&now) {
                kinds = News::Some;
            }
            if held.question.is_some() || now.question.is_some() {
                questions = News::Some;
            }
            *held = now;
        }
        let mut hash = DefaultHasher::new();
        told.each.iter().for_each(|each| each.generation.hash(&mut hash));
        told.generations = hash.finish();
        told.definitions = Arc::clone(definitions);
        if questions == News::Some {
            self.inspections.ask(told.each.iter().filter_map(|each| each.question.clone()).collect());
        }
        if addresses == News::Some
            && let Some(discoverable) = &self.discoverable
        {
            discoverable.want(told.each.iter().flat_map(|each| each.addresses.iter().cloned()).collect());
        }
        if kinds == News::Some {
            self.tell_kinds(definitions);
        }
    }

    fn tell_kinds(&self, definitions: &[Arc<Definition>]) {
        if let Some(events) = &self.events {
            let served = definitions.iter().filter(|it| it.deletion != Deletion::LetGo);
            events.set_kinds(served.filter_map(|it| it.verdict.kind.clone()).collect());
        }
        // The last good generation of a definition that is refused goes on; it is not begun with.
        let sound = definitions.iter().filter(|it| it.verdict.refused.is_none());
        let kinds: Vec<_> = sound.filter_map(|it| Some((it.uid.clone(), it.verdict.kind.clone()?))).collect();
        if let Some(references) = &self.references {
            references.set_kinds(kinds.iter().map(|(_, kind)| Arc::clone(kind)).collect());
        }
        self.rollouts.set_kinds(kinds);
    }
}
