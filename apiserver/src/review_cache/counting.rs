//! A cluster that counts the reviews it is asked for, and those that run at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use kube::{Client, client::Body};

/// What was asked.
#[derive(Default)]
pub(crate) struct Reviews {
    /// All reviews.
    pub(crate) asked: AtomicUsize,
    /// The most that ran at once.
    pub(crate) running_max: AtomicUsize,
    running: AtomicUsize,
}

/// Returns a client of a cluster that takes this long for each review and gives this answer, with what was asked.
pub(crate) fn cluster(code: u16, takes: Duration, answer: &'static str) -> (Client, Arc<Reviews>) {
    let reviews = Arc::new(Reviews::default());
    let counted = Arc::clone(&reviews);
    let service = tower::service_fn(move |_: Request<Body>| {
        let reviews = Arc::clone(&counted);
        async move {
            reviews.asked.fetch_add(1, Ordering::SeqCst);
            let running = reviews.running.fetch_add(1, Ordering::SeqCst) + 1;
            reviews.running_max.fetch_max(running, Ordering::SeqCst);
            tokio::time::sleep(takes).await;
            reviews.running.fetch_sub(1, Ordering::SeqCst);
            Response::builder().status(code).body(Body::from(answer.as_bytes().to_vec()))
        }
    });
    (Client::new(service, "default"), reviews)
}
