//! What a person says about a frozen store, made so in commits that may be repeated from the start.
//!
//! # Flow
//! Check that the answer fits; do the work, record by record; thaw the installation with the last commit.
//!
//! * *Moved*: nothing but a new home.
//! * *Clone*: everything the records hold belongs to the original, so it is let go untouched; keys are dropped;
//!   a new installation id makes every later mark another's than the original's.
//! * *Restored*: what was only planned when the backup was made may have been sent afterwards, so it counts as
//!   sent; a new epoch; deadlines are held for a day, because extensions may be lost; every region of every key
//!   is looked at again, because the register of lanes may be older than they are.
//!
//! # Guarantees
//! * A crash anywhere leaves the store frozen, and repeating finishes the work.
//! * Nothing in any cloud is touched by recovering.

use super::core::Core;
use super::error::InfraError;
use super::gate::Step;
use super::once::{self, Once};
use super::operator::Operator;
use super::quote::connect_error;
use super::rows;
use crate::contracts::store::ListBy;
use crate::nouns::actor::Actor;
use crate::nouns::credential::StoredCredential;
use crate::nouns::event::Event;
use crate::nouns::installation::{Frozen, Installation, Recovery};
use crate::nouns::launch::{Closed, EndCause, Launch, LaunchState};
use crate::nouns::reservation::Reservation;
use crate::plan::resolve::suspect;
use crate::records::{Stored, Versioned, state};
use crate::words::clock::later;
use crate::words::ids::InstallationId;
use crate::words::lane::Version;

/// Recovers; the installation is thawed by the last commit.
pub(super) async fn recover(by: &Operator, what: Recovery) -> Result<(), InfraError> {
    let core = &by.core;
    let once = by.once(|| once::asked(&what));
    if once::answered::<()>(core, once.as_ref()).await?.is_some() {
        return Ok(());
    }
    let was = core.installation().await?.value;
    fits(&was, what)?;
    match what {
        Recovery::Moved => {}
        Recovery::Clone => let_go(by).await?,
        Recovery::Restored => doubt(core).await?,
    }
    thaw(core, what, once.as_ref()).await
}

/// Does the answer fit what froze the store? *Restored* always does: somebody may know it before any cloud shows.
fn fits(installation: &Installation, what: Recovery) -> Result<(), InfraError> {
    let fits = match (what, &installation.frozen) {
        (Recovery::Restored, _) | (Recovery::Clone | Recovery::Moved, Some(Frozen::Elsewhere { .. })) => true,
        (Recovery::Clone | Recovery::Moved, _) => false,
    };
    if fits {
        return Ok(());
    }
    let why = installation.frozen.as_ref().map_or("it is not frozen", |_| "it was not opened elsewhere");
    let id = installation.id.to_string();
    Err(InfraError::Conflict { what: "installation", id, why: why.to_owned(), version: None })
}

/// A copy holds nothing: what stands in its records belongs to the original.
async fn let_go(by: &Operator) -> Result<(), InfraError> {
    let core = &*by.core;
    let keep_until = Some(later(core.now(), core.limits.keep_closed_for));
    each(core, |row: &mut Launch| {
        if !row.closed() {
            row.state = LaunchState::Closed(Closed::Evicted);
            row.keep_until = keep_until;
        }
    })
    .await?;
    reservations_let_go(core, &by.actor).await?;
    let keys: Vec<Versioned<StoredCredential>> = core.repo.list_all(ListBy::All, None).await?;
    for key in keys {
        let mut txn = core.repo.txn();
        txn.delete(&key);
        core.repo.commit(txn).await?;
        core.connections.unregister(&key.value).await.map_err(connect_error)?;
    }
    Ok(())
}

/// Each in one commit with the entry of its history; one that was let go before is left alone.
async fn reservations_let_go(core: &Core, actor: &Actor) -> Result<(), InfraError> {
    let all: Vec<Versioned<Reservation>> = core.repo.list_all(ListBy::All, Some(state::OPEN)).await?;
    for was in all.iter().filter(|was| was.value.over_at.is_none()) {
        let mut is = was.value.clone();
        is.desired.present = false;
        is.end_cause = Some(EndCause::Asked);
        is.failure.get_or_insert_with(|| "this store is a copy: the original holds it".to_owned());
        if is == was.value {
            continue;
        }
        let mut txn = core.repo.txn();
        txn.update(was, &is);
        let event = Event::LetGo { reservation: is.id.clone() };
        txn.insert(&rows::event(&is.tenant, &is.id, "let-go", was.version.0, core.now(), event, actor));
        core.repo.commit(txn).await?;
    }
    Ok(())
}

/// A backup does not know what was sent after it was made; every region of every key is looked at again.
async fn doubt(core: &Core) -> Result<(), InfraError> {
    let now = core.now();
    let rows: Vec<Versioned<Launch>> = core.repo.list_all(ListBy::All, Some(state::OPEN)).await?;
    for row in rows {
        let mut is = row.value.clone();
        suspect(&mut is, row.version, now);
        if is != row.value {
            let mut txn = core.repo.txn();
            txn.update(&row, &is);
            core.repo.commit(txn).await?;
        }
    }
    core.connections.register_all_lanes().await.map_err(connect_error)
}

/// Changes every open record of a kind, one commit each. What is changed already is left alone, which makes the
/// whole repeatable.
async fn each<T: Stored + Clone + PartialEq>(
    core: &Core,
    change: impl Fn(&mut T) + Sync,
) -> Result<(), InfraError> {
    let all: Vec<Versioned<T>> = core.repo.list_all(ListBy::All, Some(state::OPEN)).await?;
    for was in all {
        let mut is = was.value.clone();
        change(&mut is);
        if is != was.value {
            let mut txn = core.repo.txn();
            txn.update(&was, &is);
            core.repo.commit(txn).await?;
        }
    }
    Ok(())
}

/// The last commit: identity, home, epoch and holds, and no longer frozen.
async fn thaw(core: &Core, what: Recovery, once: Option<&Once>) -> Result<(), InfraError> {
    let settled = core.settle("the installation", || async {
        if once::answered::<()>(core, once).await?.is_some() {
            return Ok(Step::Done((), Version(0)));
        }
        let was = core.installation().await?;
        let mut is = Installation { frozen: None, home: core.home.clone(), ..was.value.clone() };
        match what {
            Recovery::Moved => {}
            Recovery::Clone => {
                is.id = InstallationId::draw(core.now(), &*core.entropy);
                is.epoch += 1;
            }
            Recovery::Restored => {
                is.epoch += 1;
                is.deadlines_held_until = Some(later(core.now(), core.limits.restored_hold));
                if let Some(Frozen::OlderThanCloud { seen, .. }) = &was.value.frozen {
                    is.witness_floor = is.witness_floor.max(*seen);
                }
            }
        }
        let mut txn = core.repo.txn();
        txn.update(&was, &is);
        once::note(core, once, &mut txn, &());
        Ok(Step::Commit(txn, ()))
    });
    settled.await.map(drop)
}
