//! What the handle takes and answers. No secret is in any of it but where the type says `Secret`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::nouns::account::TokenRole;
use crate::nouns::credential::CredentialStatus;
use crate::nouns::installation::Frozen;
use crate::nouns::offering::Catalogue;
use crate::nouns::request::Request;
use crate::nouns::reservation::{Desired, Hold, Phase, Try, UnitView};
use crate::nouns::switch::Switch;
use crate::words::clock::Timestamp;
use crate::words::ids::{
    AccountId, CloudName, CredentialId, InstallationId, LaunchToken, ReservationId, TenantId, UserId,
};
use crate::words::lane::{Lane, Version};
use crate::words::money::Money;
use crate::words::secret::Secret;

use super::error::{FieldError, InfraError};

/// Most characters of an idempotency key.
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 255;

/// A caller's name for one attempt to create: the same key and body again answers the same reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// What the key is for, so that one key may serve two routes: `POST reservations`.
    pub(crate) route: String,
    /// The caller's own text.
    pub(crate) key: String,
}

impl IdempotencyKey {
    /// Takes a key for a route.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] unless the key has 1 to [`IDEMPOTENCY_KEY_LEN_MAX`] printable ASCII
    /// characters.
    pub fn new(route: impl Into<String>, key: impl Into<String>) -> Result<Self, InfraError> {
        let (route, key) = (route.into(), key.into());
        let printable = key.bytes().all(|b| (b' '..=b'~').contains(&b));
        if key.is_empty() || key.len() > IDEMPOTENCY_KEY_LEN_MAX || !printable {
            return Err(InfraError::OutOfRange {
                fields: vec![FieldError {
                    field: "Idempotency-Key".to_owned(),
                    message: "must be printable ASCII of limited length".to_owned(),
                    limit: Some(format!("1..={IDEMPOTENCY_KEY_LEN_MAX} characters")),
                }],
            });
        }
        Ok(Self { route, key })
    }
}

/// A reservation as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationView {
    /// Its id.
    pub id: ReservationId,
    /// Its owner.
    pub user: UserId,
    /// The wire word. Follows a change of what is desired at once, before the engine has acted on it.
    pub state: Phase,
    /// Number of the commit that wrote it last: pass it as `if_match`. The engine's own writes move it, too.
    pub version: Version,
    /// Nothing of it costs real money. `false` while the cloud is not connected and nobody knows.
    pub simulated: bool,
    /// What is in force now: as asked, without `setup`; an extension has put `ends_at` in `duration_s`' place.
    pub request: Request,
    /// What is wanted now.
    pub desired: Desired,
    /// Its slots. `get` shows all, lists at most 20.
    pub units: Vec<UnitView>,
    /// All wanted machines for one hour; `None` when nothing is wanted any more.
    pub price_per_hour: Option<Money>,
    /// What its machines came to so far, by list price from the first send to the last sighting, time turned off
    /// included: an upper estimate, not a bill. `None` in lists.
    pub cost_so_far: Option<Money>,
    /// Asked at.
    pub created_at: Timestamp,
    /// First time everything wanted was usable.
    pub ready_at: Option<Timestamp>,
    /// Ends then.
    pub ends_at: Option<Timestamp>,
    /// Nothing of it was left at.
    pub over_at: Option<Timestamp>,
    /// Why it is where it is.
    pub reason: Option<String>,
    /// A brake that holds it.
    pub hold: Option<Hold>,
    /// What was tried, newest last.
    pub tries: Vec<Try>,
    /// Whether a first-boot script came with it; the script itself is never shown.
    pub has_setup: bool,
}

/// The answer to a reserve.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserved {
    /// The reservation.
    pub view: ReservationView,
    /// It stood already: the idempotency key was answered again.
    pub replayed: bool,
}

/// Which reservations to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// Also those that are over.
    pub all: bool,
    /// At most so many: 1..=200; 50 when `None`.
    pub limit: Option<usize>,
    /// Begin after this one: `next` of the page before.
    pub after: Option<ReservationId>,
}

/// A page of reservations, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewPage {
    /// What is on it.
    pub items: Vec<ReservationView>,
    /// Pass as `after` for the next page; `None` on the last.
    pub next: Option<ReservationId>,
}

/// The answer to a release.
#[derive(Debug, Clone, PartialEq)]
pub enum ReleaseOutcome {
    /// It is ending now, or has been since an earlier call.
    Releasing(ReservationView),
    /// It was over before.
    AlreadyOver(ReservationView),
}

/// A key to save.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// For which configured cloud.
    pub provider: CloudName,
    /// The user's own name for it: 1..=64 of `a-z A-Z 0-9 . _ -`; people say `default`.
    pub label: String,
    /// Which form: `static`, `assume_role`, `password`, `token`, ...
    pub kind: String,
    /// Its fields by their wire names.
    pub fields: BTreeMap<String, Secret>,
}

/// A key as its team sees it: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// `provider/label/account`.
    pub id: CredentialId,
    /// For which cloud.
    pub provider: CloudName,
    /// The user's own name for it.
    pub label: String,
    /// Which form.
    pub kind: String,
    /// Tells two keys apart, tells nothing else.
    pub fingerprint: String,
    /// The last check.
    pub status: CredentialStatus,
    /// Who the cloud says this is.
    pub identity: String,
    /// The account the cloud named.
    pub account: AccountId,
    /// When it was checked.
    pub checked_at: Timestamp,
    /// Replaced by a key of another account: only looks at and ends what it made.
    pub retired: bool,
}

/// What one lane offers to a user.
#[derive(Debug, Clone)]
pub struct LaneOfferings {
    /// Where.
    pub lane: Lane,
    /// With which key.
    pub credential: CredentialId,
    /// What: types, prices, images. May be some minutes old; see its `as_of`.
    pub catalogue: Arc<Catalogue>,
}

/// Who calls, as an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub user: UserId,
    /// What the token may do.
    pub role: TokenRole,
    /// The token's public id, for audit lines.
    pub token: String,
}

/// A create call that may still land after a switch was thrown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct InFlight {
    /// The attempt.
    pub token: LaunchToken,
    /// Whose.
    pub tenant: TenantId,
    /// For which reservation.
    pub reservation: ReservationId,
    /// Where.
    pub lane: Lane,
    /// When its last send was written down.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub sent_at: Option<Timestamp>,
}

/// A lane and what covers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneStatus {
    /// Which.
    pub lane: Lane,
    /// Since when.
    pub created_at: Timestamp,
    /// Keys that reach it, of all teams.
    pub keys: usize,
    /// Its own switch, when one was ever thrown.
    pub switch: Option<Switch>,
}

/// The installation at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Part of every mark.
    pub installation: InstallationId,
    /// Bumped at every restore or clone.
    pub epoch: u32,
    /// Where the store lives.
    pub home: String,
    /// Where it is open now.
    pub opened_at: String,
    /// Why nothing is changed, when nothing is.
    pub frozen: Option<Frozen>,
    /// No deadline fires before.
    pub deadlines_held_until: Option<Timestamp>,
    /// The store's newest commit.
    pub newest: Version,
    /// Configured clouds.
    pub providers: Vec<CloudName>,
    /// Lanes ever used.
    pub lanes: Vec<LaneStatus>,
    /// All switches ever thrown.
    pub switches: Vec<Switch>,
}
