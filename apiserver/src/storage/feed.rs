//! One watch of a host resource, shared by every kind that lives in it.
//!
//! ```text
//! host watch ─▶ Feed (all objects, raw) ─▶ View of kind A
//!                                        └▶ View of kind B …
//! ```
//!
//! Objects are held encoded: a tree of JSON takes several times the memory. Releases, which nobody reads as they are, are
//! held packed.
//! A view that is attached later is filled from memory, so a new kind needs no round trip to the host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;

use super::{
    host::{HostError, HostEvent, HostList, encoded},
    packed::{Packed, Packer, Packing},
    source::Sink,
};

pub use super::host::{Key, key_of};

/// Objects of a host resource, by namespace and name.
pub type Objects = BTreeMap<Key, Packed>;

/// What is fed. Calls come in the order of the host's changes, one at a time; none may block.
pub trait View: Send + Sync + 'static {
    /// The state of everything at a revision, at first and after a watch was lost.
    fn fill(&self, objects: &Objects, revision: u64);

    /// An object was created or changed. `json` is the same object, encoded.
    fn applied(&self, object: &Value, json: &Bytes, revision: u64);

    /// An object is gone.
    fn deleted(&self, last: &Value, revision: u64);

    /// Nothing changed up to a revision.
    fn progress(&self, revision: u64);
}

#[derive(Default)]
struct State {
    objects: Objects,
    packer: Packer,
    revision: Option<u64>,
    views: Vec<Arc<dyn View>>,
    failure: Option<HostError>,
}

/// The objects of one host resource, and the views that are fed with their changes.
#[derive(Default)]
pub struct Feed {
    state: Mutex<State>,
}

impl Feed {
    /// A feed that holds objects packed so.
    #[must_use]
    pub fn new(packing: Packing) -> Self {
        Self { state: Mutex::new(State { packer: Packer::new(packing), ..State::default() }) }
    }

    /// An object as it was last, when the first list has come.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<Value> {
        let held = self.state().objects.get(key).cloned();
        // Unpacked after the lock is gone.
        held?.tree()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a view; it is filled at once when the first list has come.
    pub fn attach(&self, view: Arc<dyn View>) {
        let mut state = self.state();
        if let Some(revision) = state.revision {
            view.fill(&state.objects, revision);
        }
        state.views.push(view);
    }

    /// Removes views.
    pub fn detach(&self, gone: impl Fn(&Arc<dyn View>) -> bool) {
        self.state().views.retain(|view| !gone(view));
    }

    /// Runs a function on the objects, when the first list has come.
    pub fn with_objects<T>(&self, run: impl FnOnce(&Objects, u64) -> T) -> Option<T> {
        let state = self.state();
        state.revision.map(|revision| run(&state.objects, revision))
    }

    /// Whether the first list has come.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().revision.is_some()
    }

    /// Why the host cannot be read at present.
    #[must_use]
    pub fn failure(&self) -> Option<HostError> {
        self.state().failure.clone()
    }
}

impl Sink for Feed {
    fn fill(&self, list: HostList) {
        let mut held = self.state();
        let state = &mut *held;
        state.objects = list.items.into_iter().map(|(key, json)| (key, state.packer.pack(json))).collect();
        state.revision = Some(list.revision);
        state.failure = None;
        for view in &state.views {
            view.fill(&state.objects, list.revision);
        }
    }

    fn event(&self, event: HostEvent) {
        let mut held = self.state();
        let state = &mut *held;
        state.failure = None;
        match event {
            HostEvent::Applied { revision, object } => {
                let json = encoded(&object);
                state.objects.insert(key_of(&object), state.packer.pack(json.clone()));
                state.revision = Some(revision);
                state.views.iter().for_each(|view| view.applied(&object, &json, revision));
            }
            HostEvent::Deleted { revision, object } => {
                state.objects.remove(&key_of(&object));
                state.revision = Some(revision);
                state.views.iter().for_each(|view| view.deleted(&object, revision));
            }
            HostEvent::Progress { revision } => {
                state.revision = Some(revision);
                state.views.iter().for_each(|view| view.progress(revision));
            }
        }
    }

    fn unavailable(&self, error: &HostError) {
        self.state().failure = Some(error.clone());
    }
}
