//! Templates: no version is lost, overwritten or given twice, and nobody gets more by one than by asking himself.

use std::collections::BTreeSet;
use std::time::Duration;

use infra_core::contracts::store::RecordKind;
use infra_core::infra::{NewTemplate, Relaunch, TemplateFrom, UserHandle};
use infra_core::nouns::overrides::Overrides;
use infra_core::nouns::request::Resource;
use infra_core::nouns::reservation::Reservation;
use infra_core::nouns::template::TemplateVersion;
use infra_core::words::clock::later;
use infra_core::words::ids::{TemplateName, UserId};
use infra_core::words::secret::MasterKey;
use infra_core::{Clock, InfraError, SystemClock};
use serde_json::json;

use super::house::{House, once, template, wish, word};

const SCRIPT: &str = "#!/bin/sh\necho planted-secret-of-ada";
pub const ADAS: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfA3bLkT1kq1pVzqvGmTnOq7bYzRzP2wVQ4sE8h1xqk ada@example";
pub const BENS: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfA3bLkT1kq1pVzqvGmTnOq7bYzRzP2wVQ4sE8h1xqk ben@example";

fn web() -> TemplateName {
    "web".parse().expect("legal")
}

fn again(owner: Option<&UserHandle>) -> Relaunch {
    let owner = owner.map(|owner| owner.id().clone());
    Relaunch { owner, name: web(), version: None, overrides: Overrides::default() }
}

fn changed(said: &serde_json::Value) -> Relaunch {
    Relaunch { overrides: serde_json::from_value(said.clone()).expect("overrides"), ..again(None) }
}

fn missing(answer: Result<(), InfraError>) {
    let error = answer.expect_err("is not there");
    assert!(matches!(error, InfraError::NotFound { what: "template", .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn savers_at_once_neither_lose_nor_overwrite_a_version() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let calls: Vec<_> = (1..=12)
        .map(|count| {
            let ada = ada.clone();
            tokio::spawn(async move { (count, ada.save_template(&template("web", wish(count)), None).await) })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for call in calls {
        let (count, saved) = call.await.expect("no panic");
        let view = saved.expect("saves").view;
        assert_eq!(view.request.count, Some(count));
        let read = ada.template(None, &web(), Some(view.of.version)).await.expect("is there");
        assert_eq!(read.request.count, Some(count), "another one's request stands under this number");
        assert!(numbers.insert(view.of.version), "{} was given twice", view.of.version);
    }
    assert_eq!(numbers, (1..=12).collect());
    let newest = ada.template(None, &web(), None).await.expect("is there");
    assert_eq!((newest.of.version, newest.newest, newest.versions), (12, 12, 12));
}

#[tokio::test]
async fn a_version_never_changes_and_a_deleted_number_never_comes_back() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    for count in [1, 2] {
        ada.save_template(&template("web", wish(count)), None).await.expect("saves");
    }
    let first = ada.template(None, &web(), Some(1)).await.expect("is there");
    assert_eq!((first.request.count, first.newest), (Some(1), 2));
    ada.remove_template(&web(), None).await.expect("deletes");
    for number in [None, Some(1), Some(2), Some(3), Some(0)] {
        missing(ada.template(None, &web(), number).await.map(drop));
    }
    missing(ada.remove_template(&web(), None).await);
    missing(ada.relaunch(&again(None), None).await.map(drop));
    assert!(ada.templates(None, None, None).await.expect("lists").items.is_empty());
    assert!(house.all::<TemplateVersion>().await.is_empty(), "what is deleted keeps no secrets");
    let next = ada.save_template(&template("web", wish(5)), None).await.expect("saves").view;
    assert_eq!(
        (next.of.version, next.versions),
        (3, 1),
        "a note of `version 1` must not mean another one now"
    );
    missing(ada.template(None, &web(), Some(2)).await.map(drop));
}

#[tokio::test]
async fn a_deletion_that_meets_a_save_takes_what_it_saw_or_is_refused() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let seen = ada.save_template(&template("web", wish(1)), None).await.expect("saves").view.version;
    let save = |count: u32| {
        let ada = ada.clone();
        Box::pin(
            async move { drop(ada.save_template(&template("web", wish(count)), None).await.expect("saves")) },
        )
    };
    // Said which version was seen: what came meanwhile is not thrown away unseen.
    let racing = house.with_meanwhile(RecordKind::Template, save(2)).await.user(ada.id());
    let error = racing.remove_template(&web(), Some(seen)).await.expect_err("there is a newer one");
    assert!(matches!(error, InfraError::Conflict { what: "template", .. }), "{error:?}");
    assert_eq!(ada.template(None, &web(), None).await.expect("is there").request.count, Some(2));
    // Not said: whatever there is at that moment, the newest included; never half of it.
    let racing = house.with_meanwhile(RecordKind::Template, save(3)).await.user(ada.id());
    racing.remove_template(&web(), None).await.expect("deletes");
    missing(ada.template(None, &web(), None).await.map(drop));
    // The other way round: what is saved after the deletion is a template again, alone.
    ada.save_template(&template("web", wish(4)), None).await.expect("saves");
    let deletes = {
        let ada = ada.clone();
        Box::pin(async move { ada.remove_template(&web(), None).await.expect("deletes") })
    };
    let racing = house.with_meanwhile(RecordKind::TemplateVersion, deletes).await.user(ada.id());
    let view = racing.save_template(&template("web", wish(5)), None).await.expect("saves").view;
    assert_eq!((view.request.count, view.versions), (Some(5), 1));
    assert_eq!(ada.template(None, &web(), None).await.expect("is there").request.count, Some(5));
}

#[tokio::test]
async fn a_crash_in_a_deletion_or_a_save_leaves_nothing_half() {
    for n in 0..6 {
        let house = House::quiet().await;
        let ada = house.user("ada").await;
        for count in [1, 2] {
            ada.save_template(&template("web", wish(count)), None).await.expect("saves");
        }
        let dying = house.dying(n).await.user(ada.id());
        let _ = dying.remove_template(&web(), None).await;
        let _ = dying.save_template(&template("web", wish(7)), None).await;
        let newest = ada.template(None, &web(), None).await.map(|view| (view.of.version, view.request.count));
        match &newest {
            Ok(found) => assert!([(2, Some(2)), (3, Some(7))].contains(found), "died at {n}: {found:?}"),
            Err(error) => assert_eq!(word(error), "NotFound", "died at {n}"),
        }
        // Going on from there: whatever was left over is gone, and what is there is whole.
        ada.save_template(&template("web", wish(9)), None).await.expect("saves");
        let head = ada.template(None, &web(), None).await.expect("is there");
        let there = u32::try_from(house.all::<TemplateVersion>().await.len()).expect("few");
        assert_eq!((head.request.count, there), (Some(9), head.versions), "died at {n}");
        for number in 1..=head.newest {
            let read = ada.template(None, &web(), Some(number)).await;
            assert_eq!(read.is_ok(), number > head.newest - head.versions, "died at {n}, version {number}");
        }
    }
}

#[tokio::test]
async fn a_lost_reply_makes_no_second_version() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let new = template("web", wish(1));
    let lossy = house.with_lost_reply(RecordKind::Template).await.user(ada.id());
    let error = lossy.save_template(&new, Some(&once("t-1"))).await.expect_err("nobody knows");
    assert_eq!(word(&error), "Store");
    let again = ada.save_template(&new, Some(&once("t-1"))).await.expect("a replay");
    assert!(again.replayed);
    assert_eq!((again.view.of.version, again.view.newest), (1, 1));
    let other =
        ada.save_template(&template("web", wish(2)), Some(&once("t-1"))).await.expect_err("another body");
    assert!(matches!(other, InfraError::IdempotencyMismatch), "{other}");
    let (db, key) = (template("db", wish(1)), once("t-2"));
    let calls: Vec<_> = (0..10).map(|_| ada.save_template(&db, Some(&key))).collect();
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.expect("one of them, or a replay").view.of.version, 1);
    }
}

#[tokio::test]
async fn a_team_mate_relaunches_with_his_own_keys_profile_and_limits() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let mut adas = infra_core::nouns::account::Preferences::default();
    adas.ssh_public_keys = vec![ADAS.to_owned()];
    adas.region = Some("sim-ams".parse().expect("legal"));
    ada.set_profile(&adas, None).await.expect("sets");
    let mut bens = infra_core::nouns::account::Preferences::default();
    bens.ssh_public_keys = vec![BENS.to_owned()];
    ben.set_profile(&bens, None).await.expect("sets");
    // From a reservation: its request shows what ada's profile added.
    let made = ada.reserve(&wish(2), None).await.expect("accepted").view;
    assert_eq!(made.request.ssh_public_keys, [ADAS]);
    assert_eq!(made.request.region.as_ref().map(|r| r.as_str()), Some("sim-ams"));
    let new = NewTemplate { name: web(), from: TemplateFrom::Reservation(made.id.clone()) };
    let saved = ada.save_template(&new, None).await.expect("saves").view;
    assert!(
        saved.request.ssh_public_keys.is_empty() && saved.request.region.is_none(),
        "{:?}",
        saved.request
    );
    assert_eq!((saved.request.count, saved.request.duration_s), (Some(2), Some(3600)));
    let bens_view = ben.template(Some(ada.id()), &web(), None).await.expect("is shared with the team");
    assert_eq!(
        (saved.from.as_ref(), bens_view.from),
        (Some(&made.id), None),
        "the reservation is ada's business"
    );
    let bens = ben.relaunch(&again(Some(&ada)), None).await.expect("accepted").view;
    assert_eq!((&bens.user, bens.request.count), (ben.id(), Some(2)));
    assert_eq!(bens.request.ssh_public_keys, [BENS]);
    assert_eq!(bens.request.region, None, "ada's region is ada's");
    assert_eq!(bens.template.expect("says so").owner, *ada.id());
    assert_eq!((house.held(&ada).await, house.held(&ben).await), (2, 2), "ben pays for ben's");
    // Keys that stand in the template itself open nothing of ben's either.
    let mut explicit = wish(1);
    explicit.ssh_public_keys = vec![ADAS.to_owned()];
    ada.save_template(&template("web", explicit), None).await.expect("saves");
    let bens = ben.relaunch(&again(Some(&ada)), None).await.expect("accepted").view;
    assert_eq!(bens.request.ssh_public_keys, [BENS]);
    assert_eq!(
        ada.relaunch(&again(None), None).await.expect("accepted").view.request.ssh_public_keys,
        [ADAS]
    );
    house.operator().set_machines_max(ben.id(), Some(3)).await.expect("sets");
    let error = ben.relaunch(&again(Some(&ada)), None).await.expect_err("ben's limit");
    assert!(matches!(error, InfraError::OverLimit { held: 3, max: 3, .. }), "{error:?}");
    // Changed only by its owner; a bare name is never somebody else's.
    missing(ben.remove_template(&web(), None).await);
    missing(ben.relaunch(&again(None), None).await.map(drop));
    let own =
        ben.save_template(&template("web", wish(9)), None).await.expect("ben's own of the same name").view;
    assert_eq!((own.of.version, &own.of.owner), (1, ben.id()));
    let all = ben.templates(None, None, None).await.expect("lists").items;
    let owners: Vec<&UserId> = all.iter().map(|view| &view.of.owner).collect();
    assert_eq!(owners, [ada.id(), ben.id()]);
}

#[tokio::test]
async fn another_teams_template_looks_like_a_missing_one() {
    let house = House::quiet().await;
    let (ada, eve) = (house.user("ada").await, house.user("eve").await);
    ada.save_template(&template("web", wish(1)), None).await.expect("saves");
    let nobody: UserId = "nobody".parse().expect("legal");
    for owner in [Some(ada.id()), Some(&nobody), None] {
        missing(eve.template(owner, &web(), None).await.map(drop));
        let relaunch = Relaunch { owner: owner.cloned(), ..again(None) };
        missing(eve.relaunch(&relaunch, None).await.map(drop));
    }
    missing(eve.remove_template(&web(), None).await);
    assert!(eve.templates(None, None, None).await.expect("lists").items.is_empty());
    for owner in [ada.id(), &nobody] {
        let error = eve.templates(Some(owner), None, None).await.expect_err("not in the team");
        assert!(matches!(error, InfraError::NotFound { what: "user", .. }), "{error:?}");
    }
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let theft = NewTemplate { name: web(), from: TemplateFrom::Reservation(id) };
    let error = eve.save_template(&theft, None).await.expect_err("somebody else's reservation");
    assert!(matches!(error, InfraError::NotFound { what: "reservation", .. }), "{error:?}");
    assert!(ada.template(None, &web(), None).await.is_ok());
}

#[tokio::test]
async fn a_script_runs_for_a_team_mate_and_is_never_shown() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    let mut request = wish(1);
    request.setup = Some(SCRIPT.to_owned());
    // Through a reservation, and again through a template of the mate's: sealed anew for each place.
    let id = ada.reserve(&request, None).await.expect("accepted").view.id;
    let new = NewTemplate { name: web(), from: TemplateFrom::Reservation(id) };
    let saved = ada.save_template(&new, None).await.expect("saves").view;
    let listed = ben.templates(Some(ada.id()), None, None).await.expect("lists").items;
    let relaunched = ben.relaunch(&again(Some(&ada)), None).await.expect("accepted").view;
    assert!(saved.has_setup && listed[0].has_setup && relaunched.has_setup);
    assert!(!format!("{saved:?} {listed:?} {relaunched:?}").contains("planted"));
    for record in house.records().await {
        assert!(!String::from_utf8_lossy(&record.body).contains("planted"), "{:?}", record.key);
    }
    let opened = |reservation: &Reservation| {
        let place = format!("reservation/{}/setup", reservation.id);
        let sealed = reservation.spec.setup.as_ref().expect("is there");
        MasterKey::new([7; 32]).open(&place, sealed).expect("sealed for its place").expose().to_owned()
    };
    let all = house.all::<Reservation>().await;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|record| opened(&record.value) == SCRIPT), "the very script");
    let without = Relaunch { owner: Some(ada.id().clone()), ..changed(&json!({"setup": null})) };
    assert!(!ben.relaunch(&without, None).await.expect("accepted").view.has_setup);
}

#[tokio::test]
async fn what_is_different_this_time_is_said_and_the_rest_is_the_templates() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let mut request = wish(2);
    request.tags = [("team".to_owned(), "data".to_owned())].into();
    request.os = Some("ubuntu 24.04".to_owned());
    ada.save_template(&template("web", request), None).await.expect("saves");
    let same = ada.relaunch(&again(None), None).await.expect("accepted").view.request;
    assert_eq!((same.count, same.duration_s, same.tags.len()), (Some(2), Some(3600), 1));
    let said = json!({"count": 1, "duration_s": null, "tags": null, "vcpus": 2});
    let other = ada.relaunch(&changed(&said), None).await.expect("accepted").view.request;
    assert_eq!((other.count, other.duration_s, other.vcpus), (Some(1), None, Some(2.0)));
    assert!(other.tags.is_empty());
    assert_eq!(other.os.as_deref(), Some("ubuntu 24.04"));
    let absurd = ada.relaunch(&changed(&json!({"count": 0})), None).await.expect_err("not even so");
    assert_eq!(word(&absurd), "OutOfRange");
}

#[tokio::test]
async fn a_replay_is_answered_after_the_template_and_the_profile_have_changed() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    ada.save_template(&template("web", wish(1)), None).await.expect("saves");
    let first = ada.relaunch(&again(None), Some(&once("k"))).await.expect("accepted").view;
    ada.save_template(&template("web", wish(2)), None).await.expect("a newer one");
    let second = ada.relaunch(&again(None), Some(&once("k"))).await.expect("a replay");
    ada.remove_template(&web(), None).await.expect("deletes");
    let third = ada.relaunch(&again(None), Some(&once("k"))).await.expect("a replay asks for nothing");
    assert!(second.replayed && third.replayed);
    assert_eq!((&second.view.id, &third.view.id), (&first.id, &first.id));
    let other =
        ada.relaunch(&changed(&json!({"count": 2})), Some(&once("k"))).await.expect_err("other changes");
    assert!(matches!(other, InfraError::IdempotencyMismatch), "{other}");
    assert_eq!(house.all::<Reservation>().await.len(), 1);
}

#[tokio::test]
async fn an_end_in_the_past_is_no_part_of_a_template() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let mut request = wish(1);
    request.duration_s = None;
    request.ends_at = Some(later(SystemClock.wall(), Duration::from_secs(7200)));
    let saved = ada.save_template(&template("web", request), None).await.expect("saves").view.request;
    assert_eq!(saved.ends_at, None);
    assert!(saved.duration_s.is_some_and(|s| (7190..=7200).contains(&s)), "{saved:?}");
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    let end = later(SystemClock.wall(), Duration::from_secs(10_000));
    ada.extend(&id, end, None).await.expect("extends");
    let new = NewTemplate { name: web(), from: TemplateFrom::Reservation(id) };
    let saved = ada.save_template(&new, None).await.expect("saves").view.request;
    assert!(
        saved.ends_at.is_none() && saved.duration_s.is_some_and(|s| (9990..=10_000).contains(&s)),
        "{saved:?}"
    );
}

#[tokio::test]
async fn what_is_not_offered_yet_may_be_kept_and_what_is_absurd_may_not() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let mut cluster = wish(3);
    cluster.resource = Resource::Cluster;
    cluster.software = vec!["spark".to_owned()];
    let saved = ada.save_template(&template("web", cluster), None).await.expect("keeps it").view.request;
    assert_eq!((saved.resource, saved.software.len()), (Resource::Cluster, 1));
    let error = ada.relaunch(&again(None), None).await.expect_err("not yet");
    assert!(matches!(error, InfraError::Unfulfillable { field: "resource", .. }), "{error:?}");
    let before = house.newest().await;
    let mut absurd = wish(1);
    absurd.count = Some(0);
    assert_eq!(
        word(&ada.save_template(&template("x", absurd), None).await.expect_err("absurd")),
        "OutOfRange"
    );
    for name in [".", "..", ".x", "a/b", "a b@", "x".repeat(65).as_str(), "a:b", "a+b"] {
        let Ok(name) = name.parse() else { continue };
        let new = NewTemplate { name, from: TemplateFrom::Request(Box::default()) };
        let error = ada.save_template(&new, None).await.expect_err("no name for a path");
        assert_eq!(word(&error), "OutOfRange", "{error}");
    }
    assert_eq!(house.newest().await, before, "nothing was written");
}

#[tokio::test]
async fn the_next_of_a_name_finds_no_template_of_the_last_one() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    ada.save_template(&template("web", wish(1)), None).await.expect("saves");
    let late = {
        // One that was saved while the user was being removed.
        let version = house.all::<TemplateVersion>().await.remove(0).value;
        let head = house.all::<infra_core::nouns::template::Template>().await.remove(0).value;
        (head, version)
    };
    house.operator().remove_user(ada.id()).await.expect("holds nothing");
    assert!(house.all::<TemplateVersion>().await.is_empty());
    let mut txn = house.repo().txn();
    txn.insert(&late.0);
    txn.insert(&late.1);
    house.repo().commit(txn).await.expect("writes");
    let next = house.keyless("ada").await;
    missing(next.template(None, &web(), None).await.map(drop));
    missing(next.relaunch(&again(None), None).await.map(drop));
    assert!(next.templates(None, None, None).await.expect("lists").items.is_empty());
    let saved = next.save_template(&template("web", wish(4)), None).await.expect("saves").view;
    assert_eq!((saved.request.count, saved.versions), (Some(4), 1));
    missing(next.template(None, &web(), Some(1)).await.map(drop));
    assert_eq!(house.all::<TemplateVersion>().await.len(), 1, "and what was left over is gone");
}

#[tokio::test]
async fn an_owner_whose_name_is_a_path_reaches_nobody_elses_template() {
    let house = House::quiet().await;
    let (a, ab) = (house.mate("qa", "a").await, house.mate("qa", "a/b").await);
    a.save_template(&template("web", wish(1)), None).await.expect("saves");
    ab.save_template(&template("web", wish(2)), None).await.expect("saves");
    a.remove_template(&web(), None).await.expect("deletes a's");
    assert_eq!(ab.template(None, &web(), None).await.expect("is there").request.count, Some(2));
    house.operator().remove_user(a.id()).await.expect("holds nothing");
    assert_eq!(ab.template(None, &web(), None).await.expect("is there").request.count, Some(2));
}

#[tokio::test]
async fn pages_of_templates_show_each_once() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate("qa", "ada").await, house.mate("qa", "ben").await);
    for n in 0..5 {
        ada.save_template(&template(&format!("t{n}"), wish(1)), None).await.expect("saves");
        ben.save_template(&template(&format!("t{n}"), wish(1)), None).await.expect("saves");
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = ben.templates(None, Some(3), after.as_ref()).await.expect("lists");
        assert!(page.items.len() == 3 || page.next.is_none());
        seen.extend(page.items.into_iter().map(|view| (view.of.owner, view.of.name)));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    let unique: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!((seen.len(), unique.len()), (10, 10));
}
