//! One commit inside the writer's transaction: looked at whole before anything of it is written.

use infra_core::contracts::store::{Change, Commit, Expect, Index, Key, StoreError};
use infra_core::words::ids::CommitId;
use infra_core::words::lane::Version;
use rusqlite::{Connection, OptionalExtension};

use super::rows::{commit_id, signed, version};
use crate::rules::conflict;

/// Does a commit as number `newest + 1`, or says why not. `Err` outside means that SQLite failed and the whole
/// transaction must be rolled back; a refusal inside has written nothing.
pub(super) fn apply(
    connection: &Connection,
    newest: Version,
    commit: &Commit,
) -> rusqlite::Result<Result<Version, StoreError>> {
    if let Some(version) = logged(connection, commit.id)? {
        return Ok(Ok(version));
    }
    let mut refused = None;
    for change in &commit.changes {
        let found = standing(connection, change.key())?;
        if let Some((version, by)) = found
            && by == commit.id
        {
            return Ok(Ok(version));
        }
        let holds = match change.expect() {
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.is_some_and(|(found, _)| found == version),
        };
        // Goes on looking: a later record may say that this commit was done long ago.
        if !holds && refused.is_none() {
            refused = Some(conflict(change.key()));
        }
    }
    if let Some(refused) = refused {
        return Ok(Err(refused));
    }
    let version = Version(newest.0 + 1);
    for change in &commit.changes {
        match change {
            Change::Put { key, index, body, .. } => put(connection, key, version, commit.id, index, body)?,
            Change::Delete { key, .. } => delete(connection, key)?,
            Change::Check { .. } => {}
        }
    }
    let sql = "INSERT INTO commit_log (version, id) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute((signed(version.0), commit.id.0.as_bytes()))?;
    Ok(Ok(version))
}

fn logged(connection: &Connection, id: CommitId) -> rusqlite::Result<Option<Version>> {
    let sql = "SELECT version FROM commit_log WHERE id = ?1";
    connection.prepare_cached(sql)?.query_row([id.0.as_bytes()], |row| version(row, 0)).optional()
}

fn standing(connection: &Connection, key: &Key) -> rusqlite::Result<Option<(Version, CommitId)>> {
    let sql = "SELECT version, made_by FROM record WHERE kind = ?1 AND tenant = ?2 AND id = ?3";
    let place = (key.kind as u8, key.tenant.as_str(), &key.id);
    let read = |row: &rusqlite::Row<'_>| Ok((version(row, 0)?, commit_id(row, 1)?));
    connection.prepare_cached(sql)?.query_row(place, read).optional()
}

fn put(
    connection: &Connection,
    key: &Key,
    version: Version,
    by: CommitId,
    index: &Index,
    body: &[u8],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO record
        (kind, tenant, id, version, made_by, owner, shard, lane, due_s, due_ns, state, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
        ON CONFLICT (kind, tenant, id) DO UPDATE SET
        version = excluded.version, made_by = excluded.made_by, owner = excluded.owner, shard = excluded.shard,
        lane = excluded.lane, due_s = excluded.due_s, due_ns = excluded.due_ns, state = excluded.state,
        body = excluded.body";
    connection.prepare_cached(sql)?.execute((
        key.kind as u8,
        key.tenant.as_str(),
        &key.id,
        signed(version.0),
        by.0.as_bytes(),
        index.owner.as_ref().map(|owner| owner.as_str()),
        index.shard,
        index.lane.as_ref().map(|lane| &lane.0),
        index.due_at.map(|at| at.as_second()),
        index.due_at.map(|at| at.subsec_nanosecond()),
        index.state,
        body,
    ))?;
    Ok(())
}

fn delete(connection: &Connection, key: &Key) -> rusqlite::Result<()> {
    let sql = "DELETE FROM record WHERE kind = ?1 AND tenant = ?2 AND id = ?3";
    connection.prepare_cached(sql)?.execute((key.kind as u8, key.tenant.as_str(), &key.id))?;
    Ok(())
}

/// The store's commit number is written with the commits themselves, so no crash gives a number twice.
pub(super) fn set_newest(connection: &Connection, newest: Version) -> rusqlite::Result<()> {
    let sql = "UPDATE store SET newest = ?1 WHERE one = 1";
    connection.prepare_cached(sql)?.execute([signed(newest.0)])?;
    Ok(())
}

/// Forgets the ids of some commits up to a version; answers how many.
pub(super) fn forget(connection: &Connection, upto: Version, most: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM commit_log WHERE version IN
        (SELECT version FROM commit_log WHERE version <= ?1 ORDER BY version LIMIT ?2)";
    connection.prepare_cached(sql)?.execute((signed(upto.0), signed(most)))
}
