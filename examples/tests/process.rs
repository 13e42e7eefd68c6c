//! The served process: how it starts, refuses to start, stops, and comes back after `kill -9`.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use common::{Scratch, Server};
use infra_core::{Clock, SystemClock};
use rustix::process::Signal;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
        & 0o777
}

#[test]
fn a_first_start_needs_nothing_and_says_that_it_is_simulated() {
    let scratch = Scratch::new("first");
    let server = scratch.start(&[], &[]);
    assert!(server.banner.contains("simulated"), "{}", server.banner);
    assert!(server.banner.contains(&scratch.data().join("admin-token").display().to_string()));
    assert!(server.banner.contains(&scratch.master_key().display().to_string()));
    assert!(!server.banner.contains(&server.admin), "the token itself is never printed");
    assert_eq!(server.send("GET", "/healthz", "", "").status, 200);
    assert_eq!(server.send("GET", "/readyz", "", "").status, 200);
    assert_eq!((mode(&scratch.data()), mode(&scratch.data().join("admin-token"))), (0o700, 0o600));
    assert_eq!(mode(&scratch.master_key()), 0o600);
    for (path, _) in common::every_file(&scratch.data()) {
        assert_eq!(mode(&path) & 0o077, 0, "{} can be read by others", path.display());
    }
}

#[test]
fn refusals_have_exit_codes_that_a_script_can_act_on() {
    let scratch = Scratch::new("codes");
    let bad = scratch.0.join("bad.toml");
    std::fs::write(&bad, "\nlisten_on = \"127.0.0.1:1\"\n").expect("the folder is ours");
    let (bad, key) = (bad.to_str().expect("text"), "00".repeat(32));
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let taken = taken.local_addr().map(|address| address.to_string()).expect("it is bound");
    // Flags, environment, exit code, what must be said.
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);
    let rows: &[Row<'_>] = &[
        (&["--help"], &[], 0, ""),
        (&["--check-config"], &[], 0, ""),
        (&["--print-config"], &[("INFRA_MASTER_KEY", &key)], 0, ""),
        (&["--nonsense"], &[], 64, "--nonsense"),
        (&["--listen", "nowhere"], &[], 64, "--listen"),
        (&["--store", "postgres://x"], &[], 64, "sqlite:FOLDER"),
        (&["--config", bad], &[], 78, "line 2: listen_on"),
        (&["--check-config", "--config", bad], &[], 78, "line 2: listen_on"),
        (&[], &[("INFRA_LISTEN", "nowhere")], 78, "INFRA_LISTEN"),
        (&[], &[("INFRA_MASTER_KEY", "planted-key")], 78, "64 hex digits"),
        (&[], &[("HOME", "")], 78, "HOME"),
        (&[], &[("INFRA_LOG", "a=b=c")], 78, "INFRA_LOG"),
        (&["--check-config"], &[("INFRA_OTLP", "moon")], 78, "log.otlp"),
        (&["--sim-control", "--cloud", "aws=http://127.0.0.1:1"], &[], 78, "refused beside a real provider"),
        (&["--listen", &taken], &[], 78, "cannot listen"),
        (&["--data", "/proc/nothing"], &[], 78, "/proc/nothing"),
    ];
    for (args, env, code, wanted) in rows {
        let output = scratch.output(args, env);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?} {env:?} said {said}");
        assert!(said.contains(wanted), "{args:?} {env:?} said {said}");
        assert!(
            !said.contains("planted") && !String::from_utf8_lossy(&output.stdout).contains(&key),
            "{said}"
        );
    }
}

#[test]
fn a_data_folder_has_one_process() {
    let scratch = Scratch::new("in-use");
    let _server = scratch.start(&[], &[]);
    let second = scratch.output(&["--listen", "127.0.0.1:0"], &[]);
    assert_eq!(second.status.code(), Some(75), "{}", String::from_utf8_lossy(&second.stderr));
}

#[test]
fn another_master_key_is_noticed_at_start_not_at_first_use() {
    let scratch = Scratch::new("wrong-key");
    drop(scratch.start(&[], &[]));
    let other = "11".repeat(32);
    let second = scratch.output(&["--listen", "127.0.0.1:0"], &[("INFRA_MASTER_KEY", &other)]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!((second.status.code(), said.contains("wrong master key")), (Some(78), true), "{said}");
    std::fs::remove_file(scratch.master_key()).expect("it was made");
    let third = scratch.output(&["--listen", "127.0.0.1:0"], &[]);
    assert_eq!(third.status.code(), Some(78), "a lost key is never replaced by a new one");
    assert!(!scratch.master_key().exists());
}

#[test]
fn a_signal_ends_it_within_ten_seconds_whatever_clients_do() {
    for signal in [Signal::TERM, Signal::INT] {
        let scratch = Scratch::new("signal");
        let server = scratch.start(&[], &[]);
        // One who says nothing, one who stops within the head, one within the body, one between two requests.
        let mut clients: Vec<TcpStream> =
            (0..4).map(|_| TcpStream::connect(&server.address).expect("it listens")).collect();
        clients[1].write_all(b"GET / HT").expect("it reads");
        let auth = &server.admin;
        let head = format!(
            "POST /admin/users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {auth}\r\ncontent-length: 9\r\n\r\n{{"
        );
        clients[2].write_all(head.as_bytes()).expect("it reads");
        clients[3].write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
        clients[3].read_exact(&mut [0; 15]).expect("it answers");
        let begun = SystemClock.mono();
        server.signal(signal);
        let status = server.wait();
        assert!(status.success(), "{status} {}", scratch.log());
        let took = SystemClock.mono() - begun;
        assert!(took < Duration::from_secs(10), "took {took:?}");
    }
}

#[test]
fn people_and_brakes_survive_kill_9() {
    let scratch = Scratch::new("kill");
    let server = scratch.start(&[], &[]);
    let token = server.user("ada", "user");
    let brake = "{\"scope\":\"global\",\"value\":\"no_creates\",\"why\":\"test\"}";
    assert_eq!(server.admin("PUT", "/admin/brakes", brake).status, 200);
    server.kill_9();
    let server = scratch.start(&[], &[]);
    assert_eq!(server.send("GET", "/users/ada/reservations", &token, "").status, 200);
    let brakes = server.admin("GET", "/admin/brakes", "").json;
    assert_eq!(brakes["items"][0]["value"], "no_creates", "{brakes}");
}

#[test]
fn a_copied_data_folder_is_frozen_until_somebody_says_what_it_is() {
    let scratch = Scratch::new("copied");
    let server = scratch.start(&[], &[]);
    let token = server.user("ada", "user");
    server.kill_9();
    std::fs::rename(scratch.data(), scratch.0.join("moved")).expect("both are in one folder");
    let server = scratch.start(&["--data", "moved"], &[("INFRA_ADMIN_TOKEN", "admin-for-this-test")]);
    let ready = server.send("GET", "/readyz", "", "");
    assert_eq!((ready.status, ready.code()), (503, "unavailable"), "{ready:?}");
    assert!(ready.json["detail"].as_str().is_some_and(|detail| detail.contains("frozen")), "{ready:?}");
    let refused = server.send("POST", "/users/ada/reservations", &token, "{}");
    assert_eq!((refused.status, refused.code()), (403, "paused"), "{refused:?}");
    let recovered = server.admin("POST", "/admin/recover", "{\"what\":\"moved\"}");
    assert_eq!(recovered.status, 200, "{recovered:?}");
    assert_eq!(server.send("GET", "/readyz", "", "").status, 200);
}

#[test]
fn no_secret_reaches_a_log_or_a_file() {
    let scratch = Scratch::new("secrets");
    let admin = "planted-admin-token";
    let key = "5e".repeat(32);
    let env = [("INFRA_ADMIN_TOKEN", admin), ("INFRA_MASTER_KEY", &*key), ("INFRA_LOG", "trace")];
    let server = scratch.start(&[], &env);
    let token = server.user("ada", "user");
    let keys = "/users/ada/keys";
    // The simulator's accounts are named after their keys, so it is the whole key that must stand nowhere.
    let cloud_key = "sim-acct7391";
    let body = format!("{{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"{cloud_key}\"}}");
    assert_eq!(server.send("POST", keys, &token, &body).status, 201);
    let wrong = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":[\"planted-in-a-list\"]}";
    let refused = server.send("POST", keys, &token, wrong);
    assert_eq!((refused.status, refused.code()), (400, "wrong-type"));
    assert!(!refused.json.to_string().contains("planted"), "{refused:?}");
    let setup = "{\"vcpus\":1,\"setup\":\"echo planted-setup\"}";
    let made = server.send("POST", "/users/ada/reservations?wait=30s", &token, setup);
    assert_eq!((made.status, &made.json["state"]), (200, &"ready".into()), "{made:?}");
    assert!(!made.json.to_string().contains("planted"), "{made:?}");
    server.send("POST", "/users/ada/reservations?planted-query=1", "planted-wrong-token", "planted-body");
    server.send("GET", "/planted-path/planted-segment", &token, "");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let log = scratch.log();
    assert!(log.contains("/users/{user}/keys"), "the log is on");
    let planted = ["planted", cloud_key, token.as_str(), key.as_str()];
    for (path, bytes) in common::every_file(&scratch.0) {
        let text = String::from_utf8_lossy(&bytes);
        for secret in planted {
            let around = text.find(secret).map(|at| text[..at].chars().rev().take(300).collect::<String>());
            let around = around.map(|before| before.chars().rev().collect::<String>());
            assert_eq!(around, None, "{secret} stands in {}", path.display());
        }
    }
}

#[test]
fn json_logs_are_one_object_per_line() {
    let scratch = Scratch::new("json");
    let server = scratch.start(&[], &[("INFRA_LOG_FORMAT", "json")]);
    server.send_with("GET", "/healthz", "", "", "x-request-id: mine-1\r\n");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let lines: Vec<serde_json::Value> =
        scratch.log().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(
        lines.iter().any(|line| line["request_id"] == "mine-1" && line["route"] == "/healthz"),
        "{lines:?}"
    );
}

/// DigitalOcean's API stands beside it, over a world of its own.
fn a_client_of_digitalocean_is_served(sim: &Server) {
    assert!(sim.banner.contains(&format!("http://{}/digitalocean", sim.address)), "{}", sim.banner);
    let account = sim.send("GET", "/digitalocean/v2/account", "sim-ada", "");
    assert_eq!((account.status, &account.json["account"]["team"]["uuid"]), (200, &"ada".into()));
    assert_eq!(sim.send("GET", "/digitalocean/v2/account", "wrong", "").status, 401);
    assert_eq!(sim.send("GET", "/digitalocean/v2/volumes", "sim-ada", "").json["id"], "not_found");
    assert_eq!(sim.send("GET", "/digitalocean/sim/machines", "sim-ada", "").status, 401);
    let made = sim.admin("POST", "/digitalocean/sim/machines", "{\"account\":\"ada\",\"region\":\"ams3\"}");
    assert_eq!(made.status, 201, "{made:?}");
    let count = |path: &str, who: &str, word: &str| {
        let items = sim.send("GET", path, who, "").json[word].as_array().map(Vec::len);
        items.unwrap_or_else(|| panic!("{path} lists no {word}"))
    };
    assert_eq!(count("/digitalocean/v2/droplets", "sim-ada", "droplets"), 1);
    assert_eq!(count("/digitalocean/v2/droplets", "sim-bob", "droplets"), 0);
    assert_eq!(count("/sim/machines", &sim.admin, "items"), 1, "the worlds are apart");
}

#[test]
fn one_served_simulator_is_the_cloud_of_other_servers_and_obeys_the_admin_alone() {
    let cloud = Scratch::new("sim-only");
    let sim = cloud.start(&["--sim-only"], &[]);
    assert!(sim.banner.contains("only the simulator"), "{}", sim.banner);
    for (method, path) in [("GET", "/sim/machines"), ("GET", "/sim/calls"), ("POST", "/sim/tick")] {
        assert_eq!(sim.send(method, path, "", "").status, 401, "{path}");
        assert_eq!(sim.send(method, path, "wrong", "").status, 401, "{path}");
    }
    assert_eq!(sim.admin("GET", "/sim/machines", "").json["items"], serde_json::json!([]));
    let made = sim.admin("POST", "/sim/machines", "{\"account\":\"ada\",\"region\":\"sim-east\"}");
    assert_eq!(made.status, 201, "{made:?}");
    let refused = sim.admin("POST", "/sim/tick", "{\"seconds\":\"many\"}");
    assert_eq!((refused.status, refused.code()), (400, "out-of-range"), "{refused:?}");
    assert_eq!(sim.admin("POST", "/sim/tick", "{\"seconds\":3600}").status, 200);
    assert_eq!(sim.send("GET", "/admin/users", &sim.admin, "").status, 404, "it serves nothing else");
    a_client_of_digitalocean_is_served(&sim);
    // The world survives, the server that used it finds it again.
    let address = sim.address.clone();
    sim.kill_9();
    let sim = cloud.start(&["--sim-only", "--listen", &address], &[]);
    assert_eq!(sim.admin("GET", "/sim/machines", "").json["items"].as_array().map(Vec::len), Some(1));
    let scratch = Scratch::new("uses-sim");
    let endpoint = format!("sim=http://{}", sim.address);
    let server = scratch.start(&["--cloud", &endpoint], &[]);
    assert!(server.banner.contains("simulated") && server.banner.contains(&sim.address), "{}", server.banner);
    assert!(!scratch.data().join("sim-world").exists(), "its cloud is elsewhere");
    let about = sim.admin("GET", "/sim/calls", "");
    assert_eq!(about.status, 200);
    let lost = scratch.0.join("lost");
    let output =
        scratch.output(&["--data", lost.to_str().expect("text"), "--cloud", "sim=http://127.0.0.1:9"], &[]);
    assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
}
