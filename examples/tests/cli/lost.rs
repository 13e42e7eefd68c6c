//! Lost answers and races: nothing is reserved twice, nothing that was done is called undone.

use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use std::time::Duration;

use super::proxy::{Loss, Played, Proxy, answer, problem};
use super::{World, command, run};
use crate::common::Scratch;

const RESERVE: &str = "POST /users/ada/reservations";

fn behind_proxy(name: &str) -> (World, Proxy) {
    let mut world = World::new(name);
    let proxy = Proxy::to(&world.server.address);
    world.url = format!("http://{}", proxy.address);
    (world, proxy)
}

#[test]
fn a_lost_answer_never_reserves_twice() {
    for (name, losses) in [
        ("whole", vec![Loss::Whole]),
        ("half", vec![Loss::Half, Loss::Whole]),
        ("request", vec![Loss::Request]),
    ] {
        let (world, proxy) = behind_proxy(name);
        for loss in &losses {
            proxy.lose(RESERVE, *loss);
        }
        let made = world.ada(&["reserve", "--vcpus", "1", "--for", "1h", "--yes", "--json"]).ok().json();
        let sent = proxy.seen(RESERVE);
        assert_eq!((sent.len(), proxy.left()), (losses.len() + 1, 0), "{name}: it was lost and sent again");
        let keys: Vec<_> =
            sent.iter().map(|sent| sent.header("idempotency-key").map(str::to_owned)).collect();
        assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]), "{name}: one key: {keys:?}");
        assert!(sent.iter().all(|one| one.body == sent[0].body), "{name}: one body");
        let held = world.held();
        assert_eq!(held.len(), 1, "{name}: {held:?}");
        assert_eq!(held[0]["id"], made["id"], "{name}");
    }
}

#[test]
fn two_commands_are_two_reservations_and_one_key_is_one() {
    let world = World::new("keys");
    let line = ["reserve", "--vcpus", "1", "--for", "1h", "--yes", "--json"];
    let (one, other) = (world.ada(&line).ok().json(), world.ada(&line).ok().json());
    assert_ne!(one["id"], other["id"]);
    let keyed: Vec<&str> = line.iter().copied().chain(["--idempotency-key", "mine"]).collect();
    let (one, other) = (world.ada(&keyed).ok().json(), world.ada(&keyed).ok().json());
    assert_eq!(one["id"], other["id"]);
    assert_eq!(world.held().len(), 3);
    let another = ["reserve", "--vcpus", "2", "--for", "1h", "--yes", "--idempotency-key", "mine"];
    let refused = world.ada(&another);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("idempotency-mismatch"), "{refused:?}");
}

#[test]
fn when_every_answer_is_lost_it_says_so_and_how_to_go_on() {
    let scratch = Scratch::new("cli-all-lost");
    let played = Played::new(|_, _, _| {});
    let url = format!("http://{}", played.address);
    let env = [("INFRA_URL", url.as_str()), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
    let ran = run(&scratch, &["reserve", "--vcpus", "1", "--yes"], &env, "");
    assert_eq!(ran.code, 69, "{ran:?}");
    let seen = played.seen();
    assert!((2..=6).contains(&seen.len()), "bounded: {}", seen.len());
    let key = seen[0].header("idempotency-key").expect("a key").to_owned();
    assert!(ran.err.contains(&format!("--idempotency-key {key}")), "{ran:?}");
    assert_eq!(ran.out, "");
}

#[test]
fn a_server_that_asks_for_time_gets_it_and_one_that_asks_for_too_much_is_an_error() {
    let scratch = Scratch::new("cli-later");
    let played = Played::new(|request, number, stream| match (request.what.as_str(), number) {
        ("GET /users/ada/keys", 1) => {
            let body = "{\"type\":\"urn:infra:problem:rate-limited\",\"title\":\"t\",\"status\":429,\"detail\":\"slow\"}";
            let text = format!(
                "HTTP/1.1 429 x\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = std::io::Write::write_all(stream, text.as_bytes());
        }
        ("GET /users/ada/keys", _) => answer(stream, 200, "application/json", "{\"items\":[],\"next\":null}"),
        _ => problem(stream, 503, "provider-unavailable", "the cloud sleeps", ",\"retry_after_s\":3600"),
    });
    let url = format!("http://{}", played.address);
    let env = [("INFRA_URL", url.as_str()), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
    let ran = run(&scratch, &["keys"], &env, "").ok();
    assert!(ran.out.contains("no keys") && played.seen().len() == 2, "{ran:?}");
    let ran = run(&scratch, &["list"], &env, "");
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.err.contains("the cloud sleeps") && ran.err.contains("Try again in 3600 s"), "{ran:?}");
    assert_eq!(played.seen().len(), 3, "not sent again");
}

#[test]
fn a_lost_answer_to_a_release_or_a_change_is_found_out() {
    let (world, proxy) = behind_proxy("changes");
    let id = world.reserved("web")["id"].as_str().expect("an id").to_owned();
    let change = format!("PATCH /users/ada/reservations/{id}");
    let before = world.ada(&["show", "web", "--json"]).ok().json()["ends_at"].clone();
    proxy.lose(&change, Loss::Whole);
    let extended = world.ada(&["extend", "web", "--by", "2h", "--json"]).ok().json();
    assert_eq!(hours_between(&before, &extended["ends_at"]), 2, "not four: {extended}");
    assert!(proxy.seen(&change).iter().all(|sent| sent.header("if-match").is_some()));
    proxy.lose(&change, Loss::Whole);
    world.ada(&["stop", "web", "--wait=60s"]).ok();
    let release = format!("DELETE /users/ada/reservations/{id}");
    proxy.lose(&release, Loss::Whole);
    world.ada(&["release", "web", "--yes", "--wait=60s"]).ok();
    assert_eq!(proxy.left(), 0);
    assert_eq!(world.held()[0]["state"], "released");
    let again = world.ada(&["release", &id, "--yes"]);
    assert_eq!(again.code, 3, "{again:?}");
}

fn hours_between(one: &serde_json::Value, other: &serde_json::Value) -> i64 {
    let at = |value: &serde_json::Value| {
        value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a moment")
    };
    // Changes are whole seconds.
    (at(other).duration_since(at(one)).as_secs() + 1800) / 3600
}

#[test]
fn a_conflict_is_tried_once_more_with_a_fresh_version_and_then_told() {
    let scratch = Scratch::new("cli-conflict");
    let reservation = |version: usize| {
        format!(
            "{{\"id\":\"rsv_1\",\"user\":\"ada\",\"state\":\"ready\",\"version\":{version},\"power\":\"on\",\
             \"count\":1,\"created_at\":\"2026-11-21T11:00:00Z\",\"ends_at\":\"2026-11-21T12:00:00Z\"}}"
        )
    };
    let played = Played::new(move |request, number, stream| {
        if request.what.starts_with("GET") {
            answer(stream, 200, "application/json", &reservation(number));
        } else {
            problem(stream, 409, "conflict", "somebody was quicker", "");
        }
    });
    let url = format!("http://{}", played.address);
    let env = [("INFRA_URL", url.as_str()), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
    let ran = run(&scratch, &["extend", "rsv_1", "--by", "1h"], &env, "");
    assert_eq!(ran.code, 7, "{ran:?}");
    let seen = played.seen();
    let sent: Vec<_> = seen
        .iter()
        .filter(|seen| seen.what.starts_with("PATCH"))
        .map(|seen| seen.header("if-match"))
        .collect();
    assert_eq!(sent, [Some("\"1\""), Some("\"2\"")], "a fresh version, and once");
}

#[test]
fn ctrl_c_while_waiting_leaves_the_reservation_and_says_so() {
    let world = World::new("ctrl-c");
    let rule = "[{\"op\":\"launch\",\"effect\":\"capacity\",\"times\":null}]";
    assert_eq!(world.server.admin("POST", "/sim/rules", rule).status, 204);
    let mut command = command(&world.scratch);
    command.args(["reserve", "--vcpus", "1", "--for", "1h", "--name", "web", "--yes", "--wait"]);
    command.env("INFRA_URL", &world.url).env("INFRA_TOKEN", &world.token).env("INFRA_USER", "ada");
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    for _ in 0..200 {
        if !world.held().is_empty() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    // It has to see the answer, too.
    std::thread::park_timeout(Duration::from_secs(1));
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is our child");
    let output = child.wait_with_output().expect("it is our child");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    let held = world.held();
    let id = held[0]["id"].as_str().expect("an id");
    assert!(said.contains(&format!("infra release {id}")) && said.contains("it goes on"), "{said}");
    assert!(!["releasing", "released"].contains(&held[0]["state"].as_str().expect("a state")), "{held:?}");
}

#[test]
fn a_wait_that_takes_too_long_ends_with_its_own_code_and_the_id() {
    let world = World::new("too-long");
    let rule = "[{\"op\":\"launch\",\"effect\":\"capacity\",\"times\":null}]";
    assert_eq!(world.server.admin("POST", "/sim/rules", rule).status, 204);
    let ran = world.ada(&["reserve", "--vcpus", "1", "--for", "1h", "--yes", "--wait=1s", "--json"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let id = ran.json()["id"].as_str().expect("an id").to_owned();
    let ran = world.ada(&["watch", &id, "--timeout", "1s"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("infra watch"), "{ran:?}");
}
