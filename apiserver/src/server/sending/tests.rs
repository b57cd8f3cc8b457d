use std::sync::Weak;

use http_body_util::BodyExt as _;

use super::*;
use crate::{encode::response, server::activity::Activity};

const MAX: Duration = Duration::from_secs(60);

/// An answer, and what lives as long as it is sent.
fn answer(bytes: usize) -> (Sent, Weak<()>) {
    let held = Arc::new(());
    let weak = Arc::downgrade(&held);
    let body = response::full(Bytes::from(vec![b'x'; bytes]));
    (Sent::new(body, Activity::new().begin(), Some(UntilSent { _held: held })), weak)
}

#[tokio::test(start_paused = true)]
async fn a_client_may_be_slow_but_not_stand_still() {
    for (pause, is_ended) in [(Duration::from_secs(50), false), (Duration::from_secs(70), true)] {
        let task = async move {
            let (mut sent, held) = answer(5 * PIECE_BYTES + 1);
            assert_eq!(sent.size_hint().exact(), Some(5 * 65_536 + 1));
            let mut bytes = 0;
            while let Some(frame) = sent.frame().await {
                let piece = frame.unwrap().into_data().unwrap();
                assert!(piece.len() <= PIECE_BYTES);
                bytes += piece.len();
                assert!(held.upgrade().is_some());
                tokio::time::sleep(pause).await;
            }
            drop(sent);
            assert!(held.upgrade().is_none());
            bytes
        };
        let ended = watched(task, MAX).await;
        assert_eq!(ended, (!is_ended).then_some(5 * PIECE_BYTES + 1), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_us_is_waited_with() {
    let task = async {
        let (first, _) = answer(10);
        drop(first.collect().await.unwrap());
        // The connection rests between two answers, and the second has nothing to say for long.
        tokio::time::sleep(MAX * 3).await;
        let events = futures::stream::once(async {
            tokio::time::sleep(MAX * 3).await;
            Ok(Bytes::from_static(b"event"))
        });
        let second = Sent::new(response::stream(events), Activity::new().begin(), None);
        second.collect().await.unwrap().to_bytes().len()
    };
    assert_eq!(watched(task, MAX).await, Some(5));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_for_an_answer_goes_with_it() {
    let (sent, held) = answer(PIECE_BYTES * 2);
    let task = async move {
        let mut sent = sent;
        SENDING.with(|sending| sent.sending = Some(Arc::clone(sending)));
        drop(sent.frame().await);
        std::future::pending::<()>().await;
    };
    let began = Instant::now();
    assert_eq!(watched(task, MAX).await, None);
    assert!(held.upgrade().is_none() && began.elapsed() >= MAX);
}
