//! What the SQLite store does with its files: who may hold them, read them, and change them.
#![cfg(feature = "sqlite")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Folder, key, put};
use infra_core::contracts::store::{Expect, ReservationStore, StoreError};
use infra_core::words::fault::{Effect, Fault};
use infra_core::words::lane::Version;
use infra_store::SqliteStore;

const DATA: &str = "store.sqlite";

fn open(folder: impl AsRef<Path>) -> SqliteStore {
    SqliteStore::open(folder).expect("opens")
}

/// Every file that holds data, byte for byte. `-shm` is SQLite's scratch memory and holds none; neither does the
/// empty log that merely looking at a database leaves.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let data = |path: &PathBuf| !path.ends_with("store.lock") && !path.to_string_lossy().ends_with("-shm");
    let entries = std::fs::read_dir(folder).expect("is a folder");
    let paths = entries.map(|entry| entry.expect("reads").path()).filter(data);
    let read = paths.map(|path| (path.clone(), std::fs::read(path).expect("reads")));
    let is_log = |path: &Path| path.to_string_lossy().ends_with("-wal");
    read.filter(|(path, bytes)| !(bytes.is_empty() && is_log(path))).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("is writable");
    for (path, bytes) in bytes(from) {
        std::fs::write(to.join(path.file_name().expect("is a file")), bytes).expect("is writable");
    }
}

#[tokio::test]
async fn two_processes_write_to_one_folder() {
    let folder = Folder::new("twice");
    let data = folder.join("data");
    let store = open(&data);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&data, folder.join("alias")).expect("links");
    let names = if cfg!(unix) { vec!["data", "alias"] } else { vec!["data"] };
    for name in names {
        match SqliteStore::open(folder.join(name)) {
            Err(error @ StoreError::InUse { .. }) => {
                assert_eq!(error.effect(), Effect::NotApplied);
                let canonical = std::fs::canonicalize(&data).expect("is there");
                assert!(error.to_string().contains(&canonical.display().to_string()), "{error}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // The refusal did not free the first one's lock, and did not harm it.
    assert!(SqliteStore::open(&data).is_err());
    store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    store.close().await;
    let again = open(&data);
    assert!(again.get(&[key("a")]).await.expect("reads")[0].is_some());
}

#[tokio::test]
async fn a_newer_layout_is_changed_by_an_older_program() {
    let folder = Folder::new("newer");
    let made = folder.join("made");
    let store = open(&made);
    store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    store.close().await;
    let raw = rusqlite::Connection::open(made.join(DATA)).expect("opens");
    raw.pragma_update(None, "user_version", 2).expect("writes");
    // Once with the newer number still in the log, as after a crash of the newer program, and once in the file.
    let (logged, folded) = (folder.join("logged"), folder.join("folded"));
    copy(&made, &logged);
    assert!(logged.join("store.sqlite-wal").exists(), "the newer number is in the log alone");
    drop(raw);
    copy(&made, &folded);
    for data in [logged, folded] {
        let before = bytes(&data);
        for _ in 0..2 {
            match SqliteStore::open(&data) {
                Err(StoreError::Corrupt { why }) => assert!(why.contains("schema 2"), "{why}"),
                other => panic!("{}: {other:?}", data.display()),
            }
        }
        assert!(bytes(&data) == before, "{} was changed", data.display());
    }
}

#[test]
fn a_foreign_file_is_taken_over() {
    let folder = Folder::new("foreign");
    let (other, text) = (folder.join("other"), folder.join("text"));
    for data in [&other, &text] {
        std::fs::create_dir_all(data).expect("is writable");
    }
    let raw = rusqlite::Connection::open(other.join(DATA)).expect("opens");
    raw.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);").expect("writes");
    drop(raw);
    std::fs::write(text.join(DATA), "not a database\n".repeat(1000)).expect("is writable");
    for data in [other, text] {
        let before = bytes(&data);
        let refused = SqliteStore::open(&data).expect_err("is not ours");
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
        assert!(bytes(&data) == before, "{} was changed", data.display());
    }
}

#[tokio::test]
async fn a_crash_while_the_file_was_made_locks_its_owner_out() {
    let folder = Folder::new("halfway");
    // The file was made, but no table yet; then SQLite had switched to its log.
    let (empty, switched) = (folder.join("empty"), folder.join("switched"));
    for data in [&empty, &switched] {
        std::fs::create_dir_all(data).expect("is writable");
    }
    std::fs::write(empty.join(DATA), "").expect("is writable");
    let raw = rusqlite::Connection::open(switched.join(DATA)).expect("opens");
    raw.pragma_update(None, "journal_mode", "WAL").expect("switches");
    drop(raw);
    for data in [empty, switched] {
        let store = open(&data);
        let version = store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
        assert_eq!(version, Version(1));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn others_on_the_machine_read_the_data() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    let folder = Folder::new("modes");
    let data = folder.join("deep/data");
    let store = open(&data);
    store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    store.get(&[key("a")]).await.expect("reads");
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).expect("is a folder").collect();
    assert!(files.len() >= 3, "data, log and lock: {files:?}");
    for file in files {
        let path = file.expect("reads").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_copied_folder_says_it_is_the_original() {
    let folder = Folder::new("copies");
    let (data, moved) = (folder.join("data"), folder.join("copy"));
    let store = open(&data);
    let home = store.location();
    let canonical = std::fs::canonicalize(&data).expect("is there");
    assert!(home.ends_with(&format!(":{}", canonical.display())) && !home.starts_with(':'), "{home}");
    store.close().await;
    drop(store);
    copy(&data, &moved);
    assert_ne!(open(&moved).location(), home);
    assert_eq!(open(&data).location(), home);
}

#[tokio::test]
async fn a_deletion_before_the_restart_gives_its_number_again() {
    let folder = Folder::new("numbers");
    let data = folder.join("data");
    let store = open(&data);
    let made = store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    let change =
        infra_core::contracts::store::Change::Delete { key: key("a"), expect: Expect::Version(made) };
    let removal = common::commit(2, vec![change]);
    let removed = store.commit(&removal).await.expect("commits");
    drop(store);
    let store = open(&data);
    assert_eq!(store.commit(&removal).await.expect("is remembered over a restart"), removed);
    let next = store.commit(&put(3, &key("a"), Expect::Absent)).await.expect("commits");
    assert!(next > removed, "{next} after {removed}");
}
