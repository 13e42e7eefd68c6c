//! What a create call does, and what it does when it is sent again.
//!
//! # Caveats
//! Every law leaves running what it made: on a real cloud the caller ends what carries the installation's mark once
//! the laws are through.

use std::time::Duration;

use super::{Kept, Subject, ids, items, over, skipped};
use crate::contracts::provider::{ProviderError, Send, TokenScope};
use crate::nouns::cloud::Act;
use crate::nouns::launch::LaunchBody;
use crate::testing::laws::Unmet;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::ImageId;
use crate::words::lane::ResourceKind;

/// A machine that the answer leaves out runs and is paid for, and no unit knows its id. Makes a small batch and
/// counts the things answered and their different ids.
pub(super) async fn launch_answers_as_many_as_asked(on: Subject) -> Kept {
    let count = on.facts(ResourceKind::Machine)?.max_batch.min(3);
    let made = on.launch(&on.machines(count)).await?;
    same!(made.len(), usize::from(count), "things answered");
    let mut different = ids(&made);
    different.sort();
    different.dedup();
    same!(different.len(), usize::from(count), "different ids");
    Ok(())
}

/// A mark written by a second call is missing whenever the process dies between the two: the machine then belongs to
/// nobody and runs until a person finds the bill. Looks for the mark in the very answer, and for the token on what is
/// seen afterwards.
pub(super) async fn launch_marks_in_the_call(on: Subject) -> Kept {
    let frozen = on.machines(1);
    let made = on.one(&frozen).await?;
    same!(made.mark, Some(frozen.mark), "the mark in the answer");
    let seen = on.until(&made, "seen", |seen| !over(seen)).await?;
    hold!(format!("{seen:?}").contains(&frozen.token.to_string()), "no token on {seen:?}");
    Ok(())
}

/// Without its name a thing of a cloud that has no tokens cannot be found again; without its labels the invoice names
/// nobody. Reads both back from the cloud, not from what was sent.
pub(super) async fn labels_and_name_reach_the_cloud(on: Subject) -> Kept {
    let frozen = on.machines(1);
    on.one(&frozen).await?;
    on.pass_visible(ResourceKind::Machine).await?;
    let found = on.find(&frozen).await?;
    hold!(found.len() == 1, "{} found", found.len());
    same!(found[0].name.as_ref(), Some(&frozen.name), "the name");
    same!(found[0].tags.get("team").map(String::as_str), Some("laws"), "the label");
    Ok(())
}

/// A retry after a shortage names another zone on purpose: a driver that goes on with its first one asks in vain for
/// ever. Names the last zone, because a default is most often the first.
pub(super) async fn the_zone_named_is_the_zone_taken(on: Subject) -> Kept {
    let Some(last) = on.zones.last().cloned() else { return skipped("no zones") };
    let mut frozen = on.machines(1);
    frozen.zone = Some(last.clone());
    same!(on.one(&frozen).await?.zone, Some(last), "the zone");
    Ok(())
}

/// The reply to a create call can be lost after the machine was made, and sending again is how that is resolved. An
/// implementation that makes anew each time doubles the bill at every timeout. Sends twice, compares the ids, and
/// counts what is there.
pub(super) async fn same_token_and_body_answers_the_same_things(on: Subject) -> Kept {
    let TokenScope::Token { .. } = on.token_scope()? else { return skipped("no token") };
    let frozen = on.machines(on.facts(ResourceKind::Machine)?.max_batch.min(2));
    let first = on.launch(&frozen).await?;
    let again = on.launch(&frozen).await?;
    same!(ids(&first), ids(&again), "the things answered again");
    on.pass_visible(ResourceKind::Machine).await?;
    let pages = on.owned(on.provider.as_ref()).await?;
    same!(items(&pages).len(), first.len(), "things made by two sends");
    Ok(())
}

/// The cloud refuses this body because an earlier send under the token was taken, so something may well run. Who
/// reads the refusal as final forgets that thing. Changes one label, and asks for an effect that is `Unknown`.
pub(super) async fn same_token_other_body_is_unknown_never_terminal(on: Subject) -> Kept {
    let TokenScope::Token { .. } = on.token_scope()? else { return skipped("no token") };
    let frozen = on.machines(1);
    on.one(&frozen).await?;
    let mut other = frozen.clone();
    // A wish that is worked out again at send time changes just such a field.
    other.labels.insert("expires".to_owned(), "later".to_owned());
    let error = expect_refusal(on.launch(&other).await)?;
    same!((error.kind(), error.effect()), (FaultKind::TokenMismatch, Effect::Unknown), "kind and effect");
    Ok(())
}

/// Where a token counts per zone, the next zone can make a second machine under it: a caller that does not know so
/// loses sight of one of the two. Sends one token to two zones and expects two ids.
pub(super) async fn same_token_in_another_zone_is_another_machine(on: Subject) -> Kept {
    let (TokenScope::Token { per_zone: true, .. }, [one, two, ..]) = (on.token_scope()?, &on.zones[..])
    else {
        return skipped("no tokens per zone");
    };
    let mut frozen = on.machines(1);
    frozen.zone = Some(one.clone());
    let first = on.one(&frozen).await?;
    frozen.zone = Some(two.clone());
    let second = on.one(&frozen).await?;
    hold!(first.id != second.id, "{} is in {one} and in {two}", first.id);
    same!(second.zone.as_ref(), Some(two), "the zone of the second");
    Ok(())
}

/// A remembered token whose machine has ended must neither answer the dead machine as a fresh one nor make another
/// behind the caller's back. Ends what a token made, sends again, and expects a refusal that applied nothing.
pub(super) async fn ended_token_says_so(on: Subject) -> Kept {
    let TokenScope::Token { .. } = on.token_scope()? else { return skipped("no token") };
    let (frozen, machine) = on.running().await?;
    on.provider.act(&on.handle(&machine, &frozen), Act::Terminate).await?;
    on.until(&machine, "ended", over).await?;
    let error = expect_refusal(on.launch(&frozen).await)?;
    same!((error.kind(), error.effect()), (FaultKind::TokenEnded, Effect::NotApplied), "kind and effect");
    Ok(())
}

/// Claiming no token is a promise that callers never send twice; a cloud that does deduplicate should say so and be
/// asked again safely. Sends twice, and expects both machines to be found under the one name.
pub(super) async fn without_token_every_send_creates(on: Subject) -> Kept {
    let TokenScope::None = on.token_scope()? else { return skipped("a token") };
    let frozen = on.machines(1);
    let (first, second) = (on.one(&frozen).await?, on.one(&frozen).await?);
    hold!(first.id != second.id, "two sends answer one {}: say that there is a token", first.id);
    on.pass_visible(ResourceKind::Machine).await?;
    same!(on.find(&frozen).await?.len(), 2, "both are found by their name");
    Ok(())
}

/// A tag can be copied by anybody who may write tags; the stamp cannot, and so it decides what is taken for ours. A
/// driver that copies its own mark into the stamp makes the proof worthless, one that drops it makes every thing look
/// foreign.
pub(super) async fn a_stamp_is_the_clouds_own(on: Subject) -> Kept {
    let stamped = matches!(on.token_scope()?, TokenScope::Token { .. });
    let frozen = on.machines(1);
    let made = on.one(&frozen).await?;
    same!(made.stamp, stamped.then_some(frozen.token), "the stamp");
    Ok(())
}

/// A caller whose deadline passed may have been replaced by another replica. A call that leaves after it makes a
/// machine which that replica does not expect. Sets the deadline in the past and then looks whether anything was
/// made.
pub(super) async fn late_call_is_not_sent(on: Subject) -> Kept {
    on.clock.sleep(Duration::from_millis(5)).await;
    let late = Send { user_data: None, files: None, deadline: on.clock.mono() - Duration::from_millis(2) };
    let frozen = on.machines(1);
    let error = expect_refusal(on.provider.launch(&frozen, &late).await)?;
    hold!(matches!(error, ProviderError::NotSent { .. }), "a late call answers {error}");
    same!(error.effect(), Effect::NotApplied, "the effect");
    on.pass_visible(ResourceKind::Machine).await?;
    same!(on.find(&frozen).await?.len(), 0, "things made by a late call");
    Ok(())
}

/// An image that is gone stays gone: told as an outage it is tried again until the build deadline, while the user
/// waits for a machine that cannot come. Expects `Invalid`, and that nothing was made.
pub(super) async fn an_unknown_image_is_invalid(on: Subject) -> Kept {
    let mut machine = on.machine.clone();
    machine.image = ImageId::new("ami-00000000000000000").expect("a legal name");
    let error = expect_refusal(on.launch(&on.draft(LaunchBody::Machine(machine), 1)).await)?;
    same!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "kind and effect");
    Ok(())
}

/// A batch quietly cut to what fits leaves units without machines, and nobody is told why. Asks for one more than the
/// facts allow, and expects a refusal of the whole.
pub(super) async fn a_batch_beyond_the_limit_is_invalid(on: Subject) -> Kept {
    let max = on.facts(ResourceKind::Machine)?.max_batch;
    let Some(beyond) = max.checked_add(1) else { return skipped("no limit") };
    let error = expect_refusal(on.launch(&on.machines(beyond)).await)?;
    same!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "kind and effect");
    Ok(())
}

/// A machine that starts without the firewall it was asked for stands open to the world, and looks healthy. Ends a
/// firewall, launches behind it, and expects a refusal.
pub(super) async fn a_missing_firewall_is_invalid(on: Subject) -> Kept {
    on.facts(ResourceKind::Firewall)?;
    let mut machine = on.machine.clone();
    let firewall = on.firewall();
    let made = on.one(&firewall).await?;
    on.until(&made, "seen", |seen| !over(seen)).await?;
    on.provider.act(&on.handle(&made, &firewall), Act::Terminate).await?;
    on.until(&made, "ended", over).await?;
    machine.firewall = Some(made.id);
    let frozen = on.draft(LaunchBody::Machine(machine), 1);
    // Before that, a cloud may wait for a firewall that was made moments ago.
    on.pass_visible(ResourceKind::Firewall).await?;
    let error = expect_refusal(on.launch(&frozen).await)?;
    same!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "kind and effect");
    Ok(())
}

/// A firewall or a key without a mark is never swept. It costs quota rather than money, until the day on which the
/// account can make no more. Makes a firewall, and wants it listed with its kind and mark.
pub(super) async fn satellites_are_marked_too(on: Subject) -> Kept {
    on.facts(ResourceKind::Firewall)?;
    let frozen = on.firewall();
    let made = on.one(&frozen).await?;
    on.pass_visible(ResourceKind::Firewall).await?;
    let pages = on.owned(on.provider.as_ref()).await?;
    let listed = items(&pages).into_iter().find(|thing| thing.id == made.id);
    let Some(listed) = listed else { return Err(Unmet::Broken(format!("{} is not listed", made.id))) };
    same!((listed.kind, listed.mark), (ResourceKind::Firewall, Some(frozen.mark)), "kind and mark");
    Ok(())
}

/// The error, where anything done would break the law at hand.
fn expect_refusal<T: std::fmt::Debug>(outcome: Result<T, ProviderError>) -> Result<ProviderError, Unmet> {
    match outcome {
        Ok(done) => Err(Unmet::Broken(format!("done instead of refused: {done:?}"))),
        Err(error) => Ok(error),
    }
}
