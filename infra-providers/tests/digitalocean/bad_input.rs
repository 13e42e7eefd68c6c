//! Wrong keys, regions, images, sizes and networks; limits and outages: a typed error in DigitalOcean's own words, with
//! its request id, and nothing left behind.

use infra_core::CloudDriver;
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;
use infra_providers::sim::{FaultEffect, Rule};

use crate::bench::{Bench, credential, key, lane};

#[tokio::test]
async fn a_refused_launch_says_why_and_leaves_nothing() {
    use FaultKind::{Capacity, Invalid, Quota, Throttled, Unauthorized};
    let bench = Bench::new().await;
    let machine = || bench.machine.clone();
    let image = MachineBody { image: "999".parse().expect("a literal name"), ..machine() };
    let size = MachineBody { type_name: "s-99vcpu".parse().expect("a literal name"), ..machine() };
    for (body, fault, kind, words) in [
        (image, None, Invalid, "You specified an invalid image for Droplet creation."),
        (size, None, Invalid, "You specified an invalid size for Droplet creation."),
        (machine(), Some(FaultEffect::Quota), Quota, "will exceed your droplet limit"),
        (machine(), Some(FaultEffect::Capacity), Capacity, "Size is not available in this region."),
        (machine(), Some(FaultEffect::Throttled), Throttled, "API rate limit exceeded."),
        (
            machine(),
            Some(FaultEffect::Unauthorized),
            Unauthorized,
            "You are not authorized to perform this operation",
        ),
    ] {
        if let Some(fault) = fault {
            bench.world.rule(Rule::once("launch", fault));
        }
        let error = bench.launch(&bench.frozen(LaunchBody::Machine(body))).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (kind, Effect::NotApplied), "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("(request d0000000-"), "{text}");
    }
    assert!(bench.world.truth().is_empty());
}

#[tokio::test]
async fn a_network_that_is_not_there_is_refused_in_the_clouds_words() {
    let bench = Bench::new().await;
    let mut body = bench.machine.clone();
    body.options.network = Some("760e09ef-dc84-11e8-981e-3cfdfeaae000".to_owned());
    let words = r#"{"id":"not_found","message":"VPC not found","request_id":"r-1"}"#;
    bench.wire.answer("POST /v2/droplets", 404, &[], words);
    let error = bench.launch(&bench.frozen(LaunchBody::Machine(body))).await.expect_err("no such network");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied));
    assert!(error.to_string().contains("not_found: VPC not found (request r-1)"), "{error}");
    let [sent] = &bench.wire.bodies("POST /v2/droplets")[..] else { panic!("one body") };
    assert_eq!(sent["vpc_uuid"], serde_json::json!("760e09ef-dc84-11e8-981e-3cfdfeaae000"));
}

#[tokio::test]
async fn a_firewall_that_names_no_block_is_refused_before_it_is_made() {
    let bench = Bench::new().await;
    for bad in ["10.0.0.1", "everybody", "10.0.0.0/33"] {
        let error = bench.launch(&bench.firewall(&[bad])).await.expect_err("no block");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    assert!(bench.wire.calls().is_empty());
}

#[tokio::test]
async fn a_snapshot_of_nothing_is_refused() {
    let bench = Bench::new().await;
    for of in ["999", "i-0123456789abcdef0"] {
        let frozen = bench.frozen(LaunchBody::Snapshot { of: of.parse().expect("a literal name") });
        let error = bench.launch(&frozen).await.expect_err("no such droplet");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    let pair = bench.frozen(LaunchBody::KeyPair { public_key: "ssh-ed25519 AAAA".to_owned() });
    assert_eq!(bench.launch(&pair).await.expect_err("not made here").kind(), FaultKind::Invalid);
    assert!(bench.alive(ResourceKind::Snapshot).is_empty());
}

#[tokio::test]
async fn an_unknown_region_or_endpoint_says_what_there_is() {
    let bench = Bench::new().await;
    let mut other = lane("ams3");
    other.endpoint.0 = "https://elsewhere.example".to_owned();
    for (lane, says) in
        [(lane("mars1"), "ams3, nyc3 are"), (other, "is not of digitalocean at endpoint \"\"")]
    {
        let error =
            bench.driver.connect(&key("sim-lab"), &lane, bench.installation).await.expect_err("not ours");
        assert_eq!(error.kind(), FaultKind::Invalid);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_credential_of_another_form_is_refused_without_its_secret() {
    let bench = Bench::new().await;
    for (wrong, says) in [
        (credential("static", &[("token", "hunter2")]), "token is"),
        (credential("token", &[("tokem", "hunter2")]), "\"tokem\" is not known; token is"),
        (credential("token", &[]), "token is missing"),
        (credential("token", &[("token", "")]), "token is missing"),
        (credential("token", &[("token", "hunter2\r\nx-admin: 1")]), "no token has"),
    ] {
        let error = bench.driver.identify(&wrong).await.expect_err("another form");
        assert_eq!(error.kind(), FaultKind::Invalid);
        assert!(error.to_string().contains(says) && !error.to_string().contains("hunter2"), "{error}");
    }
    assert!(bench.wire.calls().is_empty());
    let good =
        bench.driver.connect(&key("sim-hunter2"), &lane("ams3"), bench.installation).await.expect("no I/O");
    assert!(!format!("{:?} {good:?}", bench.driver).contains("hunter2"));
}
