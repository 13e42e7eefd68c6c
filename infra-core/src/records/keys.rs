//! Where each record stands and what it is found by: one place for all of them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contracts::store::{Index, Key, RecordKind};
use crate::nouns::account::{AccessToken, IdempotencyRecord, User};
use crate::nouns::credential::StoredCredential;
use crate::nouns::event::Outbox;
use crate::nouns::installation::{Claim, Heartbeat, Installation, LaneRecord};
use crate::nouns::launch::{Launch, LaunchState};
use crate::nouns::reservation::Reservation;
use crate::nouns::switch::Switch;
use crate::nouns::unit::Unit;
use crate::words::ids::{CredentialId, LaunchToken, ReservationId, TenantId, UserId};
use crate::words::lane::Lane;

/// Index states: what is open sorts below what is over.
pub mod state {
    /// Work to do, or may have.
    pub const OPEN: u8 = 0;
    /// Over, kept for look-ups.
    pub const OVER: u8 = 200;
}

/// The tenant of records that are nobody's: installation, claims, lanes, tokens, switches.
#[must_use]
pub fn system_tenant() -> TenantId {
    TenantId::new("_system").expect("a literal within the rules")
}

/// Which shard a tenant belongs to: stable over versions, spread by FNV-1a.
#[must_use]
pub fn shard_of(tenant: &TenantId, shards: u16) -> u16 {
    let hash = tenant.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u16::try_from(hash % u64::from(shards.max(1))).expect("a remainder by a u16 fits one")
}

/// Beginning of the ids of a reservation's units.
#[must_use]
pub fn unit_prefix(reservation: &ReservationId) -> String {
    format!("{reservation}/")
}

/// Beginning of the ids of a reservation's launches.
#[must_use]
pub fn launch_prefix(reservation: &ReservationId) -> String {
    format!("{reservation}/")
}

/// A record with a place of its own.
pub trait Stored: Serialize + DeserializeOwned + Send + Sync {
    /// Its kind.
    const KIND: RecordKind;

    /// Where it stands.
    fn key(&self) -> Key;

    /// What it is found by.
    fn index(&self, shards: u16) -> Index;
}

/// From a token to the launch it belongs to: marks name tokens, not tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct TokenRef {
    /// The attempt.
    pub token: LaunchToken,
    /// Its row.
    pub launch: Key,
}

fn key(tenant: &TenantId, kind: RecordKind, id: impl Into<String>) -> Key {
    Key { tenant: tenant.clone(), kind, id: id.into() }
}

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
    /// Where the one installation record stands.
    #[must_use]
    pub fn place() -> Key {
        key(&system_tenant(), RecordKind::Installation, "self")
    }
}

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
            due_at: self.deadlines.next(),
            state: if self.over_at.is_some() { state::OVER } else { state::OPEN },
        }
    }
}

impl Reservation {
    /// Where a reservation stands.
    #[must_use]
    pub fn place(tenant: &TenantId, id: &ReservationId) -> Key {
        key(tenant, RecordKind::Reservation, id.as_str())
    }
}

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
    /// Where a launch stands.
    #[must_use]
    pub fn place(tenant: &TenantId, reservation: &ReservationId, token: LaunchToken) -> Key {
        key(tenant, RecordKind::Launch, format!("{}{token}", launch_prefix(reservation)))
    }
}

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
    /// Where a token's reference stands.
    #[must_use]
    pub fn place(token: LaunchToken) -> Key {
        key(&system_tenant(), RecordKind::TokenRef, token.to_string())
    }
}

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
    /// Where a tenant's key stands.
    #[must_use]
    pub fn place_of(tenant: &TenantId, id: &CredentialId) -> Key {
        key(tenant, RecordKind::Credential, id.as_str())
    }
}

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
    /// Where an idempotency key stands.
    #[must_use]
    pub fn place(tenant: &TenantId, id: &str) -> Key {
        key(tenant, RecordKind::Idempotency, id)
    }
}

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
    /// Where the switch of a scope stands.
    #[must_use]
    pub fn place(scope_id: &str) -> Key {
        key(&system_tenant(), RecordKind::Switch, scope_id)
    }
}

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
    /// Where a lane's record stands.
    #[must_use]
    pub fn place(lane: &Lane) -> Key {
        key(&system_tenant(), RecordKind::Lane, lane.id().0)
    }
}
