//! The ledger's rows: one write-ahead row per attempt and per created thing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::cloud::ThingState;
use super::offering::Billing;
use super::options::MachineOptions;
use super::request::Market;
use crate::words::clock::Timestamp;
use crate::words::fault::Effect;
use crate::words::ids::{
    BootId, CredentialId, ImageId, LaunchToken, RequestId, ReservationId, ResourceId, TenantId, TypeName,
    UserId, Zone,
};
use crate::words::lane::{Lane, Mark, ResourceKind, Version};
use crate::words::money::Money;
use crate::words::secret::Sealed;

/// The whole resolved request of one attempt, stored before it is sent and never rebuilt.
///
/// A re-send is a replay of exactly this. One token, one attempt, one body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenLaunch {
    /// The attempt; also the cloud's idempotency token where it has one.
    pub token: LaunchToken,
    /// The mark that the create call itself writes.
    pub mark: Mark,
    /// A name that no other attempt has; a satellite's is its mark.
    pub name: String,
    /// How many things this one call makes.
    pub count: u16,
    /// Always explicit on clouds that have zones: the token's scope depends on it.
    pub zone: Option<Zone>,
    /// Labels of the user that reach the cloud.
    pub labels: BTreeMap<String, String>,
    /// What is made.
    pub body: LaunchBody,
}

impl FrozenLaunch {
    /// Completes the mark just before the first send: the commit number of the row that is sent. Satellites are named
    /// by their mark, because some clouds have no tags for them; a machine's name is seen by people.
    pub fn witness(&mut self, seq: Version) {
        self.mark.seq = seq;
        if self.body.kind() != ResourceKind::Machine {
            self.name = self.mark.to_name();
        }
    }
}

/// What is made, fully resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "nearly all launches are machines: a box would save nothing")]
pub enum LaunchBody {
    /// Machines.
    Machine(MachineBody),
    /// A set of ingress rules.
    Firewall(FirewallBody),
    /// A public key registered under the launch's name.
    KeyPair {
        /// OpenSSH public key.
        public_key: String,
    },
    /// A disk image of a machine, registered under the launch's name.
    Snapshot {
        /// Of which machine.
        of: ResourceId,
    },
}

impl LaunchBody {
    /// The kind of thing this makes.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Machine(_) => ResourceKind::Machine,
            Self::Firewall(_) => ResourceKind::Firewall,
            Self::KeyPair { .. } => ResourceKind::KeyPair,
            Self::Snapshot { .. } => ResourceKind::Snapshot,
        }
    }
}

/// A machine, fully resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineBody {
    /// The cloud's type.
    pub type_name: TypeName,
    /// The cloud's image id, resolved once.
    pub image: ImageId,
    /// Root disk, GiB; 0 for the type's own. Always deleted with the machine.
    pub disk_gib: u32,
    /// How it is bought.
    pub market: Market,
    /// First-boot data, sealed for `reservation/<id>/setup`; the executor opens it just before the call.
    pub user_data: Option<Sealed>,
    /// Public keys that may log in, on clouds that take them in the create call.
    pub ssh_public_keys: Vec<String>,
    /// The firewall made for it.
    pub firewall: Option<ResourceId>,
    /// The key pair made for it, by name.
    pub key_pair: Option<String>,
    /// No public address.
    pub private_only: bool,
    /// What only some clouds have; without the files.
    #[serde(default)]
    pub options: MachineOptions,
    /// Files for the first boot as a JSON object of path and text, sealed for `reservation/<id>/files`; opened just
    /// before the call.
    #[serde(default)]
    pub files: Option<Sealed>,
    /// The most for a spot machine: EC2 ends it, or does not begin it, when its price is above.
    ///
    /// Disk, address and fee are not in it, because a cloud compares it with the price of the machine alone.
    ///
    /// What the machine alone may cost an hour as spot prices move, by the cloud's list; `None` where nobody set a cap.
    // Left out when there is none: what an older program froze has the same hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_max: Option<Money>,
}

/// Ingress rules: nothing is open but what stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallBody {
    /// CIDR blocks that may connect to every port; nobody when empty.
    pub allow_from: Vec<String>,
    /// The network that its machines are in, in their cloud's words (`options.network`): on EC2 a firewall is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl FirewallBody {
    /// A firewall in the network that machines are in when nobody names one.
    #[must_use]
    pub const fn open_to(allow_from: Vec<String>) -> Self {
        Self { allow_from, network: None }
    }
}

/// One send of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRecord {
    /// When it was written down, just before it left.
    pub at: Timestamp,
    /// By which start of which replica.
    pub by: BootId,
    /// `None` until an answer was recorded: a crash leaves it so, and it counts as Unknown.
    pub effect: Option<Effect>,
    /// What the answer was, in one line.
    pub said: Option<String>,
}

impl SendRecord {
    /// Is it certain that this send did nothing?
    #[must_use]
    pub fn refused(&self) -> bool {
        self.effect == Some(Effect::NotApplied)
    }
}

/// Where an attempt is. `Unknown` is a state of its own and counts as capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchState {
    /// Written down, not sent.
    Planned,
    /// Its send was acknowledged by the store; the request may have left.
    Sent,
    /// Sent, and nobody knows what came of it.
    Unknown,
    /// The cloud named what it made.
    Live,
    /// Its things are being ended.
    Ending,
    /// Over; the row stays for late births.
    Closed(Closed),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// It lived and ended. Seen alive again: a late birth, terminated.
    Gone(Absence),
    /// It never came to be. Seen alive: a late birth, terminated.
    NeverBorn(Absence),
    /// Given away: left alone for ever.
    Evicted,
}

/// The proof that something is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// It was never sent, and its row cannot be sent any more.
    NeverSent,
    /// Every send of its token was refused.
    Refused,
    /// The cloud showed its end.
    EndSeen,
    /// Not found twice, far enough apart, with a complete listing between and the same identity.
    NotFound {
        /// First time it was not found.
        first: Timestamp,
        /// Last time.
        last: Timestamp,
        /// The complete listing between.
        list_as_of: Timestamp,
    },
}

/// What somebody wants of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// There and on.
    #[default]
    On,
    /// There and off.
    Off,
    /// Not there.
    Gone,
}

/// Why something is to end; brakes tell what a person asked for from what we concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// A person released it or asked for fewer.
    Asked,
    /// Its time was over.
    Deadline,
    /// It failed or was unhealthy and is replaced.
    Replaced,
    /// Its siblings failed and the request is all or nothing.
    Compensation,
    /// It was born after its row was closed, or beyond what was wanted.
    LateBirth,
}

/// A thing that an attempt made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// The cloud's id.
    pub id: ResourceId,
    /// Which slot it fills; `None` for satellites and late births.
    pub unit: Option<u32>,
    /// It showed up when its attempt had been given up, so nobody ever had it: it is ended however many there are.
    #[serde(default)]
    pub late: bool,
    /// As last seen.
    pub state: ThingState,
    /// Last time it was seen there, by the provider's clock.
    pub seen_at: Timestamp,
    /// How to reach it from outside.
    pub public_address: Option<String>,
    /// How to reach it from inside.
    pub private_address: Option<String>,
    /// In which zone.
    pub zone: Option<Zone>,
    /// Its mark was missing when last seen: counted, never replaced, never ended without a person.
    pub mark_lost: bool,
    /// Its owner confirmed that it is ours although its mark is lost: it is marked again.
    #[serde(default)]
    pub confirmed: bool,
    /// It has been seen running: a failure after that is no failed build.
    #[serde(default)]
    pub ran: bool,
    /// Since when it has not been found.
    pub missing: Option<Missing>,
    /// An ending that has begun.
    pub ending: Option<Ending>,
    /// The last power order: which and when, so that it is not repeated while it settles.
    pub power: Option<(super::cloud::PowerMode, Timestamp)>,
    /// The last power order was refused; `None` when it was taken.
    #[serde(default)]
    pub power_refused: Option<PowerRefused>,
    /// How it ended.
    pub end: Option<Absence>,
    /// Why it is in error.
    pub fault: Option<String>,
    /// When the cloud says that it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born_at: Option<Timestamp>,
    /// When it was first seen on its way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it was seen off, oldest first; at most [`OFFS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offs: Vec<Off>,
}

/// Times off that a thing remembers. The oldest are forgotten, and then count as if it had been on.
pub const OFFS_MAX: usize = 200;

/// A time in which a thing was off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Off {
    /// First seen so.
    pub from: Timestamp,
    /// First seen otherwise; `None` while it is off.
    pub to: Option<Timestamp>,
}

/// A power order that a cloud refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerRefused {
    /// What was ordered.
    pub mode: super::cloud::PowerMode,
    /// What kind of refusal.
    pub kind: crate::words::fault::FaultKind,
    /// The cloud's words.
    pub said: String,
}

impl PowerRefused {
    /// Can this machine never be off in the way that was ordered? EC2 says so of a type or an image that does not
    /// hibernate, Nova of a server that boots from a volume and is to be shelved.
    #[must_use]
    pub fn is_final(&self, mode: super::cloud::PowerMode) -> bool {
        self.mode == mode && self.kind == crate::words::fault::FaultKind::Invalid
    }
}

impl Thing {
    /// Is it still there, as far as anyone knows?
    #[must_use]
    pub const fn alive(&self) -> bool {
        self.end.is_none()
    }
}

/// Looked for and not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// First time, by our clock.
    pub first: Timestamp,
    /// Last time, by our clock.
    pub last: Timestamp,
    /// A complete listing between the two that did not show it.
    pub list_as_of: Option<Timestamp>,
}

/// An ending under way: retried for ever, visible with its age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When it was first ordered.
    pub since: Timestamp,
    /// Orders given so far.
    pub tries: u32,
    /// Not before this moment again.
    pub retry_at: Timestamp,
    /// What the last order was answered, when it was refused.
    pub said: Option<String>,
    /// It was reported as stuck.
    #[serde(default)]
    pub told: bool,
}

/// Who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// We did: it may be ended.
    Created,
    /// A person handed it over: power only, never ended by us.
    Adopted {
        /// Who.
        by: UserId,
        /// When.
        at: Timestamp,
    },
}

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The attempt.
    pub token: LaunchToken,
    /// Whose.
    pub tenant: TenantId,
    /// For which reservation.
    pub reservation: ReservationId,
    /// Where: pinned for ever.
    pub lane: Lane,
    /// With which key it was made; a newer key of the same account serves as well.
    pub credential: CredentialId,
    /// Who made it.
    pub origin: Origin,
    /// The slots it fills; empty for satellites.
    pub units: Range<u32>,
    /// What is wanted of each slot (slot 0 stands for a satellite itself).
    pub wants: BTreeMap<u32, Want>,
    /// Why slots are to end.
    pub cause: Option<EndCause>,
    /// The stored body.
    pub frozen: FrozenLaunch,
    /// Every send.
    pub sends: Vec<SendRecord>,
    /// Where it is.
    pub state: LaunchState,
    /// What it made.
    pub things: Vec<Thing>,
    /// Looked for under Unknown and not found.
    pub unseen: Option<Missing>,
    /// Its slots were given to another attempt while this one is still watched.
    pub superseded: bool,
    /// It made fewer things than asked, proven: the slots without a thing were never born.
    #[serde(default)]
    pub short: bool,
    /// More candidates than births: a person must say which are ours.
    pub ambiguous: bool,
    /// The step that failed last, and when to try again.
    pub retry: Option<Retry>,
    /// Written down at.
    pub created_at: Timestamp,
    /// Must not be pruned before.
    pub keep_until: Option<Timestamp>,
    /// The request that asked for it, or that changed last what is wanted of it.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// Slots of which the history says already what became of them here: told once, in the commit that notes it.
    #[serde(default)]
    pub told: BTreeSet<u32>,
    /// What one machine of it costs; `None` for everything else, and in rows that are older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<LaunchPrice>,
}

/// What one machine of an attempt costs, as it was when it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPrice {
    /// For one hour on, disk, address and fee included.
    pub per_hour: Money,
    /// For one hour off.
    pub off_per_hour: Money,
    /// How the cloud charges time.
    pub billing: Billing,
}

/// A failed step and its next try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Failures in a row.
    pub times: u32,
    /// Not before.
    pub at: Timestamp,
    /// Why, readable by the user.
    pub reason: String,
    /// What kind of failure.
    pub kind: crate::words::fault::FaultKind,
}

impl Launch {
    /// The kind of thing it makes.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        self.frozen.body.kind()
    }

    /// Does anybody still want anything of it?
    #[must_use]
    pub fn wanted(&self) -> bool {
        !self.superseded && self.wants.values().any(|want| *want != Want::Gone)
    }

    /// Is it over?
    #[must_use]
    pub const fn closed(&self) -> bool {
        matches!(self.state, LaunchState::Closed(_))
    }

    /// When it was first sent.
    #[must_use]
    pub fn first_sent(&self) -> Option<Timestamp> {
        self.sends.first().map(|send| send.at)
    }

    /// When it was last sent.
    #[must_use]
    pub fn last_sent(&self) -> Option<Timestamp> {
        self.sends.last().map(|send| send.at)
    }

    /// What is wanted of the slot a thing fills. A thing without slot is wanted only as a satellite.
    #[must_use]
    pub fn want_of(&self, thing: &Thing) -> Want {
        if self.superseded {
            return Want::Gone;
        }
        let satellite = self.units.is_empty();
        match thing.unit {
            Some(no) => self.wants.get(&no).copied().unwrap_or(Want::Gone),
            None if satellite => self.wants.get(&0).copied().unwrap_or(Want::Gone),
            None => Want::Gone,
        }
    }

    /// Things that are there as far as anyone knows.
    pub fn alive(&self) -> impl Iterator<Item = &Thing> {
        self.things.iter().filter(|thing| thing.alive())
    }
}
