//! SIGTERM under load: every request that was sent is answered, every watch ends as a whole stream.

use super::*;

const TIMES: ShutdownTimes = ShutdownTimes {
    delay: Duration::from_millis(300),
    watch_window: Duration::from_millis(600),
    drain_max: Duration::from_secs(60),
};

/// What one client saw.
#[derive(Default)]
struct Seen {
    answered: usize,
    lost: Vec<String>,
}

/// Asks as fast as it can, on a new connection when the old one is not to be used any more, until none can be made.
async fn client(address: SocketAddr, issued: Arc<Issued>, version: Version) -> Seen {
    let mut seen = Seen::default();
    while let Ok(mut connection) = connect(address, &issued, version).await {
        loop {
            match connection.ask("/object").await {
                Outcome::Answered(answer) => match answer.into_body().collect().await {
                    Ok(body) => match body.to_bytes().as_ref() {
                        b"done" => seen.answered += 1,
                        other => seen.lost.push(format!("an answer was {other:?}")),
                    },
                    Err(error) => seen.lost.push(format!("{error:?}")),
                },
                Outcome::NotTaken => break,
                Outcome::Lost(reason) => {
                    seen.lost.push(reason);
                    break;
                }
            }
        }
    }
    seen
}

/// Follows one watch to its end. Says how long after `signal` it ended.
async fn watch(address: SocketAddr, issued: Arc<Issued>, version: Version, signal: CancellationToken) -> Duration {
    let mut connection = connect(address, &issued, version).await.unwrap();
    let Outcome::Answered(answer) = connection.ask("/watch").await else { panic!("the watch did not begin") };
    let mut body = answer.into_body();
    let mut signalled = None;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        // The end of a stream of HTTP/2 is an empty frame.
        assert!(data == "event\n" || data.is_empty(), "{data:?}");
        if signalled.is_none() && signal.is_cancelled() {
            signalled = Some(std::time::Instant::now());
        }
    }
    signalled.unwrap().elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_is_lost_under_load_and_watches_end_spread_out() {
    let issued = Arc::new(issue());
    let server = start(&issued, Limits::default(), TIMES, Duration::from_millis(3)).await;
    let mut clients = Vec::new();
    let mut watches = Vec::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for _ in 0..5 {
            clients.push(tokio::spawn(client(server.address, Arc::clone(&issued), version)));
            let signal = server.signal.clone();
            watches.push(tokio::spawn(watch(server.address, Arc::clone(&issued), version, signal)));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal.cancel();
    let mut ends = Vec::new();
    for watch in watches {
        ends.push(watch.await.unwrap().as_millis());
    }
    let mut answered = 0;
    for client in clients {
        let seen = client.await.unwrap();
        assert!(seen.lost.is_empty(), "{:?}", seen.lost);
        answered += seen.answered;
    }
    server.served.await.unwrap().unwrap();
    assert!(answered > 200, "only {answered} requests were made");
    ends.sort_unstable();
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    assert!(first >= 250, "a watch ended after {first} ms, before the delay was over");
    assert!(last - first >= 150, "watches ended between {first} and {last} ms, all at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_just_connected_is_answered_once() {
    let issued = issue();
    let times = ShutdownTimes { delay: Duration::ZERO, ..TIMES };
    let server = start(&issued, Limits::default(), times, Duration::from_millis(1)).await;
    let mut connections = Vec::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        connections.push(connect(server.address, &issued, version).await.unwrap());
    }
    server.signal.cancel();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for connection in &mut connections {
        assert_eq!(connection.text("/object").await.unwrap(), (200, "done".to_owned()));
    }
    assert!(TcpStream::connect(server.address).await.is_err(), "a connection is accepted although the server closes");
    server.served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_http1_say_close_while_the_server_terminates() {
    let issued = issue();
    let server = start(&issued, Limits::default(), TIMES, Duration::from_millis(1)).await;
    let mut connection = connect(server.address, &issued, Version::HTTP_11).await.unwrap();
    let Outcome::Answered(answer) = connection.ask("/object").await else { panic!("no answer") };
    assert!(answer.headers().get("connection").is_none());
    answer.into_body().collect().await.unwrap();
    server.signal.cancel();
    let Outcome::Answered(answer) = connection.ask("/object").await else { panic!("no answer") };
    assert_eq!(answer.headers()["connection"], "close");
    server.served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_is_cut_off() {
    let issued = issue();
    let times =
        ShutdownTimes { delay: Duration::ZERO, watch_window: Duration::ZERO, drain_max: Duration::from_millis(200) };
    let server = start(&issued, Limits::default(), times, Duration::from_secs(3600)).await;
    let mut connection = connect(server.address, &issued, Version::HTTP_2).await.unwrap();
    let asked = tokio::spawn(async move { connection.text("/object").await });
    while server.handler.running.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.signal.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.served).await.unwrap().unwrap().unwrap();
    asked.abort();
}
