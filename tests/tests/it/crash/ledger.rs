//! What clients know of the objects that they write, and how that is compared with what a server has.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// An object as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Which write made it.
    pub(super) step: u64,
    /// Its revision.
    pub(super) revision: u64,
}

/// Objects by name.
pub(super) type State = BTreeMap<String, Held>;

/// Name, write and revision of an object.
pub(super) fn read(object: &Value) -> Result<(String, Held)> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().context("an object has no name")?;
    let step = object["spec"]["step"].as_u64().with_context(|| format!("{name} has no step"))?;
    let revision = metadata["resourceVersion"].as_str().with_context(|| format!("{name} has no revision"))?;
    Ok((name.to_owned(), Held { step, revision: revision.parse()? }))
}

/// Writes that were asked for and acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    present: State,
    /// What was asked and not answered: the write's number, or none for a deletion.
    asked: BTreeMap<String, Option<u64>>,
    steps: u64,
    acknowledged: u64,
    newest: u64,
}

impl Ledger {
    /// A number that no write had, unless it is asked again.
    pub(super) fn next_step(&self) -> u64 {
        self.steps + 1
    }

    /// The object, as it was acknowledged last.
    pub(super) fn held(&self, name: &str) -> Option<Held> {
        self.present.get(name).copied()
    }

    /// How many writes were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// A write is sent.
    pub(super) fn ask(&mut self, name: &str, step: Option<u64>) {
        self.steps = self.steps.max(step.unwrap_or_default());
        self.asked.insert(name.to_owned(), step);
    }

    /// The write that was asked for is done; a deletion has no revision.
    pub(super) fn acknowledge(&mut self, name: &str, revision: Option<u64>) {
        self.acknowledged += 1;
        let step = self.asked.remove(name).flatten();
        match (step, revision) {
            (Some(step), Some(revision)) => {
                self.newest = self.newest.max(revision);
                self.present.insert(name.to_owned(), Held { step, revision });
            }
            _ => drop(self.present.remove(name)),
        }
    }

    /// Compares with what a server has after a crash. A write that was not acknowledged may have been done or not.
    pub(super) fn settle(&mut self, state: &State, revision: u64) -> Result<()> {
        ensure!(revision >= self.newest, "revision {} was acknowledged, the server is at {revision}", self.newest);
        let names: Vec<&String> = self.present.keys().chain(self.asked.keys()).chain(state.keys()).collect();
        for name in names {
            let (known, found) = (self.present.get(name), state.get(name));
            let undone = known == found;
            let done = self.asked.get(name).is_some_and(|step| found.map(|held| held.step) == *step);
            ensure!(
                undone || done,
                "{name}: acknowledged {known:?}, asked {:?}, found {found:?}",
                self.asked.get(name)
            );
        }
        self.present.clone_from(state);
        self.asked.clear();
        self.newest = revision;
        Ok(())
    }
}

/// Objects as a watch tells of them.
pub(super) struct Replica {
    state: State,
    revision: u64,
}

impl Replica {
    pub(super) fn new(state: State, revision: u64) -> Self {
        Self { state, revision }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    fn advance(&mut self, object: &Value) -> Result<(String, Held)> {
        let (name, held) = read(object)?;
        ensure!(held.revision > self.revision, "{name} at {} came after {}", held.revision, self.revision);
        self.revision = held.revision;
        Ok((name, held))
    }

    pub(super) fn applied(&mut self, object: &Value) -> Result<()> {
        let (name, held) = self.advance(object)?;
        self.state.insert(name, held);
        Ok(())
    }

    pub(super) fn deleted(&mut self, object: &Value) -> Result<()> {
        let (name, _) = self.advance(object)?;
        ensure!(self.state.remove(&name).is_some(), "{name} was deleted, but was not there");
        Ok(())
    }
}
