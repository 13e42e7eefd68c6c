//! Which master keys a store needs, and how one is replaced by another.
//!
//! The store remembers under which keys anything in it may be sealed. While one replaces another there are two of them,
//! and a start that lacks one is refused: it would open half of the secrets. The older one is forgotten last, after
//! everything was read under the new one alone, and nothing of the old seals is in the store's file any more.

use infra_core::contracts::store::{
    Change, Commit, Expect, Index, Key, Record, RecordKind, ReservationStore, StoreError,
};
use infra_core::infra::Infra;
use infra_core::records::system_tenant;
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::Entropy;
use infra_core::words::ids::CommitId;
use infra_core::words::secret::MasterKey;

use super::error::StartError;
use super::parts::Store;
use super::start::store_failed;

fn place() -> Key {
    Key { tenant: system_tenant(), kind: RecordKind::FrontEnd, id: "master-key".to_owned() }
}

async fn noted(store: &dyn ReservationStore) -> Result<Option<Record>, StartError> {
    let found = store.get(&[place()]).await.map_err(|error| store_failed(&error))?;
    Ok(found.into_iter().flatten().next())
}

fn ids(note: &Record) -> Vec<String> {
    String::from_utf8_lossy(&note.body).split(',').map(str::to_owned).collect()
}

async fn note(
    store: &dyn ReservationStore,
    ids: &[String],
    expect: Expect,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    let body = ids.join(",").into_bytes();
    let put = Change::Put { key: place(), expect, index: Index::default(), body };
    let commit = Commit { id: CommitId::draw(SystemClock.wall(), entropy), changes: vec![put] };
    store.commit(&commit).await.map(drop)
}

/// Are all keys at hand that the store needs? Says so now, not when the first sealed secret is needed.
///
/// A key that is new to the store is noted before anything is sealed under it: otherwise a crash could leave secrets that
/// the noted key does not open.
pub(super) async fn admit(
    store: &dyn ReservationStore,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<(), StartError> {
    let mine = master.id();
    match note(store, std::slice::from_ref(&mine), Expect::Absent, entropy).await {
        Ok(()) => return Ok(()),
        Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(store_failed(&error)),
    }
    let Some(known) = noted(store).await? else {
        return Err(StartError::Broken("the note of the master key is there and is not".to_owned()));
    };
    let mut needed = ids(&known);
    let older = master.older_ids();
    if let Some(missing) = needed.iter().find(|id| **id != mine && !older.contains(id)) {
        let rest = if needed.len() > 1 {
            "; sealing everything under a new key was begun and is not over: until it is, both keys are needed, the new one \
             as the master key and the old one as INFRA_OLD_MASTER_KEY_FILE"
        } else {
            "; to replace the key, name the old one, too: INFRA_OLD_MASTER_KEY_FILE"
        };
        return Err(StartError::Config(format!(
            "wrong master key: this store is sealed under key {missing}, the key at hand is {mine}{rest}"
        )));
    }
    if needed.contains(&mine) {
        return Ok(());
    }
    needed.push(mine);
    note(store, &needed, Expect::Version(known.version), entropy).await.map_err(|error| store_failed(&error))
}

/// What has become of replacing the key, for whoever started the server; `None` when no older one was given.
///
/// The store forgets the older keys when nothing needs them. Whatever fails here is tried again by the next start.
pub(super) async fn settle(
    store: &Store,
    infra: &Infra,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<Option<String>, StartError> {
    let older = master.older_ids();
    if older.is_empty() {
        return Ok(None);
    }
    let (mine, older) = (master.id(), older.join(", "));
    let operator = infra.operator();
    let Some(report) = operator.resealed() else {
        return Ok(Some(format!("{older} is still needed: a frozen store is not sealed again")));
    };
    if !report.is_complete() {
        let named = report.unopened.join("; ");
        tracing::warn!(older, left = report.left, unopened = named, "an older master key is still needed");
        return Ok(Some(format!(
            "{older} is still needed by {} records that do not open, or are written meanwhile: {named}",
            report.left
        )));
    }
    let records = store.records();
    let Some(known) = noted(&*records).await? else { return Ok(None) };
    if ids(&known) != [mine.clone()] {
        if let Err(error) = store.wipe_replaced().await {
            tracing::warn!(%error, "old seals may still be in the store's file; the next start wipes it");
            return Ok(Some(format!(
                "{older} is still needed: the store's file could not be wiped: {error}"
            )));
        }
        let noting = note(&*records, std::slice::from_ref(&mine), Expect::Version(known.version), entropy);
        noting.await.map_err(|error| store_failed(&error))?;
    }
    tracing::info!(older, key = mine, records = report.records, "an older master key is not needed any more");
    Ok(Some(format!(
        "{older} is not needed any more: all is sealed under {mine}; take it out of the settings"
    )))
}
