//! What people and scripts read: exact, the same every time, and nothing else on standard output.

use super::{Ran, World, run, squeezed};
use crate::common::Scratch;

#[track_caller]
fn shows(ran: &Ran, lines: &[&str]) {
    assert_eq!(squeezed(&ran.out), lines, "{}", ran.out);
}

#[test]
fn a_reservation_reads_well_from_beginning_to_end() {
    let world = World::new("talk");
    let ran = world.ada(&["quote", "-n", "2", "--vcpus", "1", "--memory", "1", "--for", "1h"]).ok();
    assert!(ran.out.starts_with("CLOUD"), "{ran:?}");
    world.reserved("web");
    shows(
        &world.ada(&["list"]).ok(),
        &[
            "ID NAME STATE READY WHERE PER HOUR ENDS",
            "rsv_* web ready 2/2 sim sim-east t4g.nano $0.01016 in TIME",
        ],
    );
    shows(
        &world.ada(&["show", "web"]).ok(),
        &[
            "rsv_* \"web\": ready",
            "user ada",
            "machines 2 of 2 ready",
            "asked for 2 machines, 1 vcpu, for TIME",
            "price $0.01016 per hour, $COST so far (simulated: nothing costs money)",
            "created TIME ago (MOMENT)",
            "ready TIME ago (MOMENT)",
            "ends in TIME (MOMENT)",
            "",
            "SLOT STATE CLOUD REGION ZONE TYPE PUBLIC PRIVATE CLOUD'S ID",
            "0 ready sim sim-east use1-az1 t4g.nano 198.18.0.3 10.64.0.3 vm-*",
            "1 ready sim sim-east use1-az1 t4g.nano 198.18.0.4 10.64.0.4 vm-*",
        ],
    );
    shows(
        &world.ada(&["watch", "web", "--timeout", "1m"]).ok(),
        &["CLOCK rsv_* \"web\" is ready, 2 of 2 machines ready"],
    );
    shows(&world.ada(&["extend", "web", "--for", "2h"]).ok(), &["rsv_* ends in TIME (MOMENT)"]);
    shows(&world.ada(&["stop", "web", "--wait"]).ok(), &["rsv_* \"web\" is stopped"]);
    shows(&world.ada(&["start", "web", "--wait"]).ok(), &["rsv_* \"web\" is ready, 2 of 2 machines ready"]);
    shows(&world.ada(&["release", "web", "--yes", "--wait"]).ok(), &["rsv_* \"web\" is released"]);
    shows(&world.ada(&["whoami"]).ok(), &[&format!("ada (user) at {}", world.url)]);
    shows(
        &world.ada(&["keys"]).ok(),
        &["CLOUD LABEL KIND STATUS WHO CHECKED", "sim default static valid sim:planted-key/* TIME ago"],
    );
    shows(&world.admin(&["users"]).ok(), &["NAME MACHINES", "ada 0"]);
}

#[test]
fn scripts_get_the_apis_own_json_and_nothing_else() {
    let world = World::new("json");
    let made = world.reserved("web");
    assert_eq!(made["state"], "ready");
    let id = made["id"].as_str().expect("an id");
    // To the letter what the server says.
    let path = format!("/users/ada/reservations/{id}");
    let show = world.ada(&["show", "web", "--json"]).ok();
    let mut told = world.server.send("GET", &path, &world.token, "").json;
    let mut shown = show.json();
    for one in [&mut told, &mut shown] {
        one["cost_so_far"] = serde_json::Value::Null;
        one["version"] = serde_json::Value::Null;
    }
    assert_eq!(shown, told);
    for (line, field) in [
        (&["list", "--json"][..], "items"),
        (&["quote", "--vcpus", "1", "--json"], "items"),
        (&["keys", "--json"], "items"),
        (&["offerings", "--json"], "items"),
        (&["extend", "web", "--for", "2h", "--json"], "ends_at"),
        (&["stop", "web", "--wait", "--json"], "state"),
        (&["start", "web", "--wait", "--json"], "state"),
        (&["watch", "web", "--json"], "state"),
        (&["release", "web", "--yes", "--wait", "--json"], "state"),
    ] {
        let ran = world.ada(line).ok();
        assert!(!ran.json()[field].is_null(), "{line:?}: {ran:?}");
        assert_eq!(ran.err, "", "{line:?}: progress is for terminals");
    }
    assert_eq!(world.ada(&["list", "--json"]).ok().json()["items"], serde_json::json!([]));
    for line in [&["users", "--json"][..], &["brakes", "--json"], &["tokens", "list", "ada", "--json"]] {
        assert!(world.admin(line).ok().json()["items"].is_array(), "{line:?}");
    }
}

#[test]
fn a_list_is_whole_however_long_and_a_page_when_one_is_asked_for() {
    let world = World::new("pages");
    for n in 0..5 {
        let body = format!("{{\"label\":\"t{n}\"}}");
        assert_eq!(world.server.admin("POST", "/admin/users/ada/tokens", &body).status, 201);
    }
    for n in 0..3 {
        let name = format!("web-{n}");
        world.ada(&["reserve", "--vcpus", "1", "--for", "1h", "--yes", "--name", &name]).ok();
    }
    let page = world.ada(&["list", "--limit", "2", "--json"]).ok().json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    let next = page["next"].as_str().expect("there is more");
    let rest = world.ada(&["list", "--limit", "2", "--after", next, "--json"]).ok().json();
    assert_eq!((rest["items"].as_array().map(Vec::len), rest["next"].is_null()), (Some(1), true));
    let all = world.ada(&["list", "--json"]).ok().json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_name_stands_for_an_id_only_while_it_is_clear_which() {
    let world = World::new("names");
    let line = ["reserve", "--vcpus", "1", "--for", "1h", "--yes", "--name", "twin"];
    world.ada(&line).ok();
    world.ada(&["show", "twin"]).ok();
    world.ada(&line).ok();
    let ran = world.ada(&["release", "twin", "--yes"]);
    assert!(ran.code == 64 && ran.err.contains("more than one"), "{ran:?}");
    assert!(world.held().iter().all(|one| one["state"] != "releasing"), "neither was touched");
}

#[test]
fn extending_counts_from_what_it_says() {
    let world = World::new("extend");
    world.reserved("web");
    let end = |ran: Ran| -> jiff::Timestamp {
        ran.ok().json()["ends_at"].as_str().and_then(|text| text.parse().ok()).expect("a moment")
    };
    let first = end(world.ada(&["show", "web", "--json"]));
    let later = end(world.ada(&["extend", "web", "--by", "90m", "--json"]));
    assert_eq!((later.duration_since(first).as_secs_f64() / 60.0).round(), 90.0);
    let wanted = jiff::Timestamp::from_second(first.as_second() + 48 * 3600).expect("a moment");
    let exact = end(world.ada(&["extend", "web", "--until", &wanted.to_string(), "--json"]));
    assert_eq!(exact, wanted);
    let past = world.ada(&["extend", "web", "--until", "2000-01-01T00:00:00Z"]);
    assert_eq!(past.code, 2, "{past:?}");
}

#[test]
fn help_is_for_newcomers_and_completions_are_for_shells() {
    let scratch = Scratch::new("cli-help");
    let help = run(&scratch, &["--help"], &[], "").ok();
    for word in [
        "login",
        "quote",
        "reserve",
        "list",
        "show",
        "watch",
        "extend",
        "stop",
        "start",
        "release",
        "save",
        "keys",
        "templates",
        "brakes",
        "overlays",
        "Exit codes:",
        "First steps",
    ] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
    assert!(help.out.lines().all(|line| line.chars().count() <= 120), "{}", help.out);
    for command in ["reserve", "watch", "keys save", "extend", "release", "tokens", "overlays"] {
        let line: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = run(&scratch, &line, &[], "").ok();
        assert!(help.out.contains("Example") || help.out.contains("infra --profile"), "{}", help.out);
    }
    assert_eq!(run(&scratch, &[], &[], "").code, 64);
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&scratch, &["completions", shell], &[], "").ok();
        assert!(script.out.contains("reserve") && script.out.contains("idempotency-key"), "{shell}");
        let path = scratch.0.join(shell);
        std::fs::write(&path, script.out).expect("the folder is ours");
        // Where the shell is there, it reads it without a word.
        if let Ok(output) = std::process::Command::new(shell).arg("-n").arg(&path).output() {
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn no_colour_reaches_a_file_and_a_closed_pipe_is_no_failure() {
    let world = World::new("colour");
    world.reserved("web");
    for env in [&[][..], &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]] {
        let url = [("INFRA_URL", world.url.as_str()), ("INFRA_TOKEN", &world.token), ("INFRA_USER", "ada")];
        let env: Vec<(&str, &str)> = url.iter().chain(env).copied().collect();
        for line in [&["show", "web"][..], &["list"], &["show", "none"], &["reserve", "--vcpsu", "1"]] {
            let ran = world.run(line, &env, "");
            assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
        }
    }
    let script = format!("{} --help | head -n 1", env!("CARGO_BIN_EXE_infra"));
    let output =
        std::process::Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().expect("bash");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_a_policy_counts_cannot_be_seen_or_said() {
    let world = World::new("policy");
    let wide = world.ada(&["offerings", "--wide"]).ok();
    // Columns without a single entry are left out, as everywhere; the simulator has no disks of hosts.
    let heading = wide.out.lines().next().unwrap_or_default();
    for column in ["FAMILY", "GEN", "BURSTS", "DISK GIB/H", "BILLED"] {
        assert!(heading.contains(column), "{column}: {heading}");
    }
    assert!(wide.out.contains("by the second, 60 s at least"), "{heading}");
    assert!(!world.ada(&["offerings"]).ok().out.contains("FAMILY"), "a terminal has 80 columns");
    let types = |line: &[&str]| -> Vec<(String, bool, String)> {
        let line: Vec<&str> = ["quote", "--vcpus", "1", "--json"].iter().chain(line).copied().collect();
        let quotes = world.ada(&line).ok().json();
        let text = |one: &serde_json::Value, field: &str| one[field].as_str().expect("text").to_owned();
        let all = quotes["items"].as_array().expect("a list").iter();
        all.map(|one| (text(one, "family"), one["burstable"] == true, text(one, "region"))).collect()
    };
    let free = types(&[]);
    assert!(
        free.iter().any(|(_, bursts, _)| *bursts) && free.iter().any(|(family, ..)| family == "t4g"),
        "{free:?}"
    );
    assert!(types(&["--no-burstable"]).iter().all(|(_, bursts, _)| !bursts));
    assert!(
        types(&["--deny-family", "t4g", "--deny-family", "t3"])
            .iter()
            .all(|(it, ..)| it != "t4g" && it != "t3")
    );
    assert!(types(&["--allow-family", "M5"]).iter().all(|(it, ..)| it == "m5"));
    assert!(types(&["--deny-region", "sim-east"]).iter().all(|(.., region)| region != "sim-east"));
    assert!(types(&["--allow-region", "sim-ams"]).iter().all(|(.., region)| region == "sim-ams"));
    let none = world.ada(&["quote", "--vcpus", "1", "--deny-provider", "sim"]);
    assert!(none.code == 4 && none.err.contains("policy.providers"), "{none:?}");
    let none = world.ada(&["quote", "--vcpus", "1", "--min-generation", "900"]);
    assert!(none.code == 4 && none.err.contains("policy.min_generation"), "{none:?}");
    let help = world.ada(&["quote", "--help"]).ok();
    assert!(help.out.contains("spot_then_on_demand"), "{}", help.out);
}

#[test]
fn a_region_of_the_profile_restricts_a_quote_and_nobody_says_so() {
    let world = World::new("from-profile");
    world.ada(&["profile", "set", "--region", "sim-ams"]).ok();
    let quote = world.ada(&["quote", "--vcpus", "1"]).ok();
    assert!(quote.err.contains("region comes from your profile"), "{quote:?}");
    let own = world.ada(&["quote", "--vcpus", "1", "--region", "sim-east"]).ok();
    assert!(!own.err.contains("profile"), "{own:?}");
}

#[test]
fn what_is_spent_goes_into_a_spreadsheet_only_by_way_of_curl() {
    let world = World::new("usage-csv");
    world.reserved("web");
    let csv = world.ada(&["usage", "--csv"]).ok();
    assert!(csv.out.starts_with("month,reservation,name,user,state,"), "{csv:?}");
    assert_eq!(csv.out.lines().filter(|line| line.contains(",web,ada,ready,")).count(), 1, "{csv:?}");
    assert_eq!(world.ada(&["usage", "--csv", "--json"]).code, 64);
}

/// The lines of a table, less its heading, with the types that stand in them.
fn types_of(table: &str) -> Vec<&str> {
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    rows.filter_map(|line| {
        line.split_whitespace().find(|word| word.contains(['.', '-']) && !word.contains("sim"))
    })
    .collect()
}

#[test]
fn a_list_of_twenty_is_four_lines_because_each_zone_counts() {
    let world = World::new("lines");
    let long = world.ada(&["quote"]).ok().out;
    assert_eq!(types_of(&long).len(), 20, "{long}");
    let short = world.ada(&["quote", "--limit", "3", "--explain"]).ok().out;
    assert_eq!(types_of(&short), types_of(&long)[..3], "{short}");
    let made_of = short.split("for the time asked or else an hour:\n").nth(1).expect("explained");
    assert_eq!(types_of(made_of).len(), 3, "as many are explained: {short}");
    let json = world.ada(&["quote", "--limit", "3", "--json"]).ok().json();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(3), "{json}");
}

#[test]
fn discounts_are_set_and_seen_only_by_way_of_curl() {
    let world = World::new("overlays");
    assert_eq!(world.ada(&["overlays"]).ok().out, "no discounts are set\n");
    let file = world.scratch.0.join("plan.json");
    let path = file.to_str().expect("text");
    let plan = r#"{"overlays": [
        {"name": "plan", "provider": "sim", "family": "M5", "off": {"percent": 28.5}},
        {"name": "typo", "region": "sim-esat", "market": "spot", "off": {"per_hour": {"amount": "0.001", "currency": "USD"}}}]}"#;
    std::fs::write(&file, plan).expect("the folder is ours");
    let line = ["overlays", "--of", "user:ada"];
    let set = |how: &[&str]| world.admin(&[&line[..], how].concat());
    let shown = set(&["--file", path]).ok();
    let lines = [
        "NAME OFF CLOUD REGION FAMILY MARKET LOWERS NOW",
        "plan 28.5 % sim - M5 - 18 offers",
        "typo $0.001 per hour - sim-esat - spot 0 offers",
        "",
        "typo: no cloud of this installation is used in the region sim-esat; did you mean sim-east?",
    ];
    shows(&shown, &lines);
    shows(&world.ada(&["overlays"]).ok(), &lines);
    shows(&world.admin(&line).ok(), &lines);
    // What is shown may be changed and given back, unless somebody was faster.
    let json = world.admin(&[&line[..], &["--json"]].concat()).ok().out;
    std::fs::write(&file, json.replace("28.5", "30")).expect("the folder is ours");
    assert!(set(&["--file", path]).ok().out.contains("30 %"));
    let late = set(&["--file", path]);
    assert!(late.code == 7 && late.err.contains("conflict"), "{late:?}");
    let quote = world.ada(&["quote", "--allow-family", "m5", "--vcpus", "2", "--explain"]).ok();
    assert!(quote.out.contains(" by plan "), "{quote:?}");
    assert_eq!(set(&["--none"]).ok().out, "no discounts are set\n");
    let denied = world.ada(&line);
    assert!(denied.code == 77 && denied.err.contains("forbidden"), "{denied:?}");
    for wrong in [&["overlays", "--file", path][..], &["overlays", "--of", "ada"], &["overlays", "--none"]] {
        assert_eq!(world.admin(wrong).code, 64, "{wrong:?}");
    }
}
