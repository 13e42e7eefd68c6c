//! From rows to records: everything that reads.

use infra_core::contracts::store::{
    Changes, DueQuery, Index, Key, ListBy, ListQuery, Page, Record, RecordKind, StoreError,
};
use infra_core::words::clock::Timestamp;
use infra_core::words::fault::Effect;
use infra_core::words::ids::{CommitId, TenantId, UserId};
use infra_core::words::lane::{LaneId, Version};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::schema::refusal;
use crate::rules::{LIMITS, page_len};

const COLUMNS: &str =
    "kind, tenant, id, version, made_by, owner, shard, lane, due_s, due_ns, state, body FROM record";

/// A failed read changed nothing.
fn unread(error: &rusqlite::Error) -> StoreError {
    refusal(error, Effect::NotApplied)
}

pub(super) fn newest(connection: &Connection) -> Result<Version, StoreError> {
    read_newest(connection).map_err(|error| unread(&error))
}

pub(super) fn read_newest(connection: &Connection) -> rusqlite::Result<Version> {
    let sql = "SELECT newest FROM store WHERE one = 1";
    connection.prepare_cached(sql)?.query_row((), |row| version(row, 0))
}

/// Reads in one transaction: SQLite's snapshot begins with the first look and ends with it.
pub(super) fn get(connection: &Connection, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
    let read = || {
        let snapshot = connection.unchecked_transaction()?;
        let sql = format!("SELECT {COLUMNS} WHERE kind = ?1 AND tenant = ?2 AND id = ?3");
        let mut statement = snapshot.prepare_cached(&sql)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let place = (key.kind as u8, key.tenant.as_str(), &key.id);
            found.push(statement.query_row(place, record).optional()?);
        }
        Ok(found)
    };
    read().map_err(|error| unread(&error))
}

/// Where a page begins: `>` or `>=` a tenant and an id.
struct Start<'a> {
    compare: &'static str,
    tenant: &'a str,
    id: &'a str,
}

impl<'a> Start<'a> {
    /// After the last page's key, but not before the first key that can match.
    fn of(query: &'a ListQuery, tenant: &'a str, id: &'a str) -> Self {
        match &query.after {
            Some(after) if (after.tenant.as_str(), after.id.as_str()) >= (tenant, id) => {
                Self { compare: ">", tenant: after.tenant.as_str(), id: &after.id }
            }
            _ => Self { compare: ">=", tenant, id },
        }
    }
}

pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<Page<Record>, StoreError> {
    let state_max = query.state_max.unwrap_or(u8::MAX);
    let (kind, fixed) = (query.kind as u8, "kind = ?1 AND state <= ?2");
    let page = match &query.by {
        // The end of a prefix is found by reading on, not by LIKE, to which `%` and `_` are not letters.
        ListBy::Tenant { tenant, prefix } => {
            let Start { compare, tenant: from, id } = Start::of(query, tenant.as_str(), prefix);
            let sql = format!("{fixed} AND (tenant, id) {compare} (?3, ?4) ORDER BY tenant, id");
            let under = |key: &Key| key.tenant == *tenant && key.id.starts_with(prefix.as_str());
            page(connection, &sql, &[&kind, &state_max, &from, &id], query, under)
        }
        ListBy::All => {
            let Start { compare, tenant, id } = Start::of(query, "", "");
            let sql = format!("{fixed} AND (tenant, id) {compare} (?3, ?4) ORDER BY tenant, id");
            page(connection, &sql, &[&kind, &state_max, &tenant, &id], query, |_| true)
        }
        ListBy::Owner { tenant, owner } => {
            let Start { compare, tenant: from, id } = Start::of(query, tenant.as_str(), "");
            if from != tenant.as_str() {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let sql = format!("{fixed} AND tenant = ?3 AND owner = ?4 AND id {compare} ?5 ORDER BY id");
            page(connection, &sql, &[&kind, &state_max, &from, &owner.as_str(), &id], query, |_| true)
        }
        ListBy::Lane(lane) => {
            let Start { compare, tenant, id } = Start::of(query, "", "");
            let sql =
                format!("{fixed} AND lane = ?3 AND (tenant, id) {compare} (?4, ?5) ORDER BY tenant, id");
            page(connection, &sql, &[&kind, &state_max, &lane.0, &tenant, &id], query, |_| true)
        }
    };
    page.map_err(|error| unread(&error))
}

/// One record more than fits is looked at, to know whether there is a next page.
fn page(
    connection: &Connection,
    condition: &str,
    values: &[&dyn ToSql],
    query: &ListQuery,
    under: impl Fn(&Key) -> bool,
) -> rusqlite::Result<Page<Record>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE {condition}"))?;
    let mut rows = statement.query(values)?;
    let mut items: Vec<Record> = Vec::new();
    while let Some(row) = rows.next()? {
        if !under(&key(row, 0)?) {
            break;
        }
        if items.len() == page_len(query.limit) {
            let next = items.last().map(|record| record.key.clone());
            return Ok(Page { items, next });
        }
        items.push(record(row)?);
    }
    Ok(Page { items, next: None })
}

pub(super) fn due(connection: &Connection, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE kind = ?1 AND shard = ?2 AND due_s IS NOT NULL AND (due_s, due_ns) <= (?3, ?4)
         ORDER BY due_s, due_ns, tenant, id LIMIT ?5"
    );
    let limit = query.limit.min(LIMITS.page_max);
    let at = (query.at.as_second(), query.at.subsec_nanosecond());
    let values: [&dyn ToSql; 5] = [&(query.kind as u8), &query.shard, &at.0, &at.1, &signed(limit)];
    let read = || connection.prepare_cached(&sql)?.query_map(&values[..], record)?.collect();
    let found: rusqlite::Result<Vec<Record>> = read();
    found.map_err(|error| unread(&error))
}

/// A commit is never cut in two: `upto` would hide its second half.
pub(super) fn changes(connection: &Connection, after: Version) -> Result<Changes, StoreError> {
    let read = || {
        let snapshot = connection.unchecked_transaction()?;
        let newest = read_newest(&snapshot)?;
        let mut statement = snapshot.prepare_cached(
            "SELECT kind, tenant, id, version FROM record WHERE version > ?1 ORDER BY version, rowid",
        )?;
        let mut rows = statement.query([i64::try_from(after.0).unwrap_or(i64::MAX)])?;
        let (mut keys, mut upto) = (Vec::new(), after);
        while let Some(row) = rows.next()? {
            let written = version(row, 3)?;
            if keys.len() >= LIMITS.page_max && written > upto {
                return Ok(Changes { keys, upto, newest });
            }
            upto = written;
            keys.push(key(row, 0)?);
        }
        Ok(Changes { keys, upto: newest, newest })
    };
    read().map_err(|error| unread(&error))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let due_s: Option<i64> = row.get(8)?;
    let due_at = match due_s {
        Some(seconds) => Some(Timestamp::new(seconds, row.get(9)?).map_err(|error| broken(8, error))?),
        None => None,
    };
    let owner: Option<String> = row.get(5)?;
    let owner = owner.map(UserId::new).transpose().map_err(|error| broken(5, error))?;
    let lane: Option<String> = row.get(7)?;
    let index = Index { owner, shard: row.get(6)?, lane: lane.map(LaneId), due_at, state: row.get(10)? };
    Ok(Record {
        key: key(row, 0)?,
        version: version(row, 3)?,
        by: commit_id(row, 4)?,
        index,
        body: row.get(11)?,
    })
}

/// A key in three columns: kind, tenant, id.
fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<Key> {
    let number: u8 = row.get(at)?;
    let kind = RecordKind::ALL.into_iter().find(|kind| *kind as u8 == number);
    let kind = kind.ok_or_else(|| broken(at, FromSqlError::OutOfRange(number.into())))?;
    let tenant: String = row.get(at + 1)?;
    let tenant = TenantId::new(tenant).map_err(|error| broken(at + 1, error))?;
    Ok(Key { tenant, kind, id: row.get(at + 2)? })
}

pub(super) fn version(row: &Row<'_>, at: usize) -> rusqlite::Result<Version> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map(Version).map_err(|error| broken(at, error))
}

pub(super) fn commit_id(row: &Row<'_>, at: usize) -> rusqlite::Result<CommitId> {
    let bytes: [u8; 16] = row.get(at)?;
    Ok(CommitId(uuid::Uuid::from_bytes(bytes)))
}

/// A number as SQLite has them: no version or length ever comes near the end of its range.
pub(super) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn broken(at: usize, why: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Null, Box::new(why))
}
