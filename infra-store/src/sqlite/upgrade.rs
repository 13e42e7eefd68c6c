//! From an older layout to the newest: a copy first, then one step after another, each whole or not at all.
//!
//! # Guarantees
//! * Before the first step a copy of the store is on disk beside it, named after its layout: `store.sqlite.schema-1`. No copy,
//!   no step. A copy is never written over.
//! * A step and its number are one transaction: after a crash the store is at one layout or at the next.
//!
//! # Caveats
//! Copies are the operator's to remove. The way back is to stop the program, put the copy in the store's place (without
//! `-wal` and `-shm` files), and start the older program; the installation then is a restored one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use infra_core::contracts::store::StoreError;
use infra_core::words::fault::Effect;
use rusqlite::Connection;

use super::schema::{open_reader, open_writer, refusal};
use super::{files, unavailable};

/// One step: from this layout to the next higher one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) from: i64,
    pub(super) sql: &'static str,
}

/// Copies of one layout beside a store, at most. Whoever has more has a reason to look at them.
const COPIES_MAX: u32 = 20;

/// Takes a store of an older layout through the steps to the newest. Does nothing when there is nothing to do.
pub(super) fn upgrade(path: &Path, from: i64, to: i64, steps: &[Step]) -> Result<(), StoreError> {
    if from >= to {
        return Ok(());
    }
    let wanted: Vec<Step> = (from..to)
        .map(|at| steps.iter().find(|step| step.from == at).copied().ok_or(at))
        .collect::<Result<_, _>>()
        .map_err(|at| StoreError::Corrupt {
            why: format!("{} has schema {at}, from which this program knows no way on", path.display()),
        })?;
    let copy = copy(path, from)?;
    tracing::info!(copy = %copy.display(), from, to, "the store is upgraded; a copy of it stands beside it");
    let connection = open_writer(path).map_err(|error| refusal(&error, Effect::NotApplied))?;
    for step in wanted {
        take(&connection, step).map_err(|error| refusal(&error, Effect::NotApplied))?;
    }
    Ok(())
}

fn take(connection: &Connection, step: Step) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(step.sql)?;
    transaction.pragma_update(None, "user_version", step.from + 1)?;
    transaction.commit()
}

/// A whole copy beside the store, on disk. One that is there already and holds the same commits is taken as it is: a
/// step that fails at every start must not fill the disk.
fn copy(path: &Path, schema: i64) -> Result<PathBuf, StoreError> {
    let store = open_reader(path)?;
    let newest = newest(&store)?;
    let name = |n: u32| {
        let more = if n == 1 { String::new() } else { format!(".{n}") };
        path.with_file_name(format!("{}.schema-{schema}{more}", files::DATA))
    };
    let mut free = None;
    for place in (1..=COPIES_MAX).map(name) {
        if !place.exists() {
            free = Some(place);
            break;
        }
        if open_reader(&place).and_then(|copy| self::newest(&copy)).is_ok_and(|copied| copied == newest) {
            return Ok(place);
        }
    }
    let place = free.ok_or_else(|| not_copied(path, &format!("{COPIES_MAX} copies stand there already")))?;
    write(&store, &place).map_err(|why| not_copied(&place, &why))?;
    Ok(place)
}

fn newest(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .query_row("SELECT newest FROM store", (), |row| row.get(0))
        .map_err(|error| refusal(&error, Effect::NotApplied))
}

/// Writes it under another name first: what bears the name of a copy is whole.
fn write(store: &Connection, place: &Path) -> Result<(), String> {
    let half = place.with_file_name(format!("{}.part", files::DATA));
    if half.exists() {
        fs::remove_file(&half).map_err(|error| format!("{}: {error}", half.display()))?;
    }
    // Made empty and private first: SQLite fills it, and nobody else ever reads it.
    files::make_private(&half).map_err(|error| error.to_string())?;
    let name = half.to_str().ok_or("its path is no text")?;
    store.execute("VACUUM INTO ?1", [name]).map_err(|error| error.to_string())?;
    let on_disk = || {
        File::open(&half)?.sync_all()?;
        fs::rename(&half, place)?;
        place.parent().map_or(Ok(()), files::sync_folder)
    };
    on_disk().map_err(|error: std::io::Error| error.to_string())
}

fn not_copied(place: &Path, why: &str) -> StoreError {
    let why =
        format!("the store is not upgraded, because no copy of it can be made at {}: {why}", place.display());
    unavailable(why, Effect::NotApplied)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sqlite::schema;

    /// A layout of tomorrow.
    const STEPS: [Step; 2] = [
        Step { from: schema::SCHEMA, sql: "ALTER TABLE record ADD COLUMN colour TEXT;" },
        Step { from: schema::SCHEMA + 1, sql: "CREATE TABLE more (a INTEGER) STRICT;" },
    ];
    const BROKEN: [Step; 1] = [Step {
        from: schema::SCHEMA,
        sql: "CREATE TABLE half (a INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
    }];

    struct Folder(PathBuf);

    impl Folder {
        /// A store with one commit that stands in the log alone, as after a crash.
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("infra-store-upgrade-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("is writable");
            let folder = Self(path);
            schema::open_or_create(&folder.data()).expect("opens");
            folder.bump();
            folder
        }

        fn data(&self) -> PathBuf {
            self.0.join(files::DATA)
        }

        fn bump(&self) {
            let raw = open_writer(&self.data()).expect("opens");
            raw.execute("UPDATE store SET newest = newest + 1", ()).expect("writes");
        }

        fn schema(&self, name: &str) -> i64 {
            let connection = open_reader(&self.0.join(name)).expect("opens");
            connection.query_row("PRAGMA user_version", (), |row| row.get(0)).expect("reads")
        }

        /// Copies by name, with what they hold as newest.
        fn copies(&self) -> BTreeMap<String, i64> {
            let entries =
                fs::read_dir(&self.0).expect("reads").map(|entry| entry.expect("reads").file_name());
            let names = entries.map(|name| name.to_string_lossy().into_owned());
            let is_copy = |name: &String| {
                name.contains(".schema-") && !name.ends_with("-shm") && !name.ends_with("-wal")
            };
            let holds = |name: String| {
                let copy = open_reader(&self.0.join(&name)).expect("opens");
                (name, newest(&copy).expect("reads"))
            };
            names.filter(is_copy).map(holds).collect()
        }

        fn upgrade(&self, steps: &[Step]) -> Result<(), StoreError> {
            let to = schema::SCHEMA + i64::try_from(steps.len()).expect("few");
            upgrade(&self.data(), self.schema(files::DATA), to, steps)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _best_effort = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_upgrade_leaves_no_way_back() {
        let folder = Folder::new("copy");
        folder.upgrade(&STEPS).expect("upgrades");
        assert_eq!(folder.schema(files::DATA), schema::SCHEMA + 2);
        assert_eq!(folder.copies(), BTreeMap::from([("store.sqlite.schema-1".to_owned(), 1)]));
        assert_eq!(folder.schema("store.sqlite.schema-1"), schema::SCHEMA);
        // The copy is a store that the older program opens, and nobody else reads it.
        let older = folder.0.join("older");
        fs::create_dir_all(&older).expect("is writable");
        fs::copy(folder.0.join("store.sqlite.schema-1"), older.join(files::DATA)).expect("copies");
        schema::open_or_create(&older.join(files::DATA)).expect("the copy opens");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode =
                fs::metadata(folder.0.join("store.sqlite.schema-1")).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_store_is_changed_although_no_copy_could_be_made() {
        let folder = Folder::new("no-copy");
        fs::create_dir_all(folder.0.join("store.sqlite.part/in-the-way")).expect("is writable");
        let before = fs::read(folder.data()).expect("reads");
        let refused = folder.upgrade(&STEPS).expect_err("no copy can be made").to_string();
        assert!(refused.contains("not upgraded"), "{refused}");
        assert_eq!(folder.schema(files::DATA), schema::SCHEMA);
        assert!(fs::read(folder.data()).expect("reads") == before, "byte for byte");
    }

    #[test]
    fn a_step_that_fails_is_half_taken_or_fills_the_disk_with_copies() {
        let folder = Folder::new("broken");
        for _ in 0..3 {
            folder.upgrade(&BROKEN).expect_err("the step is broken");
        }
        assert_eq!(folder.schema(files::DATA), schema::SCHEMA);
        let half = "SELECT count(*) FROM sqlite_schema WHERE name = 'half'";
        let halves: i64 =
            open_reader(&folder.data()).expect("opens").query_row(half, (), |row| row.get(0)).expect("reads");
        assert_eq!(halves, 0);
        assert_eq!(folder.copies().len(), 1);
        // What was written since is not in the first copy: it gets one of its own, and the first stays.
        folder.bump();
        folder.upgrade(&STEPS).expect("upgrades");
        let copies = [("store.sqlite.schema-1".to_owned(), 1), ("store.sqlite.schema-1.2".to_owned(), 2)];
        assert_eq!(folder.copies(), BTreeMap::from(copies));
    }

    #[test]
    fn a_layout_without_a_way_on_is_changed() {
        let folder = Folder::new("gap");
        let refused = upgrade(&folder.data(), schema::SCHEMA, schema::SCHEMA + 2, &STEPS[..1]);
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
        assert_eq!(folder.schema(files::DATA), schema::SCHEMA);
        assert!(folder.copies().is_empty());
    }

    #[test]
    fn every_older_layout_has_a_way_to_the_newest() {
        assert!(schema::STEPS.iter().zip(1..).all(|(step, from)| step.from == from));
        assert_eq!(schema::STEPS.len(), usize::try_from(schema::SCHEMA - 1).expect("small"));
    }
}
