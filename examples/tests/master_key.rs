//! One master key replaces another in a served process.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::{Scratch, Server, every_file};
use infra_core::contracts::store::{Change, Commit, Expect, Index, Key, RecordKind, ReservationStore};
use infra_core::records::system_tenant;
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::SystemEntropy;
use infra_core::words::ids::CommitId;
use infra_core::words::secret::MasterKey;
use infra_store::SqliteStore;
use serde_json::Value;

const RESERVATIONS: &str = "/users/ada/reservations";

/// The name of the key of these bytes.
fn id(byte: u8) -> String {
    MasterKey::new([byte; 32]).id()
}

/// Every file of the data with something sealed under a key.
fn sealed_under(scratch: &Scratch, id: &str) -> Vec<PathBuf> {
    let id = format!("\"kek\":\"{id}\"");
    let names = |text: &[u8]| text.windows(id.len()).any(|part| part == id.as_bytes());
    let files = every_file(&scratch.data()).into_iter();
    files.filter(|(_, text)| names(text)).map(|(path, _)| path).collect()
}

/// A machine with a script, ready.
fn reserved(server: &Server, token: &str) -> String {
    let body = "{\"vcpus\":1,\"duration_s\":3600,\"setup\":\"#!/bin/sh\"}";
    let made = server.send("POST", &format!("{RESERVATIONS}?wait=30s"), token, body);
    assert_eq!(made.json["state"], "ready", "{made:?}");
    format!("{RESERVATIONS}/{}/access", made.json["id"].as_str().expect("an id"))
}

fn private_key(server: &Server, access: &str, token: &str) -> Value {
    let shown = server.send("GET", access, token, "");
    assert!(shown.json["private_key"].is_string(), "{shown:?}");
    shown.json["private_key"].clone()
}

/// Writes what a start leaves that was killed after it had noted the second key.
fn note(data: &Path, ids: &[String]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = SqliteStore::open(data).expect("nobody has it open");
        let key = Key { tenant: system_tenant(), kind: RecordKind::FrontEnd, id: "master-key".to_owned() };
        let was = store.get(std::slice::from_ref(&key)).await.expect("reads").remove(0).expect("is there");
        let expect = Expect::Version(was.version);
        let body = ids.join(",").into_bytes();
        let put = Change::Put { key, expect, index: Index::default(), body };
        let id = CommitId::draw(SystemClock.wall(), &SystemEntropy);
        store.commit(&Commit { id, changes: vec![put] }).await.expect("commits");
        store.close().await;
    });
}

#[test]
fn an_old_master_key_opens_something_after_it_was_replaced() {
    let scratch = Scratch::new("rotate");
    let secrets = |name: &str, key: &str| {
        let path = scratch.0.join(name);
        std::fs::write(&path, key).expect("the folder can be written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
        path.to_str().expect("text").to_owned()
    };
    let (old, new) = (secrets("old", &"11".repeat(32)), secrets("new", &"22".repeat(32)));
    let first = scratch.start(&[], &[("INFRA_MASTER_KEY_FILE", &old)]);
    let token = first.user("ada", "user");
    let key = first.send(
        "POST",
        "/users/ada/keys",
        &token,
        "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-ada\"}",
    );
    assert_eq!(key.status, 201, "{key:?}");
    let access = reserved(&first, &token);
    let before = private_key(&first, &access, &token);
    first.kill_9();
    assert!(!sealed_under(&scratch, &id(0x11)).is_empty(), "seals name their key");
    let both = [("INFRA_MASTER_KEY_FILE", &*new), ("INFRA_OLD_MASTER_KEY_FILE", &*old)];
    // A start that is cut has noted the new key at most, or sealed some of it: alone neither key is enough then.
    for pause_ms in [40, 60, 80, 100, 120, 150, 200] {
        let mut cut = scratch.command();
        cut.args(["--listen", "127.0.0.1:0"]).envs(both).stdout(Stdio::null()).stderr(Stdio::null());
        let mut cut = cut.spawn().expect("the binary runs");
        std::thread::park_timeout(Duration::from_millis(pause_ms));
        cut.kill().expect("it is our child");
        cut.wait().expect("it is our child");
    }
    let rotated = scratch.start(&[], &both);
    assert!(rotated.banner.contains("is not needed any more"), "{}", rotated.banner);
    assert_eq!(sealed_under(&scratch, &id(0x11)), Vec::<PathBuf>::new(), "the old seals are there");
    assert_eq!(private_key(&rotated, &access, &token), before);
    rotated.kill_9();
    let refused = scratch.output(&["--listen", "127.0.0.1:0"], &[("INFRA_MASTER_KEY_FILE", &old)]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), said.contains(&id(0x22))), (Some(78), true), "{said}");
    let alone = scratch.start(&[], &[("INFRA_MASTER_KEY_FILE", &new)]);
    assert!(!alone.banner.contains("old key"), "{}", alone.banner);
    assert_eq!(private_key(&alone, &access, &token), before);
    // The cloud's key opens, too.
    reserved(&alone, &token);
}

#[test]
fn a_start_between_two_master_keys_opens_half_of_the_secrets() {
    let scratch = Scratch::new("between");
    let key = |byte: &str| byte.repeat(32);
    let (old, new) = (key("11"), key("22"));
    drop(scratch.start(&[], &[("INFRA_MASTER_KEY", &old)]));
    note(&scratch.data(), &[id(0x11), id(0x22)]);
    for alone in [&old, &new] {
        let output = scratch.output(&["--listen", "127.0.0.1:0"], &[("INFRA_MASTER_KEY", alone)]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.contains("both keys are needed")), (Some(78), true), "{said}");
        assert!(!said.contains(alone.as_str()), "{said}");
    }
    // The other way round would do as well: it goes back.
    let back = [("INFRA_MASTER_KEY", &*old), ("INFRA_OLD_MASTER_KEY", &*new)];
    assert!(scratch.start(&[], &back).banner.contains("is not needed any more"));
    drop(scratch.start(&[], &[("INFRA_MASTER_KEY", &old)]));
}
