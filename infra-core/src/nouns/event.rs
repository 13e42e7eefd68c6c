//! What happened, written in the commit that made it happen, delivered afterwards, and kept as the history of the
//! reservation it is about.
//!
//! # Guarantees
//! * An entry is written once and says the same for ever: delivery only notes that it was delivered, and keeps the
//!   number of the commit that wrote the entry first.
//! * [`Outbox::place`] orders the entries of a reservation totally, in the order of their commits, and never
//!   changes: it is what readers go on from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::reservation::{Desired, Phase, Role};
use super::template::TemplateRef;
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, ResourceId, TenantId, UserId};
use crate::words::lane::{LaneId, Version};
use crate::words::money::Money;

/// Where an entry stands among those of its reservation: the commit that wrote it first, and which of the entries
/// of that commit it is. As text `commit.nth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// The commit.
    pub commit: Version,
    /// Which of those that this commit wrote about the reservation.
    pub nth: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.commit, self.nth)
    }
}

/// A text that is no place in a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no place in a history: it must be two numbers with a dot between")]
pub struct InvalidPlace {
    /// What was given, cut to a printable length.
    pub text: String,
}

impl FromStr for Place {
    type Err = InvalidPlace;

    /// Exactly what `Display` writes, so that one place has one name.
    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        // Only what this writes: `+1.2` and `01.2` would be second names of one place.
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok());
        let place = text.split_once('.').and_then(|(commit, nth)| {
            let commit = Version(number(commit).flatten()?);
            let nth = u32::try_from(number(nth).flatten()?).ok()?;
            Some(Self { commit, nth })
        });
        let same = place.filter(|place| place.to_string() == text);
        same.ok_or_else(|| InvalidPlace { text: text.chars().take(50).collect() })
    }
}

impl TryFrom<String> for Place {
    type Error = InvalidPlace;

    fn try_from(text: String) -> Result<Self, InvalidPlace> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

/// One event, and one entry of a history. `cause` is its identity: the same cause is enqueued once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// Whose; the system's own when nobody's.
    pub tenant: TenantId,
    /// `<reservation>/<what>/<change or token>`: enqueued once, and listed under its reservation.
    pub cause: String,
    /// When.
    pub at: Timestamp,
    /// Who, and on which request. What followed by itself bears the id of the request that was last.
    #[serde(default)]
    pub actor: Actor,
    /// What.
    pub event: Event,
    /// What the reservation's machines had come to at that moment, by list price; `None` where nobody counted.
    #[serde(default)]
    pub cost: Option<Money>,
    /// Which of the entries that one commit wrote about one reservation.
    #[serde(default)]
    pub nth: u32,
    /// The commit that wrote it first; `None` until a delivery rewrites the record, which then bears that number
    /// itself.
    #[serde(default)]
    pub first: Option<Version>,
    /// How far each sink is.
    pub sinks: Vec<SinkState>,
    /// Delivered everywhere: kept until then, so that the same cause is not enqueued again. `None` once delivered for
    /// what is about a reservation: that is its history, and goes with it.
    #[serde(default)]
    pub keep_until: Option<Timestamp>,
}

impl Outbox {
    /// An event for the log, by the engine.
    #[must_use]
    pub fn new(tenant: TenantId, cause: String, at: Timestamp, event: Event) -> Self {
        let sinks = vec![SinkState { sink: "log".to_owned(), tries: 0, delivered: false }];
        let actor = Actor::engine();
        Self { tenant, cause, at, actor, event, cost: None, nth: 0, first: None, sinks, keep_until: None }
    }

    /// The same, by somebody.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// The same, with what had been spent by then.
    #[must_use]
    pub const fn costing(mut self, cost: Option<Money>) -> Self {
        self.cost = cost;
        self
    }

    /// Where it stands in its reservation's history. `version` is that of the record as it was read.
    #[must_use]
    pub fn place(&self, version: Version) -> Place {
        Place { commit: self.first.unwrap_or(version), nth: self.nth }
    }

    /// Is it about a reservation, so that it stands in its history and goes with it?
    #[must_use]
    pub fn is_of_a_reservation(&self) -> bool {
        self.cause.starts_with("rsv_")
    }
}

/// How far a sink is with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// Which sink.
    pub sink: String,
    /// Tries so far.
    pub tries: u32,
    /// Done.
    pub delivered: bool,
}

/// One field that somebody changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Which: `count`, `power`, `present`, `ends_at`, `tags`, `owner`, `shares`.
    pub field: String,
    /// What it said; `null` for nothing.
    pub before: serde_json::Value,
    /// What it says.
    pub after: serde_json::Value,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A reservation was accepted.
    Reserved {
        /// Which.
        reservation: ReservationId,
        /// For whom.
        by: UserId,
    },
    /// Its phase changed.
    Phase {
        /// Which.
        reservation: ReservationId,
        /// From what.
        #[serde(default)]
        was: Option<Phase>,
        /// To what.
        phase: Phase,
        /// Why.
        reason: Option<String>,
    },
    /// Somebody changed it: what is desired of it, when it ends, its tags, whose it is.
    Desired {
        /// Which.
        reservation: ReservationId,
        /// What is desired now.
        desired: Desired,
        /// Every field that changed, before and after.
        #[serde(default)]
        moved: Vec<Moved>,
    },
    /// It is shared with a team mate, or is in another role.
    Shared {
        /// Which.
        reservation: ReservationId,
        /// With whom.
        with: UserId,
        /// As what before; `None` for not at all.
        was: Option<Role>,
        /// As what now.
        role: Role,
    },
    /// A share was taken back.
    Unshared {
        /// Which.
        reservation: ReservationId,
        /// From whom.
        with: UserId,
        /// What it was.
        was: Role,
    },
    /// A version of a template was saved.
    TemplateSaved {
        /// Which.
        template: TemplateRef,
        /// What it was made from, if not from a request.
        reservation: Option<ReservationId>,
    },
    /// This store was said to be a copy: the original holds what the machines are, and nothing here does.
    LetGo {
        /// Which.
        reservation: ReservationId,
    },
    /// It belongs to another team mate now.
    Transferred {
        /// Which.
        reservation: ReservationId,
        /// Whose it was.
        from: UserId,
        /// Whose it is.
        to: UserId,
    },
    /// Its time was over.
    Ended {
        /// Which.
        reservation: ReservationId,
    },
    /// It cannot be had: everything of it is ended.
    GaveUp {
        /// Which.
        reservation: ReservationId,
        /// Why, in the cloud's words.
        why: String,
    },
    /// An attempt was written down; it is sent next.
    Attempt {
        /// For which.
        reservation: ReservationId,
        /// For which slots; none for what hangs on machines.
        slots: Vec<u32>,
        /// What is made: `machine`, `firewall`, ...
        kind: String,
        /// Which offer, as `cloud:region/zone type`.
        offer: String,
    },
    /// An attempt came to nothing, or what it made could not be used.
    Tried {
        /// For which.
        reservation: ReservationId,
        /// For which slots.
        slots: Vec<u32>,
        /// Which offer.
        offer: String,
        /// What the cloud said.
        said: String,
    },
    /// A machine vanished and is replaced.
    Replaced {
        /// Of which reservation.
        reservation: ReservationId,
        /// In which slot.
        slot: u32,
        /// Which machine.
        thing: ResourceId,
    },
    /// A machine vanished and is not replaced.
    Lost {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which machine.
        thing: ResourceId,
    },
    /// A machine's mark is gone: counted, not touched.
    MarkLost {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which machine.
        thing: ResourceId,
    },
    /// Its owner said that a machine without its mark is theirs.
    MarkConfirmed {
        /// Of which reservation.
        reservation: ReservationId,
        /// In which slot.
        slot: u32,
    },
    /// Something was born after its attempt had been closed; it is being ended.
    LateBirth {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which thing.
        thing: ResourceId,
    },
    /// An ending takes too long; it is retried for ever.
    Stuck {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which thing.
        thing: ResourceId,
        /// What the cloud says.
        said: Option<String>,
    },
    /// A thing carries our mark but has no row; nothing is done to it.
    Orphan {
        /// Where.
        lane: LaneId,
        /// Which thing.
        thing: ResourceId,
    },
    /// A brake holds something.
    Held {
        /// What is held: a reservation, a lane, or everything.
        what: String,
        /// Which brake, and its figures.
        why: String,
    },
    /// A hold was lifted.
    Lifted {
        /// Of which reservation.
        reservation: ReservationId,
        /// What it had been held for.
        why: String,
    },
    /// Somebody asked for the way in.
    Accessed {
        /// Of which reservation.
        reservation: ReservationId,
        /// Were secrets handed over?
        secrets: bool,
    },
}
