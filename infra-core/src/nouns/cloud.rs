//! What a cloud shows us: things as observed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::{ImageId, LaunchToken, ResourceId, TypeName, Zone};
use crate::words::lane::{Mark, ResourceKind};

/// The life of a thing, in words all clouds share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThingState {
    /// Being made or booted; counts as capacity.
    Building,
    /// Running or, for things without power, there.
    Running,
    /// On its way off.
    Stopping,
    /// Off, still there, maybe still billed.
    Stopped,
    /// The cloud gave up on it; still there, maybe still billed.
    Error,
    /// On its way out.
    Ending,
    /// Ended for good: the strongest proof of absence there is.
    Ended,
    /// A state this version has no word for: counted, never replaced, shown.
    Suspect,
}

/// A thing as a cloud shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The cloud's id.
    pub id: ResourceId,
    /// What it is, by the cloud's own word.
    pub kind: ResourceKind,
    /// Where in its life.
    pub state: ThingState,
    /// The mark it carries, if whole.
    pub mark: Option<Mark>,
    /// The token that the *provider itself* stamped on it (EC2's `clientToken`), which no tag copy forges.
    pub stamp: Option<LaunchToken>,
    /// Its name.
    pub name: Option<String>,
    /// Its type.
    pub type_name: Option<TypeName>,
    /// Its image.
    pub image: Option<ImageId>,
    /// Its zone.
    pub zone: Option<Zone>,
    /// How to reach it from outside.
    pub public_address: Option<String>,
    /// How to reach it from inside.
    pub private_address: Option<String>,
    /// When it was made, by the provider's clock.
    pub created_at: Timestamp,
    /// Why it is in error, in the provider's words.
    pub fault: Option<String>,
    /// All its tags.
    pub tags: BTreeMap<String, String>,
}

/// The answer to "is this id there?". Absent is a value, not an error, and no proof by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// There it is.
    Present(Box<Observed>),
    /// The cloud does not know the id, now.
    Absent(ResourceId),
}

/// One page of what carries our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPage {
    /// Things with a mark of this installation, of every kind, ended ones included while the cloud shows them.
    pub items: Vec<Observed>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
    /// Says that the pages up to here are the whole. Only the last page may say so.
    pub complete: bool,
    /// The provider's clock when it answered: a listing proves something about this moment only.
    pub as_of: Timestamp,
}

/// A provider's own place marker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// How a thing is turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PowerMode {
    /// On.
    On,
    /// Off, disk kept.
    Stop,
    /// Off, memory kept on disk.
    Hibernate,
    /// Off and off its host.
    Shelve,
    /// Off, memory kept on its host.
    Suspend,
    /// Off by being ended, its disk kept as a snapshot: for clouds that bill a machine that is off. Made of a
    /// snapshot's launch and a terminate, so it is never an [`Act`].
    Snapshot,
}

/// What can be done to a thing of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// End it for good.
    Terminate,
    /// Turn it on or off.
    Power(PowerMode),
    /// Write our mark on it again.
    Mark,
    /// Take our mark off.
    Unmark,
}

impl Act {
    /// A word for logs and counters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Power(PowerMode::On) => "power-on",
            Self::Power(_) => "power-off",
            Self::Mark => "mark",
            Self::Unmark => "unmark",
        }
    }
}

/// The cloud took the order; that it happened is seen later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted;
