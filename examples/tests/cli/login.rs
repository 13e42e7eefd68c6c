//! Logging in: what is asked, what is kept, and that no secret shows.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{KEY, Ran, World, run};
use crate::common::Scratch;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).expect("it was made").permissions().mode() & 0o777
}

#[test]
fn a_login_is_checked_kept_private_and_used_and_the_environment_wins_over_it() {
    let world = World::new("login");
    let token = format!("{}\n", world.token);
    let login = ["login", "--url", &world.url, "--user", "ada", "--token-stdin"];
    let ran = world.run(&login, &[], &token).ok();
    assert!(ran.out.is_empty() && ran.err.contains("as ada (user)"), "{ran:?}");
    assert_eq!(mode(&world.config()), 0o600);
    assert_eq!(world.run(&["list"], &[], "").ok().out, "nothing is reserved\n");
    let admin = format!("{}\n", world.server.admin);
    let ran =
        world.run(&["login", "--profile", "admin", "--url", &world.url, "--token-stdin"], &[], &admin).ok();
    assert!(ran.err.contains("the admin (admin)"), "{ran:?}");
    let users = world.run(&["--profile", "admin", "users"], &[], "").ok();
    assert!(users.out.contains("ada"), "{users:?}");
    let users = world.run(&["users"], &[("INFRA_PROFILE", "admin")], "").ok();
    assert!(users.out.contains("ada"), "{users:?}");
    // The environment wins, also over a login that works.
    let wrong = world.run(&["list"], &[("INFRA_TOKEN", "infra_planted")], "");
    assert_eq!(wrong.code, 77, "{wrong:?}");
    let away =
        world.run(&["list"], &[("INFRA_URL", "http://127.0.0.1:9"), ("INFRA_TOKEN", "infra_planted")], "");
    assert_eq!(away.code, 69, "{away:?}");
    // A saved token is for its own server.
    let other = world.run(&["list", "--url", "http://127.0.0.1:9"], &[], "");
    assert_eq!(other.code, 78, "{other:?}");
    let unknown = world.run(&["--profile", "work", "list"], &[], "");
    assert!(unknown.code == 78 && unknown.err.contains("admin, default"), "{unknown:?}");
    world.run(&["logout"], &[], "").ok();
    assert_eq!(world.run(&["list"], &[], "").code, 78);
}

#[test]
fn a_wrong_token_or_address_is_noticed_at_login_and_nothing_is_kept() {
    let world = World::new("login-wrong");
    let login = |url: &str, user: &str, token: &str| {
        world.run(&["login", "--url", url, "--user", user, "--token-stdin"], &[], token)
    };
    let token = world.token.clone();
    for (ran, code, said) in [
        (login(&world.url, "ada", "infra_planted"), 77, "unauthenticated"),
        (login(&world.url, "bob", &token), 78, "bob"),
        (login("http://127.0.0.1:9", "ada", "infra_planted"), 69, "cannot be reached"),
        (login("ftp://127.0.0.1", "ada", "infra_planted"), 78, "ftp://127.0.0.1"),
        (login("http://infra.example.com", "ada", "infra_planted"), 78, "--insecure"),
        (login(&world.url, "ada", ""), 78, "one word"),
        (login(&world.url, "ada", "infra planted"), 78, "one word"),
    ] {
        let ran: Ran = ran;
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(said), "{said}: {ran:?}");
        assert!(!ran.err.contains("planted") && !ran.err.contains(&token), "{ran:?}");
        assert!(!world.config().exists(), "{ran:?}");
    }
}

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_hangs() {
    let world = World::new("no-terminal");
    for line in [
        &["login"][..],
        &["keys", "save", "sim"],
        &["reserve", "--vcpus", "1"],
        &["release", "rsv_1"],
        &["keys", "remove", "sim"],
    ] {
        let ran = world.ada(line);
        let wanted = if line[0] == "release" { 3 } else { 64 };
        assert_eq!(ran.code, wanted, "{ran:?}");
        assert_eq!(ran.out, "", "{line:?}");
    }
    assert!(world.held().is_empty(), "nobody said yes");
}

#[test]
fn no_secret_is_taken_from_the_command_line_or_printed() {
    let world = World::new("secrets");
    let scratch = Scratch::new("cli-args");
    for line in [
        &["login", "--token", "infra_planted"][..],
        &["login", "infra_planted"],
        &["keys", "save", "aws", "--secret-access-key", "planted"],
        &["keys", "save", "sim", "--token", "planted"],
        &["keys", "save", "sim", "token=planted"],
    ] {
        assert_eq!(run(&scratch, line, &[], "").code, 64, "{line:?}");
    }
    let mut said = Vec::new();
    let login = ["login", "--url", &world.url, "--user", "ada", "--token-stdin"];
    said.push(world.run(&login, &[], &world.token).ok());
    let save = |args: &[&str], text: &str| {
        let line: Vec<&str> = ["keys", "save", "sim"].iter().chain(args).copied().collect();
        world.run(&line, &[], text)
    };
    said.push(save(&["--label", "lines", "--file", "-"], "token = sim-planted-lines\n").ok());
    said.push(save(&["--label", "json", "--file", "-", "--json"], "{\"token\": \"sim-planted-json\"}").ok());
    said.push(save(&["--label", "wrong", "--file", "-"], "token = planted-wrong\n"));
    assert_eq!(said.last().map(|ran| ran.code), Some(2), "{said:?}");
    std::fs::write(world.scratch.0.join("token"), "sim-planted-from\n").expect("the folder is ours");
    said.push(save(&["--label", "from", "--from", "token=token"], "").ok());
    std::fs::write(world.scratch.0.join("setup.sh"), "echo planted-setup\n").expect("the folder is ours");
    said.push(
        world
            .run(
                &[
                    "reserve", "--vcpus", "1", "--for", "1h", "--setup", "setup.sh", "--yes", "--wait",
                    "--json",
                ],
                &[],
                "",
            )
            .ok(),
    );
    for line in
        [&["keys"][..], &["keys", "--json"], &["list", "--json"], &["whoami"], &["show", "nothing", "--json"]]
    {
        said.push(world.run(line, &[], ""));
    }
    // The simulator names its accounts after its keys' ends, so it is the whole keys that must not show.
    let secrets = [
        "planted-wrong",
        "planted-setup",
        "sim-planted",
        KEY,
        world.token.as_str(),
        world.server.admin.as_str(),
    ];
    for ran in &said {
        for secret in secrets {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{secret}: {ran:?}");
        }
    }
    // The one that is issued is shown, alone, and works.
    let issued = world.admin(&["tokens", "issue", "ada", "--label", "more"]).ok();
    assert!(issued.out.starts_with("infra_") && issued.out.lines().count() == 1, "{issued:?}");
    world.run(&["login", "--url", &world.url, "--user", "ada", "--token-stdin"], &[], &issued.out).ok();
}

/// A run at a terminal of its own: waits for each question, then types the answer to it.
fn typed(world: &World, line: &str, answers: &[(&str, &str)]) -> Option<(bool, String)> {
    let infra = env!("CARGO_BIN_EXE_infra");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{infra} {line}"), "/dev/null"]).current_dir(&world.scratch.0).env_clear();
    command.env("HOME", world.scratch.0.join("home")).env("PATH", std::env::var("PATH").unwrap_or_default());
    command.env("TERM", "xterm").env("SHELL", "/bin/sh");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "script(1) is needed here");
        eprintln!("SKIPPED: there is no script(1)");
        return None;
    };
    let mut keys = child.stdin.take().expect("it was piped");
    let mut screen = child.stdout.take().expect("it was piped");
    let (mut shown, mut part, mut from) = (String::new(), [0; 1024], 0);
    let mut answers = answers.iter();
    let mut next = answers.next();
    while let Ok(read) = screen.read(&mut part) {
        if read == 0 {
            break;
        }
        shown.push_str(&String::from_utf8_lossy(&part[..read]));
        if let Some((question, answer)) = next.filter(|(question, _)| shown[from..].contains(question)) {
            // The question is written before the terminal is made silent.
            std::thread::park_timeout(std::time::Duration::from_millis(300));
            from = shown.len();
            keys.write_all(format!("{answer}\n").as_bytes()).expect("it reads");
            assert!(!question.is_empty());
            next = answers.next();
        }
    }
    Some((child.wait().expect("it is our child").success(), shown))
}

#[test]
fn what_is_typed_in_secret_is_not_shown_and_a_no_is_a_no() {
    let world = World::new("typed");
    let token = world.token.clone();
    let answers = [("Address of the server", world.url.as_str()), ("Token (not shown)", &token)];
    let Some((done, shown)) = typed(&world, "login", &answers) else { return };
    assert!(done && shown.contains("logged in at") && shown.contains("as ada"), "{shown}");
    assert!(!shown.contains(&token), "{shown}");
    let answers = [("token (not shown)", "sim-planted-typed")];
    let (done, shown) = typed(&world, "keys save sim --label typed", &answers).expect("it ran before");
    assert!(done && shown.contains("saved sim/typed") && !shown.contains("sim-planted-typed"), "{shown}");
    let line = "reserve --vcpus 1 --for 1h";
    let (done, shown) = typed(&world, line, &[("Reserve? [y/N]", "n")]).expect("it ran before");
    assert!(!done && shown.contains("EACH/HOUR") && shown.contains("nothing was done"), "{shown}");
    assert!(world.held().is_empty());
    let (done, shown) =
        typed(&world, &format!("{line} --wait"), &[("Reserve? [y/N]", "y")]).expect("it ran before");
    assert!(done && shown.contains("1 of 1 ready"), "{shown}");
    assert_eq!(world.held().len(), 1);
}

#[test]
fn whoever_said_yes_to_one_price_pays_many_times_it() {
    let world = World::new("bound");
    let token = world.token.clone();
    let answers = [("Address of the server", world.url.as_str()), ("Token (not shown)", &token)];
    let Some((true, _)) = typed(&world, "login", &answers) else { return };
    let yes = [("Reserve? [y/N]", "y")];
    let asked = |line: &str| typed(&world, line, &yes).expect("it ran before");
    let cap = |name: &str| {
        world.ada(&["show", name, "--json"]).ok().json()["request"]["max_price_per_hour"].clone()
    };
    // Two at $0.00508 each: half as much again for each, told for both.
    let (done, shown) = asked("reserve -n 2 --vcpus 1 --for 1h --name web --wait");
    assert!(done && shown.contains("at most $0.01524 per hour if the first are full. Reserve?"), "{shown}");
    assert_eq!(cap("web"), 0.00762);
    let told = world.ada(&["show", "web"]).ok().out;
    assert!(told.contains("at most $0.00762 per machine and hour"), "what was asked for: {told}");
    assert!(told.contains("$0.01016 per hour (at most $0.01524)"), "what is paid: {told}");
    let (done, shown) = asked("reserve --vcpus 1 --for 1h --name own --max-price 0.006");
    assert!(done && shown.contains("at most $0.006 per hour if the first are full"), "{shown}");
    assert_eq!(cap("own"), 0.006);
    let (done, shown) = asked("reserve --vcpus 1 --for 1h --name any --max-price none");
    assert!(done && shown.contains("at whatever price if the first are full"), "{shown}");
    assert!(cap("any").is_null());
}
