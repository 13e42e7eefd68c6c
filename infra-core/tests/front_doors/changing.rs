//! Changing, ending and awaiting what is held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{Facts, Identity, MockCloudDriver, MockCloudProvider};
use infra_core::infra::{ListOptions, ReleaseOutcome};
use infra_core::nouns::cloud::PowerMode;
use infra_core::nouns::event::{Event, Outbox};
use infra_core::nouns::offering::{Billing, Catalogue, Image, Offering};
use infra_core::nouns::request::Market;
use infra_core::nouns::reservation::{Phase, Power, Reservation};
use infra_core::testing::fixtures;
use infra_core::words::clock::later;
use infra_core::words::lane::Endpoint;
use infra_core::words::money::Money;
use infra_core::words::secret::MasterKey;
use infra_core::{Clock, InfraError, SystemClock};

use super::house::{House, wish, word};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stale_if_match_changes_nothing() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let old = ada.reserve(&wish(1), None).await.expect("accepted").view;
    let new = ada.set_count(&old.id, 2, Some(old.version)).await.expect("as seen");
    let before = house.newest().await;
    let end = later(SystemClock.wall(), LONG);
    for answer in [
        ada.set_count(&old.id, 5, Some(old.version)).await,
        ada.extend(&old.id, end, Some(old.version)).await,
        ada.stop(&old.id, Some(old.version)).await,
        ada.start(&old.id, Some(old.version)).await,
        ada.set_tags(&old.id, &BTreeMap::new(), Some(old.version)).await,
    ] {
        let error = answer.expect_err("stale");
        let now = matches!(&error, InfraError::Conflict { version, .. } if *version == Some(new.version));
        assert!(now, "{error:?}");
    }
    assert_eq!(house.newest().await, before);
}

#[tokio::test]
async fn what_is_held_moves_with_the_count_and_never_beyond_the_limit() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    for (count, held) in [(20, 20), (3, 3), (0, 0), (7, 7)] {
        ada.set_count(&id, count, None).await.expect("within the limit");
        assert_eq!(house.held(&ada).await, held);
    }
    let error = ada.set_count(&id, 21, None).await.expect_err("beyond");
    assert!(matches!(error, InfraError::OverLimit { asked: 14, held: 7, max: 20 }), "{error:?}");
    let error = ada.set_count(&id, 1001, None).await.expect_err("absurd");
    assert_eq!(word(&error), "OutOfRange");
    assert_eq!(house.held(&ada).await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_wins_over_everything_that_runs_beside_it() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    let end = later(SystemClock.wall(), LONG);
    let calls: Vec<_> = (0..24_u32)
        .map(|n| {
            let (ada, id) = (ada.clone(), id.clone());
            tokio::spawn(async move {
                match n % 4 {
                    0 => ada.release(&id).await.map(drop),
                    1 => ada.extend(&id, later(end, Duration::from_secs(n.into())), None).await.map(drop),
                    2 => ada.set_count(&id, n % 20, None).await.map(drop),
                    _ => ada.stop(&id, None).await.map(drop),
                }
            })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        match call.await.expect("no panic") {
            Ok(()) | Err(InfraError::Gone { .. }) => {}
            Err(other) => panic!("call {n}: {other}"),
        }
    }
    let records = house.all::<Reservation>().await;
    assert!(!records[0].value.desired.present);
    assert_eq!(ada.get(&id).await.expect("readable").state, Phase::Releasing);
    for answer in [
        ada.extend(&id, end, None).await,
        ada.set_count(&id, 1, None).await,
        ada.start(&id, None).await,
        ada.stop(&id, None).await,
    ] {
        assert!(matches!(answer, Err(InfraError::Gone { .. })), "{answer:?}");
    }
    assert!(matches!(ada.release(&id).await, Ok(ReleaseOutcome::Releasing(_))), "repeatable");
}

#[tokio::test]
async fn every_change_tells_once() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.stop(&id, None).await.expect("stops");
    ada.stop(&id, None).await.expect("again");
    ada.release(&id).await.expect("releases");
    ada.release(&id).await.expect("again");
    let events = house.all::<Outbox>().await;
    let desired: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.value.event {
            Event::Desired { desired, .. } => Some((desired.change, desired.power, desired.present)),
            _ => None,
        })
        .collect();
    assert_eq!(desired, [(1, Power::Off, true), (2, Power::Off, false)]);
    let reserved = events.iter().filter(|event| matches!(event.value.event, Event::Reserved { .. })).count();
    assert_eq!(reserved, 1);
}

/// A cloud of one lane with one type, on one market, with these ways to turn a machine off.
fn cloud(market: Market, off_modes: Vec<PowerMode>) -> MockCloudDriver {
    let mut driver = MockCloudDriver::new();
    driver.expect_name().returning(|| "sim".parse().expect("legal"));
    driver.expect_endpoint().returning(Endpoint::default);
    driver.expect_key_fields().returning(|_| None);
    driver.expect_regions().returning(|| vec!["sim-east".parse().expect("legal")]);
    driver.expect_identify().returning(|_| {
        Ok(Identity { account: "acc-1".parse().expect("legal"), principal: "mock".to_owned() })
    });
    driver.expect_connect().returning(move |_, _, _| {
        let mut provider = MockCloudProvider::new();
        let off_modes = off_modes.clone();
        provider.expect_facts().return_const(Facts { off_modes, ..fixtures::facts(1, true) });
        provider.expect_catalogue().returning(move || {
            let choice = fixtures::choice();
            let arch = choice.offering.arch;
            let os = "ubuntu 24.04".to_owned();
            let as_of = SystemClock.wall();
            Ok(Catalogue {
                offerings: vec![Offering { market, ..choice.offering }],
                images: vec![Image {
                    id: choice.image,
                    name: os.clone(),
                    os,
                    arch,
                    created_at: as_of,
                    system: Default::default(),
                    min_disk_gib: 0,
                    min_memory_mib: 0,
                }],
                disk_gib_hour: Money::usd_nanos(1000),
                ipv4_hour: Money::default(),
                billing: Billing::default(),
                billing_by_system: [].into(),
                off_billing: Default::default(),
                options: [].into(),
                as_of,
            })
        });
        Ok(Arc::new(provider))
    });
    driver
}

#[tokio::test]
async fn what_cannot_be_turned_off_is_not_called_stopped() {
    for (market, off_modes, stops) in [
        (Market::Spot, vec![PowerMode::Stop], false),
        (Market::OnDemand, vec![], false),
        (Market::OnDemand, vec![PowerMode::Stop], true),
    ] {
        let infra = infra_core::Infra::builder()
            .with_store(Arc::new(infra_store::MemoryStore::new()))
            .with_driver(Arc::new(cloud(market, off_modes)))
            .with_master_key(MasterKey::new([7; 32]))
            .with_home("here")
            .without_engine()
            .build()
            .await
            .expect("opens");
        let ada = "ada".parse().expect("legal");
        infra.operator().add_user(&ada, None).await.expect("new");
        let ada = infra.user(&ada);
        ada.save_key(&super::house::sim_key("default", "any")).await.expect("good");
        let mut request = wish(1);
        request.market = Some(market.into());
        let id = ada.reserve(&request, None).await.expect("accepted").view.id;
        match ada.stop(&id, None).await {
            Ok(_) => assert!(stops),
            Err(InfraError::Unfulfillable { field: "power", .. }) => assert!(!stops),
            Err(other) => panic!("{other}"),
        }
        let power = ada.get(&id).await.expect("readable").desired.power;
        assert_eq!(power, if stops { Power::Off } else { Power::On });
    }
}

#[tokio::test]
async fn pages_hold_every_reservation_once() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(ada.reserve(&wish(1), None).await.expect("accepted").view.id);
    }
    made.sort();
    let mut options = ListOptions { limit: Some(3), ..ListOptions::default() };
    let mut seen = Vec::new();
    loop {
        let page = ada.list(&options).await.expect("a page");
        seen.extend(page.items.into_iter().map(|view| view.id));
        let Some(next) = page.next else { break };
        options.after = Some(next);
    }
    assert_eq!(seen, made);
    for limit in [0, 201] {
        let error = ada.list(&ListOptions { limit: Some(limit), ..ListOptions::default() }).await;
        assert_eq!(word(&error.expect_err("outside")), "OutOfRange");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_from_request_to_end() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    let ready = ada.wait(&id, LONG).await.expect("waits");
    assert_eq!(ready.state, Phase::Ready, "{ready:?}");
    assert!(ready.simulated && ready.units.len() == 2);
    assert!(ready.units.iter().all(|unit| unit.provider_id.is_some() && unit.account.is_some()));
    assert!(ready.ends_at.is_some_and(|at| at < later(SystemClock.wall(), Duration::from_secs(3601))));

    let grown = ada.set_count(&id, 4, None).await.expect("grows");
    assert_ne!(grown.state, Phase::Ready, "two of four are not ready yet");
    let ready = ada.wait(&id, LONG).await.expect("waits");
    assert_eq!((ready.state, ready.units.len()), (Phase::Ready, 4), "a wait ends when all four are there");

    ada.stop(&id, None).await.expect("stops");
    assert_eq!(ada.wait(&id, LONG).await.expect("waits").state, Phase::Stopped);
    ada.start(&id, None).await.expect("starts");
    assert_eq!(ada.wait(&id, LONG).await.expect("waits").state, Phase::Ready);
    assert!(ada.get(&id).await.expect("readable").cost_so_far.is_some_and(|cost| cost.nanos > 0));

    ada.release(&id).await.expect("releases");
    assert_eq!(ada.wait(&id, LONG).await.expect("waits").state, Phase::Released);
    assert!(matches!(ada.release(&id).await, Ok(ReleaseOutcome::AlreadyOver(_))));
    let late = ada.extend(&id, later(SystemClock.wall(), LONG), None).await.expect_err("over");
    assert!(matches!(late, InfraError::Released { phase: Phase::Released, .. }), "{late}");
    assert_eq!(house.held(&ada).await, 0, "everything was given back");
    assert!(ada.list(&ListOptions::default()).await.expect("lists").items.is_empty());
    assert_eq!(
        ada.list(&ListOptions { all: true, ..Default::default() }).await.expect("lists").items.len(),
        1
    );
    house.infra.shutdown().await;
    house.infra.shutdown().await;
}

#[tokio::test]
async fn a_wait_without_engine_ends_when_its_time_is_over() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let before = SystemClock.mono();
    let view = ada.wait(&id, Duration::from_millis(300)).await.expect("waits");
    let waited = SystemClock.mono() - before;
    assert_eq!(view.state, Phase::Pending);
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(3), "{waited:?}");
    let forever = tokio::spawn({
        let (ada, id) = (ada.clone(), id.clone());
        async move { ada.wait(&id, Duration::MAX).await }
    });
    tokio::task::yield_now().await;
    assert!(!forever.is_finished(), "the longest wait there is does not panic");
    forever.abort();
}
