//! Opening a store: whose it is, and whether it is where it lives.

use super::core::Core;
use super::error::InfraError;
use super::gate::Step;
use crate::contracts::store::{Key, ListBy};
use crate::nouns::installation::{Frozen, Installation};
use crate::nouns::reservation::Reservation;
use crate::nouns::retention::Retention;
use crate::records::{Stored, Versioned};
use crate::words::clock::later;
use crate::words::ids::InstallationId;
use crate::words::lane::Version;
use std::collections::BTreeSet;

/// Shape of the records that this version writes: one more with every release whose records say something that the release
/// before would drop when it writes them again. All earlier shapes are read as they are.
///
/// * 2: what was answered under an idempotency key, entries of histories for shares and templates, notes of when to forget.
pub(super) const RECORD_SCHEMA: u32 = 2;

/// Notes written with one commit.
const NOTES_AT_ONCE: usize = 10;

/// Makes the installation at the first start; afterwards makes sure that the store is at home, and freezes it
/// when it is not. Two replicas may do it at once.
///
/// # Errors
/// [`InfraError::Misconfigured`] for a store of another schema; [`InfraError::Store`].
pub(super) async fn open(core: &Core) -> Result<Installation, InfraError> {
    let opened = core.settle("the installation", || async {
        let Some(was) = core.repo.get::<Installation>(Installation::place()).await? else {
            let new = first(core);
            let mut txn = core.repo.txn();
            txn.insert(&new);
            return Ok(Step::Commit(txn, new));
        };
        let schema = was.value.schema;
        if schema > RECORD_SCHEMA {
            let why = format!(
                "the store has records of schema {schema}, written by a newer program; this one knows {RECORD_SCHEMA} \
                 and has changed nothing"
            );
            return Err(InfraError::Misconfigured { why });
        }
        if schema < RECORD_SCHEMA {
            // Before the number says that it is done: cut short, it is done again.
            note_what_is_over(core).await?;
        }
        let frozen = judge(&was.value, &core.home);
        let now = Installation { frozen, schema: RECORD_SCHEMA, ..was.value.clone() };
        if now == was.value {
            return Ok(Step::Done(was.value, was.version));
        }
        let mut txn = core.repo.txn();
        txn.update(&was, &now);
        Ok(Step::Commit(txn, now))
    });
    Ok(opened.await?.0)
}

/// Reservations that were over before there were notes of when to forget them would stay for ever.
///
/// Once per store. Those that have a note are left alone; two replicas may do it at once.
async fn note_what_is_over(core: &Core) -> Result<(), InfraError> {
    let all: Vec<Versioned<Reservation>> = core.repo.list_all(ListBy::All, None).await?;
    let noted: Vec<Versioned<Retention>> = core.repo.list_all(ListBy::All, None).await?;
    let noted: BTreeSet<Key> = noted.iter().map(|note| note.value.key()).collect();
    let note = |record: &Versioned<Reservation>| {
        let over_at = record.value.over_at?;
        let until = later(over_at, core.limits.released_readable_for);
        Some(Retention::of(&record.value, until)).filter(|note| !noted.contains(&note.key()))
    };
    let missing: Vec<Retention> = all.iter().filter_map(note).collect();
    for some in missing.chunks(NOTES_AT_ONCE) {
        let mut txn = core.repo.txn();
        some.iter().for_each(|note| txn.insert(note));
        core.repo.commit(txn).await?;
    }
    Ok(())
}

fn first(core: &Core) -> Installation {
    Installation {
        id: InstallationId::draw(core.now(), &*core.entropy),
        epoch: 1,
        home: core.home.clone(),
        schema: RECORD_SCHEMA,
        created_at: core.now(),
        frozen: None,
        deadlines_held_until: None,
        witness_floor: Version(0),
    }
}

/// What freezes an installation that is opened at a place. Coming home does not thaw: only a person knows whether
/// the copy that was away has acted.
fn judge(installation: &Installation, opened_at: &str) -> Option<Frozen> {
    match &installation.frozen {
        Some(Frozen::OlderThanCloud { .. }) => installation.frozen.clone(),
        frozen if installation.home == opened_at => frozen.clone(),
        _ => Some(Frozen::Elsewhere { opened_at: opened_at.to_owned() }),
    }
}
