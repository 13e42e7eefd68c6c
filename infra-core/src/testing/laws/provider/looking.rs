//! What can be seen, and what a look may claim.
//!
//! # Caveats
//! A cloud may show late what it made. So laws wait as long as its facts allow before they look, and what the facts
//! promise is itself put to the test.

use std::time::Duration;

use super::{Kept, Subject, ids, items, over, skipped};
use crate::contracts::provider::{MetricQuery, ProviderError, TokenScope};
use crate::nouns::cloud::Sighting;
use crate::nouns::offering::Price;
use crate::testing::laws::Unmet;
use crate::words::clock::{Timestamp, between};
use crate::words::fault::{Fault, FaultKind};
use crate::words::ids::InstallationId;
use crate::words::lane::ResourceKind;

/// Clocks of two machines may differ by this much.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(30);

/// After a lost reply an attempt is given up when nothing is found for as long as the facts say. A machine that shows
/// later than that is replaced, and both are paid for. Waits exactly that long, and wants every id of the answer.
pub(super) async fn find_sees_what_launch_made_within_visible_within(on: Subject) -> Kept {
    let frozen = on.machines(on.facts(ResourceKind::Machine)?.max_batch.min(2));
    let made = on.launch(&frozen).await?;
    on.pass_visible(ResourceKind::Machine).await?;
    let found = on.find(&frozen).await?;
    same!(ids(&found), ids(&made), "found by the attempt's key");
    Ok(())
}

/// What proves that a thing is ours must stand in every look at it. A listing that leaves the stamp out makes droppings
/// of what a crash left without an id: it is there, it looks foreign, and nobody ever ends it. Makes a machine and a
/// firewall, and looks at each by id, by its attempt, and in the listing of all.
pub(super) async fn every_look_shows_the_proof(on: Subject) -> Kept {
    let firewall = on.facts(ResourceKind::Firewall).is_ok().then(|| on.firewall());
    for frozen in std::iter::once(on.machines(1)).chain(firewall) {
        let kind = frozen.body.kind();
        let stamped = matches!(on.facts(kind)?.token, TokenScope::Token { .. });
        let made = on.one(&frozen).await?;
        on.pass_visible(kind).await?;
        let by_id = on.look(&made).await?;
        let found = on.find(&frozen).await?;
        let pages = on.owned(on.provider.as_ref()).await?;
        let listed = items(&pages).into_iter().find(|thing| thing.id == made.id);
        let Sighting::Present(by_id) = by_id else {
            return Err(Unmet::Broken(format!("{} is not there by its id", made.id)));
        };
        let looks = [
            ("launch", Some(&made)),
            ("get", Some(by_id.as_ref())),
            ("find", found.first()),
            ("list_owned", listed),
        ];
        for (look, thing) in looks {
            let Some(thing) = thing else {
                return Err(Unmet::Broken(format!("{look} does not show {}", made.id)));
            };
            let proof = (thing.mark, thing.stamp);
            same!(
                proof,
                (Some(frozen.mark), stamped.then_some(frozen.token)),
                format!("mark and stamp of a {kind} in the answer to {look}")
            );
        }
    }
    Ok(())
}

/// A search that answers by kind or by owner alone hands the machines of one attempt to another: one reservation then
/// ends what another one uses. Makes a neighbour, and looks for an attempt that was never sent.
pub(super) async fn find_of_an_unused_token_is_empty(on: Subject) -> Kept {
    on.one(&on.machines(1)).await?;
    on.pass_visible(ResourceKind::Machine).await?;
    same!(on.find(&on.machines(1)).await?.len(), 0, "things of an attempt that was never sent");
    Ok(())
}

/// An error says that the look failed and has to be repeated; an absence is knowledge to act upon. Who mixes the two
/// either waits for ever for what is gone, or buries what the network hid.
pub(super) async fn absent_is_a_value(on: Subject) -> Kept {
    let seen = on.provider.get(ResourceKind::Machine, std::slice::from_ref(&on.unknown_id)).await?;
    same!(seen, vec![Sighting::Absent(on.unknown_id.clone())], "an id that nothing has");
    Ok(())
}

/// Callers pair ids and answers by place. Answers in the cloud's own order bring the state of one machine onto the
/// record of another. Puts an id that nothing has between two that exist, asked in reverse.
pub(super) async fn get_answers_in_the_order_asked(on: Subject) -> Kept {
    let (_, one) = on.running().await?;
    let (_, two) = on.running().await?;
    let asked = [two.id.clone(), on.unknown_id.clone(), one.id.clone()];
    let seen = on.provider.get(ResourceKind::Machine, &asked).await?;
    let answered: Vec<_> = seen
        .iter()
        .map(|seen| match seen {
            Sighting::Present(observed) => (observed.id.clone(), true),
            Sighting::Absent(id) => (id.clone(), false),
        })
        .collect();
    let expected = vec![(two.id, true), (on.unknown_id.clone(), false), (one.id, true)];
    same!(answered, expected, "the order");
    Ok(())
}

/// The sweep for leaks sees the account only through this list: what is not on it can run for ever without an owner.
/// Makes two machines and wants both.
pub(super) async fn list_owned_shows_what_we_made(on: Subject) -> Kept {
    let (one, two) = (on.one(&on.machines(1)).await?, on.one(&on.machines(1)).await?);
    on.pass_visible(ResourceKind::Machine).await?;
    let pages = on.owned(on.provider.as_ref()).await?;
    for made in [one, two] {
        hold!(items(&pages).iter().any(|thing| thing.id == made.id), "{} is not listed", made.id);
    }
    Ok(())
}

/// Two installations may share an account. Whatever a list shows without cause comes near to being ended as a leak,
/// though others work on it. Makes a machine with a foreign mark, and asks as a stranger too.
pub(super) async fn list_owned_shows_only_our_installation(on: Subject) -> Kept {
    on.one(&on.machines(1)).await?;
    let mut theirs = on.machines(1);
    theirs.mark.installation = InstallationId::draw(on.clock.wall(), on.entropy.as_ref());
    on.launch(&theirs).await?;
    on.pass_visible(ResourceKind::Machine).await?;
    let pages = on.owned(on.provider.as_ref()).await?;
    same!(items(&pages).len(), 1, "things listed");
    hold!(items(&pages)[0].mark != Some(theirs.mark), "a foreign mark is listed");
    let pages = on.owned(on.stranger.as_ref()).await?;
    same!(items(&pages).len(), 0, "things listed for an installation that made nothing");
    Ok(())
}

/// Only a complete listing proves that something is missing from it. `complete` too early turns machines on later
/// pages into lost ones; never `complete`, and no loss is ever noticed. Every page but the last must say no.
pub(super) async fn the_last_page_is_complete(on: Subject) -> Kept {
    for _ in 0..3 {
        on.one(&on.machines(1)).await?;
    }
    on.pass_visible(ResourceKind::Machine).await?;
    let pages = on.owned(on.provider.as_ref()).await?;
    for (at, page) in pages.iter().enumerate() {
        same!(page.complete, at + 1 == pages.len(), format!("page {at} of {} says complete", pages.len()));
    }
    Ok(())
}

/// A thing listed twice is counted twice, against a quota and against a reservation, and the surplus is ended: the
/// very machine that was wanted. Counts ids, and different ids.
pub(super) async fn pages_hold_each_thing_once(on: Subject) -> Kept {
    for _ in 0..3 {
        on.one(&on.machines(1)).await?;
    }
    on.pass_visible(ResourceKind::Machine).await?;
    let pages = on.owned(on.provider.as_ref()).await?;
    let mut listed: Vec<_> = items(&pages).iter().map(|thing| thing.id.clone()).collect();
    let all = listed.len();
    listed.sort();
    listed.dedup();
    same!((all, listed.len()), (3, 3), "things listed, and different ones");
    Ok(())
}

/// Leaks are judged by age. A birthday that moves keeps a leak young for ever, or makes a fresh machine old enough to
/// be swept. Compares it with the listing's own clock, then looks again later.
pub(super) async fn a_birthday_is_by_the_clouds_clock_and_stays(on: Subject) -> Kept {
    let before = on.owned(on.provider.as_ref()).await?.last().map(|page| page.as_of);
    let made = on.one(&on.machines(1)).await?;
    let after = on.owned(on.provider.as_ref()).await?.last().map(|page| page.as_of);
    let (Some(before), Some(after)) = (before, after) else {
        return Err(Unmet::Broken("a listing without pages".to_owned()));
    };
    let born = made.created_at;
    let within = between(born, before) <= CLOCKS_APART_MAX && between(after, born) <= CLOCKS_APART_MAX;
    hold!(within, "made at {born}, between {before} and {after}");
    on.clock.sleep(on.poll).await;
    let later = on.until(&made, "seen", |seen| !over(seen)).await?;
    hold!(
        matches!(&later, Sighting::Present(seen) if seen.created_at == born),
        "made at {born}, later {later:?}"
    );
    Ok(())
}

/// What is not offered is never chosen, and a price of nothing wins every comparison until the invoice comes. Looks
/// for the very type, image and zones that the other laws launch.
pub(super) async fn the_catalogue_offers_what_can_be_launched(on: Subject) -> Kept {
    let catalogue = on.provider.catalogue().await?;
    let offered = catalogue.offerings.iter().find(|offering| offering.type_name == on.machine.type_name);
    let Some(offered) = offered else { return Err(Unmet::Broken("the type is not offered".to_owned())) };
    let image = catalogue.image(&on.machine.image);
    same!(image.map(|image| image.arch), Some(offered.arch), "the image's architecture");
    for zone in &on.zones {
        hold!(offered.zones.contains(zone), "not offered in {zone}");
    }
    for offering in &catalogue.offerings {
        let known = matches!(&offering.price, Price::Known { per_hour, .. } if per_hour.nanos <= 0);
        hold!(!known, "{} has a known price of nothing", offering.type_name);
    }
    Ok(())
}

/// A key that was revoked sees nothing. Taken for absence, that one mistake writes off every machine of a tenant at
/// once, while all of them run on. Asks four ways with a key that the cloud refuses.
pub(super) async fn a_wrong_key_is_unauthorized_never_absent(on: Subject) -> Kept {
    let Some(wrong) = &on.wrong_key else { return skipped("keys are not checked") };
    let (_, machine) = on.running().await?;
    let outcomes: [(&str, Option<ProviderError>); 4] = [
        ("identify", wrong.identify().await.err()),
        ("get", wrong.get(machine.kind, std::slice::from_ref(&machine.id)).await.err()),
        ("list_owned", wrong.list_owned(None).await.err()),
        ("launch", wrong.launch(&on.machines(1), &on.send()).await.err()),
    ];
    for (op, error) in outcomes {
        same!(error.map(|error| error.kind()), Some(FaultKind::Unauthorized), op);
    }
    Ok(())
}

/// The ledger and the budget are kept per account. A key that answers for another one spends the money of somebody
/// who never agreed to it.
pub(super) async fn identify_names_the_account_of_the_lane(on: Subject) -> Kept {
    same!(on.provider.identify().await?.account, on.lane.account, "the account");
    Ok(())
}

/// No points mean that nobody knows. A misspelt metric answered with no points looks like an idle machine, and an
/// idle machine may be ended.
pub(super) async fn an_unknown_metric_is_invalid(on: Subject) -> Kept {
    let query =
        MetricQuery { metric: "no_such_metric".to_owned(), from: Timestamp::UNIX_EPOCH, to: on.clock.wall() };
    let outcome = on.provider.measure(std::slice::from_ref(&on.unknown_id), &query).await;
    same!(outcome.err().map(|error| error.kind()), Some(FaultKind::Invalid), "the answer");
    Ok(())
}
