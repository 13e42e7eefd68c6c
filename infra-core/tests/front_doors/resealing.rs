//! One master key replaces another: killed anywhere, nothing is lost; at the end the old one opens nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use infra_core::Infra;
use infra_core::contracts::store::RecordKind;
use infra_core::infra::{InfraError, NewTemplate, TemplateFrom};
use infra_core::nouns::credential::StoredCredential;
use infra_core::nouns::launch::{Launch, LaunchBody};
use infra_core::nouns::reservation::Reservation;
use infra_core::nouns::template::TemplateVersion;
use infra_core::words::entropy::SystemEntropy;
use infra_core::words::secret::{MasterKey, Sealed};

use crate::house::{Crashing, HOME, House, parts, wish};

fn old() -> MasterKey {
    MasterKey::new([7; 32])
}

fn new() -> MasterKey {
    MasterKey::new([8; 32])
}

/// Everything that is sealed, with its kind and the place it is sealed for.
async fn seals(house: &House) -> Vec<(RecordKind, String, Sealed)> {
    let mut all = Vec::new();
    for key in house.all::<StoredCredential>().await {
        let place = StoredCredential::place(&key.value.tenant, &key.value.id);
        all.push((RecordKind::Credential, place, key.value.sealed));
    }
    for row in house.all::<Reservation>().await {
        let (place, spec) = (format!("reservation/{}", row.value.id), row.value.spec);
        all.extend(spec.setup.map(|seal| (RecordKind::Reservation, format!("{place}/setup"), seal)));
        all.extend(spec.files.map(|seal| (RecordKind::Reservation, format!("{place}/files"), seal)));
        let login =
            spec.login.map(|pair| (RecordKind::Reservation, format!("{place}/login"), pair.private_key));
        all.extend(login);
    }
    for row in house.all::<Launch>().await {
        let place = format!("reservation/{}", row.value.reservation);
        let LaunchBody::Machine(body) = row.value.frozen.body else { continue };
        all.extend(body.user_data.map(|seal| (RecordKind::Launch, format!("{place}/setup"), seal)));
        all.extend(body.files.map(|seal| (RecordKind::Launch, format!("{place}/files"), seal)));
    }
    for row in house.all::<TemplateVersion>().await {
        let of = &row.value.of;
        let place = format!("template/{}/{}/{}", of.owner, of.name, of.version);
        all.extend(row.value.setup.map(|seal| (RecordKind::TemplateVersion, format!("{place}/setup"), seal)));
        all.extend(row.value.files.map(|seal| (RecordKind::TemplateVersion, format!("{place}/files"), seal)));
    }
    all
}

/// What is in all of them, under whichever of these keys.
async fn opened(house: &House, keys: &MasterKey) -> Result<Vec<(String, String)>, String> {
    let mut texts = Vec::new();
    for (_, place, seal) in seals(house).await {
        let text = keys.open(&place, &seal).map_err(|error| error.to_string())?;
        texts.push((place, text.expose().to_owned()));
    }
    texts.sort();
    Ok(texts)
}

/// Machines that run, with scripts, files and a login; a template of them; keys of two teams.
async fn furnished() -> House {
    let house = House::live().await;
    let ada = house.user("ada").await;
    house.user("eve").await;
    let mut request = wish(2);
    request.setup = Some("#!/bin/sh\necho planted".to_owned());
    let id = ada.reserve(&request, None).await.expect("accepted").view.id;
    ada.wait(&id, Duration::from_secs(60)).await.expect("is ready");
    let from = TemplateFrom::Reservation(id);
    let template = NewTemplate { name: "web".parse().expect("legal"), from };
    ada.save_template(&template, None).await.expect("saves");
    // What is over keeps its script for as long as it can be read.
    let over = ada.reserve(&request, None).await.expect("accepted").view.id;
    ada.release(&over).await.expect("releases");
    house.infra.shutdown().await;
    house
}

async fn built(house: &House, key: MasterKey, commits: u32) -> Result<Infra, InfraError> {
    let store = Crashing { inner: Arc::clone(&house.store), commits_left: AtomicU32::new(commits) };
    parts(Arc::new(store), &house.sim).with_master_key(key).with_home(HOME).without_engine().build().await
}

#[tokio::test]
async fn a_crash_while_sealing_again_loses_a_secret() {
    let house = furnished().await;
    let before = opened(&house, &old()).await.expect("all of it is sealed under the old key");
    let kinds: BTreeSet<RecordKind> = seals(&house).await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds.len(), 4, "a kind of record is not tried: {kinds:?}");
    let both = || new().opening_also([old()]);
    let (mut crashes, mut mixed) = (0, 0);
    // Each start does one commit and dies at the next.
    let infra = loop {
        let commits = u32::from(crashes > 0);
        match built(&house, both(), commits).await {
            Ok(infra) => break infra,
            Err(error) => assert!(matches!(error, InfraError::Store(_)), "{error}"),
        }
        crashes += 1;
        assert!(crashes < 100, "a start that dies again and again never comes to an end");
        assert_eq!(opened(&house, &both()).await.as_ref(), Ok(&before), "both keys open everything");
        let alone = [opened(&house, &old()).await, opened(&house, &new()).await];
        mixed += u32::from(alone.iter().all(Result::is_err));
    };
    assert!(crashes > 3 && mixed > 1, "it was not cut in its middle: {crashes} crashes, {mixed} mixed");
    let report = infra.operator().resealed().cloned().expect("it was asked for");
    assert!(report.is_complete() && report.unopened.is_empty(), "{report:?}");
    assert_eq!(opened(&house, &new()).await, Ok(before), "the very secrets");
    for (_, place, seal) in seals(&house).await {
        assert!(old().open(&place, &seal).is_err(), "{place} opens under the old key");
    }
    for record in house.records().await {
        let text = String::from_utf8_lossy(&record.body);
        assert!(!text.contains(&old().id()), "{:?} names the old key", record.key);
    }
    println!("COUNT resealing crashes={crashes} mixed={mixed} seals={}", seals(&house).await.len());
}

#[tokio::test]
async fn sealing_again_writes_what_is_sealed_already() {
    let house = furnished().await;
    let both = || new().opening_also([old()]);
    let first = built(&house, both(), u32::MAX).await.expect("opens");
    let wrote = first.operator().resealed().expect("it was asked for").records;
    assert!(wrote > 4, "{wrote}");
    let (newest, sealed) = (house.newest().await, seals(&house).await);
    let again = built(&house, both(), 0).await.expect("a start that writes nothing");
    let report = again.operator().resealed().cloned().expect("it was asked for");
    assert_eq!((report.records, report.left), (0, 0));
    assert_eq!((house.newest().await, seals(&house).await), (newest, sealed));
    // Without older keys nothing is looked for, and the machines are as they were.
    let plain = built(&house, new(), u32::MAX).await.expect("opens");
    assert_eq!(plain.operator().resealed(), None);
    let ada = plain.user(&"ada".parse().expect("legal"));
    let held = ada.list(&infra_core::infra::ListOptions::default()).await.expect("lists").items;
    let access = ada.access(&held[0].id).await.expect("opens");
    assert!(access.private_key.is_some_and(|key| key.expose().contains("PRIVATE KEY")));
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_passed_over_or_stops_the_others() {
    let house = furnished().await;
    // Of another place, as a thief would put it; and under a key that nobody has.
    let keys = house.all::<StoredCredential>().await;
    let lost = MasterKey::new([9; 32]);
    let mut txn = house.repo().txn();
    let moved = keys[1].value.sealed.clone();
    txn.update(&keys[0], &StoredCredential { sealed: moved, ..keys[0].value.clone() });
    house.repo().commit(txn).await.expect("memory commits");
    let rows = house.all::<Reservation>().await;
    let mut of_lost = rows[0].value.clone();
    of_lost.spec.setup = Some(lost.seal("elsewhere", "text", &SystemEntropy));
    let mut txn = house.repo().txn();
    txn.update(&rows[0], &of_lost);
    house.repo().commit(txn).await.expect("memory commits");
    let infra = built(&house, new().opening_also([old()]), u32::MAX).await.expect("opens all the same");
    let report = infra.operator().resealed().cloned().expect("it was asked for");
    assert!(!report.is_complete(), "the old key is said to be needed by nothing: {report:?}");
    assert_eq!(report.unopened.len(), 2, "{report:?}");
    assert!(report.unopened.iter().any(|name| name.starts_with("Credential ")), "{report:?}");
    let ids: BTreeSet<String> = seals(&house).await.into_iter().map(|(_, _, seal)| seal.kek).collect();
    assert!(ids.contains(&new().id()) && ids.contains(&old().id()), "{ids:?}");
}

#[tokio::test]
async fn a_copy_that_is_away_from_home_is_sealed_again() {
    let house = furnished().await;
    let newest = seals(&house).await;
    let away = parts(house.store.clone(), &house.sim).with_master_key(new().opening_also([old()]));
    let away = away.with_home("elsewhere").without_engine().build().await.expect("opens, frozen");
    assert_eq!(away.operator().resealed(), None);
    assert_eq!(seals(&house).await, newest, "a frozen store was written");
}
