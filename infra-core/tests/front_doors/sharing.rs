//! Shares: who may what, who may not, and what becomes of it when somebody goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::store::RecordKind;
use infra_core::infra::{ListOptions, NewTemplate, TemplateFrom, UserHandle};
use infra_core::nouns::reservation::{Phase, Reservation, Role};
use infra_core::words::clock::later;
use infra_core::words::ids::{ReservationId, UserId};
use infra_core::{Clock, InfraError, SystemClock};

use super::house::{House, wish, word};

/// Every verb on one reservation, by name, as its answer's word; `ok` where it was done.
async fn verbs(user: &UserHandle, id: &ReservationId) -> BTreeMap<&'static str, String> {
    let end = later(SystemClock.wall(), Duration::from_secs(7200));
    let other: UserId = "cem".parse().expect("legal");
    let template =
        NewTemplate { name: "t".parse().expect("legal"), from: TemplateFrom::Reservation(id.clone()) };
    let answers = [
        ("get", user.get(id).await.map(drop)),
        ("wait", user.wait(id, Duration::ZERO).await.map(drop)),
        ("extend", user.extend(id, end, None).await.map(drop)),
        ("stop", user.stop(id, None).await.map(drop)),
        ("start", user.start(id, None).await.map(drop)),
        ("set_tags", user.set_tags(id, &BTreeMap::new(), None).await.map(drop)),
        ("set_count", user.set_count(id, 1, None).await.map(drop)),
        ("confirm_mark", user.confirm_mark(id, 0).await),
        ("shares", user.shares(id).await.map(drop)),
        ("share", user.share(id, &other, Role::Viewer, None).await.map(drop)),
        ("unshare", user.unshare(id, &other, None).await.map(drop)),
        ("template", user.save_template(&template, None).await.map(drop)),
        ("release", user.release(id).await.map(drop)),
    ];
    answers
        .into_iter()
        .map(|(verb, answer)| (verb, answer.map_or_else(|e| word(&e), |()| "ok".to_owned())))
        .collect()
}

#[tokio::test]
async fn a_team_mate_may_what_was_given_and_nothing_else() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let _cem = house.mate("qa", "cem").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    assert!(verbs(&ben, &id).await.values().all(|answer| answer == "NotFound"), "not shared: not there");
    for (role, may) in
        [(Role::Viewer, vec!["get", "wait"]), (Role::User, vec!["get", "wait", "extend", "stop", "start"])]
    {
        let shares = ada.share(&id, ben.id(), role, None).await.expect("shares");
        assert_eq!(shares.items.len(), 1, "replaced, not added");
        for (verb, answer) in verbs(&ben, &id).await {
            let expected = if may.contains(&verb) { "ok" } else { "NotAllowed" };
            assert_eq!(answer, expected, "{role:?} {verb}");
        }
        let view = ben.get(&id).await.expect("may look");
        assert_eq!((&view.user, view.role, view.state), (ada.id(), role, Phase::Pending));
    }
    assert_eq!((house.held(&ada).await, house.held(&ben).await), (1, 0));
    let shared = ListOptions { shared: true, ..ListOptions::default() };
    let list =
        |items: Vec<infra_core::infra::ReservationView>| items.into_iter().map(|v| v.id).collect::<Vec<_>>();
    assert_eq!(list(ben.list(&shared).await.expect("lists").items), std::slice::from_ref(&id));
    assert!(ben.list(&ListOptions::default()).await.expect("lists").items.is_empty(), "his own are none");
    assert!(ada.list(&shared).await.expect("lists").items.is_empty(), "her own is not shared with her");
    ada.unshare(&id, ben.id(), None).await.expect("takes it back");
    assert!(verbs(&ben, &id).await.values().all(|answer| answer == "NotFound"));
    assert!(ben.list(&shared).await.expect("lists").items.is_empty());
}

#[tokio::test]
async fn nothing_is_shared_beyond_the_team() {
    let house = House::quiet().await;
    let (ada, eve) = (house.mate("qa", "ada").await, house.user("eve").await);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let nobody: UserId = "nobody".parse().expect("legal");
    for other in [eve.id(), &nobody] {
        let error = ada.share(&id, other, Role::User, None).await.expect_err("nobody of the team");
        assert!(matches!(&error, InfraError::NotFound { what: "user", .. }), "{error:?}");
        let error = house.operator().transfer(ada.id(), other).await.expect_err("nobody of the team");
        assert!(matches!(&error, InfraError::NotFound { what: "user", .. }), "{error:?}");
        let error = eve.share(&id, other, Role::User, None).await.expect_err("not hers");
        assert!(matches!(&error, InfraError::NotFound { what: "reservation", .. }), "{error:?}");
    }
    for (role, other) in [(Role::Owner, eve.id()), (Role::User, ada.id())] {
        assert_eq!(word(&ada.share(&id, other, role, None).await.expect_err("absurd")), "OutOfRange");
    }
    assert!(verbs(&eve, &id).await.values().all(|answer| answer == "NotFound"));
}

#[tokio::test]
async fn a_share_ends_with_the_membership_it_was_given_to() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.share(&id, ben.id(), Role::User, None).await.expect("shares");
    let qa = "qa".parse().expect("legal");
    house.operator().set_team(&qa, &[ada.id().clone()], None).await.expect("ben leaves");
    assert!(matches!(ben.get(&id).await, Err(InfraError::NotFound { .. })));
    house.operator().set_team(&qa, &[ada.id().clone(), ben.id().clone()], None).await.expect("ben is back");
    assert!(matches!(ben.get(&id).await, Err(InfraError::NotFound { .. })), "what was given then is over");
    ada.share(&id, ben.id(), Role::Viewer, None).await.expect("shares anew");
    assert!(ben.get(&id).await.is_ok());
    house.operator().remove_user(ben.id()).await.expect("holds nothing");
    let next = house.mate("qa", "ben").await;
    assert!(matches!(next.get(&id).await, Err(InfraError::NotFound { .. })), "another ben");
    let shared = ListOptions { shared: true, ..ListOptions::default() };
    assert!(next.list(&shared).await.expect("lists").items.is_empty());
}

#[tokio::test]
async fn a_stale_share_changes_nothing() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let view = ada.reserve(&wish(1), None).await.expect("accepted").view;
    let first = ada.share(&view.id, ben.id(), Role::User, Some(view.version)).await.expect("as seen");
    let error =
        ada.share(&view.id, ben.id(), Role::Viewer, Some(view.version)).await.expect_err("seen before");
    assert!(matches!(error, InfraError::Conflict { .. }), "{error:?}");
    assert_eq!(ada.shares(&view.id).await.expect("reads"), first);
    ada.unshare(&view.id, ben.id(), Some(first.version)).await.expect("as seen");
    let error = ada.unshare(&view.id, ben.id(), None).await.expect_err("taken back already");
    assert!(matches!(error, InfraError::NotFound { what: "share", .. }), "{error:?}");
}

#[tokio::test]
async fn a_suspended_users_machines_are_not_started_by_others() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.share(&id, ben.id(), Role::User, None).await.expect("shares");
    ada.stop(&id, None).await.expect("stops");
    house.operator().set_suspended(ada.id(), true).await.expect("suspends");
    let error = ben.start(&id, None).await.expect_err("its owner may not either");
    assert!(matches!(&error, InfraError::Suspended { user } if user == ada.id()), "{error:?}");
    assert!(ben.get(&id).await.is_ok());
    house.operator().set_suspended(ada.id(), false).await.expect("lifts it");
    ben.start(&id, None).await.expect("starts");
}

/// What is counted for a user, and what its reservations say that should be.
async fn counts(house: &House, user: &UserHandle) -> (u32, u32) {
    let all = house.all::<Reservation>().await;
    let sum =
        all.iter().filter(|record| record.value.owner == *user.id()).map(|record| record.value.counted).sum();
    (house.held(user).await, sum)
}

#[tokio::test]
async fn a_transfer_that_dies_anywhere_is_repeated_and_counts_everything_once() {
    for n in 0..5 {
        let house = House::quiet().await;
        let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
        let mut made = Vec::new();
        for count in 1..=3 {
            made.push(ada.reserve(&wish(count), None).await.expect("accepted").view.id);
        }
        ada.share(&made[0], ben.id(), Role::Viewer, None).await.expect("shares");
        let dying = house.dying(n).await;
        let died = dying.operator().transfer(ada.id(), ben.id()).await.is_err();
        assert_eq!(died, n < 3, "one commit each");
        for user in [&ada, &ben] {
            let (held, should) = counts(&house, user).await;
            assert_eq!(held, should, "died at {n}: {} is counted wrong", user.id());
        }
        let rest = house.operator().transfer(ada.id(), ben.id()).await.expect("repeated");
        assert_eq!(rest, 3 - n.min(3));
        assert_eq!((counts(&house, &ada).await, counts(&house, &ben).await), ((0, 0), (6, 6)));
        let view = ben.get(&made[0]).await.expect("is his");
        assert_eq!((view.role, view.shares.len()), (Role::Owner, 0), "no share with its own owner");
        assert!(matches!(ada.get(&made[0]).await, Err(InfraError::NotFound { .. })));
        house.operator().remove_user(ada.id()).await.expect("holds nothing any more");
        assert_eq!(ben.list(&ListOptions::default()).await.expect("lists").items.len(), 3);
    }
}

#[tokio::test]
async fn a_transfer_exceeds_no_limit_and_meets_other_changes_whole() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ada.reserve(&wish(3), None).await.expect("accepted").view.id;
    house.operator().set_machines_max(ben.id(), Some(2)).await.expect("sets");
    let error = house.operator().transfer(ada.id(), ben.id()).await.expect_err("too many for ben");
    assert!(matches!(error, InfraError::OverLimit { asked: 3, max: 2, .. }), "{error:?}");
    assert_eq!((counts(&house, &ada).await, counts(&house, &ben).await), ((3, 3), (0, 0)));
    house.operator().set_machines_max(ben.id(), Some(3)).await.expect("sets");
    // The owner changes the count between the look and the commit: what moves is what it is by then.
    let shrinks = {
        let (ada, id) = (ada.clone(), id.clone());
        Box::pin(async move { drop(ada.set_count(&id, 2, None).await.expect("changes")) })
    };
    let racing = house.with_meanwhile(RecordKind::Reservation, shrinks).await;
    assert_eq!(racing.operator().transfer(ada.id(), ben.id()).await.expect("two fit"), 1);
    assert_eq!((counts(&house, &ada).await, counts(&house, &ben).await), ((0, 0), (2, 2)));
    assert_eq!(
        word(&house.operator().transfer(ben.id(), ben.id()).await.expect_err("the same")),
        "OutOfRange"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_after_a_transfer_frees_the_new_owners_limit() {
    let house = House::live().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (operator, from, to) = (house.operator(), ada.id().clone(), ben.id().clone());
            tokio::spawn(async move { operator.transfer(&from, &to).await })
        })
        .collect();
    let mut moved = 0;
    for call in calls {
        moved += call.await.expect("no panic").expect("while the engine works on it, too");
    }
    assert_eq!(moved, 1, "once, whoever does it");
    let ready = ben.wait(&id, Duration::from_secs(20)).await.expect("waits");
    assert_eq!((ready.state, ready.units.len()), (Phase::Ready, 2));
    ben.release(&id).await.expect("releases");
    assert_eq!(ben.wait(&id, Duration::from_secs(20)).await.expect("waits").state, Phase::Released);
    assert_eq!((counts(&house, &ada).await, counts(&house, &ben).await), ((0, 0), (0, 0)));
    house.infra.shutdown().await;
    let _ = Arc::strong_count(&house.store);
}

#[tokio::test]
async fn a_share_of_somebody_who_is_gone_is_listed_or_counts() {
    let house = House::quiet().await;
    let (ada, qa) = (house.mate("qa", "ada").await, "qa".parse().expect("legal"));
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    // As many as there may be, and then one of them stays.
    let mut mates = Vec::new();
    for n in 0..50 {
        let mate = house.mate("qa", &format!("mate-{n:02}")).await;
        ada.share(&id, mate.id(), Role::Viewer, None).await.expect("shares");
        mates.push(mate);
    }
    assert_eq!(ada.shares(&id).await.expect("reads").items.len(), 50);
    house.operator().remove_user(mates[0].id()).await.expect("holds nothing");
    let stay = [ada.id().clone(), mates[1].id().clone()];
    house.operator().set_team(&qa, &stay, None).await.expect("the others leave");
    let names = |shares: &infra_core::infra::Shares| {
        shares.items.iter().map(|share| share.user.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ada.shares(&id).await.expect("reads")), ["mate-01"]);
    // The name of who was removed is given to another, who was given nothing.
    let next = house.mate("qa", "mate-00").await;
    assert_eq!(names(&ada.shares(&id).await.expect("reads")), ["mate-01"]);
    let given = ada.share(&id, next.id(), Role::User, None).await.expect("lines of the gone take no room");
    assert_eq!(names(&given), ["mate-00", "mate-01"]);
    let kept = house.all::<Reservation>().await;
    assert_eq!(kept[0].value.shares.len(), 2, "and are not kept");
    // An earlier line can be taken back all the same.
    house.operator().remove_user(next.id()).await.expect("holds nothing");
    ada.unshare(&id, next.id(), None).await.expect("its line stands there");
    assert_eq!(names(&ada.shares(&id).await.expect("reads")), ["mate-01"]);
}
