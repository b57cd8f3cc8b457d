//! The thread that writes: everything that waits goes into one transaction, and is answered when that is on the disk.

use std::sync::Arc;

use jiff::Timestamp;
use redb::{ReadableTable as _, Table};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{
    Retention,
    file::{
        COMPACTED, HISTORY, HISTORY_BYTES, NUMBERS, OBJECTS, REVISION, Recorded, StoreFile, TIMES, broken, event,
        object_key, resource_key,
    },
    followers::{self, Followers},
    semantics::{self, Moment, Outcome, text},
    size::{self, Existed},
    status,
};
use crate::storage::host::{DeleteOptions, Generation, HostError, HostEvent, HostResource, Persistence, WriteTarget};

/// Changes that one transaction forgets, so that a short memory of a long past does not hold up writes.
const FORGOTTEN_PER_TRANSACTION_MAX: u64 = 4096;

/// Writes that wait before further ones wait to be queued.
const WAITING_WRITES_MAX: usize = 1024;

/// Writes in one transaction.
const TRANSACTION_WRITES_MAX: usize = 256;

/// What to write.
pub(super) enum Write {
    /// A new object.
    Create {
        /// The object.
        object: Value,
    },
    /// An object as it shall be.
    Update {
        /// The resourceVersion it was read at.
        revision: String,
        /// The object.
        next: Value,
        /// The part that may change.
        target: WriteTarget,
        /// Who counts its generations.
        counted: Generation,
    },
    /// An object goes.
    Delete {
        /// Its namespace.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// How.
        options: DeleteOptions,
    },
    /// The contents of a namespace are gone.
    FinalizeNamespace {
        /// Its name.
        name: String,
    },
}

/// What was written.
pub(super) enum Written {
    /// The object as it is now.
    Kept(Value),
    /// The object as it was last.
    Removed(Value),
}

impl Written {
    pub(super) fn into_object(self) -> Value {
        match self {
            Self::Kept(object) | Self::Removed(object) => object,
        }
    }
}

/// A write and who waits for it.
pub(super) struct Request {
    pub(super) resource: HostResource,
    pub(super) write: Write,
    pub(super) persistence: Persistence,
    pub(super) answer: oneshot::Sender<Result<Written, HostError>>,
}

/// The way to the thread. It ends when this is dropped.
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
}

type Answer = (oneshot::Sender<Result<Written, HostError>>, Result<Written, HostError>);

impl Writer {
    pub(super) fn start(
        file: Arc<StoreFile>,
        followers: Arc<Followers>,
        retention: Retention,
    ) -> std::io::Result<Self> {
        let (queue, mut waiting) = mpsc::channel::<Request>(WAITING_WRITES_MAX);
        std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < TRANSACTION_WRITES_MAX {
                    let Ok(next) = waiting.try_recv() else { break };
                    batch.push(next);
                }
                commit(&file, &followers, retention, batch);
            }
        })?;
        Ok(Self { queue })
    }

    pub(super) async fn send(&self, request: Request) -> Result<(), HostError> {
        self.queue.send(request).await.map_err(|_| broken("its writer has stopped"))
    }
}

/// Does a batch of writes in one transaction and answers them.
fn commit(file: &StoreFile, followers: &Followers, retention: Retention, batch: Vec<Request>) {
    let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
    let mut changes: Vec<(HostResource, HostEvent)> = Vec::new();
    let mut senders = Vec::new();
    match transact(file, retention, batch, &mut answers, &mut senders) {
        Ok(done) => {
            changes = done;
            // Before anybody is answered: a read that comes after the answer asks for this revision.
            if let Some((_, last)) = changes.last() {
                file.advance(followers::revision(last));
            }
        }
        Err(error) => {
            // Nothing of the batch is on the disk: nobody is told that it is.
            for (_, answer) in &mut answers {
                if answer.is_ok() {
                    *answer = Err(error.clone());
                }
            }
            answers.extend(senders.into_iter().map(|sender| (sender, Err(error.clone()))));
        }
    }
    followers.publish(&changes);
    for (sender, answer) in answers {
        // Who asked may have gone; the write stands.
        drop(sender.send(answer));
    }
}

fn transact(
    file: &StoreFile,
    retention: Retention,
    batch: Vec<Request>,
    answers: &mut Vec<Answer>,
    unanswered: &mut Vec<oneshot::Sender<Result<Written, HostError>>>,
) -> Result<Vec<(HostResource, HostEvent)>, HostError> {
    let begun = file.database.begin_write().map_err(broken);
    let transaction = match begun {
        Ok(transaction) => transaction,
        Err(error) => {
            unanswered.extend(batch.into_iter().map(|request| request.answer));
            return Err(error);
        }
    };
    let mut changes = Vec::new();
    {
        let opened = (|| {
            Ok::<_, redb::TableError>((
                transaction.open_table(OBJECTS)?,
                transaction.open_table(HISTORY)?,
                transaction.open_table(NUMBERS)?,
            ))
        })();
        let (mut objects, mut history, mut numbers) = match opened {
            Ok(tables) => tables,
            Err(error) => {
                unanswered.extend(batch.into_iter().map(|request| request.answer));
                return Err(broken(error));
            }
        };
        let mut revision = numbers.get(REVISION).map_err(broken)?.map_or(1, |held| held.value());
        let first = revision;
        for Request { resource, write, persistence, answer } in batch {
            let result = one(&mut objects, &mut history, &mut revision, &resource, write, persistence);
            match result {
                Ok((written, change)) => {
                    changes.extend(change.map(|change| (resource, change)));
                    answers.push((answer, Ok(written)));
                }
                Err(error) => answers.push((answer, Err(error))),
            }
        }
        if revision != first {
            numbers.insert(REVISION, revision).map_err(broken)?;
            let mut times = transaction.open_table(TIMES).map_err(broken)?;
            compact(&mut history, &mut numbers, &mut times, (first, revision), retention)?;
        }
    }
    if changes.is_empty() {
        transaction.abort().map_err(broken)?;
    } else {
        transaction.commit().map_err(broken)?;
    }
    Ok(changes)
}

/// Forgets changes that are too many, too old or too large, and notes when the newest was. `first` is the revision before
/// those of the transaction.
fn compact(
    history: &mut Table<'_, u64, &'static [u8]>,
    numbers: &mut Table<'_, &'static str, u64>,
    times: &mut Table<'_, u64, u64>,
    (first, revision): (u64, u64),
    retention: Retention,
) -> Result<(), HostError> {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    times.insert(revision, now).map_err(broken)?;
    let compacted = numbers.get(COMPACTED).map_err(broken)?.map_or(1, |held| held.value());
    let mut forget = compacted.max(revision.saturating_sub(retention.changes_max));
    let oldest_kept = now.saturating_sub(retention.age_max.as_secs());
    for held in times.range(..revision).map_err(broken)? {
        let (last, time) = held.map_err(broken)?;
        if time.value() >= oldest_kept {
            break;
        }
        forget = forget.max(last.value());
    }
    let size = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut bytes = numbers.get(HISTORY_BYTES).map_err(broken)?.map_or(0, |held| held.value());
    for held in history.range(first + 1..).map_err(broken)? {
        bytes = bytes.saturating_add(size(held.map_err(broken)?.1.value()));
    }
    let mut left = bytes;
    for held in history.range(compacted..).map_err(broken)? {
        let (change, value) = held.map_err(broken)?;
        if change.value() > forget {
            if left <= retention.bytes_max {
                break;
            }
            forget = change.value();
        }
        left = left.saturating_sub(size(value.value()));
    }
    forget = forget.min(compacted.saturating_add(FORGOTTEN_PER_TRANSACTION_MAX));
    if forget > compacted {
        history
            .retain_in(compacted..=forget, |_, value| {
                bytes = bytes.saturating_sub(size(value));
                false
            })
            .map_err(broken)?;
    }
    numbers.insert(HISTORY_BYTES, bytes).map_err(broken)?;
    if forget <= compacted {
        return Ok(());
    }
    times.retain_in(..=forget, |_, _| false).map_err(broken)?;
    numbers.insert(COMPACTED, forget).map_err(broken)?;
    Ok(())
}

fn moment() -> Moment {
    // The fraction is cut off, as metav1.Time does: a rounded time may be in the future.
    Moment { now: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), uid: uuid::Uuid::new_v4().to_string() }
}

/// Does one write. It either takes place whole or, on an error, not at all.
fn one(
    objects: &mut Table<'_, &'static str, &'static [u8]>,
    history: &mut Table<'_, u64, &'static [u8]>,
    revision: &mut u64,
    resource: &HostResource,
    write: Write,
    persistence: Persistence,
) -> Result<(Written, Option<HostEvent>), HostError> {
    let (namespace, name) = match &write {
        Write::Create { object } | Write::Update { next: object, .. } => {
            let namespace = text(object, "/metadata/namespace");
            (Some(namespace.to_owned()).filter(|held| !held.is_empty()), text(object, "/metadata/name").to_owned())
        }
        Write::Delete { namespace, name, .. } => (namespace.clone(), name.clone()),
        Write::FinalizeNamespace { name } => (None, name.clone()),
    };
    let key = object_key(resource, namespace.as_deref(), &name);
    let stored: Option<Value> = objects
        .get(key.as_str())
        .map_err(broken)?
        .map(|held| serde_json::from_slice(held.value()).map_err(broken))
        .transpose()?;
    let missing = || status::not_found(resource, &name);
    let outcome = match (write, &stored) {
        (Write::Create { .. }, Some(held)) if held.pointer("/metadata/deletionTimestamp").is_some() => {
            return Err(status::being_deleted(resource, &name));
        }
        (Write::Create { .. }, Some(_)) => return Err(status::already_exists(resource, &name)),
        (Write::Create { object }, None) => Outcome::Store(semantics::create(resource, object, &moment())),
        (Write::Update { revision, next, target, counted }, stored) => {
            semantics::update(resource, stored.as_ref().ok_or_else(missing)?, next, &revision, target, counted)?
        }
        (Write::Delete { options, .. }, stored) => {
            semantics::delete(resource, stored.as_ref().ok_or_else(missing)?, &options, &moment())?
        }
        (Write::FinalizeNamespace { .. }, stored) => {
            semantics::finalize_namespace(stored.as_ref().ok_or_else(missing)?)
        }
    };
    let next_revision = *revision + 1;
    // A dry run has no revision of its own: the object keeps the one it has, a new one has none.
    let stamp = |object: &mut Value| {
        if persistence == Persistence::Durable {
            object["metadata"]["resourceVersion"] = json!(next_revision.to_string());
        }
    };
    let (written, after, last) = match outcome {
        Outcome::Unchanged(object) => return Ok((Written::Kept(object), None)),
        Outcome::Store(mut object) => {
            stamp(&mut object);
            (Written::Kept(object.clone()), Some(object), None)
        }
        Outcome::Remove(object) => {
            let mut last = object.clone();
            stamp(&mut last);
            (Written::Removed(object), None, Some(last))
        }
    };
    if persistence == Persistence::DryRun {
        return Ok((written, None));
    }
    let change = Recorded { resource: resource_key(resource), before: stored, after, last };
    let recorded = serde_json::to_vec(&change).map_err(broken)?;
    match &change.after {
        Some(object) => {
            let bytes = serde_json::to_vec(object).map_err(broken)?;
            let existed = change.before.as_ref().map(|before| text(before, "/metadata/resourceVersion"));
            let existed = existed.map_or(Existed::No, |revision| Existed::At(revision.parse().unwrap_or_default()));
            size::check(resource, (namespace.as_deref(), &name), (bytes.len(), next_revision), existed)?;
            objects.insert(key.as_str(), bytes.as_slice()).map_err(broken)?;
        }
        None => drop(objects.remove(key.as_str()).map_err(broken)?),
    }
    history.insert(next_revision, recorded.as_slice()).map_err(broken)?;
    *revision = next_revision;
    Ok((written, event(next_revision, change)))
}
