//! One watch of a host resource, shared by every kind that lives in it.
//!
//! ```text
//! host watch ─▶ Feed (all objects, raw) ─▶ View of kind A
//!                                        └▶ View of kind B …
//! ```
//!
//! Objects are held encoded: a tree of JSON takes several times the memory. Releases, which nobody reads as they are, are
//! held packed.
//! A view that is attached later is filled from memory, so a new kind needs no round trip to the host. That may take a
//! while, and only further changes wait for it: whoever reads an object does not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;
use serde_json::Value;

use super::{
    host::{HostError, HostEvent, HostList, encoded, tree},
    packed::{Packed, Packer, Packing},
    source::Sink,
    views::Views,
};

pub use super::host::{Key, key_of};

/// Objects of a host resource, by namespace and name.
pub type Objects = BTreeMap<Key, Packed>;

/// What is fed. Calls come in the order of the host's changes, one at a time; none may block.
pub trait View: Send + Sync + 'static {
    /// What the names of all objects begin with that it shows, always the same; nothing where it shows any. Changes of
    /// others it hears of as progress.
    fn prefix(&self) -> String {
        String::new()
    }

    /// The state of everything at a revision, at first and after a watch was lost.
    fn fill(&self, objects: &Objects, revision: u64);

    /// An object was created or changed. `json` is the same object, encoded.
    fn applied(&self, object: &Value, json: &Bytes, revision: u64);

    /// An object is gone.
    fn deleted(&self, last: &Value, revision: u64);

    /// Nothing changed up to a revision.
    fn progress(&self, revision: u64);
}

/// What is known of the host resource.
#[derive(Default)]
struct Held {
    objects: Objects,
    revision: Option<u64>,
}

/// Who is fed, and with what.
#[derive(Default)]
struct Feeding {
    packer: Packer,
    views: Views,
}

/// The objects of one host resource, and the views that are fed with their changes.
#[derive(Default)]
pub struct Feed {
    /// Held by whoever changes what is held or tells views of it, so that each hears of all changes in order. It is taken
    /// before `held`, so that nobody waits to write while views read for long.
    feeding: Mutex<Feeding>,
    held: RwLock<Held>,
    failure: Mutex<Option<HostError>>,
}

impl Feed {
    /// A feed that holds objects packed so.
    #[must_use]
    pub fn new(packing: Packing) -> Self {
        let feeding = Feeding { packer: Packer::new(packing), views: Views::default() };
        Self { feeding: Mutex::new(feeding), held: RwLock::default(), failure: Mutex::default() }
    }

    /// An object as it was last, when the first list has come.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<Value> {
        tree(&self.json(key)?)
    }

    /// The JSON of an object as it was last, when the first list has come.
    #[must_use]
    pub fn json(&self, key: &Key) -> Option<Bytes> {
        let held = self.held().objects.get(key).cloned();
        // Unpacked after the lock is gone.
        held?.json()
    }

    /// How long the JSON of an object is, in bytes, when the first list has come.
    #[must_use]
    pub fn bytes(&self, key: &Key) -> Option<usize> {
        self.held().objects.get(key).map(Packed::bytes)
    }

    /// The revision of the newest change, or of the first list; none before it. Views may not have heard of it yet.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        self.held().revision
    }

    fn feeding(&self) -> MutexGuard<'_, Feeding> {
        self.feeding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For those who are feeding, and for moments: readers wait behind who waits to write.
    fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a view; it is filled at once when the first list has come.
    pub fn attach(&self, view: Arc<dyn View>) {
        let mut feeding = self.feeding();
        let held = self.held();
        if let Some(revision) = held.revision {
            view.fill(&held.objects, revision);
        }
        feeding.views.add(view);
    }

    /// Removes views.
    pub fn detach(&self, gone: impl Fn(&Arc<dyn View>) -> bool) {
        self.feeding().views.remove(gone);
    }

    /// Runs a function on the objects, when the first list has come.
    pub fn with_objects<T>(&self, run: impl FnOnce(&Objects) -> T) -> Option<T> {
        let held = self.held();
        held.revision.map(|_| run(&held.objects))
    }

    /// Runs a function on the objects while no view is told of anything. Before the first list there are none.
    pub fn between_changes<T>(&self, run: impl FnOnce(&Objects) -> T) -> T {
        let _feeding = self.feeding();
        run(&self.held().objects)
    }

    /// Whether the first list has come, and all views were told of it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let _feeding = self.feeding();
        self.held().revision.is_some()
    }

    /// Why the host cannot be read at present.
    #[must_use]
    pub fn failure(&self) -> Option<HostError> {
        self.last_failure().clone()
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<HostError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a change makes of the objects.
    fn note(&self, revision: u64, change: impl FnOnce(&mut Objects)) {
        *self.last_failure() = None;
        let mut held = self.held_mut();
        held.revision = Some(revision);
        change(&mut held.objects);
    }
}

impl Sink for Feed {
    fn fill(&self, list: HostList) {
        let mut feeding = self.feeding();
        let Feeding { packer, views } = &mut *feeding;
        let objects: Objects = list.items.into_iter().map(|(key, json)| (key, packer.pack(json))).collect();
        self.note(list.revision, |held| *held = objects);
        let held = self.held();
        for view in views.all() {
            view.fill(&held.objects, list.revision);
        }
    }

    fn event(&self, event: HostEvent) {
        let mut feeding = self.feeding();
        let Feeding { packer, views } = &mut *feeding;
        match event {
            HostEvent::Applied { revision, object } => {
                let json = encoded(&object);
                let packed = packer.pack(json.clone());
                let key = key_of(&object);
                let name = key.1.clone();
                self.note(revision, |held| drop(held.insert(key, packed)));
                views.tell(&name, |view| view.applied(&object, &json, revision), |view| view.progress(revision));
            }
            HostEvent::Deleted { revision, object } => {
                let key = key_of(&object);
                self.note(revision, |held| drop(held.remove(&key)));
                views.tell(&key.1, |view| view.deleted(&object, revision), |view| view.progress(revision));
            }
            HostEvent::Progress { revision } => {
                self.note(revision, |_| {});
                views.all().for_each(|view| view.progress(revision));
            }
        }
    }

    fn unavailable(&self, error: &HostError) {
        *self.last_failure() = Some(error.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use serde_json::json;

    use super::*;

    fn object(name: &str, revision: u64) -> Value {
        json!({"metadata": {"namespace": "a", "name": name, "resourceVersion": revision.to_string()}})
    }

    fn key(name: &str) -> Key {
        ("a".to_owned(), name.to_owned())
    }

    /// Says that it is being filled, and waits to be let go on.
    struct Slow {
        begun: mpsc::Sender<()>,
        go_on: Mutex<mpsc::Receiver<()>>,
        seen: Mutex<Vec<u64>>,
    }

    impl View for Slow {
        fn fill(&self, _: &Objects, revision: u64) {
            self.seen.lock().unwrap().push(revision);
            self.begun.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }

        fn applied(&self, _: &Value, _: &Bytes, revision: u64) {
            self.seen.lock().unwrap().push(revision);
        }

        fn deleted(&self, _: &Value, _: u64) {}

        fn progress(&self, _: u64) {}
    }

    #[test]
    fn objects_are_read_while_a_view_is_filled_and_changes_wait_for_it() {
        let feed = Feed::default();
        feed.fill(HostList { items: vec![(key("x"), encoded(&object("x", 3)))], revision: 5 });
        let ((begun, begins), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
        let view = Arc::new(Slow { begun, go_on: Mutex::new(goes_on), seen: Mutex::default() });
        std::thread::scope(|scope| {
            scope.spawn(|| feed.attach(Arc::clone(&view) as _));
            begins.recv().unwrap();
            let change = scope.spawn(|| feed.event(HostEvent::Applied { revision: 6, object: object("x", 6) }));
            for _ in 0..100 {
                assert_eq!(feed.object(&key("x")), Some(object("x", 3)));
            }
            assert!(!change.is_finished());
            go_on.send(()).unwrap();
        });
        assert_eq!(*view.seen.lock().unwrap(), [5, 6]);
        assert_eq!(feed.object(&key("x")), Some(object("x", 6)));
    }
}
