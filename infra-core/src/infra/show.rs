//! Records as people see them.
//!
//! # Flow
//! [`brief`] reads nothing: it shows a reservation with its cached summary, as lists do. [`whole`] reads slots and
//! attempts too, and adds what the machines came to so far.
//!
//! # Guarantees
//! * A change of what is desired shows at once, before the engine has acted on it: a released reservation is
//!   `releasing` in the very answer of its release.
//! * Nothing secret is in a view: a first-boot script shows only as "there is one".
//!
//! # Caveats
//! `cost_so_far` is an upper estimate by list price, from the first send to the end or the last sighting of each
//! machine, time turned off included. It is no bill.

use super::core::Core;
use super::error::InfraError;
use super::views::{ReservationView, ShareView};
use crate::nouns::launch::{Launch, LaunchBody};
use crate::nouns::reservation::{DeadlineKind, Phase, Power, Reservation, Role, UnitView};
use crate::nouns::unit::{Stage, Unit};
use crate::plan::cost::cost;
use crate::records::{Versioned, launch_prefix, unit_prefix};

/// A reservation with what lists show: its cached summary. As its owner sees it; for others, say so.
pub(super) fn brief(core: &Core, record: &Versioned<Reservation>) -> ReservationView {
    let reservation = &record.value;
    let choice = reservation.spec.choices.first();
    let simulated = choice.and_then(|choice| core.connections.simulated(&choice.lane.cloud)).unwrap_or(false);
    let wanted = reservation.desired.present && reservation.desired.count > 0;
    let price =
        choice.filter(|_| wanted).map(|choice| choice.per_hour.times(i64::from(reservation.desired.count)));
    let mut request = reservation.spec.request.clone();
    request.count = Some(reservation.desired.count);
    ReservationView {
        id: reservation.id.clone(),
        user: reservation.owner.clone(),
        role: Role::Owner,
        shares: reservation
            .shares
            .iter()
            .map(|(user, share)| ShareView { user: user.clone(), role: share.role })
            .collect(),
        state: phase(reservation),
        version: record.version,
        simulated,
        request,
        from_profile: reservation.spec.from_profile.clone(),
        template: reservation.spec.template.clone(),
        desired: reservation.desired,
        units: reservation.summary.places.clone(),
        price_per_hour: price,
        cost_so_far: None,
        created_at: reservation.created_at,
        ready_at: reservation.ready_at,
        ends_at: reservation.deadlines.0.get(&DeadlineKind::Ends).copied(),
        over_at: reservation.over_at,
        reason: reservation.summary.reason.clone(),
        hold: reservation.hold.clone(),
        tries: reservation.tries.clone(),
        has_setup: reservation.spec.setup.is_some(),
    }
}

/// The phase, which follows a change of what is desired at once.
fn phase(reservation: &Reservation) -> Phase {
    let standing = reservation.summary.phase;
    let desired = reservation.desired;
    match (desired.present, desired.power, standing) {
        (false, _, Phase::Released | Phase::Failed) if reservation.over_at.is_some() => standing,
        (false, _, _) => Phase::Releasing,
        (true, Power::Off, Phase::Ready | Phase::Starting) => Phase::Stopping,
        (true, Power::On, Phase::Stopped | Phase::Stopping) => Phase::Starting,
        // Grown, and not planned yet: a wait must not take the smaller one for the larger.
        (true, Power::On, Phase::Ready) if reservation.summary.wanted < desired.count => Phase::Creating,
        _ => standing,
    }
}

/// A reservation with all its slots and what it came to.
pub(super) async fn whole(
    core: &Core,
    record: &Versioned<Reservation>,
) -> Result<ReservationView, InfraError> {
    let reservation = &record.value;
    let (units, rows) = read(core, reservation).await?;
    let mut view = brief(core, record);
    view.units = shown(&units, &rows);
    view.cost_so_far = Some(cost(reservation, rows.iter().map(|row| &row.value), core.now()));
    Ok(view)
}

/// A reservation that was accepted just now: there is nothing of it to read.
pub(super) fn fresh(core: &Core, record: &Versioned<Reservation>) -> ReservationView {
    let cost = cost(&record.value, std::iter::empty(), core.now());
    ReservationView { cost_so_far: Some(cost), ..brief(core, record) }
}

/// All slots of a reservation that are not gone.
pub(super) async fn slots(core: &Core, reservation: &Reservation) -> Result<Vec<UnitView>, InfraError> {
    let (units, rows) = read(core, reservation).await?;
    Ok(shown(&units, &rows))
}

/// Slots and attempts.
async fn read(
    core: &Core,
    of: &Reservation,
) -> Result<(Vec<Versioned<Unit>>, Vec<Versioned<Launch>>), InfraError> {
    let (units, rows) = (unit_prefix(&of.id), launch_prefix(&of.id));
    let units = core.repo.list_prefix(&of.tenant, &units, None);
    let rows = core.repo.list_prefix(&of.tenant, &rows, None);
    Ok(futures_util::future::try_join(units, rows).await?)
}

fn shown(units: &[Versioned<Unit>], rows: &[Versioned<Launch>]) -> Vec<UnitView> {
    let there = units.iter().filter(|unit| unit.value.stage != Stage::Gone);
    there.map(|unit| slot(&unit.value, rows)).collect()
}

/// One slot with the machine that fills it, by the attempt it is filled by.
fn slot(unit: &Unit, rows: &[Versioned<Launch>]) -> UnitView {
    let row = rows.iter().map(|row| &row.value).find(|row| Some(row.token) == unit.current);
    let thing = row.and_then(|row| row.things.iter().rfind(|thing| thing.unit == Some(unit.no)));
    let type_name = row.and_then(|row| match &row.frozen.body {
        LaunchBody::Machine(body) => Some(body.type_name.to_string()),
        _ => None,
    });
    let zone =
        thing.and_then(|thing| thing.zone.clone()).or_else(|| row.and_then(|row| row.frozen.zone.clone()));
    UnitView {
        slot: unit.no,
        state: unit.stage,
        provider: row.map(|row| row.lane.cloud.to_string()),
        account: row.map(|row| row.lane.account.to_string()),
        region: row.map(|row| row.lane.region.to_string()),
        zone: zone.map(String::from),
        type_: type_name,
        provider_id: thing.map(|thing| thing.id.to_string()),
        public_address: thing.and_then(|thing| thing.public_address.clone()),
        private_address: thing.and_then(|thing| thing.private_address.clone()),
    }
}
