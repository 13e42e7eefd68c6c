//! A store that is not where it lives, or not what it was: nothing changes until a person says what happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::store::ListBy;
use infra_core::infra::Infra;
use infra_core::nouns::account::TokenRole;
use infra_core::nouns::installation::{Frozen, Installation, Recovery};
use infra_core::nouns::launch::{Closed, Launch, LaunchState};
use infra_core::nouns::reservation::Phase;
use infra_core::nouns::switch::{SwitchScope, SwitchValue};
use infra_core::words::clock::later;
use infra_core::words::lane::Version;
use infra_core::{Clock, InfraError, SystemClock};

use infra_core::infra::Relaunch;
use infra_core::nouns::account::Preferences;
use infra_core::nouns::overrides::Overrides;

use super::house::{HOME, House, parts, sim, sim_key, template, wish};

const LONG: Duration = Duration::from_secs(20);
const ELSEWHERE: &str = "machine-b:/srv/copy";

async fn frozen(infra: &Infra) -> Option<Frozen> {
    infra.operator().status().await.expect("readable").frozen
}

#[tokio::test]
async fn a_store_that_is_away_from_home_is_read_and_never_written() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let idle = house.keyless("idle").await;
    let team = "qa".parse().expect("legal");
    let name = ada.save_template(&template("web", wish(1)), None).await.expect("saves").view.of.name;
    let again = Relaunch { owner: None, name: name.clone(), version: None, overrides: Overrides::default() };
    let away = house.reopened(ELSEWHERE).await;
    assert_eq!(frozen(&away).await, Some(Frozen::Elsewhere { opened_at: ELSEWHERE.to_owned() }));
    let (user, operator) = (away.user(ada.id()), away.operator());
    let before = house.newest().await;
    let end = later(SystemClock.wall(), LONG);
    let new = "new".parse().expect("legal");
    for (verb, answer) in [
        ("reserve", user.reserve(&wish(1), None).await.map(drop)),
        ("release", user.release(&id).await.map(drop)),
        ("extend", user.extend(&id, end, None).await.map(drop)),
        ("stop", user.stop(&id, None).await.map(drop)),
        ("start", user.start(&id, None).await.map(drop)),
        ("set_count", user.set_count(&id, 2, None).await.map(drop)),
        ("set_tags", user.set_tags(&id, &BTreeMap::new(), None).await.map(drop)),
        ("confirm_mark", user.confirm_mark(&id, 0).await),
        ("save_key", user.save_key(&sim_key("x", "sim-x")).await.map(drop)),
        ("remove_key", user.remove_key(&sim(), "default").await),
        ("add_user", operator.add_user(&new, None).await.map(drop)),
        ("remove_user", operator.remove_user(idle.id()).await.map(drop)),
        ("set_machines_max", operator.set_machines_max(ada.id(), Some(1)).await.map(drop)),
        ("issue_token", operator.issue_token(ada.id(), "x", TokenRole::User, None).await.map(drop)),
        ("lift_hold", operator.lift_hold(&id).await),
        ("save_template", user.save_template(&template("web", wish(1)), None).await.map(drop)),
        ("remove_template", user.remove_template(&name, None).await),
        ("relaunch", user.relaunch(&again, None).await.map(drop)),
        ("set_profile", user.set_profile(&Preferences::default(), None).await.map(drop)),
        ("unshare", user.unshare(&id, idle.id(), None).await.map(drop)),
        ("own token", user.issue_token("x", TokenRole::User, None, None).await.map(drop)),
        ("set_team", operator.set_team(&team, &[idle.id().clone()], None).await.map(drop)),
    ] {
        let error = answer.expect_err(verb);
        assert!(matches!(error, InfraError::Frozen { .. }), "{verb}: {error:?}");
    }
    assert_eq!(house.newest().await, before, "nothing was written");
    user.get(&id).await.expect("readable");
    user.list(&Default::default()).await.expect("readable");
    user.keys().await.expect("readable");
    user.quote(&wish(1)).await.expect("readable");
    operator
        .set_switch(&SwitchScope::Global, SwitchValue::Frozen, "op", "x", None)
        .await
        .expect("brakes work");
}

#[tokio::test]
async fn coming_home_does_not_thaw_and_moving_does() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    house.reopened(ELSEWHERE).await;
    let back = house.reopened(HOME).await;
    assert!(frozen(&back).await.is_some(), "the copy may have acted meanwhile");
    back.operator().recover(Recovery::Moved).await.expect("somebody says so");
    back.user(ada.id()).reserve(&wish(1), None).await.expect("thawed");

    let away = house.reopened(ELSEWHERE).await;
    let before = away.operator().status().await.expect("readable");
    let after = away.operator().recover(Recovery::Moved).await.expect("somebody says so");
    assert_eq!((after.home.as_str(), &after.frozen), (ELSEWHERE, &None));
    assert_eq!((after.installation, after.epoch), (before.installation, before.epoch), "still itself");
    assert!(frozen(&house.reopened(ELSEWHERE).await).await.is_none(), "it lives here now");
    for wrong in [Recovery::Moved, Recovery::Clone] {
        let error = away.operator().recover(wrong).await.expect_err("it is not frozen");
        assert!(matches!(error, InfraError::Conflict { what: "installation", .. }), "{error}");
    }
}

#[tokio::test]
async fn a_restored_store_issues_no_fence_twice_and_ends_nothing_for_a_day() {
    let house = House::quiet().await;
    house.user("ada").await;
    let repo = house.repo();
    let was = repo.get::<Installation>(Installation::place()).await.expect("reads").expect("is there");
    let witness = Frozen::OlderThanCloud { lane: "sim".to_owned(), seen: Version(900), newest: Version(9) };
    let mut txn = repo.txn();
    txn.update(&was, &Installation { frozen: Some(witness), ..was.value.clone() });
    repo.commit(txn).await.expect("writes");
    let error = house.operator().recover(Recovery::Moved).await.expect_err("it did not move");
    assert!(matches!(error, InfraError::Conflict { .. }), "{error}");
    house.operator().recover(Recovery::Restored).await.expect("somebody says so");
    let now = repo.get::<Installation>(Installation::place()).await.expect("reads").expect("is there").value;
    assert_eq!((now.id, now.epoch, &now.frozen), (was.value.id, was.value.epoch + 1, &None));
    assert!(now.witness_floor >= Version(900));
    let held = now.deadlines_held_until.expect("held");
    assert!(held > later(SystemClock.wall(), Duration::from_secs(23 * 3600)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_lets_go_of_the_originals_machines_and_keys() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    assert_eq!(ada.wait(&id, LONG).await.expect("waits").state, Phase::Ready);
    let copy =
        House { store: Arc::new(house.store.snapshot()), sim: house.sim.clone(), infra: house.infra.clone() };
    let infra = parts(copy.store.clone(), &copy.sim).with_home(ELSEWHERE).build().await.expect("opens");
    let before = infra.operator().status().await.expect("readable");
    assert!(before.frozen.is_some());
    let ended = |house: &House| house.sim.counts().get("terminate").copied().unwrap_or(0);
    let after = infra.operator().recover(Recovery::Clone).await.expect("somebody says so");
    assert_ne!(after.installation, before.installation);
    assert!(after.epoch > before.epoch && after.frozen.is_none());
    let user = infra.user(ada.id());
    assert!(user.keys().await.expect("lists").is_empty());
    let over = user.wait(&id, LONG).await.expect("waits");
    assert_eq!(over.state, Phase::Failed);
    assert!(over.reason.is_some(), "says why");
    let rows = copy.repo().list_all::<Launch>(ListBy::All, None).await.expect("reads");
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!(row.value.state, LaunchState::Closed(Closed::Evicted));
    }
    assert_eq!(infra.operator().get_user(ada.id()).await.expect("is there").machines_held, 0);
    infra.shutdown().await;
    assert_eq!(ended(&house), 0, "the original's machines run on");
    let still = ada.get(&id).await.expect("readable");
    assert_eq!((still.state, still.units.len()), (Phase::Ready, 2));
    house.infra.shutdown().await;
}
