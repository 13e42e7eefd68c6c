//! Freezes an attempt: everything is resolved here, once, and never again.
//!
//! # Flow
//! The planner picks choice, slots and satellites; here they become a row in state Planned. The commit that writes the
//! row down puts the installation into its mark, the commit of its first send the number. After that nothing of it
//! moves.
//!
//! # Guarantees
//! * What is frozen is all that a send needs: image id, zone, disk, keys, satellites by id, tags. A replay
//!   after a week is the same bytes.
//! * The zone stands in it for machines of a cloud that has zones: the scope of its idempotency token depends
//!   on that.
//! * The name is drawn from the token, so nothing else has it.
//! * The first-boot script stays sealed. It is opened for the call alone.
//!
//! # Caveats
//! The mark's number is 0 until the first send is written down, because no commit knows its own number
//! beforehand.

use std::ops::Range;

use crate::nouns::launch::{
    FirewallBody, FrozenLaunch, Launch, LaunchBody, LaunchPrice, LaunchState, MachineBody, Origin, Want,
};
use crate::nouns::offering::Billing;
use crate::nouns::options::MachineOptions;
use crate::nouns::request::{Market, Request};
use crate::nouns::reservation::{Choice, Reservation};
use crate::words::clock::Timestamp;
use crate::words::ids::{CredentialId, InstallationId, LaunchToken, ReservationId, ResourceId, TenantId};
use crate::words::lane::{Lane, Mark, ResourceKind, Version};
use crate::words::money::Money;

/// What machines of one choice are made with.
#[derive(Debug, Clone, Default)]
pub(super) struct Satellites {
    pub(super) firewall: Option<ResourceId>,
    pub(super) key_pair: Option<String>,
}

/// An attempt at machines for a run of slots.
///
/// One row, one token and one request for the whole run: so many of one kind. The text of files is not in the options,
/// because it stands beside them, sealed.
pub(super) fn machines(
    reservation: &Reservation,
    choice: &Choice,
    slots: Range<u32>,
    satellites: &Satellites,
    token: LaunchToken,
    now: Timestamp,
) -> Launch {
    let request = &reservation.spec.request;
    let body = LaunchBody::Machine(MachineBody {
        type_name: choice.offering.type_name.clone(),
        image: choice.image.clone(),
        disk_gib: choice.disk_gib,
        market: choice.offering.market,
        user_data: reservation.spec.setup.clone(),
        ssh_public_keys: reservation.ssh_public_keys(),
        firewall: satellites.firewall.clone(),
        key_pair: satellites.key_pair.clone(),
        private_only: request.private_only,
        options: MachineOptions { files: [].into(), ..request.options.clone() },
        files: reservation.spec.files.clone(),
        spot_max: spot_max(request, choice),
    });
    let count = u16::try_from(slots.len()).unwrap_or(u16::MAX);
    let wants = slots.clone().map(|no| (no, Want::On)).collect();
    let price = Some(price(choice));
    Launch { units: slots, wants, price, ..row(reservation, choice, body, count, token, now) }
}

/// The most that EC2 and its like may take for a spot machine, of which the price moves while it runs.
///
/// `None` on demand, and where its owner set no cap: the cloud's own most is in force then. With one it is today's list
/// price and what the whole, with disk and address, lies below the cap. Never below today's price: what was chosen fits.
///
/// What a spot machine alone may cost an hour by the cloud's list: what it does now, and what is left under the cap. What
/// the team pays rises no faster than the list.
fn spot_max(request: &Request, choice: &Choice) -> Option<Money> {
    let cap = request.price_cap().filter(|_| choice.offering.market == Market::Spot)?;
    let left = cap.nanos.saturating_sub(choice.per_hour.nanos);
    Some(choice.offering.price.per_hour()?.plus(Money::usd_nanos(left.max(0))))
}

/// What a machine of this choice costs: frozen with it, since choices are ranked anew and prices move.
fn price(choice: &Choice) -> LaunchPrice {
    let per_hour = choice.per_hour;
    let (off_per_hour, billing) =
        choice.tariff.map_or((per_hour, Billing::default()), |tariff| (tariff.off_per_hour, tariff.billing));
    LaunchPrice { per_hour, off_per_hour, billing }
}

/// An attempt at a satellite; `None` for kinds that are none.
///
/// It fills no slot: its one wish stands under 0. It has no zone, whatever the choice says, because machines of all
/// zones of the lane share it. `None` also for a key pair where there is no public key.
pub(super) fn satellite(
    reservation: &Reservation,
    choice: &Choice,
    kind: ResourceKind,
    token: LaunchToken,
    now: Timestamp,
) -> Option<Launch> {
    let request = &reservation.spec.request;
    let body = match kind {
        ResourceKind::Firewall => {
            let network = request.options.network.clone();
            LaunchBody::Firewall(FirewallBody { allow_from: request.allow_from.clone(), network })
        }
        ResourceKind::KeyPair => {
            LaunchBody::KeyPair { public_key: reservation.ssh_public_keys().into_iter().next()? }
        }
        _ => return None,
    };
    let wants = [(0, Want::On)].into();
    let zoneless = Choice { zone: None, ..choice.clone() };
    Some(Launch { wants, ..row(reservation, &zoneless, body, 1, token, now) })
}

/// An attempt at a copy of a machine's disk, in the machine's lane and with its key.
///
/// Its mark is of the machine's installation, and its name is its mark: where a cloud names a copy only later it is
/// found by that.
pub(super) fn snapshot(machine: &Launch, of: &ResourceId, token: LaunchToken, now: Timestamp) -> Launch {
    let body = LaunchBody::Snapshot { of: of.clone() };
    let mark = Mark { token, kind: body.kind(), seq: Version(0), ..machine.frozen.mark };
    let frozen = FrozenLaunch {
        token,
        mark,
        name: mark.to_name(),
        count: 1,
        zone: None,
        labels: machine.frozen.labels.clone(),
        body,
    };
    Launch {
        wants: [(0, Want::On)].into(),
        request_id: machine.request_id.clone(),
        ..planned(&machine.tenant, &machine.reservation, &machine.lane, &machine.credential, frozen, now)
    }
}

/// A row in state Planned, with what every attempt has.
fn row(
    reservation: &Reservation,
    choice: &Choice,
    body: LaunchBody,
    count: u16,
    token: LaunchToken,
    now: Timestamp,
) -> Launch {
    // Installation and commit number are filled in by the commit that writes the row down and by the one that
    // writes its first send: both know more than this function may.
    let unwritten = InstallationId(uuid::Uuid::nil());
    let mark = Mark { installation: unwritten, token, kind: body.kind(), seq: Version(0) };
    let frozen = FrozenLaunch {
        token,
        mark,
        name: format!("infra-{token}"),
        count,
        zone: choice.zone.clone(),
        labels: reservation.spec.request.tags.clone(),
        body,
    };
    let row = planned(&reservation.tenant, &reservation.id, &choice.lane, &choice.credential, frozen, now);
    Launch { request_id: reservation.request_id.clone(), ..row }
}

/// A row that nothing has happened to.
///
/// Every attempt begins here, so that a new field of a row has one place to begin with.
fn planned(
    tenant: &TenantId,
    reservation: &ReservationId,
    lane: &Lane,
    credential: &CredentialId,
    frozen: FrozenLaunch,
    now: Timestamp,
) -> Launch {
    Launch {
        token: frozen.token,
        tenant: tenant.clone(),
        reservation: reservation.clone(),
        lane: lane.clone(),
        credential: credential.clone(),
        origin: Origin::Created,
        units: 0..0,
        wants: [].into(),
        cause: None,
        frozen,
        sends: Vec::new(),
        state: LaunchState::Planned,
        things: Vec::new(),
        unseen: None,
        superseded: false,
        short: false,
        ambiguous: false,
        retry: None,
        created_at: now,
        keep_until: None,
        request_id: None,
        told: [].into(),
        price: None,
    }
}
