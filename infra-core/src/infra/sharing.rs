//! A reservation is its owner's; the owner may let team mates look at it or use it, and an operator may hand it over.
//!
//! # Flow
//! A share is a line in the reservation itself, so giving one is a change like any other. What somebody may do is
//! asked at every call, of the record that the call decides upon.
//!
//! | who | looks, waits | stops, starts, extends | tags, count, shares, template, release |
//! |---|---|---|---|
//! | owner | yes | yes | yes |
//! | `user` | yes | yes, unless the owner is suspended | no: told so by name |
//! | `viewer` | yes | no: told so by name | no: told so by name |
//! | other team mates | not there | not there | not there |
//! | other teams | not there | not there | not there |
//!
//! # Assumptions
//! A membership is named by the moment it began. Two memberships of one name in one tenant never begin at the same
//! moment: between them a user was removed or moved, which takes a commit each.
//!
//! # Guarantees
//! * Shares reach nobody outside the team: the reservation's tenant is in its key, and a look-up goes through the
//!   caller's own. Whoever leaves the team loses what was shared, also when coming back, and the next user of the same
//!   name has nothing of it.
//! * Releasing, tags, counts, sharing, templates made from it and secrets stay the owner's.
//! * A transfer moves a reservation and its count against the limits in one commit: at no moment is it counted twice
//!   or not at all.
//!
//! # Errors
//! [`InfraError::NotFound`] for what the caller may not see; [`InfraError::NotAllowed`] for what it may see but not do.

use std::collections::BTreeMap;

use super::change::{Draft, How, Kind};
use super::core::Core;
use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::once::{self, Once};
use super::operator::Operator;
use super::rows;
use super::user::UserHandle;
use super::views::{ShareView, Shares};
use crate::contracts::store::{Expect, Key};
use crate::nouns::account::User;
use crate::nouns::actor::Actor;
use crate::nouns::event::Event;
use crate::nouns::installation::Installation;
use crate::nouns::reservation::{Reservation, Role, Share};
use crate::plan::budget::standing;
use crate::records::{Stored, Txn, Versioned};
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, UserId};
use crate::words::lane::Version;

/// Team mates whom one reservation is shared with, at most.
const SHARES_MAX: usize = 50;

/// What a user may do with a reservation; `None` when it is not there for this user.
///
/// A share counts only for the membership that it was given to. Asked of the record at every call, and never kept: a
/// user who leaves the team has no role from that commit on.
pub(super) fn role_of(user: &User, reservation: &Reservation) -> Option<Role> {
    if user.tenant != reservation.tenant {
        return None;
    }
    if user.id == reservation.owner {
        return Some(Role::Owner);
    }
    let share = reservation.shares.get(&user.id)?;
    (share.since == user.member_since()).then_some(share.role)
}

/// Is a role enough?
///
/// Only for what the caller may see: being refused says that there is such a reservation.
pub(super) fn allowed(id: &ReservationId, role: Role, least: Role) -> Result<(), InfraError> {
    if role >= least {
        return Ok(());
    }
    let why = match least {
        Role::Owner => "this is its owner's business",
        Role::User | Role::Viewer => "it needs the role `user`",
    };
    let role = match role {
        Role::Owner => "owner",
        Role::User => "user",
        Role::Viewer => "viewer",
    };
    Err(InfraError::NotAllowed { what: "reservation", id: id.to_string(), role, why: why.to_owned() })
}

/// A reservation's shares that count.
///
/// The line of somebody who left stands in the record until the next one is given. It opens nothing, and is not shown.
async fn view(core: &Core, record: &Versioned<Reservation>) -> Result<Shares, InfraError> {
    let left = who_left(core, &record.value).await?;
    let lines = record.value.shares.iter().filter(|(user, share)| left.get(*user) != Some(&share.since));
    let one = |(user, share): (&UserId, &Share)| ShareView { user: user.clone(), role: share.role };
    Ok(Shares { items: lines.map(one).collect(), version: record.version })
}

/// Lines of users who are gone, or no longer in the membership that they were given to: by user, with that membership.
/// One question to the store.
async fn who_left(core: &Core, of: &Reservation) -> Result<BTreeMap<UserId, Timestamp>, InfraError> {
    let places: Vec<Key> = of.shares.keys().map(User::place).collect();
    if places.is_empty() {
        return Ok(BTreeMap::new());
    }
    let users = core.repo.get_all::<User>(&places).await?;
    let lines = of.shares.iter().zip(users);
    let gone = lines.filter(|((_, share), user)| {
        let member = user.as_ref().map(|user| &user.value).filter(|user| user.tenant == of.tenant);
        member.is_none_or(|user| user.member_since() != share.since)
    });
    Ok(gone.map(|((user, share), _)| (user.clone(), share.since)).collect())
}

impl UserHandle {
    /// Whom one of the user's own reservations is shared with. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`reservation`); [`InfraError::NotAllowed`] when it is a team mate's.
    pub async fn shares(&self, id: &ReservationId) -> Result<Shares, InfraError> {
        let user = self.core.user(&self.id).await?;
        view(&self.core, &self.core.mine(&user.value, id).await?).await
    }

    /// Lets a team mate look at one of the user's own reservations (`viewer`), or look, stop, start and extend (`user`).
    /// Given before, it is replaced. Repeating is fine.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for the role `owner`, for the owner itself, and beyond 50 team mates;
    /// [`InfraError::NotFound`] (`reservation`, or `user` when nobody of that name is in the team);
    /// [`InfraError::NotAllowed`], [`InfraError::Gone`], [`InfraError::Released`], [`InfraError::Conflict`].
    pub async fn share(
        &self,
        id: &ReservationId,
        with: &UserId,
        role: Role,
        if_match: Option<Version>,
    ) -> Result<Shares, InfraError> {
        if role == Role::Owner {
            return Err(InfraError::field(
                "role",
                "must be viewer or user; an operator transfers reservations",
            ));
        }
        let me = self.core.user(&self.id).await?.value;
        // First of all: whether there is such a user is nobody's business who may not share this reservation.
        let left = who_left(&self.core, &self.core.mine(&me, id).await?.value).await?;
        let other = self.core.mate(&me, with).await?;
        if other.id == me.id {
            return Err(InfraError::field("user", "is its owner already"));
        }
        let given = Share { role, since: other.member_since() };
        let change = |draft: &mut Draft| {
            let shares = &mut draft.reservation.shares;
            // They would count against the limit for ever, and nobody sees them. A line given anew meanwhile stays.
            shares.retain(|user, share| left.get(user) != Some(&share.since));
            shares.insert(other.id.clone(), given.clone());
            if shares.len() > SHARES_MAX {
                return Err(InfraError::field("user", format!("would be more than {SHARES_MAX} team mates")));
            }
            Ok(())
        };
        let how = How::repeatable(Kind::Other, Role::Owner);
        let changed = self.core.change(self, id, if_match, how, change).await?;
        view(&self.core, &changed).await
    }

    /// Takes a share back. What the team mate did stays.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`reservation`, `share`); [`InfraError::NotAllowed`], [`InfraError::Gone`],
    /// [`InfraError::Released`], [`InfraError::Conflict`].
    pub async fn unshare(
        &self,
        id: &ReservationId,
        with: &UserId,
        if_match: Option<Version>,
    ) -> Result<Shares, InfraError> {
        let change = |draft: &mut Draft| match draft.reservation.shares.remove(with) {
            Some(_) => Ok(()),
            None => Err(InfraError::missing("share", with)),
        };
        let how = How::repeatable(Kind::Other, Role::Owner);
        let changed = self.core.change(self, id, if_match, how, change).await?;
        view(&self.core, &changed).await
    }
}

impl Operator {
    /// Hands all reservations of a user over to a team mate, those that are over included: before the user is removed,
    /// say. Each moves in one commit together with its count against both users' limits. Answers how many moved now.
    ///
    /// Cancel safety: one commit per reservation; repeating finishes them, and moves nothing twice.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`) for either, also when they are not in one team; [`InfraError::OutOfRange`] for
    /// the same user twice; [`InfraError::OverLimit`] when the team mate would hold too many machines: what was moved
    /// before stays moved. [`InfraError::Frozen`], [`InfraError::Busy`].
    pub async fn transfer(&self, from: &UserId, to: &UserId) -> Result<u32, InfraError> {
        if from == to {
            return Err(InfraError::field("to", "is the same user"));
        }
        let once = self.once(|| once::asked(&(from, to)));
        if let Some(moved) = once::answered(&self.core, once.as_ref()).await? {
            return Ok(moved);
        }
        let giver = self.core.user(from).await?.value;
        self.core.mate(&giver, to).await?;
        let mut moved = 0;
        let all: Vec<Versioned<Reservation>> = self.core.repo.list_owner(&giver.tenant, from, None).await?;
        for record in all {
            let settled = self.core.settle("the reservation", || {
                hand_over(&self.core, &self.actor, (from, to), &record.value.id)
            });
            moved += settled.await?.0;
        }
        match once {
            Some(once) => self.moved_once(&once, moved).await,
            None => Ok(moved),
        }
    }

    /// Writes how many moved under the key; whoever moved the rest at the same time may have written it first.
    async fn moved_once(&self, once: &Once, moved: u32) -> Result<u32, InfraError> {
        let settled = self.core.settle("the key", || async {
            if let Some(moved) = once::answered(&self.core, Some(once)).await? {
                return Ok(Step::Done(moved, Version(0)));
            }
            let mut txn = self.core.repo.txn();
            once::note(&self.core, Some(once), &mut txn, &moved);
            Ok(Step::Commit(txn, moved))
        });
        Ok(settled.await?.0)
    }
}

/// One reservation with its count, in one commit; 0 when somebody moved it already.
///
/// Both users are read anew at every try: either may have moved, or may hold more by now. What was shared with the
/// taker is dropped, since it is the owner now; other shares stay.
async fn hand_over(
    core: &Core,
    actor: &Actor,
    (from, to): (&UserId, &UserId),
    id: &ReservationId,
) -> Result<Step<u32>, InfraError> {
    let installation = core.installation().await?;
    not_frozen(&installation.value)?;
    let giver = core.user(from).await?;
    let taker = core.user(to).await?;
    if giver.value.tenant != taker.value.tenant {
        return Err(InfraError::missing("user", to));
    }
    let place = Reservation::place(&giver.value.tenant, id);
    let found = core.repo.get::<Reservation>(place).await?;
    let Some(was) = found.filter(|was| was.value.owner == *from) else {
        return Ok(Step::Done(0, giver.version));
    };
    let mut is = was.value.clone();
    is.owner = to.clone();
    is.shares.remove(to);
    is.desired.change += 1;
    let mut txn = core.repo.txn();
    txn.update(&was, &is);
    count(core, &mut txn, (&giver, &taker), was.value.counted)?;
    let charge = standing(&was.value);
    let of = async |owner| core.budgets(&installation.value, owner, &is.tenant).await;
    of(from).await?.of_the_owner().put(&mut txn, Some(&charge), None);
    let takers = of(to).await?.of_the_owner();
    takers.allow(None, &charge)?;
    takers.put(&mut txn, None, Some(&charge));
    txn.check(Installation::place(), Expect::Version(installation.version));
    let event = Event::Transferred { reservation: id.clone(), from: from.clone(), to: to.clone() };
    let nth = is.desired.change;
    txn.insert(&rows::event(&is.tenant, id, "transferred", nth, core.now(), event, actor));
    Ok(Step::Commit(txn, 1))
}

/// Takes machines off one user's count and puts them on the other's. Both records are checked even where no count
/// moves: either user may be leaving the team at this very moment.
///
/// A taker who would hold too many is refused here, before anything is written.
fn count(
    core: &Core,
    txn: &mut Txn,
    (giver, taker): (&Versioned<User>, &Versioned<User>),
    counted: u32,
) -> Result<(), InfraError> {
    if counted == 0 {
        txn.check(giver.value.key(), Expect::Version(giver.version));
        txn.check(taker.value.key(), Expect::Version(taker.version));
        return Ok(());
    }
    txn.update(giver, &super::change::held(core, &giver.value, counted, 0)?);
    txn.update(taker, &super::change::held(core, &taker.value, 0, counted)?);
    Ok(())
}

impl Core {
    /// Somebody of a user's team, the user itself included; anybody else looks like a missing user.
    pub(super) async fn mate(&self, user: &User, other: &UserId) -> Result<User, InfraError> {
        let found = self.repo.get::<User>(User::place(other)).await?;
        let mate = found.filter(|found| found.value.tenant == user.tenant);
        mate.map(|found| found.value).ok_or_else(|| InfraError::missing("user", other))
    }
}
