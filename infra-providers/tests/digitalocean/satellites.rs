//! Firewalls and snapshots.

use std::time::Duration;

use infra_core::nouns::cloud::{Act, Sighting, ThingState};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::ImageId;
use infra_core::words::lane::{Mark, ResourceKind};
use infra_providers::sim::{FaultEffect, Match, Rule};

use crate::bench::Bench;

#[tokio::test]
async fn a_firewall_is_one_create_call_and_stands_before_a_tag_from_the_start() {
    let bench = Bench::new().await;
    let frozen = bench.firewall(&["192.0.2.7/24", "2001:DB8::/32"]);
    let made = bench.made(&frozen).await;
    assert_eq!(bench.wire.calls(), ["POST /v2/tags", "POST /v2/firewalls"]);
    let [body] = &bench.wire.bodies("POST /v2/firewalls")[..] else { panic!("one body") };
    assert_eq!(body["tags"], serde_json::json!([format!("infra-firewall:ams3-{}", frozen.token)]));
    assert_eq!(
        body["inbound_rules"][0]["sources"]["addresses"],
        serde_json::json!(["192.0.2.0/24", "2001:db8::/32"])
    );
    assert_eq!(body["outbound_rules"].as_array().map(Vec::len), Some(3));
    assert_eq!(made.mark, Some(frozen.mark), "read back from its name");
    bench.settle();
    let found = bench.find(&frozen).await.expect("answers");
    assert_eq!(found.iter().map(|one| &one.id).collect::<Vec<_>>(), [&made.id]);
    let Sighting::Present(seen) = bench.look(ResourceKind::Firewall, &made.id).await else { panic!("gone") };
    assert_eq!((seen.id, seen.mark, seen.state), (made.id, Some(frozen.mark), ThingState::Running));
}

#[tokio::test]
async fn nobody_is_let_in_when_nobody_is_named() {
    let bench = Bench::new().await;
    bench.made(&bench.firewall(&[])).await;
    let [body] = &bench.wire.bodies("POST /v2/firewalls")[..] else { panic!("one body") };
    assert_eq!(body["inbound_rules"], serde_json::json!([]));
}

#[tokio::test]
async fn a_replay_after_a_lost_reply_finds_its_own_firewall() {
    let bench = Bench::new().await;
    bench.world.rule(Rule::once("launch", FaultEffect::LostReply));
    let frozen = bench.firewall(&["192.0.2.0/24"]);
    let error = bench.launch(&frozen).await.expect_err("no answer");
    assert_eq!(error.effect(), Effect::Unknown);
    // Before it shows, the name is taken by nobody knows what.
    let error = bench.launch(&frozen).await;
    if let Err(error) = error {
        assert_eq!(error.effect(), Effect::Unknown, "{error}");
    }
    bench.settle();
    let again = bench.made(&frozen).await;
    assert_eq!(again.mark, Some(frozen.mark));
    assert_eq!(bench.alive(ResourceKind::Firewall).len(), 1);
    let mut other = frozen.clone();
    other.body = bench.firewall(&["0.0.0.0/0"]).body;
    let error = bench.launch(&other).await.expect_err("another body under the same name");
    assert_eq!((error.kind(), error.effect()), (FaultKind::TokenMismatch, Effect::Unknown), "{error}");
}

#[tokio::test]
async fn a_tag_that_could_not_be_made_has_made_no_firewall() {
    let bench = Bench::new().await;
    bench.wire.answer(
        "POST /v2/tags",
        500,
        &[],
        r#"{"id":"server_error","message":"Unexpected server-side error"}"#,
    );
    let error = bench.launch(&bench.firewall(&[])).await.expect_err("no tag");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::NotApplied), "{error}");
    assert!(bench.alive(ResourceKind::Firewall).is_empty());
}

#[tokio::test]
async fn a_droplet_whose_firewall_is_gone_is_never_born_open() {
    let bench = Bench::new().await;
    let wall = bench.firewall(&[]);
    let firewall = bench.made(&wall).await;
    let frozen = bench.behind(&firewall);
    let truth = bench.alive(ResourceKind::Firewall).remove(0);
    bench.world.end_by_hand(&truth.id);
    let error = bench.launch(&frozen).await.expect_err("no firewall");
    assert_eq!(
        (error.kind(), error.effect()),
        (FaultKind::Busy, Effect::NotApplied),
        "it may be new: {error}"
    );
    bench.clock.advance(Duration::from_secs(121));
    let error = bench.launch(&frozen).await.expect_err("no firewall");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    assert!(bench.wire.bodies("POST /v2/droplets").is_empty());
}

#[tokio::test]
async fn a_firewall_with_a_droplet_behind_it_is_not_ended() {
    let bench = Bench::new().await;
    let wall = bench.firewall(&[]);
    let firewall = bench.made(&wall).await;
    bench.settle();
    let frozen = bench.behind(&firewall);
    let droplet = bench.made(&frozen).await;
    bench.settle();
    bench.wire.forget();
    let error = bench.provider.act(&bench.handle(&firewall.id, &wall), Act::Terminate).await;
    let error = error.expect_err("the droplet would be open");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Busy, Effect::NotApplied), "{error}");
    assert_eq!(bench.wire.calls(), ["GET /v2/droplets"], "DigitalOcean itself would not have refused");
    bench.provider.act(&bench.handle(&droplet.id, &frozen), Act::Terminate).await.expect("ends");
    bench.settle();
    for _ in 0..2 {
        bench
            .provider
            .act(&bench.handle(&firewall.id, &wall), Act::Terminate)
            .await
            .expect("ends, and again");
    }
    assert!(bench.alive(ResourceKind::Firewall).is_empty());
    assert!(
        bench.wire.calls().iter().any(|call| call.starts_with("DELETE /v2/tags/infra-firewall")),
        "its tag, too"
    );
}

#[tokio::test]
async fn a_snapshot_shows_only_when_it_is_whole_and_can_be_started_from() {
    let bench = Bench::new().await;
    let of = bench.made(&bench.droplet()).await.id;
    bench.settle();
    let disk = bench.alive(ResourceKind::Machine)[0].disk;
    let frozen = bench.frozen(LaunchBody::Snapshot { of });
    let made = bench.launch(&frozen).await.expect("the order is taken");
    assert!(made.is_empty(), "the order's answer names nothing: {made:?}");
    assert!(bench.find(&frozen).await.expect("answers").is_empty());
    bench.settle();
    let [found] = &bench.find(&frozen).await.expect("answers")[..] else { panic!("not found") };
    assert_eq!((found.state, found.mark), (ThingState::Running, Some(frozen.mark)));
    assert_eq!(bench.owned().await.0.iter().filter(|one| one.kind == ResourceKind::Snapshot).count(), 1);
    let image = ImageId::new(found.id.as_str()).expect("a number");
    let from =
        bench.frozen(LaunchBody::Machine(MachineBody { image: image.clone(), ..bench.machine.clone() }));
    let machine = bench.made(&from).await;
    assert_eq!(machine.image, Some(image));
    assert_eq!(bench.alive(ResourceKind::Machine)[1].disk, disk, "with the data that was on it");
    bench.provider.act(&bench.handle(&found.id, &frozen), Act::Terminate).await.expect("ends");
    bench.settle();
    assert!(matches!(bench.look(ResourceKind::Snapshot, &found.id).await, Sighting::Absent(_)));
}

#[tokio::test]
async fn a_snapshot_that_failed_never_shows() {
    let bench = Bench::new().await;
    let droplet = bench.droplet();
    let of = bench.made(&droplet).await.id;
    bench.settle();
    let kind = Some(ResourceKind::Snapshot);
    bench.world.rule(Rule::once("launch", FaultEffect::ErrorState).only(Match { kind, ..Match::default() }));
    let frozen = bench.frozen(LaunchBody::Snapshot { of });
    assert!(bench.launch(&frozen).await.expect("the order is taken").is_empty());
    bench.settle();
    assert!(bench.find(&frozen).await.expect("answers").is_empty(), "and so nobody ends the droplet");
    assert!(bench.owned().await.0.iter().all(|one| one.kind == ResourceKind::Machine));
    assert!(bench.alive(ResourceKind::Snapshot).is_empty());
}

#[tokio::test]
async fn a_snapshot_whose_reply_is_lost_is_found_by_its_name() {
    let bench = Bench::new().await;
    let of = bench.made(&bench.droplet()).await.id;
    bench.settle();
    bench.world.rule(Rule::once("launch", FaultEffect::LostReply));
    let frozen = bench.frozen(LaunchBody::Snapshot { of });
    assert_eq!(bench.launch(&frozen).await.expect_err("no answer").effect(), Effect::Unknown);
    bench.settle();
    assert_eq!(bench.find(&frozen).await.expect("answers").len(), 1);
}

#[tokio::test]
async fn a_hand_made_snapshot_is_not_ours_whatever_it_is_called() {
    let bench = Bench::new().await;
    let of = bench.made(&bench.droplet()).await.id;
    bench.settle();
    let order = serde_json::json!({ "type": "snapshot", "name": "infra-before-upgrade" }).to_string();
    bench.raw("POST", &format!("droplets/{of}/actions"), Some(&order)).await;
    bench.settle();
    assert_eq!(bench.alive(ResourceKind::Snapshot).len(), 1);
    assert!(bench.owned().await.0.iter().all(|one| one.kind == ResourceKind::Machine));
}

#[tokio::test]
async fn a_snapshot_that_is_empty_or_unfinished_is_not_usable() {
    let bench = Bench::new().await;
    for (status, size, expected) in [
        ("available", "0.0", ThingState::Building),
        ("available", "null", ThingState::Building),
        ("pending", "2.36", ThingState::Building),
        ("NEW", "0", ThingState::Building),
        ("available", "0.01", ThingState::Running),
        ("deleted", "2.36", ThingState::Ended),
        ("retired", "2.36", ThingState::Suspect),
    ] {
        let body = format!(
            r#"{{"image":{{"id":7,"name":"n","type":"snapshot","created_at":"2026-01-01T00:00:00Z",
                "status":"{status}","size_gigabytes":{size}}}}}"#
        );
        bench.wire.answer("GET /v2/images/7", 200, &[], &body);
        let id = "7".parse().expect("a literal name");
        let Sighting::Present(seen) = bench.look(ResourceKind::Snapshot, &id).await else { panic!("absent") };
        assert_eq!(seen.state, expected, "{status} {size}");
    }
}

#[tokio::test]
async fn a_mark_in_a_name_cannot_be_taken_off() {
    let bench = Bench::new().await;
    let wall = bench.firewall(&[]);
    let firewall = bench.made(&wall).await;
    bench.wire.forget();
    for act in [Act::Mark, Act::Unmark] {
        let error =
            bench.provider.act(&bench.handle(&firewall.id, &wall), act).await.expect_err("it is its name");
        assert_eq!(error.kind(), FaultKind::Invalid, "{error}");
    }
    assert!(bench.wire.calls().is_empty());
    assert_eq!(Mark::from_name(&wall.name), Some(wall.mark));
}

#[tokio::test]
async fn a_mark_half_written_is_an_unknown_effect() {
    let bench = Bench::new().await;
    let frozen = bench.droplet();
    let made = bench.made(&frozen).await;
    bench.settle();
    let handle = bench.handle(&made.id, &frozen);
    let tag = format!("POST /v2/tags/infra-token%3A{}/resources", frozen.token);
    bench.wire.answer(&tag, 422, &[], r#"{"id":"unprocessable_entity","message":"no"}"#);
    let error = bench.provider.act(&handle, Act::Mark).await.expect_err("the second tag was refused");
    assert_eq!(error.effect(), Effect::Unknown, "{error}");
    bench.provider.act(&handle, Act::Unmark).await.expect("taken off");
    let Sighting::Present(seen) = bench.look(ResourceKind::Machine, &made.id).await else { panic!("gone") };
    assert_eq!((seen.mark, seen.tags.get("Cost Center").map(String::as_str)), (None, Some("R&D")));
    assert!(bench.owned().await.0.is_empty());
    bench.provider.act(&handle, Act::Mark).await.expect("written again");
    assert_eq!(bench.owned().await.0.len(), 1);
}
