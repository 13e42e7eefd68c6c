//! Keys: nothing is lost with them, nothing is shared by them, and nothing of them is ever shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use infra_core::connect::{ConnectError, Connections};
use infra_core::contracts::pricing::{Prepared, PriceContext, Ranking};
use infra_core::nouns::credential::StoredCredential;
use infra_core::nouns::installation::LaneRecord;
use infra_core::nouns::launch::Launch;
use infra_core::nouns::offering::Catalogue;
use infra_core::nouns::request::Request;
use infra_core::testing::VirtualClock;
use infra_core::words::fault::{Fault, FaultKind};
use infra_core::words::ids::{CredentialId, TenantId};
use infra_core::words::lane::{Endpoint, Lane};
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{CheapestFit, Clock, CloudDriver, InfraError, PricingEngine, SystemClock};
use infra_providers::sim::{FaultEffect, Rule, SimConfig, SimDriver, SimWorld};

use super::house::{Crashing, House, sim, sim_key, wish, word};

const LONG: Duration = Duration::from_secs(20);
const SECRET: &str = "sim-acc-hunter2hunter2";

fn connections(house: &House, sim: &SimWorld) -> Connections {
    let driver: Arc<dyn CloudDriver> = Arc::new(SimDriver::new(sim.clone()));
    Connections::new(house.repo(), Arc::new(SystemClock), MasterKey::new([7; 32]), [driver])
        .expect("one name")
}

fn tenant(name: &str) -> TenantId {
    format!("user:{name}").parse().expect("legal")
}

async fn lanes(house: &House, account: &str) -> Vec<Lane> {
    let all = house.all::<LaneRecord>().await;
    all.into_iter().map(|l| l.value.lane).filter(|lane| lane.account.as_str() == account).collect()
}

#[tokio::test]
async fn a_refused_key_stores_nothing() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    let before = house.newest().await;
    let mut wrong_form = sim_key("default", "sim-a");
    wrong_form.kind = "password".to_owned();
    let mut wrong_cloud = sim_key("default", "sim-a");
    wrong_cloud.provider = "aws".parse().expect("legal");
    for (expected, key) in [
        ("InvalidCredentials", sim_key("default", "not-a-sim-key")),
        ("OutOfRange", wrong_form),
        ("OutOfRange", wrong_cloud),
        ("OutOfRange", sim_key("a/b", "sim-a")),
        ("OutOfRange", sim_key("", "sim-a")),
        ("OutOfRange", sim_key("default", &format!("sim-{}", "x".repeat(20_000)))),
    ] {
        let error = ada.save_key(&key).await.expect_err(expected);
        assert_eq!(word(&error), expected, "{error}");
    }
    house.sim.rule(Rule::once("identify", FaultEffect::ServerError));
    let error = ada.save_key(&sim_key("default", "sim-a")).await.expect_err("the cloud is down");
    assert!(matches!(error, InfraError::Unverified { .. }), "{error}");
    assert_eq!(house.newest().await, before, "nothing was written");
    assert!(ada.keys().await.expect("lists").is_empty());
}

#[tokio::test]
async fn a_key_of_another_account_retires_the_old_one_and_loses_no_machine() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    ada.save_key(&sim_key("default", "sim-one")).await.expect("good");
    ada.save_key(&sim_key("default", "sim-two")).await.expect("good");
    let keys = ada.keys().await.expect("lists");
    let state =
        |account: &str| keys.iter().find(|key| key.account.as_str() == account).map(|key| key.retired);
    assert_eq!((state("one"), state("two")), (Some(true), Some(false)));

    let wires = connections(&house, &house.sim);
    let old: CredentialId = "sim/default/one".parse().expect("legal");
    for lane in lanes(&house, "one").await {
        let keys = wires.for_lane(&lane).await.expect("reads");
        assert_eq!(keys.len(), 1, "the old account is still looked after");
        let connected = wires.provider(&tenant("ada"), &old, &lane).await.expect("still opens");
        assert!(connected.retired);
        assert_eq!(connected.identify().await.expect("answers").account.as_str(), "one");
    }
    let quotes = ada.quote(&wish(1)).await.expect("offers");
    assert!(
        quotes.iter().all(|quote| quote.choice.lane.account.as_str() == "two"),
        "nothing new begins there"
    );

    ada.save_key(&sim_key("default", "sim-one")).await.expect("back again");
    let keys = ada.keys().await.expect("lists");
    let active: Vec<_> = keys.iter().filter(|key| !key.retired).map(|key| key.account.as_str()).collect();
    assert_eq!((keys.len(), active), (2, vec!["one"]));
}

#[tokio::test]
async fn a_key_of_the_same_account_replaces_and_the_old_secret_is_used_no_more() {
    let house = House::quiet().await;
    let config = SimConfig {
        keys: BTreeMap::from([
            ("first".to_owned(), "one".parse().expect("legal")),
            ("second".to_owned(), "one".parse().expect("legal")),
        ]),
        ..SimConfig::small(1)
    };
    let cloud = SimWorld::new(config, Arc::new(SystemClock));
    let infra = super::house::parts(house.store.clone(), &cloud)
        .with_home(super::house::HOME)
        .without_engine()
        .build()
        .await
        .expect("opens");
    let ada = house.keyless("ada").await;
    let ada = infra.user(ada.id());
    let first = ada.save_key(&sim_key("default", "first")).await.expect("good");
    let wires = connections(&house, &cloud);
    let lane = lanes(&house, "one").await.remove(0);
    let before = wires.provider(&tenant("ada"), &first.id, &lane).await.expect("connects");
    let second = ada.save_key(&sim_key("default", "second")).await.expect("good");
    assert_eq!((ada.keys().await.expect("lists").len(), &second.id), (1, &first.id));
    assert_ne!(first.fingerprint, second.fingerprint);
    cloud.revoke_key("first");
    let after = wires.provider(&tenant("ada"), &first.id, &lane).await.expect("connects");
    assert!(before.identify().await.is_err(), "the old connection is dead");
    assert_eq!(after.identify().await.expect("the new key serves").account.as_str(), "one");
    let mut txn = house.repo().txn();
    before.check(&mut txn);
    let late = house.repo().commit(txn).await.expect_err("no send leaves with a key that was replaced");
    assert!(late.is_conflict());
}

#[tokio::test]
async fn tenants_share_no_connection_and_an_endpoint_is_part_of_the_lane() {
    let house = House::quiet().await;
    let (ada, ben) = (house.keyless("ada").await, house.keyless("ben").await);
    let key = ada.save_key(&sim_key("default", "sim-same")).await.expect("good");
    ben.save_key(&sim_key("default", "sim-same")).await.expect("good");
    let wires = connections(&house, &house.sim);
    let lane = lanes(&house, "same").await.remove(0);
    let adas = wires.provider(&tenant("ada"), &key.id, &lane).await.expect("connects");
    let again = wires.provider(&tenant("ada"), &key.id, &lane).await.expect("connects");
    let bens = wires.provider(&tenant("ben"), &key.id, &lane).await.expect("connects");
    assert!(Arc::ptr_eq(&adas.provider, &again.provider), "one connection per tenant, key and lane");
    assert!(!Arc::ptr_eq(&adas.provider, &bens.provider), "and never one for two tenants");
    let nobody = wires.provider(&tenant("eve"), &key.id, &lane).await.expect_err("no key of hers");
    assert!(matches!(nobody, ConnectError::NoKey { .. }), "{nobody}");
    let moved = Lane { endpoint: Endpoint("http://elsewhere".to_owned()), ..lane.clone() };
    let error = wires.provider(&tenant("ada"), &key.id, &moved).await.expect_err("another lane");
    assert!(matches!(error, ConnectError::OtherEndpoint { .. }), "{error}");
    let foreign = Lane { account: "other".parse().expect("legal"), ..lane };
    let error = wires.provider(&tenant("ada"), &key.id, &foreign).await.expect_err("another account");
    assert!(matches!(error, ConnectError::NoKey { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_quotes_at_once_ask_a_lane_once() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let ada = ada.clone();
            tokio::spawn(async move { ada.quote(&wish(1)).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("offers");
    }
    let lanes = lanes(&house, "acc-ada").await.len() as u64;
    assert!(lanes > 1);
    assert_eq!(house.sim.counts().get("catalogue").copied(), Some(lanes));
}

#[tokio::test]
async fn a_cloud_that_never_finishes_its_catalogue_holds_nobody_longer_than_a_minute() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let clock = VirtualClock::default().manual();
    let slow = SimWorld::new(SimConfig::small(1), Arc::new(clock.clone()));
    slow.rule(Rule::once("catalogue", FaultEffect::SlowMs(3_600_000)).times(None));
    let driver: Arc<dyn CloudDriver> = Arc::new(SimDriver::new(slow.clone()));
    let wires = Connections::new(house.repo(), Arc::new(clock.clone()), MasterKey::new([7; 32]), [driver])
        .expect("one name");
    let key = ada.keys().await.expect("keys").remove(0);
    let lane = lanes(&house, "acc-ada").await.remove(0);
    let of = tenant("ada");
    let asks = join_all((0..20).map(|_| wires.catalogue(&of, &key.id, &lane)));
    let asked_at = clock.mono();
    let all = async {
        // All twenty wait before the minute passes, and nothing moves the time after it.
        let minute = async { clock.advance(Duration::from_secs(60)) };
        join(asks, minute).await.0
    };
    let answers = tokio::select! {
        answers = all => answers,
        () = SystemClock.sleep(LONG) => panic!("somebody waits for ever"),
    };
    let unavailable = |answer: &Result<_, ConnectError>| {
        answer.as_ref().is_err_and(|error| error.kind() == FaultKind::Unavailable)
    };
    assert_eq!(answers.iter().filter(|answer| unavailable(answer)).count(), 20, "{answers:?}");
    assert_eq!(clock.mono() - asked_at, Duration::from_secs(60));
    assert_eq!(slow.counts().get("catalogue").copied(), Some(1), "one wait for all, not one each");
    slow.clear_rules();
    wires.catalogue(&of, &key.id, &lane).await.expect("asked anew, it answers");
}

/// An engine that counts what it prepares.
#[derive(Debug, Default)]
struct Preparing(AtomicUsize);

impl PricingEngine for Preparing {
    fn rank<'a>(&self, need: &Request, context: &PriceContext<'a>) -> Ranking {
        CheapestFit.rank(need, context)
    }

    fn prepare(&self, catalogue: &Catalogue) -> Prepared {
        self.0.fetch_add(1, Ordering::Relaxed);
        CheapestFit.prepare(catalogue)
    }
}

#[tokio::test]
async fn a_thousand_teams_with_one_price_list_do_not_have_a_thousand_indexes() {
    const TEAMS: usize = 1000;
    let house = House::quiet().await;
    let engine = Arc::new(Preparing::default());
    let driver: Arc<dyn CloudDriver> = Arc::new(SimDriver::new(house.sim.clone()));
    let wires = Connections::new(house.repo(), Arc::new(SystemClock), MasterKey::new([7; 32]), [driver])
        .expect("one name")
        .prepared_by(Arc::<Preparing>::clone(&engine));
    let mut held = Vec::new();
    for nth in 0..TEAMS {
        let name = format!("u{nth}");
        let key = house.user(&name).await.keys().await.expect("keys").remove(0);
        let lane = lanes(&house, &format!("acc-{name}")).await.remove(0);
        held.push(wires.catalogue(&tenant(&name), &key.id, &lane).await.expect("answers"));
    }
    let prepared = engine.0.load(Ordering::Relaxed);
    println!("COUNT shared-indexes teams={TEAMS} prepared={prepared} in-use={}", wires.prepared_count());
    assert_eq!((prepared, wires.prepared_count()), (1, 1));
    assert!(held.iter().all(|stock| Arc::ptr_eq(&stock.prepared, &held[0].prepared)));
    held.clear();
}

#[tokio::test]
async fn an_old_catalogue_is_served_at_once_and_asked_for_once_beside() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let clock = VirtualClock::default().manual();
    let sim = SimWorld::new(SimConfig::small(1), Arc::new(clock.clone()));
    let driver: Arc<dyn CloudDriver> = Arc::new(SimDriver::new(sim.clone()));
    let wires = Connections::new(house.repo(), Arc::new(clock.clone()), MasterKey::new([7; 32]), [driver])
        .expect("one name");
    let key = ada.keys().await.expect("keys").remove(0);
    let lane = lanes(&house, "acc-ada").await.remove(0);
    let of = tenant("ada");
    let first = wires.catalogue(&of, &key.id, &lane).await.expect("answers");
    let asked = || sim.counts().get("catalogue").copied();
    clock.advance(Duration::from_secs(301));
    sim.rule(Rule::once("catalogue", FaultEffect::SlowMs(3_600_000)).times(None));
    for _ in 0..20 {
        let old = wires.catalogue(&of, &key.id, &lane).await.expect("served at once");
        assert!(Arc::ptr_eq(&old, &first) && old.age(clock.mono()) >= Duration::from_secs(301));
        tokio::task::yield_now().await;
    }
    assert_eq!(asked(), Some(2), "twenty came, one asks");
    sim.clear_rules();
    // The slow call is given up, and the cloud is left alone for some seconds.
    for seconds in [61, 11] {
        clock.advance(Duration::from_secs(seconds));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
        if !Arc::ptr_eq(&wires.catalogue(&of, &key.id, &lane).await.expect("served"), &first) {
            return;
        }
    }
    panic!("what came is never served: asked {:?}", asked());
}

#[tokio::test]
async fn silence_is_not_called_no_fit() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    house.sim.rule(Rule::once("catalogue", FaultEffect::ServerError).times(Some(2)));
    let error = ada.quote(&wish(1)).await.expect_err("no lane answers");
    assert!(matches!(error, InfraError::ProviderUnavailable { .. }), "{error}");
    ada.quote(&wish(1)).await.expect("asked again, it answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_cannot_be_taken_from_machines_that_live_on_it() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    ada.wait(&id, LONG).await.expect("ready");
    let error = ada.remove_key(&sim(), "default").await.expect_err("a machine lives on it");
    assert!(matches!(&error, InfraError::InUse { by, .. } if *by == [id.to_string()]), "{error}");
    assert!(ada.keys().await.expect("lists").iter().all(|key| !key.retired), "it serves as before");

    ada.save_key(&sim_key("spare", "sim-acc-ada")).await.expect("the same account");
    ada.remove_key(&sim(), "default").await.expect("the spare one serves");
    ada.release(&id).await.expect("releases");
    let over = ada.wait(&id, LONG).await.expect("waits");
    assert!(over.over_at.is_some(), "ended with the spare key: {over:?}");

    wait_until_closed(&house).await;
    ada.remove_key(&sim(), "spare").await.expect("nothing is left");
    assert!(ada.keys().await.expect("lists").is_empty());
    let registered = house.all::<LaneRecord>().await;
    assert!(!registered.is_empty() && registered.iter().all(|lane| lane.value.keys.is_empty()));
    let error = ada.remove_key(&sim(), "spare").await.expect_err("gone");
    assert!(matches!(error, InfraError::NotFound { what: "key", .. }), "{error}");
    house.infra.shutdown().await;
}

async fn wait_until_closed(house: &House) {
    for _ in 0..400 {
        if house.all::<Launch>().await.iter().all(|row| row.value.closed()) {
            return;
        }
        SystemClock.sleep(Duration::from_millis(25)).await;
    }
    panic!("launches stay open");
}

#[tokio::test]
async fn no_record_answer_or_error_holds_a_secret() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    let saved = ada.save_key(&sim_key("default", SECRET)).await.expect("good");
    let mut request = wish(1);
    request.setup = Some("#!/bin/sh\necho hunter2hunter2\n".to_owned());
    let made = ada.reserve(&request, Some(&super::house::once("k"))).await.expect("accepted");
    let (token, secret) = house
        .operator()
        .issue_token(ada.id(), "laptop", infra_core::nouns::account::TokenRole::User, None)
        .await
        .expect("issues");
    let mut texts: Vec<String> = house
        .records()
        .await
        .into_iter()
        .map(|record| format!("{} {}", record.key.id, String::from_utf8_lossy(&record.body)))
        .collect();
    texts.push(format!("{saved:?} {made:?} {token:?} {ada:?}"));
    texts.push(format!("{:?}", ada.keys().await.expect("lists")));
    texts.push(serde_json::to_string(&made.view).expect("a view serialises"));
    let mut bad = sim_key("default", SECRET);
    bad.fields.insert("token".to_owned(), Secret::new("hunter2hunter2-refused".to_owned()));
    let error = ada.save_key(&bad).await.expect_err("refused");
    texts.push(format!("{error} {error:?}"));
    assert!(texts.len() > 8, "the store is not empty");
    for text in texts {
        // The account's name is part of this token and no secret: it is taken out before looking.
        let text = text.replace("acc-hunter2hunter2", "");
        assert!(!text.contains("hunter2hunter2"), "{text}");
        assert!(!text.contains(secret.expose()), "{text}");
    }
    let stored = house.all::<StoredCredential>().await;
    assert!(!stored[0].value.sealed.box_.is_empty(), "it is there, sealed");
    let stolen = tenant("eve");
    let place = StoredCredential::place(&stolen, &stored[0].value.id);
    assert!(MasterKey::new([7; 32]).open(&place, &stored[0].value.sealed).is_err(), "bound to its tenant");
}

#[tokio::test]
async fn a_cloud_that_repeats_the_secret_does_not_make_us_repeat_it() {
    use infra_core::contracts::provider::{MockCloudDriver, ProviderError, Said};
    for (number, make) in [
        (0, (|said| ProviderError::Unauthorized { said }) as fn(Said) -> ProviderError),
        (1, |said| ProviderError::Invalid { said }),
        (2, |said| ProviderError::Throttled { said, retry_after: None }),
    ] {
        let mut driver = MockCloudDriver::new();
        driver.expect_name().returning(|| "parrot".parse().expect("legal"));
        driver.expect_key_fields().returning(|_| None);
        driver.expect_identify().returning(move |credential| {
            let message = format!("key {} is unknown", credential.fields["token"].expose());
            Err(make(Said { code: "Denied".to_owned(), message, request_id: None }))
        });
        let infra = infra_core::Infra::builder()
            .with_store(Arc::new(infra_store::MemoryStore::new()))
            .with_driver(Arc::new(driver))
            .with_master_key(MasterKey::new([7; 32]))
            .with_home("here")
            .without_engine()
            .build()
            .await
            .expect("opens");
        let ada = "ada".parse().expect("legal");
        infra.operator().add_user(&ada, None).await.expect("new");
        let mut key = sim_key("default", "hunter2hunter2");
        key.provider = "parrot".parse().expect("legal");
        let error = infra.user(&ada).save_key(&key).await.expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(text.contains("[secret]") && !text.contains("hunter2"), "{number}: {text}");
    }
}

/// An installation over the house's store that dies at its n-th commit.
async fn dying(house: &House, commits: u32) -> infra_core::Infra {
    let store = Crashing { inner: house.store.clone(), commits_left: AtomicU32::new(commits) };
    let parts = super::house::parts(Arc::new(store), &house.sim);
    parts.with_home(super::house::HOME).without_engine().build().await.expect("opens without a write")
}

#[tokio::test]
async fn no_crash_leaves_a_key_whose_lanes_nobody_sweeps() {
    for n in 0..8 {
        let house = House::quiet().await;
        let ada = house.keyless("ada").await;
        let result = dying(&house, n).await.user(ada.id()).save_key(&sim_key("default", "sim-one")).await;
        let lanes = house.all::<LaneRecord>().await;
        for key in house.all::<StoredCredential>().await {
            let reached =
                lanes.iter().filter(|lane| lane.value.keys.iter().any(|(_, id)| *id == key.value.id));
            assert_eq!(reached.count(), 2, "died at commit {n}: a lane of the key is not registered");
        }
        assert_eq!(result.is_ok(), n >= 3, "two lanes and a key are three commits");
        ada.save_key(&sim_key("default", "sim-one")).await.expect("repeating finishes it");
        assert_eq!(ada.keys().await.expect("lists").len(), 1);
    }
}

#[tokio::test]
async fn a_removal_that_died_is_finished_by_repeating_it() {
    for n in 0..8 {
        let house = House::quiet().await;
        let ada = house.user("ada").await;
        let died = dying(&house, n).await.user(ada.id()).remove_key(&sim(), "default").await;
        assert_eq!(died.is_ok(), n >= 4, "retire, delete and two lanes are four commits");
        match ada.remove_key(&sim(), "default").await {
            Ok(()) | Err(InfraError::NotFound { what: "key", .. }) => {}
            Err(other) => panic!("died at commit {n}: {other}"),
        }
        assert!(ada.keys().await.expect("lists").is_empty());
        for lane in house.all::<LaneRecord>().await {
            let keys = connections(&house, &house.sim).for_lane(&lane.value.lane).await.expect("reads");
            assert!(keys.is_empty(), "died at commit {n}: nobody takes a removed key for a live one");
        }
    }
}
