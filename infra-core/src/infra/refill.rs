//! A list of offers that is used up is ranked once more.
//!
//! # Flow
//! The engine plans, and says of which reservation every offer was refused lately. Here its request is ranked again,
//! without what is remembered as refused; what was not in its list comes behind it, and the slots that wait go on there.
//!
//! # Guarantees
//! * Bounded: a list grows to [`LISTS_MAX`] times what a new one has. Where nothing new fits nothing is written.
//! * A longer list is a wish and no launch: brakes, budgets and the reservation's own cap are asked as ever.
//! * Places in the list stay what they are, so that what was tried keeps its name.
//!
//! # Assumptions
//! * Only the engine's plans say that a list is used up. What is said is read again here, since it may be old by then.
//! * One process ranks one reservation at a time; two of them conflict, and the loser's is said again.
//!
//! # Errors
//! None reach anybody: who waits for offers waits on, and reads why in the reservation's reason. They are logged.
//!
//! # Caveats
//! What is said here may get lost: the slots then wait for what was refused, and their next plan says it again.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::core::Core;
use super::error::InfraError;
use super::quote;
use crate::nouns::reservation::Reservation;
use crate::nouns::unit::Unit;
use crate::plan::fold::Whose;
use crate::plan::reservation::{LISTS_MAX, is_dry};
use crate::records::{Versioned, unit_prefix};

/// Reservations that wait to be ranked again; of more than these it is said anew with their next plan.
const WAITING_MAX: usize = 256;

/// Slots written in one commit, beside the reservation.
const PER_COMMIT: usize = 16;

/// Where the engine says that a list is used up, and where it is heard.
pub(super) fn channel() -> (mpsc::Sender<Whose>, mpsc::Receiver<Whose>) {
    mpsc::channel(WAITING_MAX)
}

/// Ranks again for whom it is asked, one after the other, until it is told to stop.
pub(super) async fn run(
    core: Arc<Core>,
    mut asked: mpsc::Receiver<Whose>,
    mut stopping: watch::Receiver<bool>,
) {
    let work = async {
        while let Some(whose) = asked.recv().await {
            if let Err(error) = refill(&core, &whose).await {
                tracing::debug!(reservation = %whose.1, %error, "its offers were not ranked again");
            }
        }
    };
    let stop = async { while !*stopping.borrow_and_update() && stopping.changed().await.is_ok() {} };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
}

/// More offers for one reservation, and its slots sent to them; nothing when none of them waits for offers.
///
/// # Errors
/// What ranking answers, and a conflict: then somebody wrote, which is planned, which says it again.
async fn refill(core: &Core, (tenant, id): &Whose) -> Result<(), InfraError> {
    let Some(read) = core.repo.get::<Reservation>(Reservation::place(tenant, id)).await? else {
        return Ok(());
    };
    let known = &read.value.spec.choices;
    let room = (core.limits.offers_kept * LISTS_MAX).saturating_sub(known.len());
    let units: Vec<Versioned<Unit>> = core.repo.list_prefix(tenant, &unit_prefix(id), None).await?;
    let dry: Vec<_> = units.into_iter().filter(|unit| is_dry(&unit.value)).collect();
    if dry.is_empty() || room == 0 || !read.value.desired.present || read.value.hold.is_some() {
        return Ok(());
    }
    let gate = core.gate(&read.value.owner).await?;
    gate.may_create(core.now())?;
    let more = quote::more(core, tenant, &read.value.spec.request, known).await?;
    if more.is_empty() {
        return Ok(());
    }
    let mut reservation = read.value.clone();
    reservation.spec.choices.extend(more.into_iter().take(room));
    for (nth, some) in dry.chunks(PER_COMMIT).enumerate() {
        let mut txn = core.repo.txn();
        if nth == 0 {
            txn.update(&read, &reservation);
        }
        for unit in some {
            let mut next = unit.value.clone();
            (next.offer, next.retry_at, next.reason) = (known.len(), None, None);
            txn.update(unit, &next);
        }
        gate.check(&mut txn);
        gate.check_switches(&mut txn);
        core.repo.commit(txn).await?;
    }
    Ok(())
}
