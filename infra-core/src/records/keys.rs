//! Where each record stands and what it is found by: one place for all of them.
//!
//! # Flow
//! A record is written through a [`Txn`](super::Txn), which asks [`Stored`] for key and index. It is read by its
//! key (the `place` functions, for whoever knows the parts but has no record yet), or by what the index says:
//! its tenant and the beginning of its id, its owner, its lane, or the moment at which it is due.
//!
//! # Guarantees
//! * One function per kind says where it stands, one what it is found by; nobody else composes a key.
//! * Children stand under `parent/child`, so they are listed by prefix; numbers are padded, so key order is
//!   their order.
//! * An index is derived from the record at every write. It can be rebuilt, and is never the only place of a
//!   fact.
//!
//! # Assumptions
//! Ids are legal names (`words/ids.rs`): no blanks, no control characters, nothing that a store must escape. They
//! may contain `/`. So what is composed begins with an id that is drawn here and has none (a reservation's), and
//! nobody can choose a name that stands under somebody else's prefix.
//!
//! # Caveats
//! * Shards are computed from the tenant and their number: that number must never change for a store.
//! * A changed index shows only on records that are written afterwards. Whoever changes one must say what
//!   becomes of the records that are there.
//! * A shard is a whole tenant's: one large tenant is not spread over replicas.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contracts::store::{Index, Key, RecordKind};
use crate::nouns::account::{AccessToken, IdempotencyRecord, Profile, Team, User};
use crate::nouns::credential::StoredCredential;
use crate::nouns::event::Outbox;
use crate::nouns::installation::{Claim, Heartbeat, Installation, LaneRecord};
use crate::nouns::launch::{Launch, LaunchState};
use crate::nouns::overlay::Overlays;
use crate::nouns::reservation::{DeadlineKind, HoldReason, Reservation};
use crate::nouns::retention::Retention;
use crate::nouns::switch::Switch;
use crate::nouns::template::{Template, TemplateVersion};
use crate::nouns::unit::Unit;
use crate::words::clock::Timestamp;
use crate::words::ids::{CredentialId, LaunchToken, ReservationId, TemplateName, TenantId, UserId};
use crate::words::lane::Lane;

/// Index states: what is open sorts below what is over.
///
/// Lists take the highest state they want (`state_max`): `Some(OPEN)` for what is open, `None` for everything.
/// Between the two there is room for states that a later version may put there; bodies say the truth, this only
/// keeps lists short.
pub mod state {
    /// There is work to do on it, or there may be.
    pub const OPEN: u8 = 0;
    /// Over for good, kept for look-ups, late births and idempotent answers.
    pub const OVER: u8 = 200;
}

/// The tenant of records that are nobody's: installation, claims, lanes, tokens, switches.
///
/// Users stand here, too, because a name is unique over all teams. No user and no team can be named so: the
/// handle refuses names that begin with `_`.
#[must_use]
pub fn system_tenant() -> TenantId {
    TenantId::new("_system").expect("a literal within the rules")
}

/// Which shard a tenant belongs to, in `0..shards`; a store with no shards counts as one with one.
///
/// FNV-1a is written out here because this must be the same for ever: the standard library's hasher may change
/// with its version, and then two replicas would plan one tenant, and due records would be looked for in the
/// wrong shard. It is no defence against names that are chosen to collide; they only share a shard.
#[must_use]
pub fn shard_of(tenant: &TenantId, shards: u16) -> u16 {
    let hash = tenant.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u16::try_from(hash % u64::from(shards.max(1))).expect("a remainder by a u16 fits one")
}

/// Beginning of the ids of a reservation's units. Ends with `/`, so `rsv_1` does not list what is of `rsv_10`.
#[must_use]
pub fn unit_prefix(reservation: &ReservationId) -> String {
    format!("{reservation}/")
}

/// Beginning of the ids of a reservation's launches: the same as of its units. The kind keeps them apart.
#[must_use]
pub fn launch_prefix(reservation: &ReservationId) -> String {
    format!("{reservation}/")
}

/// A record with a place of its own. Bodies are JSON of the value; key and index are derived from it.
///
/// A value must serialise (string keys in maps, only finite numbers) and read back as itself. Fields may be
/// added when they have a default; a field that changes its meaning is a new schema.
pub trait Stored: Serialize + DeserializeOwned + Send + Sync {
    /// Its kind. Part of the key: two kinds never meet, and every list is of one kind.
    const KIND: RecordKind;

    /// Where it stands. Must not depend on anything that changes during its life: a record whose key moved
    /// would stand twice, once as it was.
    fn key(&self) -> Key;

    /// What it is found by besides its key, computed from the value alone. `shards` is the store's number of
    /// them; records that are never due say nothing of shards.
    fn index(&self, shards: u16) -> Index;
}

/// From a token to the launch it belongs to: marks name tokens, not tenants.
///
/// Written with the launch and pruned with it, each time in one commit: a token without a reference is one that
/// this store never had, or has forgotten long after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct TokenRef {
    /// The attempt.
    pub token: LaunchToken,
    /// Its row: tenant, reservation and token, so a late birth is found with two reads.
    pub launch: Key,
}

/// A key from its parts, which are legal names already.
pub(super) fn key(tenant: &TenantId, kind: RecordKind, id: impl Into<String>) -> Key {
    Key { tenant: tenant.clone(), kind, id: id.into() }
}

/// Found by its place alone, and never due.
impl Stored for Installation {
    const KIND: RecordKind = RecordKind::Installation;
    fn key(&self) -> Key {
        Self::place()
    }
    fn index(&self, _: u16) -> Index {
        Index::default()
    }
}

impl Installation {
    /// Where the one installation record stands. Every commit that plans or acts checks it, so that a store which
    /// is frozen, moved or cloned by one replica stops all others at their next step.
    #[must_use]
    pub fn place() -> Key {
        key(&system_tenant(), RecordKind::Installation, "self")
    }
}

/// Found by its owner, and due at its earliest deadline. Open until it is over, which is later than released: a
/// reservation that is being ended has work left.
impl Stored for Reservation {
    const KIND: RecordKind = RecordKind::Reservation;
    fn key(&self) -> Key {
        Self::place(&self.tenant, &self.id)
    }
    fn index(&self, shards: u16) -> Index {
        Index {
            owner: Some(self.owner.clone()),
            shard: shard_of(&self.tenant, shards),
            lane: None,
            due_at: self.due_at(),
            state: if self.over_at.is_some() { state::OVER } else { state::OPEN },
        }
    }
}

impl Reservation {
    /// When it must be looked at. An end that has been decided, or that waits for a person, is no reason to look: it
    /// would be the longest due in every pass, in place of the others.
    fn due_at(&self) -> Option<Timestamp> {
        let waits = self.hold.as_ref().is_some_and(|hold| hold.why == HoldReason::MassDeadline);
        let retry = self.deadlines.0.get(&DeadlineKind::Retry).copied();
        if waits || !self.desired.present { retry } else { self.deadlines.next() }
    }

    /// Where a reservation stands: under its tenant, so with another tenant the same id is another key, which
    /// is how somebody else's reservation looks like a missing one.
    #[must_use]
    pub fn place(tenant: &TenantId, id: &ReservationId) -> Key {
        key(tenant, RecordKind::Reservation, id.as_str())
    }
}

/// Never due by itself: its reservation's deadlines speak for all its slots. So a thousand slots cost one look.
impl Stored for Unit {
    const KIND: RecordKind = RecordKind::Unit;
    fn key(&self) -> Key {
        // Zero-padded, so that key order is slot order.
        key(&self.tenant, Self::KIND, format!("{}{:06}", unit_prefix(&self.reservation), self.no))
    }
    fn index(&self, shards: u16) -> Index {
        Index {
            shard: shard_of(&self.tenant, shards),
            state: if self.stage.over() { state::OVER } else { state::OPEN },
            ..Index::default()
        }
    }
}

/// Found by its lane (that is what a lane works on) and by its reservation. Open while anything may live of it;
/// due only once it is closed, and then for being pruned.
impl Stored for Launch {
    const KIND: RecordKind = RecordKind::Launch;
    fn key(&self) -> Key {
        Self::place(&self.tenant, &self.reservation, self.token)
    }
    fn index(&self, shards: u16) -> Index {
        Index {
            owner: None,
            shard: shard_of(&self.tenant, shards),
            lane: Some(self.lane.id()),
            due_at: if self.closed() { self.keep_until } else { None },
            state: match self.state {
                LaunchState::Closed(_) => state::OVER,
                _ => state::OPEN,
            },
        }
    }
}

impl Launch {
    /// Where a launch stands: under its reservation. Tokens are drawn in the order of time, so key order is about
    /// the order of attempts.
    #[must_use]
    pub fn place(tenant: &TenantId, reservation: &ReservationId, token: LaunchToken) -> Key {
        key(tenant, RecordKind::Launch, format!("{}{token}", launch_prefix(reservation)))
    }
}

/// Read by its token alone, which is all that a mark on a thing says.
impl Stored for TokenRef {
    const KIND: RecordKind = RecordKind::TokenRef;
    fn key(&self) -> Key {
        Self::place(self.token)
    }
    fn index(&self, _: u16) -> Index {
        Index::default()
    }
}

impl TokenRef {
    /// Where a token's reference stands: under nobody, because a mark on a thing says whose installation and
    /// which token, and nothing of tenants.
    #[must_use]
    pub fn place(token: LaunchToken) -> Key {
        key(&system_tenant(), RecordKind::TokenRef, token.to_string())
    }
}

/// Its key is its cause: written only where there is none, so one cause is told once however often the step
/// that caused it is repeated. Due at once until every sink has it, and then when it may be forgotten.
impl Stored for Outbox {
    const KIND: RecordKind = RecordKind::Outbox;
    fn key(&self) -> Key {
        key(&self.tenant, Self::KIND, self.cause.clone())
    }
    fn index(&self, shards: u16) -> Index {
        let open = self.sinks.iter().any(|sink| !sink.delivered);
        Index {
            shard: shard_of(&self.tenant, shards),
            due_at: if open { Some(self.at) } else { self.keep_until },
            state: if open { state::OPEN } else { state::OVER },
            ..Index::default()
        }
    }
}

/// Due when the reservation may be forgotten.
impl Stored for Retention {
    const KIND: RecordKind = RecordKind::Retention;
    fn key(&self) -> Key {
        Self::place(&self.tenant, &self.reservation)
    }
    fn index(&self, shards: u16) -> Index {
        Index { shard: shard_of(&self.tenant, shards), due_at: Some(self.until), ..Index::default() }
    }
}

impl Retention {
    /// Where the note beside a reservation stands.
    #[must_use]
    pub fn place(tenant: &TenantId, reservation: &ReservationId) -> Key {
        key(tenant, RecordKind::Retention, reservation.as_str())
    }
}

/// Read by its place alone: one record for a team, because every quote reads all of them.
impl Stored for Overlays {
    const KIND: RecordKind = RecordKind::Overlays;
    fn key(&self) -> Key {
        Self::place(&self.tenant)
    }
    fn index(&self, shards: u16) -> Index {
        Index { shard: shard_of(&self.tenant, shards), ..Index::default() }
    }
}

impl Overlays {
    /// Where a team's overlays stand.
    #[must_use]
    pub fn place(tenant: &TenantId) -> Key {
        key(tenant, RecordKind::Overlays, "overlays")
    }
}

/// Beginning of the ids of a reservation's history: what happened to it, by cause.
#[must_use]
pub fn history_prefix(reservation: &ReservationId) -> String {
    format!("{reservation}/")
}

/// Claims and heartbeats are read by key only. Their `on` is `shard:3` or `lane:...`; a claim changes with its
/// holder, its heartbeat every few seconds, which is why they are two records.
impl Stored for Claim {
    const KIND: RecordKind = RecordKind::Claim;
    fn key(&self) -> Key {
        Self::place(&self.on)
    }
    fn index(&self, _: u16) -> Index {
        Index::default()
    }
}

impl Claim {
    /// Where the claim on something stands.
    #[must_use]
    pub fn place(on: &str) -> Key {
        key(&system_tenant(), RecordKind::Claim, on)
    }
}

/// Never due. All of them are listed by an engine that starts: the newest is the latest moment that the store knows.
impl Stored for Heartbeat {
    const KIND: RecordKind = RecordKind::Heartbeat;
    fn key(&self) -> Key {
        Self::place(&self.on)
    }
    fn index(&self, _: u16) -> Index {
        Index::default()
    }
}

impl Heartbeat {
    /// Where a claim's heartbeat stands.
    #[must_use]
    pub fn place(on: &str) -> Key {
        key(&system_tenant(), RecordKind::Heartbeat, on)
    }
}

/// A retired key counts as over, but is listed with all others: what it made is still looked at and ended
/// with it.
impl Stored for StoredCredential {
    const KIND: RecordKind = RecordKind::Credential;
    fn key(&self) -> Key {
        Self::place_of(&self.tenant, &self.id)
    }
    fn index(&self, shards: u16) -> Index {
        Index {
            owner: Some(self.saved_by.clone()),
            shard: shard_of(&self.tenant, shards),
            state: if self.retired { state::OVER } else { state::OPEN },
            ..Index::default()
        }
    }
}

impl StoredCredential {
    /// Where a tenant's key stands. (`place` was taken: that is what its fields are sealed for.)
    #[must_use]
    pub fn place_of(tenant: &TenantId, id: &CredentialId) -> Key {
        key(tenant, RecordKind::Credential, id.as_str())
    }
}

/// Users are under no team's tenant, and carry the team as a field: a name is one user, whatever the team.
impl Stored for User {
    const KIND: RecordKind = RecordKind::User;
    fn key(&self) -> Key {
        Self::place(&self.id)
    }
    fn index(&self, _: u16) -> Index {
        Index { owner: Some(self.id.clone()), ..Index::default() }
    }
}

impl User {
    /// Where a user stands.
    #[must_use]
    pub fn place(id: &UserId) -> Key {
        key(&system_tenant(), RecordKind::User, id.as_str())
    }
}

/// A profile follows its user from team to team, as its tokens do.
impl Stored for Profile {
    const KIND: RecordKind = RecordKind::Profile;
    fn key(&self) -> Key {
        Self::place(&self.user)
    }
    fn index(&self, _: u16) -> Index {
        Index { owner: Some(self.user.clone()), ..Index::default() }
    }
}

impl Profile {
    /// Where a user's profile stands.
    #[must_use]
    pub fn place(user: &UserId) -> Key {
        key(&system_tenant(), RecordKind::Profile, user.as_str())
    }
}

/// Teams stand beside each other, so that they can be listed; what is a team's own stands under its tenant.
impl Stored for Team {
    const KIND: RecordKind = RecordKind::Team;
    fn key(&self) -> Key {
        Self::place(&self.id)
    }
    fn index(&self, _: u16) -> Index {
        Index::default()
    }
}

impl Team {
    /// Where a team stands.
    #[must_use]
    pub fn place(id: &TenantId) -> Key {
        key(&system_tenant(), RecordKind::Team, id.as_str())
    }
}

/// Templates are their owner's and go with it from team to team; which team mates see them is asked at every look.
/// Open as long as there is a version of it.
impl Stored for Template {
    const KIND: RecordKind = RecordKind::Template;
    fn key(&self) -> Key {
        Self::place(&self.owner, &self.name)
    }
    fn index(&self, _: u16) -> Index {
        let state = if self.versions() == 0 { state::OVER } else { state::OPEN };
        Index { owner: Some(self.owner.clone()), state, ..Index::default() }
    }
}

impl Template {
    /// Where a template stands. A user's name may have `/` in it, a template's has none: with `=`, which no name
    /// has, in its place, nobody can choose a name that stands under somebody else's prefix.
    #[must_use]
    pub fn place(owner: &UserId, name: &TemplateName) -> Key {
        let owner = owner.as_str().replace('/', "=");
        key(&system_tenant(), RecordKind::Template, format!("{owner}/{name}"))
    }
}

/// Listed by its owner, for removing a user, and by its template's prefix, for removing a name.
impl Stored for TemplateVersion {
    const KIND: RecordKind = RecordKind::TemplateVersion;
    fn key(&self) -> Key {
        Self::place(&self.of.owner, &self.of.name, self.of.version)
    }
    fn index(&self, _: u16) -> Index {
        Index { owner: Some(self.of.owner.clone()), ..Index::default() }
    }
}

impl TemplateVersion {
    /// Where a version stands: under its template, in the order of versions.
    #[must_use]
    pub fn place(owner: &UserId, name: &TemplateName, version: u32) -> Key {
        let id = format!("{}/{version:06}", Template::place(owner, name).id);
        key(&system_tenant(), RecordKind::TemplateVersion, id)
    }
}

/// Listed by its user, who sees and revokes it. Never due: one that expired stays to be seen.
impl Stored for AccessToken {
    const KIND: RecordKind = RecordKind::AccessToken;
    fn key(&self) -> Key {
        // Found by the digest of what a caller shows; the secret itself is nowhere.
        Self::place(&self.digest)
    }
    fn index(&self, _: u16) -> Index {
        Index { owner: Some(self.user.clone()), ..Index::default() }
    }
}

impl AccessToken {
    /// Where the token with this digest stands.
    #[must_use]
    pub fn place(digest: &str) -> Key {
        key(&system_tenant(), RecordKind::AccessToken, digest)
    }
}

/// Not due while its reservation lives. Afterwards due when it may be forgotten.
impl Stored for IdempotencyRecord {
    const KIND: RecordKind = RecordKind::Idempotency;
    fn key(&self) -> Key {
        Self::place(&self.tenant, &self.id)
    }
    fn index(&self, shards: u16) -> Index {
        Index { shard: shard_of(&self.tenant, shards), due_at: self.expires_at, ..Index::default() }
    }
}

impl IdempotencyRecord {
    /// Where an idempotency key stands: under its tenant, by the digest of route, key and user. So two people
    /// who choose the same key do not meet, and a key that is long or odd is no odd record id.
    #[must_use]
    pub fn place(tenant: &TenantId, id: &str) -> Key {
        key(tenant, RecordKind::Idempotency, id)
    }
}

/// Read by its scope, by whoever is about to do what it may forbid. Those of all lanes are listed by prefix.
impl Stored for Switch {
    const KIND: RecordKind = RecordKind::Switch;
    fn key(&self) -> Key {
        Self::place(&self.scope.id())
    }
    fn index(&self, _: u16) -> Index {
        Index::default()
    }
}

impl Switch {
    /// Where the switch of a scope stands. A scope whose switch was never thrown has no record, and commits then
    /// check its absence: throwing it for the first time stops them as well.
    #[must_use]
    pub fn place(scope_id: &str) -> Key {
        key(&system_tenant(), RecordKind::Switch, scope_id)
    }
}

/// Always open: there is no moment at which nothing can show up in a lane any more.
impl Stored for LaneRecord {
    const KIND: RecordKind = RecordKind::Lane;
    fn key(&self) -> Key {
        Self::place(&self.lane)
    }
    fn index(&self, _: u16) -> Index {
        Index { lane: Some(self.lane.id()), ..Index::default() }
    }
}

impl LaneRecord {
    /// Where a lane's record stands: the lane's id, from all of cloud, endpoint, account and region. It is never
    /// deleted: a lane ever used is swept for ever, because what was made there may show up late.
    #[must_use]
    pub fn place(lane: &Lane) -> Key {
        key(&system_tenant(), RecordKind::Lane, lane.id().0)
    }
}
