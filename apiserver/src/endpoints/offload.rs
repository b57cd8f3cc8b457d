//! Requests whose work grows with what they carry: on threads of their own, few at once, in the order in which they came.
//!
//! The threads of the reactor go on meanwhile: with probes, discovery, the Lease, the report of the replica, watches, and
//! the requests of everybody else.

use std::{future::Future, num::NonZero, panic::resume_unwind, sync::Arc, thread};

use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::encode::status::ApiError;

/// What is worked on where it comes: bodies and stored objects up to so many bytes together. It takes about as long as a
/// thread takes to begin, some tenths of a millisecond at most.
pub const LIGHT_BYTES_MAX: usize = 32 * 1024;

/// The threads on small and on large machines: one for each processor, and never so many that their objects fill the memory.
const THREADS: (usize, usize) = (2, 8);

/// How many bytes of bodies and stored objects are worked on at once. A tree of an object takes up to 80 times the bytes of
/// its text (a map of one member), and a write holds several.
const WORKED_BYTES_MAX: u32 = 4 << 20;

/// Where large work is done, by what it waits for.
#[derive(Clone, Debug, Default)]
pub struct Offloads {
    /// Large writes.
    pub writes: Arc<Offload>,
    /// Lists that are read from the host.
    pub lists: Arc<Offload>,
}

/// Threads for such work.
#[derive(Debug)]
pub struct Offload {
    bytes: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl Default for Offload {
    fn default() -> Self {
        let (least, most) = THREADS;
        let processors = thread::available_parallelism().map_or(least, NonZero::get);
        Self {
            bytes: Arc::new(Semaphore::new(WORKED_BYTES_MAX as usize)),
            threads: Arc::new(Semaphore::new(processors.clamp(least, most))),
        }
    }
}

impl Offload {
    /// Runs work on so many bytes as [`Self::run`] does, as soon as there is room for them. Work on more bytes than there is
    /// room for runs alone.
    ///
    /// # Errors
    /// The process ends.
    ///
    /// # Panics
    /// As the work does.
    pub async fn run_on<W>(&self, bytes: usize, work: W) -> Result<W::Output, ApiError>
    where
        W: Future<Output: Send + 'static> + Send + 'static,
    {
        let room = u32::try_from(bytes).map_or(WORKED_BYTES_MAX, |bytes| bytes.min(WORKED_BYTES_MAX));
        let room = Arc::clone(&self.bytes).acquire_many_owned(room).await.map_err(|_| ends())?;
        self.run(async move {
            let _room = room;
            work.await
        })
        .await
    }

    /// Runs work on a thread of its own as soon as there is one. Dropping what is returned ends the work where it waits
    /// next.
    ///
    /// # Errors
    /// The process ends.
    ///
    /// # Panics
    /// As the work does.
    pub async fn run<W>(&self, work: W) -> Result<W::Output, ApiError>
    where
        W: Future<Output: Send + 'static> + Send + 'static,
    {
        let place = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| ends())?;
        let (reactor, unwanted) = (Handle::current(), CancellationToken::new());
        let _wanted = unwanted.clone().drop_guard();
        let ran = spawn_blocking(move || {
            let _place = place;
            reactor.block_on(unwanted.run_until_cancelled_owned(work))
        });
        match ran.await {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(ends()),
            Err(error) => Err(match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => ends(),
            }),
        }
    }
}

fn ends() -> ApiError {
    ApiError::Internal("the server ends".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::{Duration, Instant},
    };

    use super::*;

    fn work(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_reactor_goes_on_whatever_works_and_few_work_at_once() {
        let offload = Arc::new(Offload::default());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let requests: Vec<_> = (0..40)
            .map(|_| {
                let (offload, now, most) = (Arc::clone(&offload), Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move {
                    let step = async move {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        work(Duration::from_millis(20));
                        now.fetch_sub(1, Ordering::SeqCst);
                    };
                    offload.run(step).await.unwrap();
                })
            })
            .collect();
        let mut probes = 0;
        while !requests.iter().all(tokio::task::JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            probes += 1;
        }
        assert!(most.load(Ordering::SeqCst) <= THREADS.1, "{most:?} at once");
        assert!(probes > 20, "the reactor stood still: {probes}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_large_is_worked_on_alone_and_does_not_overtake() {
        let offload = Arc::new(Offload::default());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let half = WORKED_BYTES_MAX as usize / 2;
        let work = |bytes: usize| {
            let (offload, now, most) = (Arc::clone(&offload), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let step = async move {
                    most.fetch_max(now.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                    work(Duration::from_millis(5));
                    now.fetch_sub(bytes, Ordering::SeqCst);
                };
                offload.run_on(bytes, step).await.unwrap();
            })
        };
        let all: Vec<_> = (0..20).flat_map(|_| [work(half + 1), work(half), work(1), work(4 * half)]).collect();
        futures::future::try_join_all(all).await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 4 * half, "more at once than there is room for");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_ends_at_its_next_step() {
        let offload = Offload::default();
        let (began, waits) = (Arc::new(tokio::sync::Notify::new()), Arc::new(()));
        let (begins, held) = (Arc::clone(&began), Arc::clone(&waits));
        let endless = async move {
            begins.notify_one();
            loop {
                work(Duration::from_millis(1));
                tokio::task::yield_now().await;
                if Arc::strong_count(&held) == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            _ = offload.run(endless) => unreachable!("it has no end"),
            () = began.notified() => {}
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&waits) > 1 {
            assert!(Instant::now() < deadline, "it works on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_panic_is_the_requests() {
        let offload = Offload::default();
        let outcome =
            tokio::spawn(async move { offload.run(async { panic!("of the test") }).await.map(|()| {}) }).await;
        assert!(outcome.unwrap_err().is_panic());
    }
}
