//! Following a reservation: by events, by asking, and over the death of a server.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::proxy::{Played, answer, problem};
use super::{World, command, run};
use crate::common::Scratch;

fn reservation(state: &str) -> String {
    format!(
        "{{\"id\":\"rsv_1\",\"user\":\"ada\",\"state\":\"{state}\",\"version\":7,\"count\":1,\
         \"cost_so_far\":null,\"created_at\":\"2026-11-21T11:00:00Z\"}}"
    )
}

fn states(text: &str) -> Vec<String> {
    let states = text.lines().map(|line| {
        let one: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        one["state"].as_str().expect("a state").to_owned()
    });
    states.collect()
}

#[test]
fn events_are_followed_and_a_stream_that_breaks_is_taken_up_where_it_broke() {
    let scratch = Scratch::new("cli-sse");
    let state = Arc::new(Mutex::new("pending"));
    let asked = Arc::new(AtomicUsize::new(0));
    let (world, looks) = (Arc::clone(&state), Arc::clone(&asked));
    let played = Played::new(move |request, number, stream| {
        let now = *world.lock().expect("nobody panics here");
        if request.what != "GET /users/ada/reservations/rsv_1/events" {
            looks.fetch_add(1, Ordering::Relaxed);
            return answer(stream, 200, "application/json", &reservation(now));
        }
        let mut tell = |part: &str| {
            // After the client's own look, so that it is the event that makes it look again.
            std::thread::park_timeout(Duration::from_millis(300));
            let _ = stream.write_all(part.as_bytes());
        };
        tell("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 10\n\n");
        let set = |to: &'static str| *world.lock().expect("nobody panics here") = to;
        if number == 1 {
            tell(": hello\r\n\r\n");
            set("creating");
            tell("id: 41\r\nevent: sta");
            tell("te\r\ndata: {}\r\n\r");
            tell("\n");
            // And it breaks, in the middle of an event.
            tell("id: 42\nda");
        } else {
            set("ready");
            tell("id: 43\ndata: {}\n\n");
            tell("id: 44\ndata: the same again\n\n");
            set("released");
            tell("id: 45\ndata: {}\n\n");
            tell(": bye\n\n");
        }
    });
    let url = format!("http://{}", played.address);
    let env = [("INFRA_URL", url.as_str()), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
    let ran = run(&scratch, &["watch", "rsv_1", "--follow", "--json"], &env, "").ok();
    assert_eq!(states(&ran.out), ["pending", "creating", "ready", "released"], "{ran:?}");
    assert_eq!(ran.err, "");
    let seen = played.seen();
    let resumed: Vec<_> = (seen.iter())
        .filter(|seen| seen.what.ends_with("/events"))
        .map(|seen| seen.header("last-event-id").map(str::to_owned))
        .collect();
    // 42 never came whole: it must be told again.
    assert_eq!(resumed, [None, Some("41".to_owned())]);
    assert!(asked.load(Ordering::Relaxed) <= 8, "events, not asking again and again: {asked:?}");
}

#[test]
fn a_server_without_events_is_asked_again_and_a_reservation_that_fails_is_a_failure() {
    let scratch = Scratch::new("cli-poll");
    let played = Played::new(|request, number, stream| match request.what.as_str() {
        "GET /users/ada/reservations/rsv_1" => {
            let state = ["pending", "pending", "creating", "creating", "failed"].get(number - 1);
            answer(stream, 200, "application/json", &reservation(state.unwrap_or(&"failed")));
        }
        _ => problem(stream, 404, "not-found", "there is no such path", ""),
    });
    let url = format!("http://{}", played.address);
    let env = [("INFRA_URL", url.as_str()), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
    let ran = run(&scratch, &["watch", "rsv_1", "--json"], &env, "");
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!(states(&ran.out), ["pending", "creating", "failed"], "{ran:?}");
    let events = played.seen().iter().filter(|seen| seen.what.ends_with("/events")).count();
    assert_eq!(events, 1, "asked for once");
}

#[test]
fn a_watcher_survives_the_death_of_the_server() {
    let mut world = World::new("killed");
    let address = world.server.address.clone();
    let id = world.reserved("web")["id"].as_str().expect("an id").to_owned();
    let mut command = command(&world.scratch);
    command.args(["watch", "web", "--follow", "--json"]).env("INFRA_URL", &world.url);
    command.env("INFRA_TOKEN", &world.token).env("INFRA_USER", "ada");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert_eq!(states(&first), ["ready"]);
    let server = std::mem::replace(&mut world.server, world.scratch.start(&["--data", "elsewhere"], &[]));
    server.kill_9();
    std::thread::park_timeout(Duration::from_secs(1));
    world.server = world.scratch.start(&["--sim-control", "--listen", &address], &[]);
    world.ada(&["release", &id, "--yes"]).ok();
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    assert!(child.wait().expect("it is our child").success());
    let rest = states(&rest.join("\n"));
    assert_eq!(rest.last().map(String::as_str), Some("released"), "{rest:?}");
}
