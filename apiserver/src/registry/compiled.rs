//! Definitions as they were compiled, and what has to be compiled anew.
//!
//! One that does not compile leaves its last good kind, and so does one that takes something from stored instances, until it
//! is recorded as accepted.

use std::sync::Arc;

use bytes::Bytes;
use kindsmith_schema::{
    compile::{OwnStorage, Recompiled},
    form::DefinitionForm,
    kind::Kind,
    succession,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accepted::AcceptedGenerations;
use crate::storage::{host::tree, kind_store::Creation};

/// The form and the name of a definition.
pub(super) type Key = (DefinitionForm, String);

/// A definition to compile, and what was compiled before.
pub(super) type Work = (Key, Bytes, Option<Compiled>);

/// So few are compiled without further threads.
const COMPILED_ALONE: usize = 8;

/// What a definition was compiled to.
pub(super) struct Compiled {
    /// What it was compiled for.
    pub(super) state: State,
    /// The state that was recorded as accepted when this was compiled.
    pub(super) recorded: Option<String>,
    good: Option<Good>,
    /// What waits to be accepted.
    waiting: Option<Arc<Kind>>,
}

/// A kind that may be served, and the state of the definition that it was made of.
#[derive(Clone)]
struct Good {
    state: String,
    kind: Arc<Kind>,
}

/// What a definition has to be compiled for anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The uid of the definition.
    pub(super) uid: String,
    /// See [`DefinitionForm::state`].
    state: String,
    /// Whether instances may be created: not while the definition is being deleted.
    pub(super) creation: Creation,
}

#[derive(Deserialize)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize)]
struct HeadMetadata {
    #[serde(default)]
    uid: String,
    generation: Option<i64>,
    annotations: Option<Value>,
    #[serde(rename = "deletionTimestamp")]
    deletion_timestamp: Option<String>,
}

/// The state of a definition; none if it cannot be read.
#[must_use]
pub(super) fn state(form: DefinitionForm, json: &[u8]) -> Option<State> {
    let Head { metadata } = serde_json::from_slice(json).ok()?;
    let HeadMetadata { uid, generation, annotations, deletion_timestamp } = metadata;
    let state = form.state(&json!({"metadata": {"generation": generation, "annotations": annotations}}));
    let creation = if deletion_timestamp.is_some() { Creation::Closed } else { Creation::Open };
    Some(State { uid, state, creation })
}

impl Compiled {
    /// What may be served.
    pub(super) fn kind(&self) -> Option<&Arc<Kind>> {
        self.good.as_ref().map(|good| &good.kind)
    }
}

/// Compiles a definition that changed. One that is no good leaves its last good kind. None if it cannot be read.
fn compile(
    (form, name): &Key,
    json: &Bytes,
    held: Option<Compiled>,
    own_storage: OwnStorage,
    accepted: Option<&AcceptedGenerations>,
) -> Option<Compiled> {
    let state = state(*form, json)?;
    let record = accepted.and_then(|accepted| accepted.last(&state.uid));
    let recorded = record.as_ref().map(|record| record.state.clone());
    let held = held.filter(|held| held.state.uid == state.uid);
    let is_accepted = recorded.as_ref() == Some(&state.state);
    let held = match held {
        Some(held) if held.state == state && held.recorded == recorded => return Some(held),
        // What was compiled already is not compiled again only because the operator agrees.
        Some(Compiled { waiting: Some(kind), state: compiled, .. }) if is_accepted && compiled == state => {
            let good = Some(Good { state: compiled.state, kind });
            return Some(Compiled { state, recorded, good, waiting: None });
        }
        Some(Compiled { good: Some(good), .. }) if is_accepted && good.state == state.state => {
            return Some(Compiled { state, recorded, good: Some(good), waiting: None });
        }
        held => held.and_then(|held| held.good),
    };
    let definition = tree(json)?;
    // What is served here and what was recorded differ for moments alone: of both nothing may be taken.
    let known = held.as_ref().map(|held| held.state.clone());
    let record = record.filter(|record| !is_accepted && Some(&record.state) != known.as_ref()).and_then(|record| {
        let kind = record.kind(own_storage).inspect_err(|error| {
            tracing::warn!(definition = record.name, %error, "there is no recorded generation");
        });
        Some(Good { state: record.state.clone(), kind: Arc::new(kind.ok()?) })
    });
    let before: Vec<Good> = held.filter(|held| held.state != state.state).into_iter().chain(record).collect();
    // What was accepted stays so, whatever rules have come since.
    let compiled = if is_accepted {
        form.recompile(&definition, own_storage).map(|Recompiled { kind, faults }| {
            if let Some(fault) = faults.first() {
                let faults = faults.len();
                tracing::warn!(definition = name, faults, %fault, "accepted before, and goes on in spite of faults");
            }
            kind
        })
    } else {
        form.compile(&definition, own_storage)
    };
    let (good, waiting) = match compiled {
        Err(error) => {
            tracing::warn!(
                definition = name,
                %error,
                "definition is not accepted; the last good one, if any, stays"
            );
            (before.into_iter().next(), None)
        }
        Ok(kind) => {
            let free = is_accepted || accepted.is_none();
            let hurt = |last: &Good| !succession::threats(&last.kind, &kind).is_empty();
            if !free && before.iter().any(hurt) {
                let generation = kind.origin.generation;
                tracing::info!(definition = name, generation, "the change may hurt instances and waits");
                (before.into_iter().next(), Some(Arc::new(kind)))
            } else {
                (Some(Good { state: state.state.clone(), kind: Arc::new(kind) }), None)
            }
        }
    };
    Some(Compiled { state, recorded, good, waiting })
}

/// Compiles definitions, on as many threads as there are processors when it is much. Those that cannot be read are not among
/// the outcome.
pub(super) fn all(
    mut work: Vec<Work>,
    own_storage: OwnStorage,
    accepted: Option<&AcceptedGenerations>,
) -> Vec<(Key, Compiled)> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let each = work.len().div_ceil(threads).max(COMPILED_ALONE);
    let mut shares = Vec::new();
    while !work.is_empty() {
        shares.push(work.split_off(work.len().saturating_sub(each)));
    }
    let compile_share = |share: Vec<Work>| -> Vec<(Key, Compiled)> {
        let compiled = share.into_iter().map(|(key, json, held)| {
            let compiled = compile(&key, &json, held, own_storage, accepted);
            (key, compiled)
        });
        compiled.filter_map(|(key, compiled)| Some((key, compiled?))).collect()
    };
    std::thread::scope(|scope| {
        let own = shares.pop();
        let others: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| compile_share(share))).collect();
        let mut compiled = own.map(compile_share).unwrap_or_default();
        for other in others {
            match other.join() {
                Ok(theirs) => compiled.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        compiled
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use kindsmith_schema::succession::AcceptedGeneration;
    use kube_runtime::watcher::Event;

    use super::*;

    fn definition(generation: i64, interval: &str) -> Value {
        json!({
            "metadata": {"name": "cups.example.com", "uid": "u", "generation": generation},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": {"helmRelease": {"prefix": "cup-", "interval": interval,
                    "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}}}},
        })
    }

    fn accepted(definition: &Value) -> AcceptedGenerations {
        let record = AcceptedGeneration::pack(DefinitionForm::Kindsmith, definition, 1).unwrap();
        let (accepted, mut listed) = (AcceptedGenerations::default(), HashMap::new());
        accepted.take(Event::InitApply(serde_json::from_value(record.object("system")).unwrap()), &mut listed);
        accepted.take(Event::InitDone, &mut listed);
        accepted
    }

    #[test]
    fn what_was_accepted_is_served_when_rules_have_come_since() {
        let key = (DefinitionForm::Kindsmith, "cups.example.com".to_owned());
        let (old, json) = (definition(1, "soon"), |definition: &Value| Bytes::from(definition.to_string()));
        let served = |json: &Bytes, held: Option<Compiled>, accepted: &AcceptedGenerations| {
            let compiled = compile(&key, json, held, OwnStorage::Absent, Some(accepted)).unwrap();
            let generation = compiled.kind().map(|kind| kind.origin.generation);
            (compiled, generation)
        };
        assert_eq!(served(&json(&old), None, &AcceptedGenerations::default()).1, None, "it is a fault today");
        let records = accepted(&old);
        let (held, generation) = served(&json(&old), None, &records);
        assert_eq!(generation, Some(1));
        // The next one is judged as it is; a restart between the two makes no difference.
        let next = json(&definition(2, "later"));
        assert_eq!(served(&next, Some(held), &records).1, Some(1));
        assert_eq!(served(&next, None, &records).1, Some(1));
        assert_eq!(served(&json(&definition(2, "9m")), None, &records).1, Some(2));
    }
}
