//! Teams: who is in which, and how somebody moves.
//!
//! # Flow
//! Where a user is, the user's own record says: its tenant. Moving writes that record, and the teams left and joined, in
//! one commit. Setting a team's members looks first whether everybody may move, then moves one after the other.
//!
//! | what | when its user moves |
//! |---|---|
//! | reservations that are not over, machines counted | forbid it |
//! | keys of a tenant that nobody would be left in | forbid it |
//! | keys of a team that others stay in | stay with the team |
//! | reservations that are over | stay, readable from within the team |
//! | shares that the user was given | are over, also for who comes back |
//! | templates, profile, access tokens | go along |
//! | idempotency keys | stay: the same key in another team is another key |
//!
//! # Errors
//! [`InfraError::InUse`] names what stands in the way: ids of reservations, and `key provider/label/account`. It is said
//! before anybody moves, but for what comes about at that very moment. [`InfraError::Busy`] when somebody else sets the
//! same team: read it again, and decide again.
//!
//! # Guarantees
//! * A user moves whole or not at all, and only while holding nothing: reservations stay in the tenant they were made in,
//!   so whoever held one would lose it.
//! * A team's keys stay with the team. The last one to leave takes nothing along and leaves none behind: keys that nobody
//!   reaches would be secrets without an owner. Two who leave at once write the same team, so one of them is the last.
//! * A reservation, a key or a share that comes about at the same moment makes the move fail, or decide anew.
//! * Nobody comes into a team to find what somebody of the same name, who was removed, left readable there.
//! * A crash in the middle leaves some moved and some not; repeating finishes.
//!
//! # Caveats
//! * Who is in a team is found by reading all users.
//! * Templates, the profile and access tokens are the user's and go along. Reservations that are over stay readable only
//!   from within the team.
//! * A brake on a tenant holds who is in it: whoever moves leaves it behind.

use super::ask;
use super::core::Core;
use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::operator::Operator;
use super::views::TeamView;
use crate::contracts::store::{Expect, ListBy};
use crate::nouns::account::{Team, User};
use crate::nouns::budget::{Budget, BudgetScope};
use crate::nouns::credential::StoredCredential;
use crate::nouns::installation::Installation;
use crate::nouns::reservation::Reservation;
use crate::records::{Txn, Versioned, state, system_tenant};
use crate::words::ids::{TenantId, UserId};
use crate::words::lane::Version;
use std::collections::BTreeSet;

/// Members that one call may name.
const MEMBERS_MAX: usize = 1000;
/// Ids named in an answer about what is in use.
const NAMED_MAX: usize = 50;
/// What the tenants of users without a team begin with.
const ALONE: &str = "user:";

/// Is it a tenant of one?
pub(super) fn is_alone(tenant: &TenantId) -> bool {
    tenant.as_str().starts_with(ALONE)
}

/// The tenant of a user without a team.
///
/// The name goes into the tenant with a prefix, so one that just fits as a user's may be too long here.
pub(super) fn alone(user: &UserId) -> Result<TenantId, InfraError> {
    TenantId::new(format!("{ALONE}{user}")).map_err(|_| InfraError::field("name", "is too long"))
}

/// Refuses names that belong to users without a team, or to nobody.
pub(super) fn check_name(team: &TenantId) -> Result<(), InfraError> {
    if is_alone(team) || team.as_str().starts_with('_') {
        return Err(InfraError::field("team", "must not begin with user: or _"));
    }
    ask::no_step("team", team.as_str())
}

/// Was a team of this name made, or is anybody in it?
pub(super) async fn is_there(core: &Core, team: &TenantId) -> Result<bool, InfraError> {
    let made = core.repo.get::<Team>(Team::place(team)).await?.is_some();
    Ok(made || !members(core, team).await?.is_empty())
}

/// Everybody in a tenant, by name.
///
/// Reads the users of the whole installation, so its cost is theirs and not the team's.
pub(super) async fn members(core: &Core, tenant: &TenantId) -> Result<Vec<User>, InfraError> {
    let by = ListBy::Tenant { tenant: system_tenant(), prefix: String::new() };
    let all: Vec<Versioned<User>> = core.repo.list_all(by, None).await?;
    Ok(all.into_iter().map(|user| user.value).filter(|user| user.tenant == *tenant).collect())
}

/// Writes a team because somebody comes or goes. What is nobody's team has no record.
///
/// That it is written is the point: of two who come or go at once one conflicts, looks again, and sees the other.
pub(super) async fn touch(core: &Core, txn: &mut Txn, tenant: &TenantId) -> Result<(), InfraError> {
    if is_alone(tenant) {
        return Ok(());
    }
    let was = core.repo.get::<Team>(Team::place(tenant)).await?;
    let new = Team { id: tenant.clone(), created_at: core.now(), change: 0 };
    let is = was.as_ref().map_or(new, |was| Team { change: was.value.change + 1, ..was.value.clone() });
    txn.put(&is, was.map_or(Expect::Absent, |was| Expect::Version(was.version)));
    Ok(())
}

/// Refuses a user's name in a tenant where a removed user of that name left something readable.
///
/// A reservation that is older than the user was somebody else's. Those of the user itself are fine: it comes back.
pub(super) async fn none_left(core: &Core, user: &User, tenant: &TenantId) -> Result<(), InfraError> {
    let left: Vec<Versioned<Reservation>> = core.repo.list_owner(tenant, &user.id, None).await?;
    if !left.iter().any(|record| record.value.created_at < user.created_at) {
        return Ok(());
    }
    let why = "somebody of that name was removed, and what they held is still readable; take another name";
    Err(InfraError::Conflict { what: "user", id: user.id.to_string(), why: why.to_owned(), version: None })
}

/// What keeps a user in its tenant: reservations that are not over, and the keys that would be left to nobody.
///
/// A count without any open reservation keeps the user, too: what is counted may still run.
async fn kept_by(core: &Core, user: &User) -> Result<Vec<String>, InfraError> {
    let open: Vec<Versioned<Reservation>> =
        core.repo.list_owner(&user.tenant, &user.id, Some(state::OPEN)).await?;
    let mut by: Vec<String> = open.iter().map(|record| record.value.id.to_string()).collect();
    if by.is_empty() && user.machines_held > 0 {
        by.push(format!("{} machines", user.machines_held));
    }
    if members(core, &user.tenant).await?.iter().all(|member| member.id == user.id) {
        let tenant = user.tenant.clone();
        let keys: Vec<Versioned<StoredCredential>> =
            core.repo.list_all(ListBy::Tenant { tenant, prefix: String::new() }, None).await?;
        by.extend(keys.iter().map(|key| format!("key {}", key.value.id)));
    }
    by.truncate(NAMED_MAX);
    Ok(by)
}

/// May the user leave its tenant for this one now?
///
/// Asked twice: of everybody before the first one moves, and of each in the commit's own try.
async fn may_move(core: &Core, user: &User, to: &TenantId) -> Result<(), InfraError> {
    let by = kept_by(core, user).await?;
    if !by.is_empty() {
        return Err(InfraError::InUse { what: "user", id: user.id.to_string(), by });
    }
    none_left(core, user, to).await
}

impl Operator {
    /// All teams by name: those that were set up, and those that users name. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn teams(&self) -> Result<Vec<TeamView>, InfraError> {
        let by = ListBy::Tenant { tenant: system_tenant(), prefix: String::new() };
        let records: Vec<Versioned<Team>> = self.core.repo.list_all(by, None).await?;
        let users = self.users().await?;
        let mut names: BTreeSet<TenantId> = records.iter().map(|team| team.value.id.clone()).collect();
        names.extend(users.iter().map(|user| user.tenant.clone()).filter(|tenant| !is_alone(tenant)));
        let one = |name: TenantId| {
            let record = records.iter().find(|team| team.value.id == name);
            view(name, record, &users)
        };
        Ok(names.into_iter().map(one).collect())
    }

    /// One team. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`team`).
    pub async fn team(&self, id: &TenantId) -> Result<TeamView, InfraError> {
        let record = self.core.repo.get::<Team>(Team::place(id)).await?;
        let members = members(&self.core, id).await?;
        if is_alone(id) || (record.is_none() && members.is_empty()) {
            return Err(InfraError::missing("team", id));
        }
        Ok(view(id.clone(), record.as_ref(), &members))
    }

    /// Makes exactly these users the team's members; whoever is put out is a team of one from then on.
    ///
    /// Cancel safety: one commit per user, after everybody was found free to move; repeating finishes them. `if_match`
    /// is looked at before the first.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for a team beginning with `user:` or `_`, a name twice, or more than 1,000;
    /// [`InfraError::NotFound`] (`user`); [`InfraError::InUse`] with what a user holds who would have to move;
    /// [`InfraError::Conflict`] when `if_match` does not hold, or somebody of a member's name was removed from there;
    /// [`InfraError::Busy`] when somebody else sets the same team; [`InfraError::Frozen`].
    pub async fn set_team(
        &self,
        id: &TenantId,
        members: &[UserId],
        if_match: Option<Version>,
    ) -> Result<TeamView, InfraError> {
        check_name(id)?;
        let wanted: BTreeSet<&UserId> = members.iter().collect();
        if wanted.len() != members.len() || members.len() > MEMBERS_MAX {
            return Err(InfraError::field(
                "members",
                format!("must be up to {MEMBERS_MAX} names, each once"),
            ));
        }
        not_frozen(&self.core.installation().await?.value)?;
        // First of all: a caller who saw another team has not decided upon this one.
        self.core.team_as_seen(id, if_match).await?;
        let moves = self.moves(id, &wanted).await?;
        let mut at = self.claim(id, if_match).await?;
        for (user, to) in &moves {
            at = self.move_user(user, to, id, at).await?;
        }
        self.team(id).await
    }

    /// Removes a team: its members are teams of one afterwards.
    ///
    /// Cancel safety: as [`Self::set_team`].
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`team`); [`InfraError::InUse`] while a member holds anything or the team has keys;
    /// [`InfraError::Conflict`], [`InfraError::Busy`], [`InfraError::Frozen`].
    pub async fn remove_team(&self, id: &TenantId, if_match: Option<Version>) -> Result<(), InfraError> {
        self.team(id).await?;
        self.set_team(id, &[], if_match).await?;
        let settled = self.core.settle("the team", || async {
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            let Some(was) = self.core.repo.get::<Team>(Team::place(id)).await? else {
                return Ok(Step::Done((), Version::default()));
            };
            // Whoever came meanwhile has written the team: then it is looked at anew.
            if let Some(member) = members(&self.core, id).await?.first() {
                return Err(InfraError::Busy {
                    what: format!("team {id}, which {} joined just now", member.id),
                });
            }
            let mut txn = self.core.repo.txn();
            txn.delete(&was);
            let budget = Budget::place(&BudgetScope::Team(id.clone()));
            self.core.repo.get::<Budget>(budget).await?.iter().for_each(|budget| txn.delete(budget));
            txn.check(Installation::place(), Expect::Version(installation.version));
            Ok(Step::Commit(txn, ()))
        });
        settled.await.map(drop)
    }

    /// Who must move where, everybody found free to do so.
    ///
    /// Nothing is written here. What comes about after this look is found by the second one, when the user is moved.
    async fn moves(
        &self,
        id: &TenantId,
        wanted: &BTreeSet<&UserId>,
    ) -> Result<Vec<(UserId, TenantId)>, InfraError> {
        let mut moves = Vec::new();
        let inside = members(&self.core, id).await?;
        for user in inside.into_iter().filter(|user| !wanted.contains(&user.id)) {
            moves.push((alone(&user.id)?, user));
        }
        for name in wanted {
            let user = self.core.user(name).await?.value;
            if user.tenant != *id {
                moves.push((id.clone(), user));
            }
        }
        for (to, user) in &moves {
            may_move(&self.core, user, to).await?;
        }
        // Who comes first, who goes last: a team is never without anybody in between, with keys that nobody reaches.
        moves.sort_by_key(|(to, _)| to != id);
        let left: BTreeSet<&TenantId> = moves.iter().map(|(_, user)| &user.tenant).collect();
        for tenant in left.into_iter().filter(|tenant| *tenant != id || wanted.is_empty()) {
            let leaves = |member: &User| moves.iter().any(|(_, user)| user.id == member.id);
            if members(&self.core, tenant).await?.iter().all(leaves) {
                self.no_keys(tenant).await?;
            }
        }
        Ok(moves.into_iter().map(|(to, user)| (user.id, to)).collect())
    }

    /// A team that nobody stays in must have no keys: said before the first one leaves.
    async fn no_keys(&self, id: &TenantId) -> Result<(), InfraError> {
        let by = ListBy::Tenant { tenant: id.clone(), prefix: String::new() };
        let keys: Vec<Versioned<StoredCredential>> = self.core.repo.list_all(by, None).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let by = keys.iter().take(NAMED_MAX).map(|key| format!("key {}", key.value.id)).collect();
        Err(InfraError::InUse { what: "team", id: id.to_string(), by })
    }

    /// Writes the team as it was, or for the first time, and answers at which version it stands: whoever sets the same
    /// team at the same time is found out by it.
    async fn claim(&self, id: &TenantId, if_match: Option<Version>) -> Result<Version, InfraError> {
        let settled = self.core.settle("the team", || async {
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            self.core.team_as_seen(id, if_match).await?;
            let mut txn = self.core.repo.txn();
            touch(&self.core, &mut txn, id).await?;
            txn.check(Installation::place(), Expect::Version(installation.version));
            Ok(Step::Commit(txn, ()))
        });
        Ok(settled.await?.1)
    }

    /// Moves one user in one commit, while the team that is being set stands as it was left; answers how it stands then.
    ///
    /// A user who is there already is passed by, which is how a repeated call goes on where the first one stopped. A
    /// team that somebody else wrote meanwhile ends the call: what was decided was decided upon another team.
    async fn move_user(
        &self,
        name: &UserId,
        to: &TenantId,
        set: &TenantId,
        at: Version,
    ) -> Result<Version, InfraError> {
        let settled = self.core.settle("the user", || async {
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            let was = self.core.user(name).await?;
            let team = self.core.repo.get::<Team>(Team::place(set)).await?;
            if team.map(|team| team.version) != Some(at) {
                return Err(InfraError::Busy { what: format!("team {set}") });
            }
            if was.value.tenant == *to {
                return Ok(Step::Done((), at));
            }
            may_move(&self.core, &was.value, to).await?;
            let is = User { tenant: to.clone(), joined_at: Some(self.core.now()), ..was.value.clone() };
            let mut txn = self.core.repo.txn();
            txn.update(&was, &is);
            touch(&self.core, &mut txn, &was.value.tenant).await?;
            touch(&self.core, &mut txn, to).await?;
            txn.check(Installation::place(), Expect::Version(installation.version));
            Ok(Step::Commit(txn, ()))
        });
        Ok(settled.await?.1)
    }
}

impl Core {
    /// Is the team still as the caller saw it? One without a record is at version 0.
    async fn team_as_seen(&self, id: &TenantId, if_match: Option<Version>) -> Result<(), InfraError> {
        let Some(expected) = if_match else { return Ok(()) };
        let found = self.repo.get::<Team>(Team::place(id)).await?;
        let seen = found.map_or(Version::default(), |found| found.version);
        if expected == seen {
            return Ok(());
        }
        Err(InfraError::Conflict {
            what: "team",
            id: id.to_string(),
            why: format!("version is {seen}, not {expected}"),
            version: Some(seen),
        })
    }
}

/// A team is whoever names it; its record only says since when it is and at which version. `users` may be more than
/// its members.
fn view(id: TenantId, record: Option<&Versioned<Team>>, users: &[User]) -> TeamView {
    TeamView {
        members: users.iter().filter(|user| user.tenant == id).map(|user| user.id.clone()).collect(),
        created_at: record.map(|team| team.value.created_at),
        version: record.map_or(Version::default(), |team| team.version),
        id,
    }
}
