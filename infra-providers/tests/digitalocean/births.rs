//! What a create call did, and how that is learned.

use std::time::Duration;

use infra_core::contracts::provider::Send;
use infra_core::nouns::cloud::{Act, PowerMode, Sighting, ThingState};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::words::clock::Clock;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::{Secret, digest};
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::sim::{FaultEffect, Rule, SimConfig, Span};

use crate::bench::Bench;

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_found_by_its_name() {
    for fault in [FaultEffect::LostReply, FaultEffect::ErrorButCreated, FaultEffect::Garbled] {
        let bench = Bench::new().await;
        bench.world.rule(Rule::once("launch", fault));
        let frozen = bench.droplet();
        let error = bench.launch(&frozen).await.expect_err("no readable answer");
        assert_eq!(error.effect(), Effect::Unknown, "{fault:?}: {error}");
        bench.settle();
        let [found] = &bench.find(&frozen).await.expect("answers")[..] else { panic!("not found") };
        assert_eq!((found.mark, found.name.as_ref()), (Some(frozen.mark), Some(&frozen.name)), "{fault:?}");
        let of_body = (Some(&bench.machine.type_name), Some(&bench.machine.image));
        assert_eq!(
            (found.type_name.as_ref(), found.image.as_ref()),
            of_body,
            "what an adoption is judged by"
        );
        assert_eq!(bench.wire.bodies("POST /v2/droplets").len(), 1, "sent once");
    }
}

#[tokio::test]
async fn a_request_that_was_lost_made_nothing_and_nobody_can_tell() {
    for fault in [FaultEffect::LostRequest, FaultEffect::ServerError] {
        let bench = Bench::new().await;
        bench.world.rule(Rule::once("launch", fault));
        let frozen = bench.droplet();
        let error = bench.launch(&frozen).await.expect_err("no answer");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::Unknown), "{fault:?}");
        bench.settle();
        assert!(bench.find(&frozen).await.expect("answers").is_empty());
        assert!(bench.alive(ResourceKind::Machine).is_empty());
    }
}

#[tokio::test]
async fn a_new_droplet_that_listings_do_not_show_yet_is_no_absence() {
    let lag = Span::secs(60, 60);
    let config = SimConfig {
        visible_within: Duration::from_secs(60),
        list_lag: lag,
        id_lag: Span::secs(1, 1),
        ..DigitalOceanFake::config(1)
    };
    let bench = Bench::with(config).await;
    let frozen = bench.droplet();
    let made = bench.made(&frozen).await;
    assert_eq!(made.mark, Some(frozen.mark), "the answer names it although nothing else does");
    bench.clock.advance(Duration::from_secs(30));
    assert!(bench.find(&frozen).await.expect("answers").is_empty());
    assert!(bench.owned().await.0.is_empty());
    assert!(
        matches!(bench.look(ResourceKind::Machine, &made.id).await, Sighting::Present(_)),
        "by id it shows"
    );
    bench.clock.advance(Duration::from_secs(31));
    assert_eq!(bench.find(&frozen).await.expect("answers").len(), 1);
    assert_eq!(bench.owned().await.0.len(), 1);
}

#[tokio::test]
async fn a_droplet_limit_after_an_unknown_send_says_nothing_about_that_send() {
    let bench = Bench::new().await;
    bench.world.set_quota(&"lab".parse().expect("a literal name"), 1);
    bench.world.rule(Rule::once("launch", FaultEffect::LostReply));
    let frozen = bench.droplet();
    bench.launch(&frozen).await.expect_err("no answer");
    let error = bench.launch(&frozen).await.expect_err("the limit is reached by the first send");
    assert_eq!(
        (error.kind(), error.effect()),
        (FaultKind::Quota, Effect::NotApplied),
        "about its own send only"
    );
    assert!(error.to_string().contains("will exceed your droplet limit"), "{error}");
    bench.settle();
    assert_eq!(bench.find(&frozen).await.expect("answers").len(), 1, "and the first one lives");
}

#[tokio::test]
async fn everything_that_says_whose_a_droplet_is_stands_in_its_create_call() {
    let bench = Bench::new().await;
    let wall = bench.firewall(&["192.0.2.7/32"]);
    let firewall = bench.made(&wall).await;
    bench.settle();
    bench.wire.forget();
    let frozen = bench.behind(&firewall);
    let made = bench.made(&frozen).await;
    let calls = bench.wire.calls();
    assert_eq!(calls.len(), 2, "a look at the firewall and one create: {calls:?}");
    assert_eq!(calls[1], "POST /v2/droplets");
    let [body] = &bench.wire.bodies("POST /v2/droplets")[..] else { panic!("one body") };
    let mut tags: Vec<_> =
        body["tags"].as_array().expect("tags").iter().filter_map(|tag| tag.as_str()).collect();
    tags.sort_unstable();
    let expected = [
        "_43ost_20_43enter:_52_26_44".to_owned(),
        format!("infra-firewall:ams3-{}", wall.token),
        format!("infra-installation:{}", bench.installation),
        "infra-kind:machine".to_owned(),
        "infra-seq:3".to_owned(),
        format!("infra-token:{}", frozen.token),
    ];
    assert_eq!(tags, expected);
    assert_eq!(body["with_droplet_agent"], serde_json::json!(false), "nobody else gets in");
    assert_eq!(made.tags.get("Cost Center").map(String::as_str), Some("R&D"), "the label reads back whole");
}

#[tokio::test]
async fn a_tag_that_the_account_spells_otherwise_still_carries_the_mark() {
    let bench = Bench::new().await;
    let (one, two) = (bench.droplet(), bench.droplet());
    let post = |tag: String| serde_json::json!({ "name": tag }).to_string();
    // Somebody was there first, with capitals.
    for tag in
        [format!("INFRA-INSTALLATION:{}", bench.installation).to_uppercase(), "Infra-Kind:Machine".into()]
    {
        bench.raw("POST", "tags", Some(&post(tag))).await;
    }
    let made = [bench.made(&one).await, bench.made(&two).await];
    assert_eq!(made.map(|one| one.mark), [Some(one.mark), Some(two.mark)]);
    bench.settle();
    assert_eq!(bench.owned().await.0.len(), 2);
}

#[tokio::test]
async fn keys_and_script_arrive_together_and_print_nowhere() {
    let bench = Bench::new().await;
    let mut frozen = bench.droplet();
    if let LaunchBody::Machine(body) = &mut frozen.body {
        body.ssh_public_keys = vec!["ssh-ed25519 AAAAC3Nza me@home".to_owned()];
    }
    let script = Secret::new("#!/bin/sh\necho hunter2\n".to_owned());
    let send = Send { user_data: Some(script), ..bench.send() };
    let made = bench.provider.launch(&frozen, &send).await.expect("is made");
    assert!(!format!("{made:?}").contains("hunter2"));
    let [body] = &bench.wire.bodies("POST /v2/droplets")[..] else { panic!("one body") };
    let data = body["user_data"].as_str().expect("first-boot data");
    assert!(data.starts_with("MIME-Version: 1.0\nContent-Type: multipart/mixed"), "{data}");
    let truth = &bench.alive(ResourceKind::Machine)[0];
    assert_eq!(truth.user_data, Some(digest(data.as_bytes())), "and that is what the cloud got");
    assert!(body.get("ssh_keys").is_none(), "a registered key would be shared with other reservations");
}

#[tokio::test]
async fn what_a_droplet_cannot_have_is_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let machine = || bench.machine.clone();
    let mut profiled = machine();
    profiled.options.profile = Some("web".to_owned());
    let bodies = [
        MachineBody { market: infra_core::nouns::request::Market::Spot, ..machine() },
        MachineBody { key_pair: Some("k".to_owned()), ..machine() },
        MachineBody { image: "ubuntu-24-04-x64".parse().expect("a literal name"), ..machine() },
        MachineBody { ssh_public_keys: vec!["two\nlines".to_owned()], ..machine() },
        MachineBody { firewall: Some("not-ours".parse().expect("a literal name")), ..machine() },
        profiled,
    ];
    for body in bodies {
        let frozen = bench.frozen(LaunchBody::Machine(body));
        let error = bench.launch(&frozen).await.expect_err("cannot be had");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    let mut zoned = bench.droplet();
    zoned.zone = Some("ams3-a".parse().expect("a literal name"));
    assert_eq!(bench.launch(&zoned).await.expect_err("no zones").kind(), FaultKind::Invalid);
    let long = Send { user_data: Some(Secret::new("x".repeat(65_537))), ..bench.send() };
    let error = bench.provider.launch(&bench.droplet(), &long).await.expect_err("too long");
    assert!(error.to_string().contains("65537 bytes"), "{error}");
    let files = Send { files: Some(Secret::new("{}".to_owned())), ..bench.send() };
    assert_eq!(
        bench.provider.launch(&bench.droplet(), &files).await.expect_err("none").kind(),
        FaultKind::Invalid
    );
    assert!(bench.wire.calls().is_empty(), "{:?}", bench.wire.calls());
}

#[tokio::test]
async fn nothing_leaves_after_its_deadline() {
    let bench = Bench::new().await;
    let late = Send { deadline: bench.clock.mono(), ..bench.send() };
    let of = "1".parse().expect("a literal name");
    for frozen in [bench.droplet(), bench.firewall(&[]), bench.frozen(LaunchBody::Snapshot { of })] {
        let error = bench.provider.launch(&frozen, &late).await.expect_err("late");
        assert_eq!(error.effect(), Effect::NotApplied, "{error}");
    }
    assert!(bench.wire.calls().is_empty(), "{:?}", bench.wire.calls());
}

#[tokio::test]
async fn a_droplet_with_a_pending_event_is_busy_and_a_power_order_settles() {
    let bench = Bench::new().await;
    let frozen = bench.droplet();
    let made = bench.made(&frozen).await;
    let handle = bench.handle(&made.id, &frozen);
    bench.clock.advance(Duration::from_secs(1));
    let error = bench.provider.act(&handle, Act::Power(PowerMode::Stop)).await.expect_err("is being built");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Busy, Effect::NotApplied), "{error}");
    bench.settle();
    for (mode, state) in [(PowerMode::Stop, ThingState::Stopped), (PowerMode::On, ThingState::Running)] {
        bench.provider.act(&handle, Act::Power(mode)).await.expect("takes the order");
        bench.settle();
        let Sighting::Present(seen) = bench.look(ResourceKind::Machine, &made.id).await else {
            panic!("gone")
        };
        assert_eq!(seen.state, state);
    }
    let error = bench.provider.act(&handle, Act::Power(PowerMode::Hibernate)).await.expect_err("no such way");
    assert_eq!(error.kind(), FaultKind::Invalid);
    assert_eq!(bench.provider.facts().off_modes, [PowerMode::Snapshot], "off by stopping would be billed");
}

#[tokio::test]
async fn a_system_that_does_not_follow_a_shutdown_is_turned_off_the_hard_way() {
    let bench = Bench::new().await;
    let frozen = bench.droplet();
    let made = bench.made(&frozen).await;
    bench.settle();
    let handle = bench.handle(&made.id, &frozen);
    let (list, order) =
        (format!("GET /v2/droplets/{}/actions", made.id), format!("POST /v2/droplets/{}/actions", made.id));
    let newest = |word: &str, status: &str| {
        let action = format!(r#"{{"id":2,"type":"{word}","status":"{status}"}}"#);
        format!(
            r#"{{"actions":[{action},{{"id":1,"type":"shutdown","status":"errored"}}],"links":{{}},"meta":{{"total":2}}}}"#
        )
    };
    let mut expected = Vec::new();
    for (word, status, sent) in [
        ("create", "completed", "shutdown"),
        ("power_on", "completed", "shutdown"),
        ("shutdown", "in-progress", "shutdown"),
        ("shutdown", "errored", "power_off"),
        ("shutdown", "completed", "power_off"),
    ] {
        bench.wire.answer(&list, 200, &[], &newest(word, status));
        bench.wire.answer(&order, 201, &[], r#"{"action":{"id":3,"type":"x","status":"in-progress"}}"#);
        bench.provider.act(&handle, Act::Power(PowerMode::Stop)).await.expect("takes the order");
        expected.push(serde_json::json!({ "type": sent }));
    }
    assert_eq!(bench.wire.bodies(&order), expected);
}
