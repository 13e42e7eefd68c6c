//! What the handle takes and answers. No secret is in any of it but where the type says `Secret`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contracts::pricing::{Excluded, Quote, RuleCost};
use crate::nouns::account::{Preferences, TokenRole};
use crate::nouns::credential::CredentialStatus;
use crate::nouns::installation::{Dropping, Frozen};
use crate::nouns::offering::Catalogue;
use crate::nouns::overlay::Overlay;
use crate::nouns::overrides::Overrides;
use crate::nouns::request::Request;
use crate::nouns::reservation::{Desired, Hold, Phase, Role, Try, UnitView};
use crate::nouns::switch::Switch;
use crate::nouns::template::TemplateRef;
use crate::words::clock::Timestamp;
use crate::words::ids::{
    AccountId, CloudName, CredentialId, InstallationId, LaunchToken, ReservationId, TemplateName, TenantId,
    UserId,
};
use crate::words::lane::{Lane, Version};
use crate::words::money::Money;
use crate::words::secret::Secret;

use super::error::{FieldError, InfraError};
use super::overlay_effect::OverlayEffect;

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

/// A reservation as its owner sees it, or a team mate whom it is shared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationView {
    /// Its id.
    pub id: ReservationId,
    /// Its owner.
    pub user: UserId,
    /// What whoever looks may do with it.
    pub role: Role,
    /// Whom its owner shares it with.
    pub shares: Vec<ShareView>,
    /// The wire word. Follows a change of what is desired at once, before the engine has acted on it.
    pub state: Phase,
    /// Number of the commit that wrote it last: pass it as `if_match`. The engine's own writes move it, too.
    pub version: Version,
    /// Nothing of it costs real money. `false` while the cloud is not connected and nobody knows.
    pub simulated: bool,
    /// What is in force now: as asked, without `setup`; an extension has put `ends_at` in `duration_s`' place.
    pub request: Request,
    /// Fields of the request that its owner did not say: they come from the owner's profile.
    pub from_profile: Vec<String>,
    /// The template it was made from, if any.
    pub template: Option<TemplateRef>,
    /// What is wanted now.
    pub desired: Desired,
    /// Its slots. `get` shows all, lists at most 20.
    pub units: Vec<UnitView>,
    /// All wanted machines for one hour; `None` when nothing is wanted any more.
    pub price_per_hour: Option<Money>,
    /// What its machines came to so far, by list price less the team's discounts and by the cloud's billing rule, time
    /// turned off at what that costs: no bill. `None` in lists.
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

impl ReservationView {
    /// As somebody of this role sees it.
    pub(super) fn seen_as(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// Whom a reservation is shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareView {
    /// Which team mate.
    pub user: UserId,
    /// What that one may do: `viewer` or `user`.
    pub role: Role,
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
    /// Only those with all of these tags, each `name:value`, or `name` for whatever value. A name or value may have
    /// `:` in it.
    pub tags: Vec<String>,
    /// Those that team mates share with the user, instead of the user's own.
    pub shared: bool,
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
    /// Prices that were asked live before this are old ([`crate::nouns::offering::Price::is_stale`]).
    pub old_before: Timestamp,
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
    /// When the token ends: what it issues must not outlive it.
    pub expires_at: Option<Timestamp>,
    /// The user as it was read to know.
    pub(super) seen: Option<crate::records::Versioned<crate::nouns::account::User>>,
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
    /// Marked things without a row that stand here now; at most a hundred.
    pub droppings: Vec<Dropping>,
    /// How many of them there are.
    pub droppings_count: u32,
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

/// Whom a reservation is shared with, and at which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// By name.
    pub items: Vec<ShareView>,
    /// Of the reservation: pass it as `if_match`.
    pub version: Version,
}

/// What a team pays less than the lists say.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlaysView {
    /// All of them; none when they were never set.
    pub overlays: Vec<Overlay>,
    /// What each of them lowers now, in the same order.
    pub effects: Vec<OverlayEffect>,
    /// Pass it as `if_match`; 0 when they were never set.
    pub version: Version,
    /// When they were set.
    pub changed_at: Option<Timestamp>,
}

/// Quotes, and what every rule of the request costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explained {
    /// As [`super::UserHandle::quote`] answers them.
    pub quotes: Vec<Quote>,
    /// Names of the request's fields that the user's profile added: they restrict the quotes as if they had been said.
    pub from_profile: Vec<String>,
    /// Every rule of the request, the dearest first.
    pub rules: Vec<RuleCost>,
    /// Offers that are not asked for now, because they were refused a moment ago, and until when.
    pub skipped: Vec<(Excluded, Timestamp)>,
}

/// How a list of quotes is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteOptions {
    /// Quotes at most, the best ones; one at least is answered.
    pub limit: usize,
    /// Also what each rule costs and what is skipped: one more ranking for each rule.
    pub explain: bool,
}

impl Default for QuoteOptions {
    /// Twenty, without explanation: as many as a person reads.
    fn default() -> Self {
        Self { limit: 20, explain: false }
    }
}

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileView {
    /// What it says; nothing when it was never set.
    pub preferences: Preferences,
    /// Pass it as `if_match`; 0 when it was never set.
    pub version: Version,
    /// When it was set.
    pub changed_at: Option<Timestamp>,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamView {
    /// Its name, which is the tenant that brakes name.
    pub id: TenantId,
    /// Who is in it, by name.
    pub members: Vec<UserId>,
    /// Since when; `None` for one that only its users name.
    pub created_at: Option<Timestamp>,
    /// Pass it as `if_match`; 0 for one that only its users name.
    pub version: Version,
}

/// A template to save.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewTemplate {
    /// Under which name; 1..=64 of `a-z A-Z 0-9 . _ -`. Saved under it before: the next version.
    pub name: TemplateName,
    /// From what.
    pub from: TemplateFrom,
}

/// What a template is made from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TemplateFrom {
    /// A request, as it could be asked. It may ask for what is not offered yet.
    Request(Box<Request>),
    /// One of the user's own reservations, over or not: what it asked for, without what came from the profile.
    Reservation(ReservationId),
}

/// A version of a template, without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateView {
    /// Which.
    pub of: TemplateRef,
    /// The newest version of the same name.
    pub newest: u32,
    /// How many versions there are.
    pub versions: u32,
    /// What it asks for, without `setup` and the text of its files.
    pub request: Request,
    /// Whether a first-boot script belongs to it; the script itself is never shown.
    pub has_setup: bool,
    /// The reservation it was made from, if any. Shown to its owner alone.
    pub from: Option<ReservationId>,
    /// Saved at.
    pub created_at: Timestamp,
    /// Of the name with all its versions: pass it as `if_match`.
    pub version: Version,
}

/// The answer to a save.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedTemplate {
    /// The version.
    pub view: TemplateView,
    /// It stood already: the idempotency key was answered again.
    pub replayed: bool,
}

/// Where a page of templates begins: after this name of this owner.
pub type TemplatesAfter = (UserId, TemplateName);

/// A page of templates, each with its newest version, by owner and name.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplatePage {
    /// What is on it.
    pub items: Vec<TemplateView>,
    /// Pass as `after` for the next page; `None` on the last.
    pub next: Option<TemplatesAfter>,
}

/// A template to ask again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relaunch {
    /// Whose; the caller's own when `None`. A team mate's never answers to a bare name.
    pub owner: Option<UserId>,
    /// Which.
    pub name: TemplateName,
    /// Which version; the newest when `None`.
    pub version: Option<u32>,
    /// What is different this time.
    pub overrides: Overrides,
}
