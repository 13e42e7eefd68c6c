//! A profile fills a request up. It changes nothing that was said, and makes nothing fail.

use std::sync::Arc;

use infra_core::infra::{Infra, UserHandle};
use infra_core::nouns::account::{Preferences, Profile};
use infra_core::nouns::request::Request;
use infra_core::words::lane::Version;
use infra_core::{InfraError, SystemClock};
use infra_providers::sim::{FaultEffect, Rule, SimConfig, SimDriver, SimWorld};
use infra_store::MemoryStore;

use super::house::{HOME, House, once, parts, sim_key, wish, word};
use super::templates::{ADAS, BENS};

fn preferring(change: impl FnOnce(&mut Preferences)) -> Preferences {
    let mut preferences = Preferences::default();
    change(&mut preferences);
    preferences
}

async fn set(user: &UserHandle, change: impl FnOnce(&mut Preferences)) {
    user.set_profile(&preferring(change), None).await.expect("sets");
}

fn region(request: &Request) -> Option<&str> {
    request.region.as_ref().map(|region| region.as_str())
}

#[tokio::test]
async fn a_default_region_that_cannot_apply_makes_no_request_fail() {
    // Two clouds, each with regions that the other does not have.
    let mut config = SimConfig { cloud: "other".parse().expect("legal"), ..SimConfig::small(2) };
    config.regions.truncate(1);
    config.regions[0].name = "other-north".parse().expect("legal");
    let other = SimWorld::new(config, Arc::new(SystemClock));
    let sim = super::house::quick();
    let infra: Infra = parts(Arc::new(MemoryStore::new()), &sim)
        .with_driver(Arc::new(SimDriver::new(other)))
        .with_home(HOME)
        .without_engine()
        .build()
        .await
        .expect("opens");
    let ada = "ada".parse().expect("legal");
    infra.operator().add_user(&ada, None).await.expect("new");
    let ada = infra.user(&ada);
    ada.save_key(&sim_key("default", "sim-acc-ada")).await.expect("good");
    let mut key = sim_key("default", "sim-acc-ada");
    key.provider = "other".parse().expect("legal");
    ada.save_key(&key).await.expect("good");
    set(&ada, |p| p.region = Some("sim-ams".parse().expect("legal"))).await;

    let quotes = ada.quote(&wish(1)).await.expect("fits");
    assert!(quotes.iter().all(|quote| quote.choice.lane.region.as_str() == "sim-ams"), "it is preferred");
    let made = ada.reserve(&wish(1), None).await.expect("accepted").view;
    assert_eq!((region(&made.request), made.from_profile), (Some("sim-ams"), vec!["region".to_owned()]));
    // The cloud that is named has no such region.
    let mut named = wish(1);
    named.provider = Some("other".parse().expect("legal"));
    let quotes = ada.quote(&named).await.expect("fits there");
    assert!(quotes.iter().all(|quote| quote.choice.lane.region.as_str() == "other-north"));
    let made = ada.reserve(&named, None).await.expect("accepted").view;
    assert_eq!(
        (region(&made.request), made.from_profile.len()),
        (None, 0),
        "what was dropped is not recorded"
    );
    // A region nobody has, and one where nothing fits.
    set(&ada, |p| p.region = Some("atlantis".parse().expect("legal"))).await;
    assert_eq!(region(&ada.reserve(&wish(1), None).await.expect("accepted").view.request), None);
    set(&ada, |p| p.region = Some("sim-ams".parse().expect("legal"))).await;
    let mut large = wish(1);
    large.gpus = Some(1);
    let gpus = ada.quote(&large).await;
    assert_eq!(
        gpus.is_ok(),
        ada_without(&ada, &large).await,
        "a preference decides nothing about whether it fits"
    );
    // What was asked for is no preference: it fails by its name.
    let mut asked = wish(1);
    asked.region = Some("atlantis".parse().expect("legal"));
    assert_eq!(word(&ada.quote(&asked).await.expect_err("nobody has it")), "UnknownRegion");
}

/// Does it fit with an empty profile?
async fn ada_without(ada: &UserHandle, request: &Request) -> bool {
    set(ada, |_| ()).await;
    ada.quote(request).await.is_ok()
}

#[tokio::test]
async fn a_default_gives_way_to_what_was_said_and_to_what_there_is() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    set(&ada, |p| {
        p.region = Some("sim-ams".parse().expect("legal"));
        p.os = Some("plan nine".to_owned());
        p.software = vec!["docker".to_owned()];
        p.ssh_public_keys = vec![ADAS.to_owned()];
    })
    .await;
    let made = ada.reserve(&wish(1), None).await.expect("no image of that system, and nobody installs").view;
    assert_eq!((made.request.os.as_deref(), made.request.software.len()), (None, 0));
    assert_eq!(made.request.ssh_public_keys, [ADAS]);
    assert_eq!(made.from_profile, ["ssh_public_keys", "region"]);
    let mut said = wish(1);
    said.region = Some("sim-east".parse().expect("legal"));
    said.os = Some("ubuntu 24.04".to_owned());
    said.ssh_public_keys = vec![BENS.to_owned()];
    let made = ada.reserve(&said, None).await.expect("accepted").view;
    assert_eq!((region(&made.request), made.request.os.as_deref()), (Some("sim-east"), Some("ubuntu 24.04")));
    assert_eq!(
        (made.request.ssh_public_keys.as_slice(), made.from_profile.len()),
        ([BENS.to_owned()].as_slice(), 0)
    );
    set(&ada, |p| p.os = Some("ubuntu 24.04".to_owned())).await;
    let made = ada.reserve(&wish(1), None).await.expect("accepted").view;
    assert_eq!(
        (made.request.os.as_deref(), made.from_profile),
        (Some("ubuntu 24.04"), vec!["os".to_owned()])
    );
}

#[tokio::test]
async fn a_silent_default_region_sends_nobody_elsewhere() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    set(&ada, |p| p.region = Some("sim-ams".parse().expect("legal"))).await;
    let only = infra_providers::sim::Match {
        region: Some("sim-ams".parse().expect("legal")),
        ..infra_providers::sim::Match::default()
    };
    house.sim.rule(Rule::once("catalogue", FaultEffect::ServerError).times(None).only(only));
    let error = ada.reserve(&wish(1), None).await.expect_err("nobody knows what there is");
    assert!(matches!(error, InfraError::ProviderUnavailable { .. }), "{error:?}");
    let mut elsewhere = wish(1);
    elsewhere.region = Some("sim-east".parse().expect("legal"));
    ada.reserve(&elsewhere, None).await.expect("who says where, gets it");
}

#[tokio::test]
async fn a_profile_that_does_not_pass_is_not_stored() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let before = house.newest().await;
    type Spoil = fn(&mut Preferences);
    let table: [(&str, Spoil); 6] = [
        ("time_zone", |p| p.time_zone = Some("Europe/Atlantis".to_owned())),
        ("time_zone", |p| p.time_zone = Some("../etc/passwd".to_owned())),
        ("os", |p| p.os = Some(String::new())),
        ("ssh_public_keys[1]", |p| {
            p.ssh_public_keys = vec![ADAS.to_owned(), "-----BEGIN PRIVATE KEY-----".to_owned()];
        }),
        ("ssh_public_keys", |p| p.ssh_public_keys = vec![ADAS.to_owned(); 11]),
        ("software[0]", |p| p.software = vec!["a\nb".to_owned()]),
    ];
    for (field, change) in table {
        let error = ada.set_profile(&preferring(change), None).await.expect_err(field);
        let InfraError::OutOfRange { fields } = error else { panic!("{field}: {error:?}") };
        assert_eq!(fields.iter().map(|wrong| wrong.field.as_str()).collect::<Vec<_>>(), [field]);
        assert!(!format!("{fields:?}").contains("BEGIN"), "a pasted private key is not repeated");
    }
    assert_eq!(house.newest().await, before, "nothing was written");
    assert_eq!(ada.profile().await.expect("reads").version, Version(0));
    for (given, kept) in
        [("Europe/Berlin", "Europe/Berlin"), ("america/new_york", "America/New_York"), ("UTC", "UTC")]
    {
        let set =
            ada.set_profile(&preferring(|p| p.time_zone = Some(given.to_owned())), None).await.expect(given);
        assert_eq!(set.preferences.time_zone.as_deref(), Some(kept));
    }
}

#[tokio::test]
async fn a_profile_that_somebody_else_changed_is_not_overwritten() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let east = preferring(|p| p.region = Some("sim-east".parse().expect("legal")));
    let first = ada.set_profile(&east, Some(Version(0))).await.expect("there was none");
    let error = ada.set_profile(&east, Some(Version(0))).await.expect_err("there is one");
    assert!(
        matches!(error, InfraError::Conflict { what: "profile", version: Some(v), .. } if v == first.version)
    );
    let second = ada.set_profile(&Preferences::default(), Some(first.version)).await.expect("as it was seen");
    let error = ada.set_profile(&east, Some(first.version)).await.expect_err("seen before");
    assert!(matches!(error, InfraError::Conflict { .. }), "{error:?}");
    assert_eq!(ada.profile().await.expect("reads"), second);
    assert_eq!(second.preferences, Preferences::default(), "replaced whole");
}

#[tokio::test]
async fn a_changed_profile_makes_no_other_call_of_a_repeated_one() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let first = ada.reserve(&wish(1), Some(&once("k"))).await.expect("accepted").view.id;
    set(&ada, |p| p.region = Some("sim-ams".parse().expect("legal"))).await;
    let again = ada.reserve(&wish(1), Some(&once("k"))).await.expect("a replay");
    assert!(again.replayed && again.view.id == first);
}

#[tokio::test]
async fn a_profile_ends_with_its_user_and_is_not_the_next_ones() {
    let house = House::quiet().await;
    let (ada, ben) = (house.keyless("ada").await, house.keyless("ben").await);
    set(&ada, |p| p.ssh_public_keys = vec![ADAS.to_owned()]).await;
    assert_eq!(ben.profile().await.expect("reads").preferences, Preferences::default());
    let late = house.all::<Profile>().await.remove(0).value;
    house.operator().remove_user(ada.id()).await.expect("holds nothing");
    assert!(house.all::<Profile>().await.is_empty());
    // As if it had been set while the user was being removed.
    let mut txn = house.repo().txn();
    txn.insert(&late);
    house.repo().commit(txn).await.expect("writes");
    let next = house.keyless("ada").await;
    assert_eq!(
        next.profile().await.expect("reads").preferences,
        Preferences::default(),
        "a login for a stranger"
    );
    set(&next, |p| p.ssh_public_keys = vec![BENS.to_owned()]).await;
    assert_eq!(next.profile().await.expect("reads").preferences.ssh_public_keys, [BENS]);
}
