//! What people hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::budget::{Charge, Month};
use super::launch::EndCause;
use super::offering::{Billing, Offering};
use super::request::{Market, Request};
use super::template::TemplateRef;
use crate::words::clock::Timestamp;
use crate::words::ids::{CredentialId, ImageId, PoolId, RequestId, ReservationId, TenantId, UserId, Zone};
use crate::words::lane::Lane;
use crate::words::money::Money;
use crate::words::secret::Sealed;

/// Where its capacity comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Made in a cloud.
    Cloud,
    /// Granted from a pool of devices.
    Pool(PoolId),
    /// Existed before us.
    Adopted,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// Running.
    #[default]
    On,
    /// Off, kept.
    Off,
}

/// The only thing front doors change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// How many units.
    pub count: u32,
    /// On or off.
    pub power: Power,
    /// `false` ends everything, for good: a release always wins.
    pub present: bool,
    /// Bumped by every change; the engine's "has anybody changed their mind" in one number.
    pub change: u64,
}

/// What to do when a machine vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Heal {
    /// Say so; never buy again by ourselves.
    #[default]
    Report,
    /// Buy another.
    Replace,
}

/// An order between reservations: this one waits until that one is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Which must be ready first.
    pub on: ReservationId,
    /// What it gates.
    pub gates: NeedGate,
}

/// What a need gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedGate {
    /// No launch before.
    Launching,
    /// No set-up before.
    SettingUp,
}

/// What a deadline does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    /// The reservation ends.
    Ends,
    /// The lease runs out unless renewed.
    Lease,
    /// Nothing extends it beyond.
    MaxLife,
    /// Somebody is told.
    Notice,
    /// Idleness is checked.
    IdleCheck,
    /// Something is tried again.
    Retry,
}

/// Moments at which something is due. The earliest is the record's index value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Deadlines(pub BTreeMap<DeadlineKind, Timestamp>);

impl Deadlines {
    /// The earliest.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.0.values().min().copied()
    }
}

/// Nothing is done for it until a person or the engine lifts the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Hold {
    /// Which brake.
    pub why: HoldReason,
    /// Said to the user.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

/// Which brake holds a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HoldReason {
    /// Too many creates for what is wanted.
    Runaway,
    /// Too many builds failed in a row.
    BuildsFailing,
    /// Too many deadlines of one tenant at once.
    MassDeadline,
    /// A person paused it.
    Paused,
    /// More candidates than births: which are ours?
    Ambiguous,
    /// A budget is passed: what runs goes on, and nothing is made until it is not any more.
    OverBudget,
}

/// One way to get what was asked: an offer in a lane, with everything resolved that a launch needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Where.
    pub lane: Lane,
    /// With which key.
    pub credential: CredentialId,
    /// What.
    pub offering: Offering,
    /// In which zone; `None` when the cloud has none.
    pub zone: Option<Zone>,
    /// From which image.
    pub image: ImageId,
    /// Disk to buy, GiB; 0 for the type's own.
    pub disk_gib: u32,
    /// One machine for one hour, disk included.
    pub per_hour: Money,
    /// How its time is paid; `None` in records that are older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Tariff>,
}

/// How the time of a machine is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// The cloud's rule.
    pub billing: Billing,
    /// One machine for one hour while it is off: its disk, where a machine that is off costs no more than that, else
    /// all of it.
    pub off_per_hour: Money,
}

impl Choice {
    /// As people read it: `cloud:region/zone type`, and `spot` after it for what is bought so.
    #[must_use]
    pub fn offer(&self) -> String {
        let zone = self.zone.as_ref().map_or_else(String::new, |zone| format!("/{zone}"));
        let market = if self.offering.market == Market::Spot { " spot" } else { "" };
        format!("{}:{}{zone} {}{market}", self.lane.cloud, self.lane.region, self.offering.type_name)
    }
}

/// What one attempt came to: shown to the user, so that a failure explains itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Try {
    /// When it ended.
    pub at: Timestamp,
    /// Which offer, as `cloud:region/zone type`.
    pub offer: String,
    /// What was said.
    pub said: String,
}

/// What somebody may do with a reservation, the least first.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks; stops, starts and extends.
    User,
    /// Everything. Nobody is given this: it is transferred.
    Owner,
}

/// What an owner gave to a team mate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What the team mate may do: never `Owner`.
    pub role: Role,
    /// The membership it was given to ([`super::account::User::member_since`]): whoever leaves the team loses it.
    pub since: Timestamp,
}

/// What was asked, and what it was resolved to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The request, without its `setup` and the text of its files.
    pub request: Request,
    /// The first-boot script, sealed for `reservation/<id>/setup`.
    pub setup: Option<Sealed>,
    /// Files for the first boot as a JSON object of path and text, sealed for `reservation/<id>/files`.
    #[serde(default)]
    pub files: Option<Sealed>,
    /// The key pair that was made for it, because the request named no public key.
    #[serde(default)]
    pub login: Option<Login>,
    /// Fields of the request that its owner did not say, and that come from the owner's profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_profile: Vec<String>,
    /// The template it was made from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateRef>,
    /// Cheapest first; the units walk down on capacity errors.
    pub choices: Vec<Choice>,
}

/// A key pair made for one reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The public half, as one line of OpenSSH.
    pub public_key: String,
    /// The private half in OpenSSH's format, sealed for `reservation/<id>/login`.
    pub private_key: Sealed,
}

/// The state words of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Accepted, nothing begun.
    Pending,
    /// Capacity is being made.
    Creating,
    /// Everything wanted is usable.
    Ready,
    /// Being turned off.
    Stopping,
    /// Off.
    Stopped,
    /// Being turned on.
    Starting,
    /// Being ended.
    Releasing,
    /// Ended; nothing of it is left in any cloud.
    Released,
    /// Could not be had, and nothing of it is left in any cloud.
    Failed,
}

/// Derived from desired and the units; cached for lists, never decided upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The wire word.
    pub phase: Phase,
    /// How many units were wanted when this was derived: who wants more now is not ready yet.
    #[serde(default)]
    pub wanted: u32,
    /// Units that exist or may exist.
    pub have: u32,
    /// Units that are usable.
    pub ready: u32,
    /// Why it is not further, in words for the user.
    pub reason: Option<String>,
    /// Where its machines are: lists show them without reading every unit. At most 20.
    pub places: Vec<UnitView>,
}

/// One unit as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct UnitView {
    /// Which slot.
    pub slot: u32,
    /// Its stage.
    pub state: super::unit::Stage,
    /// The cloud.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub provider: Option<String>,
    /// The cloud's account.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub account: Option<String>,
    /// The region.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub region: Option<String>,
    /// The zone.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub zone: Option<String>,
    /// The type.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub type_: Option<String>,
    /// The cloud's id.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub provider_id: Option<String>,
    /// From outside.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub public_address: Option<String>,
    /// From inside.
    #[cfg_attr(feature = "utoipa", schema(required = true))]
    pub private_address: Option<String>,
}

/// A durable record with an owner, a desired state and a way to die. Nothing else holds capacity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Whose key; never changes.
    pub tenant: TenantId,
    /// Who may use it; transferable.
    pub owner: UserId,
    /// Who else may look at it or use it, of the same team.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<UserId, Share>,
    /// Where its capacity comes from.
    pub source: Source,
    /// What was asked and chosen.
    pub spec: Spec,
    /// What is wanted now.
    pub desired: Desired,
    /// What to do when a machine vanishes.
    pub heal: Heal,
    /// The reservation it is part of.
    pub parent: Option<ReservationId>,
    /// What must be ready first.
    pub needs: Vec<Need>,
    /// The next slot number; slots are never reused.
    pub next_unit: u32,
    /// When something is due.
    pub deadlines: Deadlines,
    /// A brake that holds it.
    pub hold: Option<Hold>,
    /// Why it ends, once it does.
    pub end_cause: Option<EndCause>,
    /// Why it failed: set before compensation starts, shown when it is over.
    pub failure: Option<String>,
    /// Create calls planned lately: the runaway brake's memory.
    pub recent_creates: Vec<(Timestamp, u32)>,
    /// What was tried, newest last; at most 50.
    pub tries: Vec<Try>,
    /// Cached for lists.
    pub summary: Summary,
    /// Asked at.
    pub created_at: Timestamp,
    /// First time everything wanted was usable.
    pub ready_at: Option<Timestamp>,
    /// Nothing of it was left at.
    pub over_at: Option<Timestamp>,
    /// Idempotency records that die with it.
    pub idempotency: Vec<String>,
    /// Machines counted against the owner's limit by this reservation.
    pub counted: u32,
    /// The request by which it was changed last; what follows from that change bears it, down to the clouds' calls.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// Since when it is not as desired; `None` while it is.
    #[serde(default)]
    pub diverged_at: Option<Timestamp>,
    /// What its machines came to, by list price, once it is over: the rows that say so are forgotten earlier.
    #[serde(default)]
    pub cost: Option<Money>,
    /// What it counts for against budgets; `None` in records that are older than budgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// What its machines came to in each calendar month of UTC, once it is over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub months: BTreeMap<Month, Money>,
}

impl Reservation {
    /// The public keys that may log in: those of the request, or the one that was made for it.
    #[must_use]
    pub fn ssh_public_keys(&self) -> Vec<String> {
        let asked = &self.spec.request.ssh_public_keys;
        if asked.is_empty() {
            return self.spec.login.iter().map(|login| login.public_key.clone()).collect();
        }
        asked.clone()
    }
}
