//! Offers without capacity: skipped for a while by everybody, walked past in order, and never walked past in doubt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use infra_core::infra::{QuoteOptions, UserHandle};
use infra_core::nouns::launch::{Closed, Launch, LaunchBody, LaunchState};
use infra_core::nouns::policy::Burstable;
use infra_core::nouns::reservation::{Heal, Phase};
use infra_core::nouns::scarcity::Scarcity;
use infra_core::words::ids::{ReservationId, TypeName};
use infra_core::words::lane::ResourceKind;
use infra_core::words::planted::{Bug, Planted};
use infra_core::{Clock, Limits, SystemClock};
use infra_providers::sim::{FaultEffect, Match, Rule};
use infra_store::MemoryStore;

use super::house::{HOME, House, limits, parts, quick, wish};

const PATIENCE: Duration = Duration::from_secs(30);

fn short_memory() -> Limits {
    let mut limits = limits();
    limits.capacity_memory = Duration::from_millis(1500);
    limits
}

async fn house(limits: Limits, planted: Planted) -> House {
    let (store, sim) = (Arc::new(MemoryStore::new()), quick());
    let builder = parts(store.clone(), &sim).with_home(HOME).with_limits(limits).with_planted(planted);
    House { store, infra: builder.build().await.expect("opens"), sim }
}

async fn come_to(user: &UserHandle, id: &ReservationId, phase: Phase) {
    let view = user.wait(id, PATIENCE).await.expect("is there");
    assert_eq!(view.state, phase, "{:?} {:?}", view.reason, view.tries);
}

/// Types that machines were asked for, in the order of the attempts.
async fn asked(house: &House) -> Vec<(TypeName, Launch)> {
    let mut rows: Vec<Launch> = house.all::<Launch>().await.into_iter().map(|row| row.value).collect();
    rows.retain(|row| row.kind() == ResourceKind::Machine);
    rows.sort_by_key(|row| (row.created_at, row.token));
    let typed = |row: Launch| match &row.frozen.body {
        LaunchBody::Machine(body) => (body.type_name.clone(), row),
        _ => unreachable!("only machines are left"),
    };
    rows.into_iter().map(typed).collect()
}

/// The cheapest types of a wish, without repetition.
async fn ranked(user: &UserHandle) -> Vec<TypeName> {
    let quotes = user.quote(&wish(1)).await.expect("something fits");
    let mut seen = BTreeSet::new();
    let names = quotes.into_iter().map(|quote| quote.choice.offering.type_name);
    names.filter(|name| seen.insert(name.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_capacity_is_asked_for_again_by_every_reservation_of_the_team() {
    let house = house(limits(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let types = ranked(&ada).await;
    house.sim.set_capacity(&types[0], None, false);
    let first = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    come_to(&ada, &first, Phase::Ready).await;
    let view = ada.get(&first).await.expect("is there");
    let zones: Vec<_> = view.tries.iter().map(|one| one.offer.clone()).collect();
    assert!(!zones.is_empty() && zones.iter().all(|offer| offer.contains(types[0].as_str())), "{zones:?}");
    assert!(
        view.tries.iter().all(|one| one.said.contains("InsufficientInstanceCapacity")),
        "{:?}",
        view.tries
    );
    // Every zone was tried once, by that one reservation alone.
    assert_eq!(zones.iter().collect::<BTreeSet<_>>().len(), zones.len(), "{zones:?}");
    assert_ne!(ranked(&ada).await[0], types[0], "a new request is not offered what was refused a moment ago");
    let second = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    come_to(&ada, &second, Phase::Ready).await;
    assert_eq!(ada.get(&second).await.expect("is there").tries, [], "it did not ask for it again");
    let refused = asked(&house).await.into_iter().filter(|(name, _)| *name == types[0]).count();
    assert_eq!(refused, zones.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_dies_with_the_process_or_never() {
    let house = house(short_memory(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let types = ranked(&ada).await;
    house.sim.set_capacity(&types[0], None, false);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    come_to(&ada, &id, Phase::Ready).await;
    let lacks = house.all::<Scarcity>().await;
    let until = lacks.iter().flat_map(|lane| &lane.value.offers).map(|offer| offer.until).max();
    house.infra.shutdown().await;
    let again = house.reopened(HOME).await;
    let ada = again.user(ada.id());
    assert_ne!(ranked(&ada).await[0], types[0], "a restart must not ask for everything again");
    while SystemClock.wall() < until.expect("something was refused") {
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ranked(&ada).await[0], types[0], "what was lacking is offered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_list_waits_although_other_types_have_capacity() {
    let mut limits = limits();
    limits.offers_kept = 2;
    let house = house(limits, Planted::NONE).await;
    let ada = house.user("ada").await;
    let kept = QuoteOptions { limit: 2, ..QuoteOptions::default() };
    let quotes = ada.quotes(&wish(1), kept).await.expect("fits").quotes;
    let types: BTreeSet<_> = quotes.into_iter().map(|quote| quote.choice.offering.type_name).collect();
    types.iter().for_each(|name| house.sim.set_capacity(name, None, false));
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    come_to(&ada, &id, Phase::Ready).await;
    let view = ada.get(&id).await.expect("is there");
    let gone = |offer: &str| types.iter().any(|name| offer.contains(name.as_str()));
    assert!(view.units.iter().all(|unit| unit.type_.as_deref().is_some_and(|it| !gone(it))), "{view:?}");
    let offers: BTreeSet<_> = view.tries.iter().map(|one| &one.offer).collect();
    assert!(offers.len() >= 2, "what was tried before the list was filled is told, too: {:?}", view.tries);
    assert!(offers.iter().all(|offer| gone(offer)), "{:?}", view.tries);
}

/// Waits until nothing is remembered any more.
async fn forgotten(house: &House) {
    let lacks = house.all::<Scarcity>().await;
    let until = lacks.iter().flat_map(|lane| &lane.value.offers).map(|offer| offer.until).max();
    while SystemClock.wall() < until.expect("something was refused") {
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reserved_during_a_shortage_pays_for_dearer_machines_ever_after() {
    let house = house(short_memory(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let types = ranked(&ada).await;
    house.sim.set_capacity(&types[0], None, false);
    // One that met the shortage, and one that was made while it was remembered.
    let met = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    come_to(&ada, &met, Phase::Ready).await;
    let made = ada.reserve(&wish(1), None).await.expect("accepted").view;
    come_to(&ada, &made.id, Phase::Ready).await;
    let view = ada.get(&made.id).await.expect("is there");
    assert_eq!(view.tries, [], "what is remembered is not asked for");
    assert_eq!(view.price_per_hour, made.price_per_hour, "it counted for what could be had");
    house.sim.set_capacity(&types[0], None, true);
    forgotten(&house).await;
    let before = asked(&house).await.len();
    for id in [&met, &made.id] {
        ada.set_count(id, 2, None).await.expect("accepted");
        come_to(&ada, id, Phase::Ready).await;
    }
    let later: Vec<_> = asked(&house).await.into_iter().skip(before).map(|(name, _)| name).collect();
    assert_eq!(later, [types[0].clone(), types[0].clone()], "the cheaper one is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_walked_past_an_offer_never_comes_back_to_it() {
    let house = house(short_memory(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let types = ranked(&ada).await;
    house.sim.set_capacity(&types[0], None, false);
    let mut want = wish(1);
    want.heal = Some(Heal::Replace);
    let id = ada.reserve(&want, None).await.expect("accepted").view.id;
    come_to(&ada, &id, Phase::Ready).await;
    house.sim.set_capacity(&types[0], None, true);
    forgotten(&house).await;
    let first = asked(&house).await;
    let (dear, row) = first.last().expect("one was made");
    assert_ne!(*dear, types[0]);
    let machine = row.alive().next().expect("it runs").id.clone();
    assert!(house.sim.end_by_hand(&machine));
    let patience = SystemClock.mono() + PATIENCE;
    while asked(&house).await.len() == first.len() && SystemClock.mono() < patience {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    let next = asked(&house).await.into_iter().nth(first.len()).map(|(name, _)| name);
    assert_eq!(next.as_ref(), Some(&types[0]), "its replacement begins at the best offer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_tried_in_every_zone_of_the_account() {
    let house = house(limits(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let types = ranked(&ada).await;
    let matching = Match { type_name: Some(types[0].clone()), ..Match::default() };
    house.sim.rule(Rule::once("launch", FaultEffect::Quota).times(None).only(matching));
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    come_to(&ada, &id, Phase::Ready).await;
    let refused = asked(&house).await.into_iter().filter(|(name, _)| *name == types[0]).count();
    assert_eq!(refused, 1, "the other zones have the same quota");
}

/// The first send is lost, every further one is refused for capacity: what the refusal says is of its own send alone.
async fn in_doubt(lost: FaultEffect, planted: Planted) -> (House, UserHandle, ReservationId, Vec<TypeName>) {
    let mut limits = limits();
    // Until then the replay of the same token may still tell.
    limits.resend_within = Duration::from_secs(1);
    let house = house(limits, planted).await;
    let ada = house.user("ada").await;
    let types = ranked(&ada).await;
    let machine =
        Match { kind: Some(ResourceKind::Machine), type_name: Some(types[0].clone()), ..Match::default() };
    house.sim.rule(Rule::once("launch", lost).only(machine.clone()));
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    while !house.sim.rules().is_empty() {
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
    house.sim.rule(Rule::once("launch", FaultEffect::Capacity).times(None).only(machine));
    come_to(&ada, &id, Phase::Ready).await;
    (house, ada, id, types)
}

/// Was the second offer asked for while the first was not proven absent?
async fn walked_past(house: &House) -> bool {
    let rows = asked(house).await;
    let (first, later) = (&rows[0].1, &rows[1..]);
    let proven = first.unseen.as_ref().map(|unseen| unseen.last);
    let absent = matches!(first.state, LaunchState::Closed(Closed::NeverBorn(_)));
    let unproven = |at| !absent || proven.is_none_or(|proven| at < proven);
    later.iter().any(|(_, row)| unproven(row.created_at))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_skipped_over_and_two_machines_are_paid_for() {
    let (house, ada, id, types) = in_doubt(FaultEffect::LostReply, Planted::NONE).await;
    let machines = house.sim.truth().into_iter().filter(|thing| thing.kind == ResourceKind::Machine);
    assert_eq!(machines.count(), 1, "what was made without an answer is found, not bought again");
    let rows = asked(&house).await;
    assert!(rows.iter().all(|(name, _)| *name == types[0]), "no second offer was asked for");
    assert_eq!(ada.get(&id).await.expect("is there").units.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_offer_is_asked_for_before_the_first_is_proven_absent() {
    let (house, ..) = in_doubt(FaultEffect::LostRequest, Planted::NONE).await;
    assert!(asked(&house).await.len() > 1, "the first came to nothing");
    assert!(!walked_past(&house).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_closes_what_is_unknown_is_caught() {
    let (house, ..) = in_doubt(FaultEffect::LostRequest, Planted::one(Bug::C6RefusalClosesUnknown)).await;
    assert!(walked_past(&house).await, "the check sees an offer that was skipped over in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_list_fails_the_reservation_or_says_nothing() {
    let house = house(short_memory(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let machine = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
    house.sim.rule(Rule::once("launch", FaultEffect::Capacity).times(None).only(machine));
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let waits = |reason: Option<String>| reason.is_some_and(|reason| reason.contains("tried again at 20"));
    let until = SystemClock.mono() + PATIENCE;
    // One look: a moment later it may be tried again already.
    let view = loop {
        let view = ada.get(&id).await.expect("is there");
        if waits(view.reason.clone()) {
            break view;
        }
        assert!(SystemClock.mono() < until, "{view:?}");
        SystemClock.sleep(Duration::from_millis(10)).await;
    };
    assert!(view.reason.as_ref().is_some_and(|why| why.contains("no offer has capacity now")), "{view:?}");
    assert!(matches!(view.state, Phase::Pending | Phase::Creating), "{view:?}");
    let asked_for = asked(&house).await.len();
    assert!(asked_for <= limits().offers_kept * 4, "bounded by the list, filled three times: {asked_for}");
    // A second one waits, too, without asking the cloud for anything.
    let other = ada.reserve(&wish(1), None).await.expect("accepted and waiting").view.id;
    house.sim.clear_rules();
    come_to(&ada, &id, Phase::Ready).await;
    come_to(&ada, &other, Phase::Ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_shortage_nobody_says_what_a_rule_costs_or_that_all_was_refused() {
    let house = house(limits(), Planted::NONE).await;
    let ada = house.user("ada").await;
    let mut ruled = wish(1);
    ruled.policy.burstable = Burstable::Deny;
    let explain = QuoteOptions { explain: true, ..QuoteOptions::default() };
    let before = ada.quotes(&ruled, explain).await.expect("it fits");
    assert!(before.quotes.iter().all(|quote| quote.refused_until.is_none()), "nothing was refused yet");
    assert!(!before.rules.is_empty());
    let machine = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
    house.sim.rule(Rule::once("launch", FaultEffect::Capacity).times(None).only(machine));
    ada.reserve(&ruled, None).await.expect("accepted");
    let until = SystemClock.mono() + PATIENCE;
    let told = loop {
        let told = ada.quotes(&ruled, explain).await.expect("it fits, but for capacity");
        if told.quotes.iter().all(|quote| quote.refused_until.is_some()) {
            break told;
        }
        assert!(SystemClock.mono() < until, "not marked: {:?}", told.quotes.len());
        SystemClock.sleep(Duration::from_millis(20)).await;
    };
    assert!(!told.rules.is_empty(), "the costs of rules do not vanish in a shortage");
}
