//! Wrong inputs: what is said, and the exit codes that scripts rely on.

use super::{World, run};
use crate::common::Scratch;

#[test]
fn a_command_line_that_is_wrong_sends_nothing() {
    let scratch = Scratch::new("cli-usage");
    let env = [("INFRA_URL", "http://127.0.0.1:9"), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
    for (line, said) in [
        (&["resrve"][..], "reserve"),
        (&["reserve", "--vcpsu", "2"], "--vcpus"),
        (&["reserve", "--for", "0h"], "longer than nothing"),
        (&["reserve", "--for=-3h"], "longer than nothing"),
        (&["reserve", "--for", "3"], "like 3h"),
        (&["reserve", "--for", "1 month"], "in days"),
        (&["reserve", "--for", "1h", "--until", "2030-01-01T00:00:00Z"], "cannot be used with"),
        (&["reserve", "--vcpus", "0"], "above zero"),
        (&["reserve", "--vcpus", "NaN"], "above zero"),
        (&["reserve", "--memory", "4GB"], "GiB"),
        (&["reserve", "--count", "-1"], "unexpected argument"),
        (&["reserve", "--tag", "team"], "NAME=VALUE"),
        (&["reserve", "--file", "not-there.json"], "not-there.json"),
        (&["reserve", "--ssh-key", "not-there.pub"], "not-there.pub"),
        (&["extend", "rsv_1"], "--by"),
        (&["extend", "rsv_1", "--by", "1h", "--for", "1h"], "cannot be used with"),
        (&["list", "--limit", "0"], "1..=200"),
        (&["watch"], "<ID>"),
        (&["users", "change", "ada"], "--machines-max"),
        (&["completions", "csh"], "bash"),
    ] {
        let ran = run(&scratch, line, &env, "");
        let wanted = if said.starts_with("not-there") { 1 } else { 64 };
        assert_eq!(ran.code, wanted, "{line:?}: {ran:?}");
        assert!(ran.err.contains(said), "{line:?}: {ran:?}");
        assert_eq!(ran.out, "", "{line:?}");
    }
}

#[test]
fn without_a_login_it_says_how_to_get_one() {
    let scratch = Scratch::new("cli-none");
    let ran = run(&scratch, &["list"], &[], "");
    assert_eq!(ran.code, 78, "{ran:?}");
    assert_eq!(
        ran.err,
        "infra: not logged in: `infra login` asks for it, or set INFRA_URL and INFRA_TOKEN\n"
    );
}

#[test]
fn every_refusal_has_its_exit_code_and_says_where_and_why() {
    let world = World::new("refused");
    let far = "2000-01-01T00:00:00Z";
    for (line, code, said) in [
        (&["show", "rsv_019aa0000000700080000000000000aa"][..], 3, "not-found"),
        (&["show", "no-such-name"], 3, "not-found"),
        (&["reserve", "--vcpus", "4000", "--for", "1h", "--yes"], 4, "Nearest offers:"),
        (&["quote", "--vcpus", "4000"], 4, "no-fit"),
        (&["quote", "--region", "the-moon"], 4, "unknown-region"),
        (&["quote", "--os", "plan 9"], 4, "unknown-image"),
        (&["reserve", "--count", "1000000", "--yes"], 2, "limit of count"),
        (&["reserve", "--until", far, "--yes"], 2, "ends_at"),
        (&["reserve", "--arch", "vax", "--yes"], 2, "arch"),
        (&["reserve", "--market", "barter", "--yes"], 2, "on_demand"),
        (&["brakes"], 77, "forbidden"),
        (&["users"], 77, "forbidden"),
        (&["list", "--user", "bob"], 77, "only a bot"),
        (&["keys", "remove", "sim", "--label", "none", "--yes"], 3, "not-found"),
    ] {
        let ran = world.ada(line);
        assert_eq!(ran.code, code, "{line:?}: {ran:?}");
        assert!(ran.err.contains(said), "{line:?}: {ran:?}");
        assert!(ran.err.contains("request req_"), "{line:?}: {ran:?}");
        assert_eq!(ran.out, "", "{line:?}");
        // For scripts: the server's own words, as one JSON document, and still nothing on standard output.
        let json: Vec<&str> = line.iter().copied().chain(["--json"]).collect();
        let ran = world.ada(&json);
        let problem: serde_json::Value =
            serde_json::from_str(&ran.err).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        assert!(
            problem["type"].as_str().is_some_and(|type_| type_.starts_with("urn:infra:problem:")),
            "{ran:?}"
        );
        assert_eq!((ran.code, ran.out.as_str()), (code, ""));
    }
    assert!(world.held().is_empty(), "what is refused is not reserved");
    let ran = world.admin(&["list"]);
    assert!(ran.code == 64 && ran.err.contains("--user"), "{ran:?}");
    assert_eq!(world.admin(&["list", "--user", "ada"]).ok().out, "nothing is reserved\n");
}

#[test]
fn an_expired_a_suspended_and_a_braked_user_are_not_permitted() {
    let world = World::new("permitted");
    let issued = world.admin(&["tokens", "issue", "ada", "--for", "1s"]).ok();
    std::thread::park_timeout(std::time::Duration::from_secs(2));
    let env = [("INFRA_URL", world.url.as_str()), ("INFRA_TOKEN", issued.out.trim()), ("INFRA_USER", "ada")];
    let ran = world.run(&["list"], &env, "");
    assert!(ran.code == 77 && ran.err.contains("infra login"), "{ran:?}");
    let line = ["reserve", "--vcpus", "1", "--for", "1h", "--yes"];
    world.admin(&["brakes", "set", "global", "no_creates", "--why", "a test", "--for", "1h"]).ok();
    let ran = world.ada(&line);
    assert!(ran.code == 77 && ran.err.contains("paused"), "{ran:?}");
    let brakes = world.admin(&["brakes"]).ok();
    assert!(brakes.out.contains("no_creates") && brakes.out.contains("a test"), "{brakes:?}");
    world.admin(&["brakes", "open", "global"]).ok();
    world.admin(&["users", "change", "ada", "--suspended", "true"]).ok();
    let ran = world.ada(&line);
    assert!(ran.code == 77 && ran.err.contains("suspended"), "{ran:?}");
    world.admin(&["users", "change", "ada", "--suspended", "false", "--machines-max", "1"]).ok();
    let ran = world.ada(&["reserve", "-n", "2", "--vcpus", "1", "--for", "1h", "--yes"]);
    assert!(ran.code == 4 && ran.err.contains("over-budget"), "{ran:?}");
}

#[test]
fn what_is_said_elsewhere_does_not_steer_the_terminal() {
    let world = World::new("hostile");
    let line = ["reserve", "--vcpus", "1", "--for", "1h", "--yes", "--name", "a\u{1b}[31mb"];
    let ran = world.ada(&line);
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
    let ran = world.ada(&["list"]);
    assert!(!ran.out.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn whatever_answers_there_is_no_reason_to_panic() {
    let scratch = Scratch::new("cli-strange");
    for (status, kind, body, code) in [
        (200, "text/html", "<html>hello</html>", 1),
        (200, "application/json", "{\"items\": 7}", 1),
        (200, "application/json", "", 1),
        (302, "text/html", "elsewhere", 1),
        (404, "text/html", "no such page", 1),
        (500, "application/json", "{\"type\":\"urn:infra:problem:internal\",\"status\":500}", 1),
        (
            418,
            "application/problem+json",
            "{\"type\":\"urn:infra:problem:new-word\",\"status\":418,\"detail\":\"x\"}",
            2,
        ),
    ] {
        let played =
            super::proxy::Played::new(move |_, _, stream| super::proxy::answer(stream, status, kind, body));
        let url = format!("http://{}", played.address);
        let env = [("INFRA_URL", url.as_str()), ("INFRA_TOKEN", "infra_t"), ("INFRA_USER", "ada")];
        let ran = run(&scratch, &["list"], &env, "");
        assert_eq!(ran.code, code, "{status} {body}: {ran:?}");
        assert!(ran.err.starts_with("infra: ") && !ran.err.contains("panicked"), "{ran:?}");
    }
}
