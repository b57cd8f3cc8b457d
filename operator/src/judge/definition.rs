//! A definition that was judged: what it asks for, and what was found about it.

use std::sync::Arc;

use kindsmith_crds::{
    Adopt, ApplicationDefinitionStatus, CONDITION_NAMES_ACCEPTED, CONDITION_REGISTERED, CONDITION_SERVED, Names,
};
use kindsmith_schema::{
    form::DefinitionForm,
    groups,
    kind::{KindBackend, KindOutline},
};

use crate::{
    finding::Truth,
    group_version::GroupVersion,
    inspection::{Answer, Asker, Asking, Question},
    progress::Progress,
};

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
    /// Fingerprint of what its kind is compiled from: see [`DefinitionForm::state`].
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
    /// Which other definition it may get in the way of, though both are served.
    pub collision: Option<String>,
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
    /// Its faults by the rules of today, where it goes on because it was accepted before.
    pub forgiven: Option<String>,
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
    /// Whether it is the same in all that is decided by. Each field is named, so that a new one is not forgotten here.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let Self {
            form,
            name,
            uid,
            generation,
            state,
            resource_version,
            created,
            status,
            claimed,
            verdict,
            finalizers,
            deletion,
            aggregates_roles,
            rollout,
            conflict,
            collision,
        } = self;
        (form, name, uid, generation) == (&other.form, &other.name, &other.uid, &other.generation)
            && (state, resource_version, created) == (&other.state, &other.resource_version, &other.created)
            && (Arc::ptr_eq(status, &other.status) || *status == other.status)
            && Arc::ptr_eq(claimed, &other.claimed)
            && Arc::ptr_eq(verdict, &other.verdict)
            && (finalizers, deletion) == (&other.finalizers, &other.deletion)
            && (aggregates_roles, rollout) == (&other.aggregates_roles, &other.rollout)
            && (conflict, collision) == (&other.conflict, &other.collision)
    }

    /// Reports whether it asks for a group that belongs to somebody else: nothing of it is kept, whoever accepted it.
    fn is_in_group_of_others(&self) -> bool {
        let own = self.form == DefinitionForm::Kindsmith;
        own && self.claimed.iter().any(|it| groups::owner(&it.group).is_some())
    }

    /// Reports whether it stays and no good generation of it is known: what there is of it is kept, since it may be served.
    pub(crate) fn is_unknown(&self) -> bool {
        self.verdict.kind.is_none() && self.deletion != Deletion::LetGo && !self.is_in_group_of_others()
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
            asker: Asker::Deletion,
            old: Arc::clone(kind),
            asking: Asking::Existence,
        })
    }

    /// The group-versions of the kind that is or would be served.
    pub(crate) fn served(&self) -> Vec<GroupVersion> {
        let Some(kind) = &self.verdict.kind else { return Vec::new() };
        kind.served_versions().map(|version| GroupVersion::new(&kind.group, &version.name)).collect()
    }

    /// Which releases are instances besides those that have the labels of the kind; none where there are no releases.
    pub(crate) fn adopt(&self) -> Option<Adopt> {
        match &self.verdict.kind.as_ref()?.backend {
            KindBackend::Release(template) => Some(template.adopt()),
            KindBackend::Stored => None,
        }
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

#[cfg(test)]
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}
