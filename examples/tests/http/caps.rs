//! Who waits is counted, and who holds a place without using it loses it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::FutureExt;
use infra_core::words::clock::{Clock, SystemClock};
use infra_examples::server::{Door, Stop, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::world::{ADMIN, World};
use crate::{GOOD, OURS};

#[tokio::test]
async fn who_waits_keeps_others_out_or_is_told_after_the_deed() {
    let world = World::with(|options| {
        options.waits_max = 2;
        options.token_waits_max = 1;
    })
    .await;
    let made = world.post(OURS, "ada", GOOD).await;
    let place = made.header("location").to_owned();
    let waiting = format!("{place}?wait=10m");
    let mut ada = Box::pin(world.get(&waiting, "ada"));
    assert!((&mut ada).now_or_never().is_none(), "nothing happens without an engine");
    let commits = world.newest().await;
    for (path, method) in [(&*waiting, "GET"), (&*format!("{place}/events"), "GET"), (OURS, "POST")] {
        let (path, body) =
            if method == "POST" { (format!("{path}?wait=1s"), GOOD) } else { (path.to_owned(), "") };
        let full = world.send(method, &path, "ada", body, &[]).await;
        assert_eq!((full.status.as_u16(), full.code()), (429, "rate-limited"), "{path}: {}", full.json);
        assert_eq!(full.header("retry-after"), "1", "{path}");
        assert!(full.text.contains("of this token"), "{}", full.text);
    }
    assert_eq!(world.newest().await, commits, "who found no place has reserved nothing");
    assert_eq!(world.get(&place, "ada").await.status, StatusCode::OK, "what does not wait goes on");
    let mut viewer = Box::pin(world.get(&waiting, "ada-viewer"));
    assert!((&mut viewer).now_or_never().is_none(), "another token has places of its own");
    let full = world.get(&waiting, ADMIN).await;
    assert!(full.status == 429 && full.text.contains("2 waits and streams"), "{}", full.text);
    drop((ada, viewer));
    let later = world.get(&format!("{place}?wait=1ms"), "ada").await;
    assert_eq!(later.status, StatusCode::OK, "whoever goes gives the place back: {}", later.json);
}

#[tokio::test]
async fn one_token_holds_all_requests_in_flight_or_probes_are_refused() {
    let world = World::with(|options| {
        options.in_flight_max = 2;
        options.token_in_flight_max = 1;
    })
    .await;
    let made = world.post(OURS, "ada", GOOD).await;
    let waiting = format!("{}?wait=10m", made.header("location"));
    let mut ada = Box::pin(world.get(&waiting, "ada"));
    assert!((&mut ada).now_or_never().is_none());
    let full = world.get(OURS, "ada").await;
    assert_eq!((full.status.as_u16(), full.header("retry-after")), (429, "1"), "{}", full.json);
    assert_eq!(world.get("/users/eve/reservations", "eve").await.status, StatusCode::OK);
    let mut admin = Box::pin(world.get(&waiting, ADMIN));
    assert!((&mut admin).now_or_never().is_none());
    assert_eq!(world.get("/users/eve/reservations", "eve").await.status.as_u16(), 429);
    assert_eq!(world.get("/healthz", "").await.status, StatusCode::OK, "probes must get through");
}

/// Serves the router, whose connections are cut when nothing is accepted for so long.
async fn served(world: &World, accept_within: Duration) -> (SocketAddr, tokio::sync::watch::Sender<bool>) {
    // Taken over by every connection: else the system's buffers take megabytes before anything is stuck.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(8192).expect("small is fine");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let listener = socket.listen(16).expect("it is bound");
    let address = listener.local_addr().expect("it is bound");
    let (tell, told) = tokio::sync::watch::channel(false);
    let door = Door { accept_within, ..Door::default() };
    tokio::spawn(serve(listener, world.router(), door, Stop::new(told), Arc::new(SystemClock)));
    (address, tell)
}

/// Asks for a stream over a connection with hardly any room in its buffers.
async fn follow(world: &World, address: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("small is fine");
    let mut stream = socket.connect(address).await.expect("it listens");
    let token = world.token("ada");
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream
}

#[tokio::test]
async fn a_reader_who_accepts_nothing_keeps_its_place_among_the_streams() {
    let world = World::with(|options| options.waits_max = 1).await;
    let made = world.post(OURS, "ada", GOOD).await;
    let place = made.header("location").to_owned();
    // A history larger than the buffers of both sides.
    for round in 0..40 {
        let tags: serde_json::Map<_, _> =
            (0..30).map(|n| (format!("tag-{n}"), json!(format!("{round}-{}", "x".repeat(200))))).collect();
        let tagged = world.send("PATCH", &place, "ada", json!({ "tags": tags }).to_string(), &[]).await;
        assert_eq!(tagged.status, StatusCode::OK, "{}", tagged.json);
    }
    let (address, _tell) = served(&world, Duration::from_millis(300)).await;
    let path = format!("{place}/events");
    let mut silent = follow(&world, address, &path).await;
    let begun = SystemClock.mono();
    let mut first = [0; 12];
    silent.read_exact(&mut first).await.expect("it answers");
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(world.get(&path, "ada").await.status.as_u16(), 429, "the one place is taken");
    while world.get(&format!("{place}?wait=1ms"), "ada").await.status.as_u16() == 429 {
        assert!(SystemClock.mono() - begun < Duration::from_secs(10), "the place is lost");
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    assert!(SystemClock.mono() - begun >= Duration::from_millis(250), "it had its time");
    // One that reads, however slowly, is told everything.
    let mut slow = follow(&world, address, &path).await;
    let (mut all, mut some) = (0, vec![0; 16 * 1024]);
    while all < 300_000 {
        SystemClock.sleep(Duration::from_millis(10)).await;
        let read = slow.read(&mut some).await.expect("it goes on");
        assert!(read > 0, "cut after {all} bytes");
        all += read;
    }
}
