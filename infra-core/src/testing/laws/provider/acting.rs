//! What is done to things.
//!
//! # Guarantees
//! Each law acts on machines that it made itself, and waits for what it ordered by looking, never by trusting the
//! answer.

use super::{Kept, Subject, is, items, over, skipped};
use crate::contracts::provider::{Authority, OwnedHandle, ProviderError};
use crate::nouns::cloud::{Act, PowerMode, Sighting, ThingState};
use crate::nouns::launch::LaunchBody;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::Region;
use crate::words::lane::ResourceKind;

/// An end that is accepted and not carried out is the most expensive lie of all: the record closes and the meter
/// runs. Waits until the end is seen, and looks once more later, since an end may be seen before it holds.
pub(super) async fn terminate_ends_for_good(on: Subject) -> Kept {
    let (frozen, machine) = on.running().await?;
    on.provider.act(&on.handle(&machine, &frozen), Act::Terminate).await?;
    on.until(&machine, "ended", over).await?;
    on.clock.sleep(on.settles_within / 4).await;
    let seen = on.look(&machine).await?;
    hold!(over(&seen), "ended, and later {seen:?}");
    Ok(())
}

/// The reply to an end may be lost as well, so every caller orders it again. An error at the second order keeps a
/// finished reservation open and its alarm ringing. Orders twice at once, and a third time after the end.
pub(super) async fn terminate_is_repeatable(on: Subject) -> Kept {
    let (frozen, machine) = on.running().await?;
    let handle = on.handle(&machine, &frozen);
    on.provider.act(&handle, Act::Terminate).await?;
    on.provider.act(&handle, Act::Terminate).await?;
    let seen = on.until(&machine, "ended", over).await?;
    if matches!(seen, Sighting::Present(_)) {
        on.provider.act(&handle, Act::Terminate).await?;
    }
    Ok(())
}

/// One id too many in a batch, or a filter in place of an id, ends the work of others, and no retry brings it back.
/// Keeps a neighbour running beside the victim.
pub(super) async fn terminate_ends_nothing_else(on: Subject) -> Kept {
    let (_, neighbour) = on.running().await?;
    let (frozen, machine) = on.running().await?;
    on.provider.act(&on.handle(&machine, &frozen), Act::Terminate).await?;
    on.until(&machine, "ended", over).await?;
    let seen = on.look(&neighbour).await?;
    hold!(is(&seen, ThingState::Running), "the neighbour is {seen:?}");
    Ok(())
}

/// Seen as ended is certain; not seen at all must first be told from a cloud that lags. A driver that hides ended
/// things makes every single end take as long as the doubt. Skipped where the cloud itself shows nothing.
pub(super) async fn ended_is_seen_before_it_vanishes(on: Subject) -> Kept {
    if on.facts(ResourceKind::Machine)?.gone_shown_for < on.poll * 2 {
        return skipped("an ended thing vanishes at once");
    }
    let (frozen, machine) = on.running().await?;
    on.provider.act(&on.handle(&machine, &frozen), Act::Terminate).await?;
    let seen = on.until(&machine, "ended", over).await?;
    hold!(is(&seen, ThingState::Ended), "it vanished unseen");
    Ok(())
}

/// A machine that stays on after its owner turned it off is paid for by the hour; one that never comes back has lost
/// what its owner left on it. Takes the first way that the facts offer, off and on again.
pub(super) async fn power_off_and_on_settles(on: Subject) -> Kept {
    // Off by snapshot is a launch and an end, never an order; but the machine is stopped before it is copied.
    let Some(off) = on.provider.facts().off_modes.first().copied() else {
        return skipped("no way to turn off");
    };
    let off = if off == PowerMode::Snapshot { PowerMode::Stop } else { off };
    let (frozen, machine) = on.running().await?;
    let handle = on.handle(&machine, &frozen);
    on.provider.act(&handle, Act::Power(off)).await?;
    on.until(&machine, "off", |seen| is(seen, ThingState::Stopped)).await?;
    on.provider.act(&handle, Act::Power(PowerMode::On)).await?;
    on.until(&machine, "on", |seen| is(seen, ThingState::Running)).await?;
    Ok(())
}

/// Ids are unique within a region at best. An order carried to another lane than its proof came from can end a
/// machine of the same id that nobody proved. Names a region that is nowhere, and wants the machine left running.
pub(super) async fn a_handle_of_another_lane_is_not_sent(on: Subject) -> Kept {
    let (frozen, machine) = on.running().await?;
    let mut elsewhere = on.lane.clone();
    elsewhere.region = Region::new("nowhere-1").expect("a legal name");
    let handle = OwnedHandle::unproven(machine.id.clone(), machine.kind, elsewhere, frozen.mark);
    let outcome = on.provider.act(&handle, Act::Terminate).await;
    let refused = outcome.err().map(|error| error.effect());
    same!(refused, Some(Effect::NotApplied), "the answer to a foreign handle");
    on.clock.sleep(on.poll).await;
    let seen = on.look(&machine).await?;
    hold!(is(&seen, ThingState::Running), "after a foreign handle it is {seen:?}");
    Ok(())
}

/// What was adopted was somebody's before, and may hold their only data: it is turned on and off, and never ended. The
/// handle says so, and whoever sends is the last to read it. Orders an end by a handle that allows power alone.
pub(super) async fn what_may_only_be_powered_is_never_ended(on: Subject) -> Kept {
    let (frozen, machine) = on.running().await?;
    let handle = OwnedHandle { may: Authority::Power, ..on.handle(&machine, &frozen) };
    let outcome = on.provider.act(&handle, Act::Terminate).await;
    on.clock.sleep(on.poll * 2).await;
    let seen = on.look(&machine).await?;
    hold!(is(&seen, ThingState::Running), "ended by a handle that may not: {seen:?}");
    let refused = matches!(outcome, Err(ProviderError::NotSent { .. }));
    hold!(refused, "an end that is not allowed was answered with {outcome:?}");
    Ok(())
}

/// An accepted order that does nothing is never given again, and the firewall stays behind in the account. `Busy`
/// says to come back once the machine is gone. Tries too early, and then once more after the machine's end.
pub(super) async fn firewall_in_use_is_busy(on: Subject) -> Kept {
    on.facts(ResourceKind::Firewall)?;
    let frozen = on.firewall();
    let firewall = on.one(&frozen).await?;
    on.until(&firewall, "seen", |seen| !over(seen)).await?;
    let mut body = on.machine.clone();
    body.firewall = Some(firewall.id.clone());
    let of_machine = on.draft(LaunchBody::Machine(body), 1);
    let machine = on.one(&of_machine).await?;
    on.until(&machine, "running", |seen| is(seen, ThingState::Running)).await?;
    let outcome = on.provider.act(&on.handle(&firewall, &frozen), Act::Terminate).await;
    same!(outcome.err().map(|error| error.kind()), Some(FaultKind::Busy), "ending a firewall in use");
    on.provider.act(&on.handle(&machine, &of_machine), Act::Terminate).await?;
    on.until(&machine, "ended", over).await?;
    on.provider.act(&on.handle(&firewall, &frozen), Act::Terminate).await?;
    on.until(&firewall, "ended", over).await?;
    Ok(())
}

/// The sweep goes by marks: a machine that is no longer ours and keeps one may be ended, and one of ours whose mark
/// does not come back is taken for foreign. Takes it off, writes it again, and looks at the list after each.
pub(super) async fn a_mark_can_be_taken_off_and_written_again(on: Subject) -> Kept {
    let (frozen, machine) = on.running().await?;
    on.pass_visible(ResourceKind::Machine).await?;
    let handle = on.handle(&machine, &frozen);
    for (act, mark, listed) in [(Act::Unmark, None, 0), (Act::Mark, Some(frozen.mark), 1)] {
        on.provider.act(&handle, act).await?;
        on.until(&machine, act.word(), |seen| matches!(seen, Sighting::Present(seen) if seen.mark == mark))
            .await?;
        let pages = on.owned(on.provider.as_ref()).await?;
        same!(items(&pages).len(), listed, format!("listed after {}", act.word()));
    }
    Ok(())
}
