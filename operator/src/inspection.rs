//! The instances of a kind: whether a generation of its definition takes something from them, or whether there are any.
//!
//! Flow: the judge asks, one question a definition; the instances are read through the served API, page by page; the
//! answer wakes the controller. A refusal is looked into again every while, so that mending the instances is enough.
//! Caveat: an instance that is made between the answer and the moment when the generation is served was not judged.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kindsmith_schema::{
    compatibility::Break,
    kind::{Kind, KindBackend, KindOutline, KindVersion},
    succession::harm,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams},
};
use tokio::sync::Notify;

use crate::{call::within, error::ActionError, pulse::Pulse, releases::Releases};

/// How many instances that would be harmed are named.
pub(crate) const OFFENDERS_NAMED_MAX: usize = 10;

/// How many instances are read at a time.
const PAGE_OBJECTS_MAX: u32 = 250;

/// How long the instances of one kind may take to be read.
const READ_DEADLINE: Duration = Duration::from_secs(120);

/// After that long what was found is looked into again.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// After that long instances are counted again that hold a deletion up.
const COUNTED_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How often is looked whether something is due.
const STEP: Duration = Duration::from_secs(1);

/// Who asks about the instances of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// A generation that wants to be accepted, by the state that it has: see `Definition::state`.
    Generation(String),
    /// The deletion of the definition.
    Deletion,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generation(state) => f.write_str(state),
            Self::Deletion => f.write_str("deletion"),
        }
    }
}

/// Whether instances are harmed.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The uid of the definition.
    pub uid: String,
    /// Who asks.
    pub asker: Asker,
    /// The kind that is served now, through which instances are read.
    pub old: Arc<KindOutline>,
    /// What is to be found out.
    pub asking: Asking,
}

/// What is to be found out about instances.
#[derive(Clone, Debug)]
pub(crate) enum Asking {
    /// Which are harmed by a change.
    Harm {
        /// The kind served now.
        old: Arc<Kind>,
        /// The kind proposed.
        new: Arc<Kind>,
        /// What it takes from what is served.
        threats: Arc<[Break]>,
    },
    /// Which there are.
    Existence,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No instance is harmed, or there is none.
    Harmless,
    /// Some are harmed, or there are some.
    Harmful {
        /// How many.
        count: usize,
        /// The first of them, each with what it would suffer.
        first: Vec<String>,
    },
    /// They cannot be read.
    Unreadable(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Harmless => f.write_str("no instance is harmed"),
            Self::Harmful { count: 1, first } => write!(f, "1 instance would be harmed: {}", first.join("; ")),
            Self::Harmful { count, first } => {
                write!(f, "{count} instances would be harmed: {}", first.join("; "))?;
                match count.saturating_sub(first.len()) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            Self::Unreadable(why) => write!(f, "the instances cannot be read: {why}"),
        }
    }
}

/// Answers by the uid of the definition and who asked.
pub(crate) type Answers = HashMap<(String, Asker), Answer>;

/// To which question an answer belongs: the uid of the definition, who asked, and the generation that was served.
type Asked = (String, Asker, i64);

impl Question {
    fn again_after(&self) -> Duration {
        match self.asking {
            Asking::Harm { .. } => AGAIN_AFTER,
            Asking::Existence => COUNTED_AGAIN_AFTER,
        }
    }

    fn asked(&self) -> Asked {
        (self.uid.clone(), self.asker.clone(), self.old.origin.generation)
    }
}

#[derive(Default)]
struct State {
    questions: BTreeMap<String, Question>,
    answers: HashMap<Asked, (Answer, Instant)>,
}

/// The questions of all definitions, and the answers.
pub(crate) struct Inspections {
    client: Client,
    releases: Releases,
    bell: Arc<Notify>,
    asked: Notify,
    state: Mutex<State>,
}

impl Inspections {
    /// Inspections through that client. `bell` rings when an answer is there.
    pub(crate) fn new(client: Client, releases: Releases, bell: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { client, releases, bell, asked: Notify::new(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked now; what was asked before and is not any more is forgotten.
    pub(crate) fn ask(&self, questions: Vec<Question>) {
        let mut state = self.state();
        let questions: BTreeMap<String, Question> =
            questions.into_iter().map(|question| (question.uid.clone(), question)).collect();
        let wanted: Vec<Asked> = questions.values().map(Question::asked).collect();
        state.answers.retain(|asked, _| wanted.contains(asked));
        let pending = wanted.iter().any(|asked| !state.answers.contains_key(asked));
        state.questions = questions;
        drop(state);
        if pending {
            self.asked.notify_one();
        }
    }

    /// The answers there are.
    pub(crate) fn answers(&self) -> Answers {
        let state = self.state();
        state
            .answers
            .iter()
            .map(|((uid, asker, _), (answer, _))| ((uid.clone(), asker.clone()), answer.clone()))
            .collect()
    }

    /// Answers until the task is ended.
    pub(crate) async fn run(self: Arc<Self>, pulse: Pulse) {
        loop {
            pulse.beat();
            let due = {
                let state = self.state();
                let due = |question: &&Question| match state.answers.get(&question.asked()) {
                    None => true,
                    // What is deleted next is not looked for again when it is gone.
                    Some((Answer::Harmless, _)) => false,
                    Some((_, at)) => at.elapsed() >= question.again_after(),
                };
                state.questions.values().find(due).cloned()
            };
            let Some(question) = due else {
                let _ = tokio::time::timeout(STEP, self.asked.notified()).await;
                continue;
            };
            let found = pulse.wait(tokio::time::timeout(READ_DEADLINE, self.inspect(&question))).await;
            let answer = found.unwrap_or_else(|_| Err(ActionError::Deadline(READ_DEADLINE)));
            let answer = answer.unwrap_or_else(|error| Answer::Unreadable(error.to_string()));
            let before = self.state().answers.insert(question.asked(), (answer.clone(), Instant::now()));
            if before.is_none_or(|(before, _)| before != answer) {
                let (definition, asking) = (&question.old.origin.name, &question.asker);
                tracing::info!(definition, %asking, %answer, "instances were looked at");
                self.bell.notify_one();
            }
        }
    }

    async fn inspect(&self, question: &Question) -> Result<Answer, ActionError> {
        let mut found = BTreeMap::new();
        match &question.asking {
            Asking::Existence => {
                if let Some(read) = question.old.read_version() {
                    self.inspect_version(question, &read.name, None, &mut found).await?;
                }
            }
            Asking::Harm { old, new, threats } => {
                self.inspect_releases(old, new, &mut found).await?;
                for (old, new) in judged_by(old, new, threats) {
                    let judges = new.map(|new| (old, new));
                    self.inspect_version(question, &old.name, judges, &mut found).await?;
                }
            }
        }
        if found.is_empty() {
            return Ok(Answer::Harmless);
        }
        let named = found.iter().take(OFFENDERS_NAMED_MAX).map(|(name, harm)| match &question.asking {
            Asking::Existence => name.clone(),
            Asking::Harm { .. } => format!("{name}: {harm}"),
        });
        Ok(Answer::Harmful { count: found.len(), first: named.collect() })
    }

    /// Releases that would belong to the kind no more.
    async fn inspect_releases(
        &self,
        old: &Kind,
        new: &Kind,
        found: &mut BTreeMap<String, String>,
    ) -> Result<(), ActionError> {
        let (KindBackend::Release(old), KindBackend::Release(new)) = (&old.backend, &new.backend) else {
            return Ok(());
        };
        for release in self.releases.all(&self.client).await?.iter() {
            let Ok(object) = serde_json::to_value(&**release) else { continue };
            if old.matches(&object) && !new.matches(&object) {
                let name = release.name_any();
                let name = old.instance_name(&name).unwrap_or(&name).to_owned();
                let harm = "its release would be no instance any more".to_owned();
                found.insert(address(release.namespace().as_deref(), &name), harm);
            }
        }
        Ok(())
    }

    async fn inspect_version(
        &self,
        question: &Question,
        version: &str,
        judges: Option<(&KindVersion, &KindVersion)>,
        found: &mut BTreeMap<String, String>,
    ) -> Result<(), ActionError> {
        let kind = &question.old;
        let resource = ApiResource {
            group: kind.group.clone(),
            version: version.to_owned(),
            api_version: format!("{}/{version}", kind.group),
            kind: kind.names.kind.clone(),
            plural: kind.names.plural.clone(),
        };
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let mut params = ListParams::default().limit(PAGE_OBJECTS_MAX);
        loop {
            let page = within(api.list(&params), ActionError::ListInstances).await?;
            for instance in &page.items {
                let name = address(instance.namespace().as_deref(), &instance.name_any());
                let harm = match judges {
                    None => Some("it would not be found any more".to_owned()),
                    Some((old, new)) => serde_json::to_value(instance)
                        .ok()
                        .and_then(|instance| harm(&instance, old, new))
                        .map(|harm| harm.to_string()),
                };
                if let Some(harm) = harm {
                    found.entry(name).or_insert(harm);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }
}

fn address(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// In which version instances are read, and by which they are judged; none where all of them are harmed.
fn judged_by<'k>(old: &'k Kind, new: &'k Kind, threats: &[Break]) -> Vec<(&'k KindVersion, Option<&'k KindVersion>)> {
    let Some(read) = old.read_version() else { return Vec::new() };
    if old.scope != new.scope || std::mem::discriminant(&old.backend) != std::mem::discriminant(&new.backend) {
        return vec![(read, None)];
    }
    let of_new = |name: &str| new.versions.iter().find(|version| version.name == name);
    // The version that is gone, or is not the one that is stored any more, gives way to the one that is.
    let mut pairs: Vec<(&KindVersion, Option<&KindVersion>)> =
        new.storage_version().map(|storage| (read, Some(storage))).into_iter().collect();
    for version in old.served_versions() {
        let threatened = threats.iter().any(|one| one.version.as_deref() == Some(version.name.as_str()));
        let same = of_new(&version.name).filter(|_| threatened);
        let known = |(from, to): &(&KindVersion, Option<&KindVersion>)| {
            from.name == version.name && to.is_some_and(|to| to.name == version.name)
        };
        if same.is_some() && !pairs.iter().any(known) {
            pairs.push((version, same));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offenders_are_told_with_their_number() {
        let first: Vec<String> = (0..10).map(|at| format!("default/r{at}: spec.size: Too long")).collect();
        let told = Answer::Harmful { count: 12, first }.to_string();
        assert!(
            told.starts_with("12 instances would be harmed: default/r0: spec.size: Too long; default/r1"),
            "{told}"
        );
        assert!(told.ends_with("; and 2 more"), "{told}");
        let one = Answer::Harmful { count: 1, first: vec!["default/a: x".to_owned()] };
        assert_eq!(one.to_string(), "1 instance would be harmed: default/a: x");
    }
}
