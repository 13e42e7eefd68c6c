//! Users, tokens and switches.

use std::sync::Arc;
use std::time::Duration;

use infra_core::InfraError;
use infra_core::infra::Principal;
use infra_core::nouns::account::{AccessToken, TokenRole};
use infra_core::nouns::reservation::Phase;
use infra_core::nouns::switch::{SwitchScope, SwitchValue};
use infra_core::testing::VirtualClock;
use infra_core::words::ids::{TenantId, UserId};
use infra_providers::sim::{FaultEffect, Rule};
use infra_store::MemoryStore;

use super::house::{HOME, House, parts, quick, wish, word};

#[tokio::test]
async fn a_name_cannot_steal_into_somebody_elses_team() {
    let house = House::quiet().await;
    house.user("ada").await;
    let operator = house.operator();
    for team in ["user:ada", "_system"] {
        let team: TenantId = team.parse().expect("legal as a name");
        let error =
            operator.add_user(&"eve".parse().expect("legal"), Some(&team)).await.expect_err("reserved");
        assert_eq!(word(&error), "OutOfRange", "{error}");
    }
    let error = operator.add_user(&"_eve".parse().expect("legal"), None).await.expect_err("reserved");
    assert_eq!(word(&error), "OutOfRange", "{error}");
    let error = operator.add_user(&"ada".parse().expect("legal"), None).await.expect_err("exists");
    assert!(matches!(error, InfraError::Conflict { what: "user", .. }), "{error}");
    // A team of the same name as a lone user is another tenant.
    let team: TenantId = "ada".parse().expect("legal");
    let eve =
        operator.add_user(&"eve".parse().expect("legal"), Some(&team)).await.expect("a team called ada");
    assert_ne!(eve.tenant, operator.get_user(&"ada".parse().expect("legal")).await.expect("is there").tenant);
    assert!(house.infra.user(&eve.id).keys().await.expect("lists").is_empty());
}

#[tokio::test]
async fn a_user_who_holds_anything_stays() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let error = house.operator().remove_user(ada.id()).await.expect_err("holds a machine");
    assert!(matches!(&error, InfraError::InUse { by, .. } if *by == [id.to_string()]), "{error}");
    assert_eq!(ada.keys().await.expect("still there").len(), 1);
    let ben = house.user("ben").await;
    house.operator().remove_user(ben.id()).await.expect("holds nothing");
    assert!(matches!(ben.keys().await, Err(InfraError::NotFound { what: "user", .. })));
    let keys = house.all::<infra_core::nouns::credential::StoredCredential>().await;
    assert!(keys.iter().all(|key| key.value.tenant.as_str() != "user:ben"), "no key without a team");
}

#[tokio::test]
async fn a_token_is_good_for_its_user_until_it_ends() {
    let (store, clock) = (Arc::new(MemoryStore::new()), VirtualClock::default());
    let infra = parts(store, &quick())
        .with_home(HOME)
        .with_clock(Arc::new(clock.clone()))
        .without_engine()
        .build()
        .await
        .expect("opens");
    let operator = infra.operator();
    let ada: UserId = "ada".parse().expect("legal");
    let unknown = operator.issue_token(&ada, "x", TokenRole::User, None).await.expect_err("nobody");
    assert!(matches!(unknown, InfraError::NotFound { what: "user", .. }), "{unknown}");
    operator.add_user(&ada, None).await.expect("new");
    let hour = Some(Duration::from_secs(3600));
    let (short, short_secret) =
        operator.issue_token(&ada, "ci", TokenRole::Viewer, hour).await.expect("issues");
    let (long, long_secret) =
        operator.issue_token(&ada, "laptop", TokenRole::User, None).await.expect("issues");
    // The second time its holder is guessed, and read all the same.
    for _ in 0..2 {
        let who = operator.authenticate(short_secret.expose()).await.expect("answers");
        let Principal { user, role, token, expires_at, .. } = who.expect("it counts");
        assert_eq!((&user, role, &token, expires_at), (&ada, TokenRole::Viewer, &short.id, short.expires_at));
    }
    for wrong in ["", "infra_", &short_secret.expose()[1..], &long.digest] {
        assert_eq!(operator.authenticate(wrong).await.expect("answers"), None, "{wrong:?}");
    }
    clock.advance(Duration::from_secs(3600));
    assert_eq!(operator.authenticate(short_secret.expose()).await.expect("answers"), None, "expired");
    assert!(operator.authenticate(long_secret.expose()).await.expect("answers").is_some());
    operator.revoke_token(&ada, &long.id).await.expect("revokes");
    assert_eq!(operator.authenticate(long_secret.expose()).await.expect("answers"), None, "revoked, at once");
    let error = operator.revoke_token(&ada, &long.id).await.expect_err("gone");
    assert!(matches!(error, InfraError::NotFound { what: "token", .. }), "{error}");
    assert_eq!(operator.tokens(&ada).await.expect("lists").len(), 1);
}

#[tokio::test]
async fn a_token_left_over_from_a_removed_user_opens_nothing_for_the_next_of_that_name() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    let (token, secret) =
        house.operator().issue_token(ada.id(), "old", TokenRole::User, None).await.expect("issues");
    house.operator().remove_user(ada.id()).await.expect("holds nothing");
    assert!(house.all::<AccessToken>().await.is_empty());
    // As if it had been issued while the user was being removed.
    let mut txn = house.repo().txn();
    txn.insert(&token);
    house.repo().commit(txn).await.expect("writes");
    assert_eq!(house.operator().authenticate(secret.expose()).await.expect("answers"), None, "nobody's");
    house.keyless("ada").await;
    assert_eq!(house.operator().authenticate(secret.expose()).await.expect("answers"), None, "not hers");
}

#[tokio::test]
async fn a_suspended_user_may_only_look_and_release() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    house.operator().set_suspended(ada.id(), true).await.expect("suspends");
    for answer in [
        ada.reserve(&wish(1), None).await.map(drop),
        ada.set_count(&id, 0, None).await.map(drop),
        ada.stop(&id, None).await.map(drop),
        ada.save_key(&super::house::sim_key("x", "sim-x")).await.map(drop),
        ada.remove_key(&super::house::sim(), "default").await,
    ] {
        let error = answer.expect_err("suspended");
        assert!(matches!(error, InfraError::Suspended { .. }), "{error}");
    }
    ada.get(&id).await.expect("may look");
    ada.release(&id).await.expect("may release");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_acknowledged_with_what_may_still_land() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    house.sim.rule(Rule::once("launch", FaultEffect::SlowMs(3000)));
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let launches = |house: &House| house.sim.counts().get("launch").copied().unwrap_or(0);
    for _ in 0..400 {
        if launches(&house) > 0 {
            break;
        }
        infra_core::Clock::sleep(&infra_core::SystemClock, Duration::from_millis(10)).await;
    }
    let thrown = SwitchScope::Global;
    let (switch, in_flight) = house
        .operator()
        .set_switch(&thrown, SwitchValue::NoCreates, "op", "drill", None)
        .await
        .expect("throws");
    assert_eq!(switch.value, SwitchValue::NoCreates);
    assert!(!in_flight.is_empty() && in_flight.iter().all(|sent| sent.reservation == id), "{in_flight:?}");
    let before = launches(&house);
    infra_core::Clock::sleep(&infra_core::SystemClock, Duration::from_millis(500)).await;
    assert_eq!(launches(&house), before, "nothing else is sent");
    let elsewhere = SwitchScope::Tenant("nobody".parse().expect("legal"));
    let (_, none) = house
        .operator()
        .set_switch(&elsewhere, SwitchValue::Frozen, "op", "drill", None)
        .await
        .expect("throws");
    assert!(none.is_empty(), "{none:?}");
    house.infra.shutdown().await;
}

#[tokio::test]
async fn a_switch_with_an_end_opens_by_itself() {
    let clock = VirtualClock::default().manual();
    let infra = parts(Arc::new(MemoryStore::new()), &quick())
        .with_home(HOME)
        .with_clock(Arc::new(clock.clone()))
        .without_engine()
        .build()
        .await
        .expect("opens");
    let ada: UserId = "ada".parse().expect("legal");
    infra.operator().add_user(&ada, None).await.expect("new");
    let ada = infra.user(&ada);
    ada.save_key(&super::house::sim_key("default", "sim-a")).await.expect("good");
    let now = infra_core::Clock::wall(&clock);
    let past =
        infra.operator().set_switch(&SwitchScope::Global, SwitchValue::Frozen, "op", "x", Some(now)).await;
    assert_eq!(word(&past.expect_err("past")), "OutOfRange");
    let until = infra_core::words::clock::later(now, Duration::from_secs(60));
    infra
        .operator()
        .set_switch(&SwitchScope::Global, SwitchValue::Frozen, "op", "x", Some(until))
        .await
        .expect("throws");
    assert!(matches!(ada.reserve(&wish(1), None).await, Err(InfraError::Paused { .. })));
    clock.advance(Duration::from_secs(61));
    ada.reserve(&wish(1), None).await.expect("open again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_of_a_name_never_reads_what_the_last_one_held() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.release(&id).await.expect("released");
    let patience = Duration::from_secs(60);
    assert_eq!(ada.wait(&id, patience).await.expect("waits").state, Phase::Released);
    house.operator().remove_user(ada.id()).await.expect("holds nothing");
    let error = house.operator().add_user(ada.id(), None).await.expect_err("its past is readable");
    assert!(matches!(error, InfraError::Conflict { what: "user", .. }), "{error}");
}
