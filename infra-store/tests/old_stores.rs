//! Stores made by released programs, one folder per layout, opened by this one: `tests/stores/v1/store.sqlite`, and in
//! `what.json` beside it what must be found in it. They are never made anew.
#![cfg(feature = "sqlite")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::Folder;
use infra_core::Infra;
use infra_core::contracts::store::StoreError;
use infra_core::words::ids::{ReservationId, UserId};
use infra_core::words::secret::MasterKey;
use infra_store::SqliteStore;
use serde_json::Value;

/// Every kept store: its folder, and what stands in it.
fn kept() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores");
    let entries = std::fs::read_dir(folder).expect("stores are kept");
    let mut found: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry reads").path();
            let what = std::fs::read_to_string(path.join("what.json")).expect("it is said what is in it");
            (path, serde_json::from_str(&what).expect("JSON"))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn text<'v>(what: &'v Value, field: &str) -> &'v str {
    what[field].as_str().unwrap_or_else(|| panic!("{field} of {what}"))
}

/// A copy of a kept store: opening changes it.
fn copy(from: &Path, name: &str) -> (Folder, PathBuf) {
    let folder = Folder::new(name);
    let to = folder.join("data");
    std::fs::create_dir_all(&to).expect("is writable");
    std::fs::copy(from.join("store.sqlite"), to.join("store.sqlite")).expect("copies");
    (folder, to)
}

async fn opened(path: &Path, what: &Value) -> (Arc<SqliteStore>, Infra) {
    let store = Arc::new(SqliteStore::open(path).expect("an old store opens"));
    let infra = Infra::builder()
        .with_store(Arc::clone(&store) as _)
        .with_master_key(MasterKey::from_hex(text(what, "master_key")).expect("64 digits"))
        .with_home(text(what, "home"))
        .without_engine()
        .build()
        .await
        .expect("an old installation opens");
    (store, infra)
}

#[tokio::test]
async fn people_lose_what_they_hold_by_an_upgrade() {
    let kept = kept();
    let newest = kept.iter().filter_map(|(_, what)| what["schema"].as_i64()).max();
    assert_eq!(newest, Some(infra_store::SQLITE_SCHEMA), "a store of every released layout is kept");
    for (path, what) in kept {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let (_folder, data) = copy(&path, &format!("old-{name}"));
        let (store, infra) = opened(&data, &what).await;
        assert_eq!(infra.operator().status().await.expect("answers").frozen, None, "{name}: it is at home");
        let who = infra.operator().authenticate(text(&what, "token")).await.expect("answers");
        let who = who.unwrap_or_else(|| panic!("{name}: the token is not known"));
        assert_eq!((who.user.as_str(), who.token.as_str()), (text(&what, "user"), text(&what, "token_id")));
        let ada = infra.user(&UserId::new(text(&what, "user")).expect("legal"));
        let id = ReservationId::new(text(&what, "reservation")).expect("legal");
        let view = ada.get(&id).await.expect("the reservation is there");
        assert_eq!(view.request.name.as_deref(), Some("kept"), "{name}");
        assert_eq!(serde_json::json!(view.state), what["state"], "{name}");
        assert_eq!(serde_json::json!(view.units.len()), what["units"], "{name}");
        let keys = ada.keys().await.expect("answers");
        assert_eq!(keys.len(), 1, "{name}");
        assert_eq!(keys[0].fingerprint, text(&what["key"], "fingerprint"), "{name}");
        // It still opens under the master key of its time.
        let fingerprints_only = format!("{keys:?}");
        assert!(!fingerprints_only.contains(text(&what["key"], "secret")), "{name}");
        // And takes what this program writes.
        infra.operator().add_user(&UserId::new("new").expect("legal"), None).await.expect("writes");
        infra.shutdown().await;
        store.close().await;
        println!("COUNT old_store layout={name} reservation=1 key=1 token=1");
    }
}

#[test]
fn an_old_store_is_upgraded_without_a_copy() {
    for (path, what) in kept() {
        let schema = what["schema"].as_i64().expect("a number");
        let (_folder, data) = copy(&path, &format!("copied-{schema}"));
        drop(SqliteStore::open(&data).expect("an old store opens"));
        let copies = data.join(format!("store.sqlite.schema-{schema}")).exists();
        assert_eq!(copies, schema < infra_store::SQLITE_SCHEMA, "layout {schema}");
    }
}

#[test]
fn a_newer_layout_is_changed_by_looking_at_it() {
    let (path, _) = kept().pop().expect("one is kept");
    let (_folder, data) = copy(&path, "newer-than-all");
    let file = data.join("store.sqlite");
    let raw = rusqlite::Connection::open(&file).expect("opens");
    raw.pragma_update(None, "journal_mode", "DELETE").expect("switches");
    raw.pragma_update(None, "user_version", infra_store::SQLITE_SCHEMA + 1).expect("writes");
    drop(raw);
    let before = std::fs::read(&file).expect("reads");
    let refused = SqliteStore::open(&data).expect_err("it is newer");
    assert!(
        matches!(&refused, StoreError::Corrupt { why } if why.contains("this program knows up to")),
        "{refused}"
    );
    assert!(std::fs::read(&file).expect("reads") == before, "byte for byte");
    let others = std::fs::read_dir(&data).expect("reads").count();
    assert!(others <= 2, "the store and its lock: {others}");
}
