//! The served process is killed while somebody follows a reservation and somebody waits for it; and what one request's
//! id, its metrics and its way in look like from outside.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{Scratch, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

const OURS: &str = "/users/ada/reservations";
const WISH: &str = "{\"vcpus\":1,\"count\":3,\"duration_s\":3600}";

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
struct Event {
    id: String,
    word: String,
    data: Value,
}

/// A stream as it comes over the socket.
struct Stream {
    reader: BufReader<TcpStream>,
    status: u16,
    head: String,
}

impl Stream {
    fn open(server: &Server, path: &str, token: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(&server.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout above zero");
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut reader = BufReader::new(stream);
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
            head.push_str(&line.to_lowercase());
            line.clear();
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { reader, status, head }
    }

    /// The next event, comments passed over; `None` when the stream is over or broken off.
    fn next(&mut self) -> Option<Event> {
        let (mut event, mut line) = (Event::default(), String::new());
        loop {
            line.clear();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("event", word)) => word.clone_into(&mut event.word),
                Some(("data", data)) => event.data = serde_json::from_str(data).ok()?,
                // Sizes of chunks, comments, and when to come back.
                Some(_) => {}
                None if line.trim_end().is_empty() && !event.word.is_empty() => return Some(event),
                None => {}
            }
        }
    }
}

/// A user with a key, on a fresh simulated cloud.
fn ada(server: &Server) -> String {
    let token = server.user("ada", "user");
    let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-ada\"}";
    let saved = server.send("POST", "/users/ada/keys", &token, key);
    assert!([200, 201].contains(&saved.status), "{saved:?}");
    token
}

fn reserve(server: &Server, token: &str) -> String {
    let made = server.send("POST", OURS, token, WISH);
    assert_eq!(made.status, 202, "{made:?}");
    format!("{OURS}/{}", made.json["id"].as_str().expect("an id"))
}

/// Every entry of a history, page by page.
fn history(server: &Server, path: &str, token: &str) -> Vec<Value> {
    let (mut all, mut query) = (Vec::new(), "?limit=5".to_owned());
    loop {
        let page = server.send("GET", &format!("{path}/history{query}"), token, "");
        assert_eq!(page.status, 200, "{page:?}");
        all.extend(page.json["items"].as_array().expect("items").clone());
        let Some(next) = page.json["next"].as_str() else { return all };
        query = format!("?limit=5&after={next}");
    }
}

#[test]
fn kill_9_in_the_middle_loses_and_repeats_nothing_for_who_follows_or_waits() {
    let scratch = Scratch::new("streams-kill");
    let mut server = scratch.start(&[], &[]);
    let token = ada(&server);
    let path = reserve(&server, &token);
    let events = format!("{path}/events");
    let (mut seen, mut last) = (Vec::<Event>::new(), None::<String>);
    let mut kills = 0;
    let mut released = false;
    loop {
        let mut stream = Stream::open(&server, &events, &token, last.as_deref());
        if stream.status == 204 {
            break;
        }
        assert_eq!(stream.status, 200, "{}", stream.head);
        assert!(stream.head.contains("text/event-stream") && stream.head.contains("no-"), "{}", stream.head);
        // The first two processes are killed after a few events each, while somebody waits as well.
        let waiting = (kills < 2).then(|| {
            let (address, path, token) = (server.address.clone(), path.clone(), token.clone());
            std::thread::spawn(move || wait(&address, &path, &token))
        });
        let mut here = 0;
        while let Some(event) = stream.next() {
            last = Some(event.id.clone());
            let ready = event.word == "state" && event.data["state"] == "ready";
            seen.push(event);
            here += 1;
            if kills < 2 && here == 3 {
                server.signal(Signal::KILL);
            } else if kills == 2 && ready && !released {
                released = true;
                assert_eq!(server.send("DELETE", &path, &token, "").status, 202);
            }
        }
        if let Some(waiting) = waiting {
            let broken = waiting.join().expect("it does not panic");
            assert!(broken == 0 || broken == 200, "a wait ends with an answer or broken off: {broken}");
            assert!(server.wait().code().is_none(), "it was killed");
            kills += 1;
            server = scratch.start(&[], &[]);
            let again = server.send("GET", &format!("{path}?wait=60s"), &token, "");
            if kills == 2 {
                assert_eq!((again.status, &again.json["state"]), (200, &json!("ready")), "{again:?}");
            }
        }
    }
    assert_eq!(kills, 2);
    each_once(&seen, &history(&server, &path, &token));
}

/// What was seen is the history, each entry once and in order, and the states up to the last.
fn each_once(seen: &[Event], all: &[Value]) {
    let told: Vec<&Value> =
        seen.iter().filter(|event| event.word != "state").map(|event| &event.data["place"]).collect();
    assert_eq!(told, all.iter().map(|entry| &entry["place"]).collect::<Vec<_>>(), "each once, in order");
    let states: Vec<&Value> =
        seen.iter().filter(|event| event.word == "state").map(|event| &event.data["state"]).collect();
    assert_eq!(states.last(), Some(&&json!("released")), "{states:?}");
    let words: Vec<&str> = seen.iter().map(|event| event.word.as_str()).collect();
    for word in ["reserved", "phase", "attempt", "desired"] {
        assert!(words.contains(&word), "{word} of {words:?}");
    }
}

/// Waits for a reservation; answers the status, 0 when it was broken off.
fn wait(address: &str, path: &str, token: &str) -> u16 {
    let Ok(mut stream) = TcpStream::connect(address) else { return 0 };
    let head = format!(
        "GET {path}?wait=60s HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).is_err() {
        return 0;
    }
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[test]
fn a_stream_ends_when_its_token_is_revoked_and_when_the_server_stops() {
    let scratch = Scratch::new("streams-end");
    let server = scratch.start(&[], &[]);
    let token = ada(&server);
    let path = reserve(&server, &token);
    let events = format!("{path}/events");
    let ready = server.send("GET", &format!("{path}?wait=60s"), &token, "");
    assert_eq!(ready.json["state"], "ready", "{ready:?}");
    assert_eq!(Stream::open(&server, &events, &token, Some("nonsense")).status, 400);
    let eve = server.user("eve", "user");
    assert_eq!(Stream::open(&server, &events, &eve, None).status, 404);
    let (mut one, mut other) =
        (Stream::open(&server, &events, &token, None), Stream::open(&server, &events, &server.admin, None));
    let tokens = server.admin("GET", "/admin/users/ada/tokens", "").json;
    let id = tokens["items"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(server.admin("DELETE", &format!("/admin/users/ada/tokens/{id}"), "").status, 204);
    // Ends by itself: reading on would time out otherwise.
    while one.next().is_some() {}
    server.signal(Signal::TERM);
    while other.next().is_some() {}
    assert!(server.wait().success());
}

#[test]
fn one_request_can_be_followed_from_its_answer_to_the_clouds_call() {
    let scratch = Scratch::new("streams-id");
    let server = scratch.start(&[], &[("INFRA_LOG_FORMAT", "json")]);
    let token = ada(&server);
    let made = server.send_with("POST", OURS, &token, WISH, "x-request-id: req-of-this-test\r\n");
    assert_eq!((made.status, made.header("x-request-id")), (202, Some("req-of-this-test")));
    let path = format!("{OURS}/{}", made.json["id"].as_str().expect("an id"));
    let ready = server.send("GET", &format!("{path}?wait=60s"), &token, "");
    assert_eq!(ready.json["state"], "ready", "{ready:?}");
    let log = scratch.log();
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let launch = lines.find(|line| {
        let text = line.to_string();
        text.contains("cloud call") && text.contains("\"launch\"") && text.contains("req-of-this-test")
    });
    let launch = launch.unwrap_or_else(|| panic!("no call of a cloud bears the id: {log}")).to_string();
    assert!(launch.contains(path.rsplit('/').next().expect("an id")), "{launch}");
    let first = &history(&server, &path, &token)[0];
    assert_eq!((&first["event"], &first["request_id"]), (&json!("reserved"), &json!("req-of-this-test")));
    assert!(first["by"].as_str().is_some_and(|by| by.starts_with("token:tok_")), "{first}");
}

#[test]
fn the_way_in_is_for_its_owner_and_never_in_a_log() {
    let scratch = Scratch::new("streams-access");
    let server = scratch.start(&[], &[("INFRA_LOG", "debug")]);
    let token = ada(&server);
    let path = reserve(&server, &token);
    let ready = server.send("GET", &format!("{path}?wait=60s"), &token, "");
    assert_eq!(ready.json["state"], "ready", "{ready:?}");
    let access = format!("{path}/access");
    let way = server.send("GET", &access, &token, "");
    assert_eq!((way.status, way.header("cache-control")), (200, Some("no-store")), "{way:?}");
    assert_eq!(way.json["machines"].as_array().map(Vec::len), Some(3), "{}", way.json);
    let private = way.json["private_key"].as_str().expect("one was made").to_owned();
    let core = private.lines().nth(2).expect("a key has lines").to_owned();
    let admin = server.admin("GET", &access, "");
    assert_eq!((admin.status, &admin.json["private_key"]), (200, &Value::Null), "{admin:?}");
    let viewer = server.user("ada", "viewer");
    assert_eq!(server.send("GET", &access, &viewer, "").status, 403);
    let told = history(&server, &path, &token);
    let asked: Vec<&Value> =
        told.iter().filter(|entry| entry["event"] == "accessed").map(|e| &e["details"]["secrets"]).collect();
    assert_eq!(asked, [&json!(true), &json!(false)]);
    assert_eq!(server.send("DELETE", &path, &token, "").status, 202);
    server.kill_9();
    assert!(!scratch.log().contains(&core), "it stands in the log");
    for (file, bytes) in common::every_file(&scratch.data()) {
        let there = bytes.windows(core.len()).any(|part| part == core.as_bytes());
        assert!(!there, "it stands in {}", file.display());
    }
}

/// Names of HTTP.md 8 that are there as long as there are no pools.
const METRICS: [&str; 9] = [
    "infra_reservations{state=\"ready\"} 1",
    "infra_units{state=\"want\"} 3",
    "infra_divergence_seconds 0",
    "infra_provider_calls_total{provider=\"sim\",op=\"launch\",outcome=\"ok\"}",
    "infra_provider_call_seconds_bucket",
    "infra_limiter_wait_seconds_count",
    "infra_breaker_open{provider=\"sim\",region=\"sim-",
    "infra_droppings 0",
    "infra_store_commit_seconds_sum",
];

#[test]
fn metrics_say_how_much_and_never_whose() {
    let scratch = Scratch::new("streams-metrics");
    let server = scratch.start(&[], &[("INFRA_METRICS_TOKEN", "scraper-of-this-test")]);
    let token = ada(&server);
    let path = reserve(&server, &token);
    let ready = server.send("GET", &format!("{path}?wait=60s"), &token, "");
    assert_eq!(ready.json["state"], "ready", "{ready:?}");
    assert_eq!(server.send("GET", "/metrics", "", "").status, 401);
    assert_eq!(server.send("GET", "/metrics", &token, "").status, 403);
    assert_eq!(server.send("GET", "/admin/status", "scraper-of-this-test", "").status, 401);
    let text = |token: &str| {
        let reply = server.send("GET", "/metrics", token, "");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    };
    let mut shown = text(&server.admin);
    // The shards count once they have looked at it as it is now.
    for _ in 0..100 {
        if METRICS.iter().all(|metric| shown.contains(metric)) {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(100));
        shown = text("scraper-of-this-test");
    }
    for metric in METRICS {
        assert!(shown.contains(metric), "{metric} is not in\n{shown}");
    }
    let id = path.rsplit('/').next().expect("an id");
    for whose in ["ada", id, "rsv_", "user:", "tok_", "acc", "lse_", "req_"] {
        let labels = shown.lines().filter(|line| !line.starts_with('#'));
        for line in labels {
            assert!(!line.contains(whose), "{whose} in {line}");
        }
    }
    let part = server.send("GET", "/readyz", "", "");
    assert_eq!((part.status, &part.json["engine"]["condition"]), (200, &json!("ok")), "{part:?}");
    assert!(part.json["events"]["condition"].is_string() && !part.json.to_string().contains("ada"));
}
