//! Accepting a reservation: quote, then one commit for everything that belongs together.
//!
//! # Flow
//! Replay the idempotency key if it came before; find the template's request, if it is one; fill up what the profile
//! says; check the request field by field; rank the offers of all lanes the team's keys reach; then commit reservation, key, the owner's count and the event in one go.
//!
//! # Guarantees
//! * All of it stands or nothing does: a crash leaves neither a key without its reservation nor a reservation
//!   that the same key would make again.
//! * Twenty calls with one key at once make one reservation: all but the first find the key when their commit
//!   conflicts, and answer what it stands for.
//! * Switches, budgets and the frozen store are checked in the commit itself.
//!
//! # Caveats
//! A reservation keeps the best few offers and walks down them when a cloud has no capacity; they are ranked again only
//! when all were refused (`infra/refill.rs`).

use super::change::held;
use super::core::Core;
use super::error::InfraError;
use super::gate::{Gate, Step};
use super::once::{self, Once};
use super::views::{IdempotencyKey, Relaunch};
use super::{defaults, rows, templates};
use crate::nouns::actor::Actor;
use crate::nouns::budget::BudgetKind;
use crate::nouns::event::Event;
use crate::nouns::request::Request;
use crate::nouns::reservation::{Phase, Reservation};
use crate::plan::budget::standing;
use crate::records::{Txn, Versioned};
use crate::words::ids::UserId;
use crate::words::money::Money;
use crate::words::planted::Bug;

/// What is asked for: something new, or a template's request once more.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    Request(&'a Request),
    Template(&'a Relaunch),
}

impl Ask<'_> {
    /// What came from the caller, and nothing else: a template that has a newer version by now, or a profile that was
    /// changed, makes no other call of a repeated one.
    fn digest(self) -> String {
        match self {
            Self::Request(request) => once::asked(request),
            Self::Template(relaunch) => once::asked(relaunch),
        }
    }
}

/// Accepts a reservation, or answers the one its key stands for. `true` says that it stood already.
pub(super) async fn reserve(
    core: &Core,
    user: &UserId,
    actor: &Actor,
    ask: Ask<'_>,
    key: Option<&IdempotencyKey>,
) -> Result<(Versioned<Reservation>, bool), InfraError> {
    let gate = core.gate(user).await?;
    let once = key.map(|key| Once::new(key, gate.tenant(), user, ask.digest()));
    if let Some(stood) = replay(core, once.as_ref()).await? {
        return Ok((stood, true));
    }
    gate.may_create(core.now())?;
    let (me, kept) = (&gate.user.value, core.limits.offers_kept);
    let (admitted, template) = match ask {
        Ask::Request(request) => (defaults::admit(core, me, request, kept).await?, None),
        Ask::Template(relaunch) => {
            let (request, template) = templates::resolve(core, me, relaunch).await?;
            (defaults::admit(core, me, &request, kept).await?, Some(template))
        }
    };
    let id = once.as_ref().map(|once| once.id.as_str());
    let reservation = rows::reservation(core, me, admitted, template, id, actor);
    if core.planted.is(Bug::C20KeyInItsOwnWrite) {
        return in_two_writes(core, reservation, once.as_ref()).await;
    }
    let settled = core.settle_under(once.is_some(), "the user's machines", || async {
        let gate = core.gate(user).await?;
        if let Some(stood) = replay(core, once.as_ref()).await? {
            return Ok(Step::Done((stood.value, true), stood.version));
        }
        gate.may_create(core.now())?;
        if gate.tenant() != &reservation.tenant {
            // Offers, keys and the place of the record are the old team's.
            return Err(InfraError::Busy { what: format!("the team of {user}") });
        }
        let owner = held(core, &gate.user.value, 0, reservation.counted)?;
        let mut txn = core.repo.txn();
        admit(core, &mut txn, &gate, &reservation).await?;
        txn.insert(&reservation);
        txn.update(&gate.user, &owner);
        if let Some(once) = &once {
            txn.insert(&rows::idempotency(core, &reservation, once));
        }
        let event = Event::Reserved { reservation: reservation.id.clone(), by: user.clone() };
        let (tenant, id) = (&reservation.tenant, &reservation.id);
        let told = rows::event(tenant, id, "reserved", 0, core.now(), event, actor);
        txn.insert(&told.costing(Some(Money::default())));
        gate.check(&mut txn);
        gate.check_switches(&mut txn);
        Ok(Step::Commit(txn, (reservation.clone(), false)))
    });
    let ((value, replayed), version) = settled.await?;
    Ok((Versioned { value, version }, replayed))
}

/// Judges a new reservation by the budgets of its owner and team, and counts it in the commit that makes it.
///
/// # Errors
/// [`InfraError::OverBudget`].
async fn admit(core: &Core, txn: &mut Txn, gate: &Gate, reservation: &Reservation) -> Result<(), InfraError> {
    let (owner, tenant) = (&reservation.owner, &reservation.tenant);
    let budgets = core.budgets(&gate.installation.value, owner, tenant).await?;
    let charge = standing(reservation);
    // A time asked for begins when the machines are there: until then the longest building is counted.
    let brief = reservation.spec.request.duration_s.filter(|_| reservation.spec.request.ends_at.is_none());
    let to_build_in = brief.map(|_| core.limits.build_deadline);
    budgets.allow(None, &charge).map_err(|mut no| {
        no.to_build_in = to_build_in.filter(|_| no.kind == BudgetKind::PerMonth);
        no
    })?;
    budgets.put(txn, None, Some(&charge));
    Ok(())
}

/// The reservation that a key stands for, when it came before.
async fn replay(core: &Core, once: Option<&Once>) -> Result<Option<Versioned<Reservation>>, InfraError> {
    let Some(once) = once else { return Ok(None) };
    let Some(id) = once.before(core).await?.and_then(|key| key.reservation) else {
        return Ok(None);
    };
    let found = core.repo.get::<Reservation>(Reservation::place(&once.tenant, &id)).await?;
    found.map(Some).ok_or(InfraError::Released { id, phase: Phase::Released })
}

/// A planted defect: the key is written after the reservation, so a crash between the two loses it.
async fn in_two_writes(
    core: &Core,
    reservation: Reservation,
    once: Option<&Once>,
) -> Result<(Versioned<Reservation>, bool), InfraError> {
    let mut txn = core.repo.txn();
    txn.insert(&reservation);
    let version = core.repo.commit(txn).await?;
    // Between the two writes others run, as they would where a write takes time.
    tokio::task::yield_now().await;
    if let Some(once) = once {
        let mut txn = core.repo.txn();
        txn.insert(&rows::idempotency(core, &reservation, once));
        core.repo.commit(txn).await?;
    }
    Ok((Versioned { value: reservation, version }, false))
}
