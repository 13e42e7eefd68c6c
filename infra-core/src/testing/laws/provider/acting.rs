//! What is done to things.

use super::{Kept, Subject, is, items, over, skipped};
use crate::contracts::provider::OwnedHandle;
use crate::nouns::cloud::{Act, PowerMode, Sighting, ThingState};
use crate::nouns::launch::LaunchBody;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::Region;
use crate::words::lane::ResourceKind;

pub(super) async fn terminate_ends_for_good(on: Subject) -> Kept {
    let (frozen, machine) = on.running().await?;
    on.provider.act(&on.handle(&machine, &frozen), Act::Terminate).await?;
    on.until(&machine, "ended", over).await?;
    on.clock.sleep(on.settles_within / 4).await;
    let seen = on.look(&machine).await?;
    hold!(over(&seen), "ended, and later {seen:?}");
    Ok(())
}

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

pub(super) async fn terminate_ends_nothing_else(on: Subject) -> Kept {
    let (_, neighbour) = on.running().await?;
    let (frozen, machine) = on.running().await?;
    on.provider.act(&on.handle(&machine, &frozen), Act::Terminate).await?;
    on.until(&machine, "ended", over).await?;
    let seen = on.look(&neighbour).await?;
    hold!(is(&seen, ThingState::Running), "the neighbour is {seen:?}");
    Ok(())
}

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
