//! What happens to objects: as the host tells it, and as watchers get it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;

use super::Entry;

/// What an event takes besides the JSON of its object, in bytes: labels, fields, names, and its place.
const EVENT_BYTES: usize = 512;

/// A change of the host.
#[derive(Clone, Debug)]
pub enum Change {
    /// Created, or changed to this.
    Applied(Arc<Entry>),
    /// Gone.
    Deleted {
        /// The revision of the deletion.
        revision: u64,
        /// The object as it was last, with the resourceVersion of the deletion.
        last: Arc<Entry>,
    },
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Added,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
}

impl EventKind {
    /// As watches say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A change as watchers get it.
#[derive(Debug)]
pub struct CacheEvent {
    /// The revision of the change.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// The object after the change; as it was last when it is gone.
    pub entry: Arc<Entry>,
    /// The object before the change.
    pub previous: Option<Arc<Entry>>,
    pub(super) at: Instant,
    frame: Mutex<Frame>,
}

/// An event as a line of a watch.
#[derive(Debug)]
enum Frame {
    Unmade,
    Made(Bytes),
    /// Most watchers have it by now. For those that come late it is made again, each time.
    Forgotten,
}

impl CacheEvent {
    pub(super) fn new(revision: u64, kind: EventKind, entry: Arc<Entry>, previous: Option<Arc<Entry>>) -> Self {
        Self { revision, kind, entry, previous, at: Instant::now(), frame: Mutex::new(Frame::Unmade) }
    }

    /// How many bytes it takes to remember the event. The object before is that of an earlier one.
    pub(super) fn held_bytes(&self) -> usize {
        EVENT_BYTES + self.entry.json.held_bytes()
    }

    fn held_frame(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event as a line of a JSON watch, made once for all watchers that follow closely; see [`frame`].
    #[must_use]
    pub fn frame(&self) -> Option<Bytes> {
        let mut held = self.held_frame();
        if let Frame::Made(frame) = &*held {
            return Some(frame.clone());
        }
        let frame = frame(self.kind, &self.entry)?;
        if matches!(*held, Frame::Unmade) {
            *held = Frame::Made(frame.clone());
        }
        Some(frame)
    }

    /// Lets go of the line; whoever comes late makes it anew.
    pub(super) fn forget_frame(&self) {
        *self.held_frame() = Frame::Forgotten;
    }
}

/// An event as a line of a JSON watch. None when the object cannot be read, which is a fault of ours.
#[must_use]
pub fn frame(kind: EventKind, entry: &Entry) -> Option<Bytes> {
    let begin = format!("{{\"type\":\"{}\",\"object\":", kind.name());
    Some(Bytes::from([begin.as_bytes(), &entry.json.text()?, b"}\n"].concat()))
}
