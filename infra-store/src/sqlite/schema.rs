//! The tables, their version, and how connections are opened.

use std::path::Path;
use std::time::Duration;

use infra_core::contracts::store::StoreError;
use infra_core::words::fault::Effect;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::upgrade::{Step, upgrade};
use super::{files, unavailable};

/// Marks a file as ours, in its header.
const APPLICATION: i64 = 0x494e_4652;
/// The newest layout this program knows. It never reads, and never touches, a newer one. Whoever raises it adds a step,
/// and keeps a store of the layout before: `tests/stores`.
pub(super) const SCHEMA: i64 = 1;
/// From each older layout to the next.
pub(super) const STEPS: [Step; 0] = [];
/// How long a connection waits for a lock of SQLite's own; only a checkpoint ever holds one.
const BUSY: Duration = Duration::from_secs(5);

/// Ids are compared as bytes, like everywhere else. Times are seconds and nanoseconds since 1970, both signed.
/// `record` stands in key order within a kind; `commit_log` in the order of commits, so its old end is cheap to
/// cut off.
const TABLES: &str = "
    CREATE TABLE store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        newest INTEGER NOT NULL
    ) STRICT;
    INSERT INTO store (one, newest) VALUES (1, 0);
    CREATE TABLE record (
        kind INTEGER NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL,
        version INTEGER NOT NULL, made_by BLOB NOT NULL,
        owner TEXT, shard INTEGER NOT NULL, lane TEXT, due_s INTEGER, due_ns INTEGER, state INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (kind, tenant, id)
    ) STRICT;
    CREATE INDEX record_by_owner ON record (tenant, owner, kind, id, state) WHERE owner IS NOT NULL;
    CREATE INDEX record_by_lane ON record (lane, kind, tenant, id, state) WHERE lane IS NOT NULL;
    CREATE INDEX record_by_due ON record (kind, shard, due_s, due_ns, tenant, id) WHERE due_s IS NOT NULL;
    CREATE INDEX record_by_version ON record (version);
    CREATE TABLE commit_log (version INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE) STRICT;
";

/// Opens the file for the writer, or makes it; a file of another program or of a newer one is left alone.
pub(super) fn open_or_create(path: &Path) -> Result<Connection, StoreError> {
    files::make_private(path)?;
    let made = made_before(path)?;
    if let Some(schema) = made {
        upgrade(path, schema, SCHEMA, &STEPS)?;
    }
    let connection = open_writer(path).map_err(|error| refusal(&error, Effect::NotApplied))?;
    if made.is_none() {
        create(&connection).map_err(|error| refusal(&error, Effect::NotApplied))?;
    }
    Ok(connection)
}

/// The writer's connection to a file that is known to be ours.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Without these, macOS leaves what was synced in the drive's own cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    open().map_err(|error| refusal(&error, Effect::NotApplied))
}

/// Looks, without being able to write, whether the file is empty, ours and of which layout, or something else.
fn made_before(path: &Path) -> Result<Option<i64>, StoreError> {
    let unread = |error| refusal(&error, Effect::NotApplied);
    let connection = open_reader(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unread)?;
    let number = |sql| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).map_err(unread);
    let application = number("PRAGMA application_id")?;
    let schema = number("PRAGMA user_version")?;
    if (application, schema, number("SELECT count(*) FROM sqlite_schema")?) == (0, 0, 0) {
        return Ok(None);
    }
    let path = path.display();
    if application != APPLICATION {
        return Err(StoreError::Corrupt { why: format!("{path} is not a store of this program") });
    }
    if schema > SCHEMA {
        let why = format!("{path} has schema {schema}, this program knows up to {SCHEMA}");
        return Err(StoreError::Corrupt { why });
    }
    Ok(Some(schema))
}

/// Makes the tables, all or none: a crash in between leaves an empty file, which is made again.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

/// What an error of SQLite means to a caller.
pub(super) fn refusal(error: &rusqlite::Error, effect: Effect) -> StoreError {
    use rusqlite::Error as E;
    let code = error.sqlite_error_code();
    let unreadable = matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..)
        );
    // Corrupt says "not applied": a commit whose fate is open must not say that.
    if unreadable && effect == Effect::NotApplied {
        StoreError::Corrupt { why: error.to_string() }
    } else {
        unavailable(error.to_string(), effect)
    }
}
