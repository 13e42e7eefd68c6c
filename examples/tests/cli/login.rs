//! Logging in: what is asked, what is kept, and that no secret shows.

use std::os::unix::fs::PermissionsExt;

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
