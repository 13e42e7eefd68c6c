//! Spans of one request, from the door down to the calls to a cloud, as a collector receives them.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use common::{Scratch, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A collector: takes every post and keeps what was in it.
fn collector() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let kept: Arc<Mutex<Vec<Value>>> = Arc::default();
    let into = Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, into) = (stream.expect("a connection"), Arc::clone(&into));
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().expect("it is ours");
                let mut reader = BufReader::new(stream);
                while let Some(posted) = post(&mut reader) {
                    into.lock().expect("nothing panics here").push(posted);
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    writer.write_all(answer.as_bytes()).expect("it listens");
                }
            });
        }
    });
    (address, kept)
}

/// One post of spans; nothing when the connection ends.
fn post(reader: &mut impl BufRead) -> Option<Value> {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert_eq!(line.trim(), "POST /v1/traces HTTP/1.1");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a head");
        let lower = line.trim().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(said) = lower.strip_prefix("content-length:") {
            length = said.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    Some(serde_json::from_slice(&body).expect("JSON"))
}

/// One span: its name, trace, id, parent, and its attributes as texts.
#[derive(Debug)]
struct Span {
    name: String,
    trace: String,
    id: String,
    parent: String,
    attributes: Vec<(String, String)>,
}

impl Span {
    fn read(span: &Value) -> Self {
        let text = |field: &str| span[field].as_str().unwrap_or_default().to_owned();
        let of = |attribute: &Value| {
            let value = attribute["value"].as_object().and_then(|value| value.values().next());
            let value = value.map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            (attribute["key"].as_str().expect("a key").to_owned(), value)
        };
        let attributes = span["attributes"].as_array().map(|all| all.iter().map(of).collect());
        Self {
            name: text("name"),
            trace: text("traceId"),
            id: text("spanId"),
            parent: text("parentSpanId"),
            attributes: attributes.unwrap_or_default(),
        }
    }

    fn says(&self, key: &str) -> &str {
        self.attributes.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str())
    }
}

fn spans(kept: &Mutex<Vec<Value>>) -> Vec<Span> {
    let kept = kept.lock().expect("nothing panics here");
    let resources =
        kept.iter().flat_map(|post| post["resourceSpans"].as_array().cloned().unwrap_or_default());
    let scopes = resources.flat_map(|of| of["scopeSpans"].as_array().cloned().unwrap_or_default());
    let all = scopes.flat_map(|of| of["spans"].as_array().cloned().unwrap_or_default());
    all.map(|span| Span::read(&span)).collect()
}

fn made(server: &Server, path: &str, token: &str, body: &Value) -> Value {
    let reply = server.send("POST", path, token, &body.to_string());
    assert!((200..300).contains(&reply.status), "{}", reply.body);
    serde_json::from_str(&reply.body).expect("JSON")
}

#[test]
fn a_request_cannot_be_followed_down_to_the_cloud() {
    let (address, kept) = collector();
    let scratch = Scratch::new("otlp");
    let server = scratch.start(&[], &[("INFRA_OTLP", &address)]);
    let admin = server.admin.clone();
    made(&server, "/admin/users", &admin, &json!({"name": "ada"}));
    let issued = made(&server, "/admin/users/ada/tokens", &admin, &json!({"label": "t"}));
    let token = issued["token"].as_str().expect("shown once").to_owned();
    let key = json!({"provider": "sim", "kind": "static", "token": "sim-followed"});
    made(&server, "/users/ada/keys", &token, &key);
    let need = json!({"vcpus": 1, "duration_s": 3600, "setup": "echo planted-setup"}).to_string();
    let path = "/users/ada/reservations?wait=60s";
    let reply = server.send_with("POST", path, &token, &need, "x-request-id: follow-me\r\n");
    assert_eq!(reply.status, 200, "{}", reply.body);
    server.signal(Signal::TERM);
    assert!(server.wait().success(), "{}", scratch.log());
    let spans = spans(&kept);
    let request = spans.iter().find(|span| span.says("request_id") == "follow-me" && span.name == "request");
    let request = request.unwrap_or_else(|| panic!("no span of the request: {spans:#?}"));
    assert_eq!((request.says("user"), request.says("status")), ("ada", "200"));
    assert_eq!(request.says("route"), "/users/{user}/reservations");
    let trace: Vec<&Span> = spans.iter().filter(|span| span.trace == request.trace).collect();
    let named = |name: &str| trace.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert!(!named("reservation").is_empty(), "its planning is in its trace: {trace:#?}");
    let call = named("cloud call").into_iter().find(|span| span.says("op") == "launch");
    let call = call.unwrap_or_else(|| panic!("no call to the cloud: {trace:#?}"));
    assert_eq!(call.says("outcome"), "ok");
    let attempt = named("attempt").into_iter().find(|span| span.id == call.parent);
    let attempt = attempt.unwrap_or_else(|| panic!("the call belongs to no attempt: {trace:#?}"));
    assert!(attempt.says("lane").starts_with("sim"), "{attempt:?}");
    // A key is checked while its request waits: that call is below the request itself.
    let saving =
        spans.iter().find(|span| span.name == "request" && span.says("route") == "/users/{user}/keys");
    let saving = saving.expect("the key was saved");
    assert!(spans.iter().any(|span| span.says("op") == "identify" && span.parent == saving.id), "{spans:#?}");
    let all = format!("{:?}", kept.lock().expect("nothing panics here"));
    for secret in [admin.as_str(), &token, "planted"] {
        let at = all.find(secret).map(|at| &all[at.saturating_sub(200)..(at + 60).min(all.len())]);
        assert_eq!(at, None, "a secret is in the spans");
    }
    // The log leads to the same request: the line of the call bears its id.
    let log = scratch.log();
    let line = log.lines().find(|line| line.contains("cloud call") && line.contains("op=\"launch\""));
    assert!(line.is_some_and(|line| line.contains("follow-me")), "{log}");
}

#[test]
fn a_collector_that_is_gone_holds_requests_up() {
    let scratch = Scratch::new("otlp-gone");
    let server = scratch.start(&[], &[("INFRA_OTLP", "http://127.0.0.1:1")]);
    for _ in 0..20 {
        assert_eq!(server.send("GET", "/whoami", &server.admin, "").status, 200);
    }
    server.signal(Signal::TERM);
    assert!(server.wait().success(), "{}", scratch.log());
}
