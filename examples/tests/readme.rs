//! The README's commands, run as they stand there: a newcomer copies them.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Scratch;
use rustix::process::Signal;

/// The shell blocks of the README between two headings.
fn blocks(heading: &str) -> Vec<String> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README is there");
    let section = readme.split(heading).nth(1).expect("the heading is there");
    let section = section.split("\n## ").next().expect("a split has a first part");
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("a split has a first part").to_owned()).collect()
}

#[test]
fn every_command_of_the_readme_works_in_order() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "curl is needed here");
        eprintln!("SKIPPED: there is no curl");
        return;
    }
    let scratch = Scratch::new("readme");
    let blocks = blocks("## Run the server");
    let (start, rest) = blocks.split_first().expect("there are commands");
    assert_eq!(start.trim(), "cargo run --release --bin http-server");
    let server = scratch.start(&[], &[]);
    // Each answer on a line of its own, and what was asked for it before.
    let script = format!("set -eu\nset -x\n{}", rest.join("\n")).replace("curl -sS", "curl -sS -w '\\n'");
    let script = script.replace("127.0.0.1:8080", &server.address);
    let output =
        Command::new("bash").arg("-c").arg(&script).current_dir(&scratch.0).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let asked = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{asked}\n{said}");
    assert!(!said.contains("urn:infra:problem"), "{asked}\n{said}");
    let answers: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let [user, key, quotes, ready, way, told, list, extended, released, _, _] = answers.as_slice() else {
        panic!("another number of answers than expected: {said}")
    };
    assert_eq!((&user["name"], &key["status"]), (&"ada".into(), &"valid".into()));
    assert!(quotes["items"].as_array().is_some_and(|items| !items.is_empty()), "{quotes}");
    assert_eq!(ready["state"], "ready", "{ready}\n{}", scratch.log());
    assert_eq!(ready["units"].as_array().map(Vec::len), Some(2), "{ready}");
    assert!(ready["units"][0]["public_address"].is_string(), "{ready}");
    assert!(way["private_key"].as_str().is_some_and(|key| key.contains("OPENSSH PRIVATE KEY")), "{way}");
    assert_eq!(
        (&way["machines"][0]["user"], &told["items"][0]["event"]),
        (&"ubuntu".into(), &"reserved".into())
    );
    assert_eq!(list["items"][0]["id"], ready["id"]);
    assert!(extended["ends_at"].as_str() > ready["ends_at"].as_str(), "{extended}");
    assert_eq!(released["state"], "releasing", "{released}");
}

#[test]
fn every_command_of_the_command_line_works_as_it_stands_there() {
    let scratch = Scratch::new("readme-cli");
    let blocks = blocks("## Lease machines from the command line");
    let [start, build, rest @ ..] = blocks.as_slice() else { panic!("there are commands: {blocks:?}") };
    assert_eq!(start.trim(), "cargo run --release --bin http-server");
    assert_eq!(build.trim(), "cargo build --release --bin infra\nPATH=\"$PWD/target/release:$PATH\"");
    let server = scratch.start(&[], &[]);
    // Only the port is another one.
    let login = format!("infra login --url http://{}", server.address);
    let script = format!("set -euo pipefail\n{}", rest.join("\n")).replace("infra login", &login);
    let folder = Path::new(env!("CARGO_BIN_EXE_infra")).parent().expect("a binary lies in a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.arg("-c").arg(&script).current_dir(&scratch.0).env_clear();
    let output = command.env("PATH", path).env("HOME", scratch.0.join("home")).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let aside = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{aside}\n{}", scratch.log());
    for wanted in [
        "added ada",
        "saved sim/default (static): valid",
        "EACH/HOUR",
        "\"web\": ready",
        "machines   2 of 2 ready",
        "\"web\" is stopped",
        "\"web\" is ready, 2 of 2 machines ready",
        "\"web\" is released",
        "What it is made of",
        "AT MONTH'S END",
        "user:ada  per_month  $500.00",
        "global is no_creates",
        "global is open",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}\n{aside}");
    }
    assert!(!said.contains("infra_") && !aside.contains("infra_"), "no token shows: {said}\n{aside}");
    let held = server.admin("GET", "/users/ada/reservations?state=all", "").json;
    assert_eq!(held["items"].as_array().map(Vec::len), Some(2), "{held}");
    assert_eq!(held["items"][0]["state"], "released", "{held}");
}

#[test]
fn the_readmes_templates_and_profile_work_as_they_stand_there() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "curl is needed here");
        eprintln!("SKIPPED: there is no curl");
        return;
    }
    let scratch = Scratch::new("readme-templates");
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README is there");
    let after = readme.split("<!-- templates -->\n```console\n").nth(1).expect("the commands are there");
    let commands = after.split("```").next().expect("a split has a first part");
    let blocks = blocks("## Run the server");
    let server = scratch.start(&[], &[]);
    // A user with a token and a key, as it was made further up on the page.
    let script = format!("set -eu\nset -x\n{}\n{}\n{commands}", blocks[1], blocks[2]);
    let script = script.replace("curl -sS", "curl -sS -w '\\n'").replace("127.0.0.1:8080", &server.address);
    let output =
        Command::new("bash").arg("-c").arg(&script).current_dir(&scratch.0).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let asked = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("urn:infra:problem"), "{asked}\n{said}");
    let answers: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let [_, _, _, ben, template, again, profile, tagged] = answers.as_slice() else {
        panic!("another number of answers than expected: {said}")
    };
    assert_eq!((&ben["tenant"], &template["version"]), (&"data".into(), &1.into()), "{ben} {template}");
    assert_eq!(
        (&again["request"]["vcpus"], &again["request"]["tags"]),
        (&1.0.into(), &serde_json::Value::Null)
    );
    assert_eq!(profile["preferences"]["region"], "sim-ams", "{profile}");
    assert_eq!(tagged["items"].as_array().map(Vec::len), Some(0), "{tagged}");
}

#[test]
fn a_lease_ends_by_itself_also_when_the_server_was_killed_meanwhile() {
    let scratch = Scratch::new("ends");
    let server = scratch.start(&["--sim-control"], &[]);
    let token = server.user("ada", "user");
    let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-ada\"}";
    assert_eq!(server.send("POST", "/users/ada/keys", &token, key).status, 201);
    let body = "{\"vcpus\":1,\"duration_s\":5}";
    let made = server.send("POST", "/users/ada/reservations?wait=60s", &token, body);
    assert_eq!((made.status, &made.json["state"]), (200, &"ready".into()), "{made:?}\n{}", scratch.log());
    let path = format!("/users/ada/reservations/{}", made.json["id"].as_str().expect("an id"));
    server.kill_9();
    let server = scratch.start(&["--sim-control"], &[]);
    let mut state = String::new();
    for _ in 0..120 {
        state = server.send("GET", &path, &token, "").json["state"].as_str().unwrap_or_default().to_owned();
        if state == "released" {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(500));
    }
    assert_eq!(state, "released", "{}", scratch.log());
    let again = server.send("DELETE", &path, &token, "");
    assert_eq!((again.status, again.code()), (410, "released"), "{again:?}");
    let list = server.send("GET", "/users/ada/reservations", &token, "").json;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{list}");
    let all = server.send("GET", "/users/ada/reservations?state=all", &token, "").json;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{all}");
}

#[test]
fn whoever_waits_is_answered_when_the_server_stops() {
    let scratch = Scratch::new("waits");
    let server = scratch.start(&["--sim-control"], &[]);
    let token = server.user("ada", "user");
    let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-ada\"}";
    assert_eq!(server.send("POST", "/users/ada/keys", &token, key).status, 201);
    let rule = "[{\"op\":\"launch\",\"effect\":\"capacity\",\"times\":null}]";
    assert_eq!(server.admin("POST", "/sim/rules", rule).status, 204);
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let path = "/users/ada/reservations?wait=60s";
            server.send("POST", path, &token, "{\"vcpus\":1,\"duration_s\":600}")
        });
        std::thread::park_timeout(Duration::from_secs(1));
        server.signal(Signal::TERM);
        waiting.join().expect("it was answered")
    });
    assert_eq!(waited.status, 202, "{waited:?}");
    assert!(server.wait().success(), "{}", scratch.log());
}
