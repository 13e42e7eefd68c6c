//! What happened to a reservation, and the way into it.

use infra_core::infra::{self, Door};
use infra_core::nouns::actor::By;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{RequestId, ReservationId};
use infra_core::words::money::Money;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One server-sent event, as every reader of such streams takes it apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamedEvent {
    /// Where the reader stands: sent back in `Last-Event-ID` to go on exactly there. Made of a place in the history and
    /// of what was told of the state; nothing to be read.
    #[schema(example = "1042.0/cc42a4b656d4f159")]
    pub id: String,
    /// What `data` is: `state` for the whole reservation, else an entry of the history.
    #[schema(example = "state")]
    pub event: String,
    /// JSON in a text: a `Reservation`, or a `HistoryEntry`.
    pub data: String,
    /// Come back so long after the connection broke, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u64>,
}

/// One entry of a reservation's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Its place: a later entry stands higher, by its first number and then by its second.
    #[schema(pattern = "^[0-9]+\\.[0-9]+$", example = "1042.0")]
    pub place: String,
    /// When.
    pub at: Timestamp,
    /// Who: `user:<name>`, `token:<id>`, `admin` or `engine`.
    #[schema(example = "token:tok_0123456789abcdef")]
    pub by: String,
    /// The request by which, or from which it followed.
    #[schema(required = true)]
    pub request_id: Option<String>,
    /// What: `reserved`, `phase`, `desired`, `ended`, `gave_up`, `attempt`, `tried`, `replaced`, `lost`, `mark_lost`,
    /// `mark_confirmed`, `late_birth`, `stuck`, `held`, `lifted`, `accessed`, `transferred`, `shared`, `unshared`, `template_saved`,
    /// `let_go`. More may come.
    #[schema(example = "phase")]
    pub event: String,
    /// What there is to say about it: before and after, why, in whose words. Fields by event; more may come.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// What it had come to at that moment, by list price; `null` where nobody counted.
    #[schema(required = true)]
    pub cost: Option<Money>,
}

impl From<&infra::HistoryEntry> for HistoryEntry {
    fn from(entry: &infra::HistoryEntry) -> Self {
        let event = serde_json::to_value(&entry.event).expect("events are plain data");
        let Value::Object(mut details) = event else { unreachable!("an event is an object") };
        let word = details.remove("event").and_then(|word| word.as_str().map(str::to_owned));
        details.remove("reservation");
        Self {
            place: entry.place.to_string(),
            at: entry.at,
            by: By::to_string(&entry.by),
            request_id: entry.request_id.clone().map(RequestId::into),
            event: word.expect("an event says what it is"),
            details,
            cost: entry.cost,
        }
    }
}

/// The way into a reservation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Access {
    /// Into which.
    pub reservation: ReservationId,
    /// Its machines that have an address.
    pub machines: Vec<Machine>,
    /// Public keys that may log in.
    pub public_keys: Vec<String>,
    /// The private half of the key pair that was made for it, because the request named no public key: a file for
    /// `ssh -i`. `null` when the request named keys, when it is over, and for everybody but its owner.
    #[schema(required = true)]
    pub private_key: Option<String>,
}

/// One machine's door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Its slot.
    #[schema(format = Int64)]
    pub slot: u32,
    /// The address to connect to: the public one where there is one.
    pub host: String,
    /// The port.
    #[schema(format = Int64)]
    pub port: u16,
    /// Whom to log in as; `null` when nobody knows what the image wants.
    #[schema(required = true)]
    pub user: Option<String>,
    /// From outside.
    #[schema(required = true)]
    pub public_address: Option<String>,
    /// From inside.
    #[schema(required = true)]
    pub private_address: Option<String>,
}

impl From<&infra::Access> for Access {
    fn from(access: &infra::Access) -> Self {
        let machine = |door: &Door| Machine {
            slot: door.unit.slot,
            host: door.host.clone(),
            port: door.port,
            user: door.user.clone(),
            public_address: door.unit.public_address.clone(),
            private_address: door.unit.private_address.clone(),
        };
        Self {
            reservation: access.reservation.clone(),
            machines: access.machines.iter().map(machine).collect(),
            public_keys: access.public_keys.clone(),
            private_key: access.private_key.as_ref().map(|key| key.expose().to_owned()),
        }
    }
}
