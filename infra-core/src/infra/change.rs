//! Changes of what is desired: each one compare-and-swap commit with its event.
//!
//! # Flow
//! Read the user, what stands in its way, and the reservation; let the caller's closure change a draft; commit
//! the draft with the event, the user's count of machines if that moved, and checks of everything the decision
//! was based on. Lost races are decided anew, a bounded number of times.
//!
//! # Guarantees
//! * A closure may run several times: it must change nothing but its draft.
//! * A draft that changed nothing writes nothing, so that repeating a verb is free.
//! * A release always wins: what is ending takes no other change, and a release may be repeated for ever.
//!
//! # Errors
//! [`InfraError::Gone`] and [`InfraError::Released`] for what is ending or over, [`InfraError::Conflict`] when
//! `if_match` does not hold, [`InfraError::OverLimit`] when the owner would hold too much, [`InfraError::OverBudget`]
//! when a budget would be passed.
//!
//! # Caveats
//! Every change lists the reservation's attempts, because its event says what they had come to: a change of a large
//! reservation costs a list of that size.

use super::core::Core;
use super::error::InfraError;
use super::gate::{Gate, Step};
use super::once::{self, Once};
use super::user::UserHandle;
use super::{rows, sharing};
use crate::contracts::store::Expect;
use crate::nouns::account::User;
use crate::nouns::actor::Actor;
use crate::nouns::event::{Event, Moved};
use crate::nouns::launch::Launch;
use crate::nouns::reservation::{DeadlineKind, Reservation, Role};
use crate::plan::budget::{charge, standing};
use crate::plan::cost::cost;
use crate::records::{Stored, Txn, Versioned, launch_prefix};
use crate::words::ids::ReservationId;
use crate::words::lane::Version;
use crate::words::money::Money;
use serde_json::json;
use std::collections::BTreeMap;

/// How a change wants to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Asks for more: switches and suspension forbid it.
    More,
    /// Changes something, but asks for no more.
    Other,
    /// Ends it: only a frozen store forbids it, and repeating is fine.
    Release,
}

/// How a change wants to be treated, who may make it, and what it is called where a key stands for it.
#[derive(Debug)]
pub(super) struct How {
    pub(super) kind: Kind,
    pub(super) least: Role,
    /// What is asked, as JSON; `None` for what may be repeated without a key.
    asked: Option<serde_json::Value>,
}

impl How {
    /// A change that is made once under a key. What it says must be all that it does, but for the reservation.
    pub(super) fn new(kind: Kind, least: Role, asked: impl serde::Serialize) -> Self {
        Self { kind, least, asked: Some(json!(asked)) }
    }

    /// A change that is the same however often it is made.
    pub(super) const fn repeatable(kind: Kind, least: Role) -> Self {
        Self { kind, least, asked: None }
    }

    fn once(&self, of: &UserHandle, user: &User, id: &ReservationId) -> Option<Once> {
        let asked = self.asked.as_ref()?;
        of.once(user, || once::asked(&(id, asked)))
    }
}

/// A reservation about to be changed, and the machines its owner gains or loses by that.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) reservation: Reservation,
    /// Machines that count against the owner's limit from now on, in place of what counted so far.
    pub(super) counted: u32,
}

impl Core {
    /// A reservation that a user may look at, and what else the user may do with it; any other looks like a missing
    /// one.
    pub(super) async fn seen(
        &self,
        user: &User,
        id: &ReservationId,
    ) -> Result<(Versioned<Reservation>, Role), InfraError> {
        let found = self.repo.get::<Reservation>(Reservation::place(&user.tenant, id)).await?;
        let seen = found.and_then(|record| sharing::role_of(user, &record.value).map(|role| (record, role)));
        seen.ok_or_else(|| InfraError::missing("reservation", id))
    }

    /// A user's own reservation. One that is shared with the user is refused by name; any other looks like a missing
    /// one.
    pub(super) async fn mine(
        &self,
        user: &User,
        id: &ReservationId,
    ) -> Result<Versioned<Reservation>, InfraError> {
        let (record, role) = self.seen(user, id).await?;
        sharing::allowed(id, role, Role::Owner)?;
        Ok(record)
    }

    /// Changes what is desired of one reservation, in one commit, for a user whose role is `least` or more.
    ///
    /// The gate is asked again at every try. A change that turns out to ask for more machines is treated as one that
    /// asks for more, whatever its kind said. Under a key that came before nothing is asked but whether the caller still
    /// sees it.
    pub(super) async fn change(
        &self,
        by: &UserHandle,
        id: &ReservationId,
        if_match: Option<Version>,
        how: How,
        work: impl Fn(&mut Draft) -> Result<(), InfraError> + Sync,
    ) -> Result<Versioned<Reservation>, InfraError> {
        let (kind, actor) = (how.kind, &by.actor);
        let settled = self.settle_under(by.key.is_some(), "the reservation", || async {
            let gate = self.gate(&by.id).await?;
            let once = how.once(by, &gate.user.value, id);
            if once::answered::<()>(self, once.as_ref()).await?.is_some() {
                let (was, _) = self.seen(&gate.user.value, id).await?;
                return Ok(Step::Done((was.value, None), was.version));
            }
            match kind {
                Kind::More => gate.may_create(self.now())?,
                Kind::Other => gate.may_change()?,
                Kind::Release => super::gate::not_frozen(&gate.installation.value)?,
            }
            let (was, role) = self.seen(&gate.user.value, id).await?;
            sharing::allowed(id, role, how.least)?;
            if role != Role::Owner && kind != Kind::Release {
                self.owner_may_change(&was.value).await?;
            }
            matches(&was, if_match)?;
            may_be_changed(&was.value, kind)?;
            let counted = was.value.counted;
            let mut draft = Draft { reservation: was.value.clone(), counted };
            work(&mut draft)?;
            if draft.reservation == was.value {
                return Ok(self.nothing_changed(&gate, was, once.as_ref()));
            }
            // Decided from the same read as the change: a count that others lowered meanwhile is growth again.
            let kind = if draft.counted > counted { Kind::More } else { kind };
            if kind == Kind::More {
                gate.may_create(self.now())?;
            }
            draft.reservation.request_id.clone_from(&actor.request_id);
            let (tenant, prefix) = (gate.tenant(), launch_prefix(id));
            let rows: Vec<Versioned<Launch>> = self.repo.list_prefix(tenant, &prefix, None).await?;
            let spent = cost(&was.value, rows.iter().map(|row| &row.value), self.now());
            let mut txn = self.changed(&gate, &was, &mut draft, kind, &By { actor, spent })?;
            self.recharge(&mut txn, &gate, &was, &mut draft.reservation, kind).await?;
            once::note(self, once.as_ref(), &mut txn, &());
            Ok(Step::Commit(txn, (draft.reservation, None)))
        });
        let ((value, stands), version) = Box::pin(settled).await?;
        Ok(Versioned { value, version: stands.unwrap_or(version) })
    }

    /// A change that found everything as it wants it writes its key alone, if it has one: repeated later, when somebody
    /// has changed it again, it does not change it back.
    fn nothing_changed(
        &self,
        gate: &Gate,
        was: Versioned<Reservation>,
        once: Option<&Once>,
    ) -> Step<(Reservation, Option<Version>)> {
        if once.is_none() {
            return Step::Done((was.value, None), was.version);
        }
        let mut txn = self.repo.txn();
        txn.check(was.value.key(), Expect::Version(was.version));
        gate.check(&mut txn);
        once::note(self, once, &mut txn, &());
        Step::Commit(txn, (was.value, Some(was.version)))
    }

    /// What the changed reservation counts for, in the commit that changes it: longer, more or on again may be more than
    /// a budget has left. A release is never refused.
    async fn recharge(
        &self,
        txn: &mut Txn,
        gate: &Gate,
        was: &Versioned<Reservation>,
        reservation: &mut Reservation,
        kind: Kind,
    ) -> Result<(), InfraError> {
        let (before, after) = (standing(&was.value), charge(reservation, self.now()));
        if before != after {
            let (owner, tenant) = (&reservation.owner, &reservation.tenant);
            let budgets = self.budgets(&gate.installation.value, owner, tenant).await?;
            if kind != Kind::Release {
                budgets.allow(Some(&before), &after)?;
            }
            budgets.put(txn, Some(&before), Some(&after));
        }
        reservation.charge = Some(after);
        txn.update(was, reservation);
        Ok(())
    }

    /// A team mate may not do what the owner itself may not: a suspended user's machines are not started by others.
    async fn owner_may_change(&self, reservation: &Reservation) -> Result<(), InfraError> {
        let owner = self.user(&reservation.owner).await?.value;
        if owner.suspended { Err(InfraError::Suspended { user: owner.id }) } else { Ok(()) }
    }

    /// The commit of a change: the reservation, its owner where the count moves, the event, and the checks.
    ///
    /// The number of changes goes up by one and names the event, so the same change is told once.
    fn changed(
        &self,
        gate: &Gate,
        was: &Versioned<Reservation>,
        draft: &mut Draft,
        kind: Kind,
        by: &By<'_>,
    ) -> Result<Txn, InfraError> {
        let reservation = &mut draft.reservation;
        reservation.desired.change += 1;
        let mut txn = self.repo.txn();
        if draft.counted != reservation.counted {
            let user = held(self, &gate.user.value, reservation.counted, draft.counted)?;
            txn.update(&gate.user, &user);
            reservation.counted = draft.counted;
        }
        txn.update(was, reservation);
        gate.check(&mut txn);
        if kind == Kind::More {
            gate.check_switches(&mut txn);
        }
        let (id, desired) = (reservation.id.clone(), reservation.desired);
        let event = shared(&was.value, reservation).unwrap_or_else(|| Event::Desired {
            reservation: id,
            desired,
            moved: moved(&was.value, reservation),
        });
        let (tenant, id) = (&reservation.tenant, &reservation.id);
        let told = rows::event(tenant, id, "desired", desired.change, self.now(), event, by.actor);
        txn.insert(&told.costing(Some(by.spent)));
        Ok(txn)
    }
}

/// Who changes it, and what it had come to before.
struct By<'a> {
    actor: &'a Actor,
    spent: Money,
}

/// What became of a share, when that is what was changed: one call gives or takes one.
fn shared(was: &Reservation, is: &Reservation) -> Option<Event> {
    let reservation = is.id.clone();
    let given = is.shares.iter().find(|(with, share)| was.shares.get(*with) != Some(*share));
    if let Some((with, share)) = given {
        let before = was.shares.get(with).filter(|before| before.since == share.since);
        let was = before.map(|before| before.role);
        return Some(Event::Shared { reservation, with: with.clone(), was, role: share.role });
    }
    let (with, share) = was.shares.iter().find(|(with, _)| !is.shares.contains_key(*with))?;
    Some(Event::Unshared { reservation, with: with.clone(), was: share.role })
}

/// What people can change of a reservation, field by field: what it said and what it says.
///
/// Fields that say what they said are left out.
pub(super) fn moved(was: &Reservation, is: &Reservation) -> Vec<Moved> {
    let told = |of: &Reservation| {
        let ends = of.deadlines.0.get(&DeadlineKind::Ends);
        [
            ("count", json!(of.desired.count)),
            ("power", json!(of.desired.power)),
            ("present", json!(of.desired.present)),
            ("ends_at", json!(ends)),
            ("tags", json!(of.spec.request.tags)),
            ("owner", json!(of.owner)),
            (
                "shares",
                json!(of.shares.iter().map(|(with, share)| (with, share.role)).collect::<BTreeMap<_, _>>()),
            ),
        ]
    };
    let pairs = told(was).into_iter().zip(told(is)).filter(|(was, is)| was != is);
    pairs.map(|((field, before), (_, after))| Moved { field: field.to_owned(), before, after }).collect()
}

/// The owner after `before` machines became `after`.
///
/// Only growth is refused: whoever holds too much since a limit was lowered may still give back, a few at a time.
pub(super) fn held(core: &Core, user: &User, before: u32, after: u32) -> Result<User, InfraError> {
    let others = user.machines_held.saturating_sub(before);
    let max = user.machines_max.unwrap_or(core.limits.machines_max);
    let held = others.saturating_add(after);
    if after > before && held > max {
        return Err(InfraError::OverLimit { asked: after - before, held: user.machines_held, max });
    }
    Ok(User { machines_held: held, ..user.clone() })
}

/// Is it still as the caller saw it?
///
/// Whoever named no version takes it as it is.
fn matches(was: &Versioned<Reservation>, if_match: Option<Version>) -> Result<(), InfraError> {
    match if_match {
        Some(seen) if seen != was.version => Err(InfraError::Conflict {
            what: "reservation",
            id: was.value.id.to_string(),
            why: format!("version is {}", was.version),
            version: Some(was.version),
        }),
        _ => Ok(()),
    }
}

/// A release always wins: what is ending cannot be changed, only released again.
fn may_be_changed(reservation: &Reservation, kind: Kind) -> Result<(), InfraError> {
    let id = reservation.id.clone();
    match (reservation.desired.present, reservation.over_at, kind) {
        (_, _, Kind::Release) | (true, None, _) => Ok(()),
        (_, Some(_), _) => Err(InfraError::Released { id, phase: reservation.summary.phase }),
        (false, None, _) => Err(InfraError::Gone { id }),
    }
}
