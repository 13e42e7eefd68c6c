//! What a lane does next for one attempt: pure, and so specific that no choice is left when it is done.
//!
//! # Flow
//! Planned: send it, or cancel it when nobody wants it or it has grown old. Sent: nothing, somebody has it in
//! hand. Unknown: look it up; when that found nothing, replay it where that is legal, or close it where its
//! absence is proven. Live and Ending: end or power what is not as wished, look at what is on its way, close
//! when all of it is over. Closed: nothing.
//!
//! # Guarantees
//! * Same row and same context, same steps, and a step taken twice does no more than once.
//! * A send under Unknown needs a token, a window, a wish, and a look since the last send.
//! * A close needs a proof, and says which.
//! * A thing whose mark is lost gets neither an order to end nor one of power.
//!
//! # Caveats
//! Steps say what would be right, not what is allowed: switches, brakes and guards are asked by whoever takes
//! them.

use std::time::Duration;

use super::absence;
use crate::contracts::provider::{KindFacts, TokenScope};
use crate::nouns::cloud::{PowerMode, ThingState};
use crate::nouns::launch::{Absence, Closed, Launch, LaunchState, SendRecord, Thing, Want};
use crate::words::clock::{Timestamp, between, later};
use crate::words::fault::{Effect, FaultKind};
use crate::words::ids::{BootId, ResourceId};
use crate::words::lane::Version;
use crate::words::limits::Limits;
use crate::words::planted::{Bug, Planted};

/// What a resolution depends on.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Now.
    pub now: Timestamp,
    /// The limits in force.
    pub limits: &'a Limits,
    /// What is true of the attempt's kind here.
    pub facts: &'a KindFacts,
    /// How this cloud turns things off.
    pub off_mode: PowerMode,
    /// A defect on purpose, if any.
    pub planted: Planted,
}

/// One step for one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Close the row, with this proof.
    Close(Closed),
    /// Send its stored body.
    Send,
    /// Ask what its token made.
    LookUp,
    /// Some of what it should have made was proven never born.
    MarkShort,
    /// Look at one thing by id.
    Look(ResourceId),
    /// Order one thing to end.
    End(ResourceId),
    /// Order one thing on or off.
    Power(ResourceId, PowerMode),
    /// Write its mark again: its owner confirmed it.
    Remark(ResourceId),
}

/// All steps for one attempt now; empty when it rests or waits.
#[must_use]
pub fn steps(row: &Launch, context: &Context<'_>) -> Vec<Step> {
    match &row.state {
        LaunchState::Planned => planned(row, context).into_iter().collect(),
        // A send that this process has in hand is not resolved; one that was interrupted becomes Unknown first.
        LaunchState::Sent | LaunchState::Closed(_) => Vec::new(),
        LaunchState::Unknown => unknown(row, context).into_iter().collect(),
        LaunchState::Live | LaunchState::Ending => living(row, context),
    }
}

/// Written down and perhaps refused before: sent when due, closed when unwanted or stale. Stale means never
/// sent: prices and wishes have moved, and a new plan costs nothing.
fn planned(row: &Launch, context: &Context<'_>) -> Option<Step> {
    let never_sent = row.sends.is_empty();
    if !row.wanted() {
        let absence = if never_sent { Absence::NeverSent } else { Absence::Refused };
        return Some(Step::Close(Closed::NeverBorn(absence)));
    }
    let old = between(row.created_at, context.now) > context.limits.plan_stale_after;
    if never_sent && old {
        return Some(Step::Close(Closed::NeverBorn(Absence::NeverSent)));
    }
    is_due(row, context.now).then_some(Step::Send)
}

/// An unknown attempt is looked up; when nothing is found it is sent again, closed by proof, or waits.
fn unknown(row: &Launch, context: &Context<'_>) -> Option<Step> {
    if let Some(step) = unborn(row, context) {
        return Some(step);
    }
    if !is_due(row, context.now) {
        return None;
    }
    // Looked up since the last send and not found: now a replay may tell.
    let looked = row.unseen.is_some();
    Some(if looked && may_resend(row, context) { Step::Send } else { Step::LookUp })
}

/// A replay is legal only with a token, inside the window in which the cloud surely knows it, while wanted,
/// and never once the cloud has said that the token had another body.
#[must_use]
pub fn may_resend(row: &Launch, context: &Context<'_>) -> bool {
    let planted = context.planted;
    let token = matches!(context.facts.token, TokenScope::Token { .. }) || planted.is(Bug::C8TokenlessResend);
    let in_window =
        row.first_sent().is_none_or(|sent| between(sent, context.now) < context.limits.resend_within)
            || planted.is(Bug::C7OldLaunchResumed);
    let wanted = row.wanted() || planted.is(Bug::C16ResentUnderRelease);
    let mismatch = row.retry.as_ref().is_some_and(|retry| retry.kind == FaultKind::TokenMismatch);
    token && in_window && wanted && !mismatch
}

/// Closes an unknown attempt once it is proven that it made nothing, and nobody will send it again.
fn unborn(row: &Launch, context: &Context<'_>) -> Option<Step> {
    if may_resend(row, context) && row.wanted() {
        return None;
    }
    // Without a token the slot is held, so a wanted attempt is watched until its slot is given away.
    let tokenless = context.facts.token == TokenScope::None;
    if tokenless && row.wanted() {
        return None;
    }
    // Under release a last send may still sit in a queue: wait twice as long.
    let patience = if row.wanted() { 1 } else { 2 };
    let proof =
        absence::proof(row.unseen.as_ref(), context.facts.visible_within * patience, context.planted)?;
    Some(Step::Close(Closed::NeverBorn(proof)))
}

/// Everything about the things it has made. While it has made fewer than asked the rest is looked up, and
/// given up once proven never born.
fn living(row: &Launch, context: &Context<'_>) -> Vec<Step> {
    let whole = row.things.len() >= usize::from(row.frozen.count) || row.short;
    let mut steps: Vec<Step> = row.alive().flat_map(|thing| living_thing(row, thing, context)).collect();
    if !whole {
        let proof = absence::proof(row.unseen.as_ref(), context.facts.visible_within, context.planted);
        steps.push(if proof.is_some() { Step::MarkShort } else { Step::LookUp });
    } else if row.alive().next().is_none() {
        let end = row.things.iter().rev().find_map(|thing| thing.end.clone());
        steps.push(Step::Close(Closed::Gone(end.unwrap_or(Absence::EndSeen))));
    }
    steps
}

/// One thing: the order it needs, if any, and a look whenever it is not settled. The look comes first,
/// because an order needs a fresh proof.
fn living_thing(row: &Launch, thing: &Thing, context: &Context<'_>) -> Vec<Step> {
    let want = row.want_of(thing);
    let id = || thing.id.clone();
    let mut steps = Vec::new();
    let order = match want {
        Want::Gone => end_due(thing, context).then(|| Step::End(id())),
        Want::On | Want::Off => power_due(thing, want, context).map(|mode| Step::Power(id(), mode)),
    };
    let settled = matches!(
        (thing.state, want),
        (ThingState::Running | ThingState::Suspect | ThingState::Error, Want::On)
            | (ThingState::Stopped, Want::Off)
    );
    if !settled || thing.missing.is_some() || order.is_some() || thing.confirmed {
        steps.push(Step::Look(id()));
    }
    steps.extend(order);
    if thing.mark_lost && thing.confirmed {
        steps.push(Step::Remark(id()));
    }
    steps
}

/// Ordered to end never yet, or so long ago that the order is given again.
fn end_due(thing: &Thing, context: &Context<'_>) -> bool {
    let ending = thing.state == ThingState::Ending;
    !thing.mark_lost && thing.ending.as_ref().map_or(!ending, |order| order.retry_at <= context.now)
}

/// How long a power order may take to show before it is given again.
const POWER_SETTLES: Duration = Duration::from_secs(60);

/// Orders are given only in settled states: never start while stopping, never stop while building.
fn power_due(thing: &Thing, want: Want, context: &Context<'_>) -> Option<PowerMode> {
    let mode = match (thing.state, want) {
        (ThingState::Running, Want::Off) => off_mode(thing, context),
        (ThingState::Stopped, Want::On) => PowerMode::On,
        _ => return None,
    };
    let fresh =
        |(last, at): &(PowerMode, Timestamp)| *last == mode && context.now < later(*at, POWER_SETTLES);
    (!thing.mark_lost && !thing.power.as_ref().is_some_and(fresh)).then_some(mode)
}

/// As configured, or plainly stopped where this machine cannot be off in that way: what keeps running is paid for.
fn off_mode(thing: &Thing, context: &Context<'_>) -> PowerMode {
    let refused = thing.power_refused.as_ref().is_some_and(|refused| refused.is_final(context.off_mode));
    if refused { PowerMode::Stop } else { context.off_mode }
}

/// A restored store's planned rows may have been sent in the future that was lost: they count as sent, with the
/// very mark that the first send of this version of the row would have written.
pub fn suspect(row: &mut Launch, version: Version, now: Timestamp) {
    if row.state != LaunchState::Planned {
        return;
    }
    if row.sends.is_empty() {
        row.frozen.witness(version);
    }
    // It may have been sent at any time from its planning until now.
    for at in [row.created_at, now] {
        let said = Some("the store was restored: it may have been sent".to_owned());
        row.sends.push(SendRecord { at, by: BootId(uuid::Uuid::nil()), effect: Some(Effect::Unknown), said });
    }
    row.state = LaunchState::Unknown;
    row.retry = None;
}

/// Has the pause after the last failure passed?
fn is_due(row: &Launch, now: Timestamp) -> bool {
    row.retry.as_ref().is_none_or(|retry| retry.at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::provider::TokenScope;
    use crate::nouns::launch::PowerRefused;
    use crate::testing::fixtures;
    use crate::words::fault::FaultKind;
    use crate::words::lane::ResourceKind;

    #[test]
    fn what_a_machine_can_never_do_is_not_ordered_again_but_it_is_stopped() {
        let limits = Limits::default();
        let kind = KindFacts {
            kind: ResourceKind::Machine,
            token: TokenScope::None,
            max_batch: 1,
            visible_within: Duration::ZERO,
            gone_shown_for: Duration::ZERO,
            of_maker: false,
        };
        let now = Timestamp::from_second(1_000).expect("in range");
        let off_mode = PowerMode::Hibernate;
        let context = Context { now, limits: &limits, facts: &kind, off_mode, planted: Planted::NONE };
        let mut thing = fixtures::thing("i-1", Timestamp::UNIX_EPOCH);
        thing.state = ThingState::Running;
        assert_eq!(power_due(&thing, Want::Off, &context), Some(PowerMode::Hibernate));
        let refused = |kind| PowerRefused { mode: PowerMode::Hibernate, kind, said: "no".to_owned() };
        thing.power_refused = Some(refused(FaultKind::Busy));
        assert_eq!(power_due(&thing, Want::Off, &context), Some(PowerMode::Hibernate), "it may later");
        thing.power_refused = Some(refused(FaultKind::Invalid));
        assert_eq!(power_due(&thing, Want::Off, &context), Some(PowerMode::Stop), "it runs and is paid for");
        thing.power = Some((PowerMode::Hibernate, now));
        assert_eq!(
            power_due(&thing, Want::Off, &context),
            Some(PowerMode::Stop),
            "another order is no repetition"
        );
    }
}
