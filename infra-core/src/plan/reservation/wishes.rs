//! How many slots are wanted, which of them, and in what power; then copied onto the attempts.
//!
//! # Flow
//! First `assign`: how many, which, in what power. Last `spread`, when the plan's new attempts are there as well: what
//! a slot wants becomes what its attempts are to do, and everything else of theirs is to go.
//!
//! # Guarantees
//! * A slot that was given up is never wanted again, and its number never used again.
//! * What is worth least goes first: what is lost or failed, then what waits, then what builds, and what is
//!   ready last.
//! * A lost machine keeps its place while it is wanted: otherwise losing it would quietly buy another.
//! * `Want::Gone` on an attempt never goes back. A lane may act upon it however old its picture is.
//!
//! # Caveats
//! Protected slots are skipped by shrinking, not by a release: that ends everything.

use super::{Draft, Picture};
use crate::nouns::launch::{EndCause, Launch, Want};
use crate::nouns::reservation::Power;
use crate::nouns::unit::{Stage, Unit};
use crate::words::ids::Role;
use crate::words::lane::ResourceKind;

/// New slots per plan: a commit takes 24 changes, the rest comes with the next plan.
const SLOTS_PER_PLAN: u32 = 16;

/// Sets every slot's want; makes slots that are missing, gives up those that are too many.
///
/// What is not present any more gives up all of them, protected ones too. More than `SLOTS_PER_PLAN` come in several
/// plans, and each of them leaves slots that stand by themselves.
pub(super) fn assign(draft: &mut Draft, picture: &Picture<'_>) {
    let desired = draft.reservation.desired;
    if !desired.present {
        draft.units.values_mut().for_each(|unit| unit.want = Want::Gone);
        return;
    }
    let held: Vec<u32> = draft.units.values().filter(|unit| occupies(unit)).map(|unit| unit.no).collect();
    let have = u32::try_from(held.len()).unwrap_or(u32::MAX);
    if have > desired.count {
        shrink(draft, picture, have - desired.count);
    } else {
        grow(draft, (desired.count - have).min(SLOTS_PER_PLAN));
    }
    let power = if desired.power == Power::On { Want::On } else { Want::Off };
    for unit in draft.units.values_mut().filter(|unit| unit.want != Want::Gone) {
        unit.want = power;
    }
}

/// A slot that is wanted holds its place, also while lost: it is not silently bought again.
const fn occupies(unit: &Unit) -> bool {
    !matches!(unit.want, Want::Gone) && !matches!(unit.stage, Stage::Gone)
}

/// Gives up as many slots as are too many.
///
/// When the rest is protected it gives up fewer, and the next plan tries again.
fn shrink(draft: &mut Draft, picture: &Picture<'_>, by: u32) {
    let mut order: Vec<(u8, u32)> = draft
        .units
        .values()
        .filter(|unit| occupies(unit) && unit.protect_until.is_none_or(|until| until <= picture.now))
        .map(|unit| (worth(unit.stage), unit.no))
        .collect();
    order.sort_unstable();
    for (_, no) in order.into_iter().take(by as usize) {
        if let Some(unit) = draft.units.get_mut(&no) {
            unit.want = Want::Gone;
        }
    }
}

/// What is worth least goes first; among equals the oldest slot.
const fn worth(stage: Stage) -> u8 {
    match stage {
        Stage::Lost | Stage::Failed | Stage::Gone => 0,
        Stage::Waiting => 1,
        Stage::Ending => 2,
        Stage::Launching => 3,
        Stage::Booting | Stage::SettingUp | Stage::Probing => 4,
        Stage::Draining | Stage::Stopping | Stage::Off => 5,
        Stage::Ready => 6,
    }
}

/// Makes slots that are missing. Numbers begin after the highest that was ever used.
///
/// The highest stands in the reservation itself, so a number stays used when its slot is long forgotten.
fn grow(draft: &mut Draft, by: u32) {
    let reservation = &mut draft.reservation;
    let highest = draft.units.keys().next_back().map_or(0, |no| no + 1);
    let first = reservation.next_unit.max(highest);
    for no in first..first.saturating_add(by) {
        let unit = Unit {
            tenant: reservation.tenant.clone(),
            reservation: reservation.id.clone(),
            no,
            role: Role::new("machine").expect("a literal within the rules"),
            want: Want::On,
            stage: Stage::Waiting,
            current: None,
            incarnation: 0,
            kept: Vec::new(),
            snapshot: None,
            protect_until: None,
            offer: 0,
            passed: None,
            failed: 0,
            retry_at: None,
            reason: None,
        };
        draft.units.insert(no, unit);
    }
    reservation.next_unit = reservation.next_unit.max(first.saturating_add(by));
}

/// Copies the wishes onto the attempts: lanes read nothing else.
///
/// Rows without slots are passed by: satellites go below, snapshots where slots are parked. The request that changed a
/// wish is noted on the row, for the log of what follows; the first cause of an end stays.
pub(super) fn spread(draft: &mut Draft) {
    let asked = draft.reservation.end_cause.unwrap_or(EndCause::Asked);
    let (units, request_id) = (&draft.units, &draft.reservation.request_id);
    for row in draft.launches.values_mut().chain(draft.new_launches.iter_mut()).filter(|row| !row.closed()) {
        let token = row.token;
        let (mut ends, before) = (false, row.wants.clone());
        for (no, want) in &mut row.wants {
            let Some(unit) = units.get(no).filter(|_| !row.units.is_empty()) else { continue };
            let wish = if unit.current == Some(token) { unit.want } else { Want::Gone };
            if *want != Want::Gone && *want != wish {
                *want = wish;
                ends |= wish == Want::Gone;
            }
        }
        if ends {
            row.cause.get_or_insert(asked);
        }
        if row.wants != before {
            row.request_id.clone_from(request_id);
        }
    }
    end_satellites(draft, asked);
}

/// Satellites go when everything they serve is over: a firewall in use cannot be ended anyway.
///
/// Lane by lane: those of a lane whose machines are over go, though another lane still has some.
fn end_satellites(draft: &mut Draft, cause: EndCause) {
    if draft.reservation.desired.present {
        return;
    }
    let serving = |row: &Launch| row.kind() == ResourceKind::Machine && !row.closed();
    let busy: Vec<_> = draft.launches.values().filter(|row| serving(row)).map(|row| row.lane.id()).collect();
    let request_id = &draft.reservation.request_id;
    let satellites = draft.launches.values_mut().filter(|row| row.units.is_empty() && !row.closed());
    for row in satellites.filter(|row| !busy.contains(&row.lane.id())) {
        if row.wants.insert(0, Want::Gone) != Some(Want::Gone) {
            row.cause.get_or_insert(cause);
            row.request_id.clone_from(request_id);
        }
    }
}
