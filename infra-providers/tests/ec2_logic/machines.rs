//! Launching and changing machines.

use std::time::Duration;

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::{Act, PowerMode, ThingState};
use infra_core::nouns::launch::LaunchBody;
use infra_core::nouns::request::Market;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::Secret;
use infra_providers::aws::api::{Disk, Reached};

use crate::fake::{When, failure, refusal};
use crate::{Bench, lane, machine_body};

#[tokio::test]
async fn everything_stands_in_the_one_create_call() {
    let bench = Bench::new().await;
    let frozen = bench.machine(2);
    let send = Send { user_data: Some(Secret::new("#!/bin/sh\n".into())), ..bench.send() };
    let made = bench.provider.launch(&frozen, &send).await.expect("launched");
    assert_eq!(made.len(), 2);
    let ask = bench.ec2.with(|world| world.runs.pop()).expect("one call");
    assert_eq!((ask.token, ask.count, ask.zone.as_str()), (frozen.token.to_string(), 2, "us-east-1a"));
    assert_eq!((ask.spot, ask.public_address, ask.key_name.as_deref()), (false, false, Some("infra-key")));
    assert_eq!(ask.groups, ["sg-1"]);
    assert_eq!(ask.user_data.expect("user data").expose(), "IyEvYmluL3NoCg==");
    let disk = |device: &str, size_gib| Disk { device: device.into(), size_gib, encrypted: false };
    assert_eq!(ask.disks, [disk("/dev/sda1", Some(20)), disk("/dev/sdb", None)]);
    // The mark wins over a label that looks like it.
    for (key, value) in frozen.mark.to_tags() {
        assert_eq!(ask.tags.get(key), Some(&value), "{key}");
    }
    assert_eq!(ask.tags.get("team").map(String::as_str), Some("lab"));
    assert_eq!(ask.tags.get("Name"), Some(&frozen.name));
    for one in made {
        assert_eq!(
            (one.mark, one.stamp, one.state),
            (Some(frozen.mark), Some(frozen.token), ThingState::Building)
        );
        assert_eq!(one.created_at.as_second(), 1000, "a start moves the launch time, not the birth");
    }
}

#[tokio::test]
async fn a_call_that_is_too_late_does_not_leave() {
    let bench = Bench::new().await;
    let send = Send { user_data: None, files: None, deadline: Duration::from_millis(500) };
    let error = bench.provider.launch(&bench.machine(1), &send).await.expect_err("too late");
    assert!(matches!(error, ProviderError::NotSent { .. }), "{error}");
    assert_eq!(bench.calls(), Vec::<&str>::new());
    // Late because the look at the image took too long.
    let bench = Bench::slow_images().await;
    let send = Send { deadline: bench.send().deadline - Duration::from_secs(21), ..bench.send() };
    let error = bench.provider.launch(&bench.machine(1), &send).await.expect_err("too late");
    assert!(matches!(error, ProviderError::NotSent { .. }), "{error}");
    assert_eq!(bench.calls(), ["images"]);
}

#[tokio::test]
async fn an_image_is_looked_up_once_so_a_replay_is_one_call() {
    let bench = Bench::new().await;
    let frozen = bench.machine(1);
    bench.ec2.plant("run", When::After, failure(Reached::Maybe, "no-answer"));
    let lost = bench.provider.launch(&frozen, &bench.send()).await.expect_err("the answer is lost");
    assert_eq!(lost.effect(), Effect::Unknown);
    let again = bench.provider.launch(&frozen, &bench.send()).await.expect("replayed");
    assert_eq!((again.len(), bench.ec2.with(|world| world.machines.len())), (1, 1));
    assert_eq!(bench.calls(), ["images", "run", "run"]);
    let [first, second] = bench.ec2.with(|world| [world.runs[0].clone(), world.runs[1].clone()]);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[tokio::test]
async fn fewer_machines_than_asked_for_may_still_have_been_made() {
    let bench = Bench::new().await;
    bench.ec2.with(|world| world.withheld = 1);
    let error = bench.provider.launch(&bench.machine(3), &bench.send()).await.expect_err("one is missing");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Internal, Effect::Unknown));
}

#[tokio::test]
async fn a_body_that_cannot_work_is_refused_before_anything_leaves() {
    let bench = Bench::new().await;
    let mut no_zone = bench.machine(1);
    no_zone.zone = None;
    let mut other_mark = bench.machine(1);
    other_mark.mark = bench.machine(1).mark;
    let mut no_key = machine_body();
    no_key.key_pair = None;
    no_key.ssh_public_keys = vec!["ssh-ed25519 AAAA".into()];
    let no_key = bench.frozen(1, LaunchBody::Machine(no_key));
    let mut no_image = machine_body();
    no_image.image = "ami-9".parse().expect("a literal name");
    let no_image = bench.frozen(1, LaunchBody::Machine(no_image));
    for frozen in [no_zone, other_mark, no_key, no_image, bench.machine(0), bench.machine(51)] {
        let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    let send = Send { user_data: Some(Secret::new("x".repeat(16 * 1024 + 1))), ..bench.send() };
    let error = bench.provider.launch(&bench.machine(1), &send).await.expect_err("too long");
    assert_eq!(error.kind(), FaultKind::Invalid);
    assert!(!bench.calls().contains(&"run"));
}

#[tokio::test]
async fn spot_is_asked_for_as_spot_and_first_boot_data_never_prints() {
    let bench = Bench::new().await;
    let spot_max = infra_core::words::money::Money::parse_usd("0.0125");
    let body = infra_core::nouns::launch::MachineBody { market: Market::Spot, spot_max, ..machine_body() };
    let frozen = bench.frozen(1, LaunchBody::Machine(body));
    let send = Send { user_data: Some(Secret::new("password=hunter2".into())), ..bench.send() };
    bench.provider.launch(&frozen, &send).await.expect("launched");
    let ask = bench.ec2.with(|world| world.runs.pop()).expect("one call");
    assert!(ask.spot);
    assert_eq!(ask.spot_max.as_deref(), Some("0.0125"), "never dearer than this");
    let secret = ask.user_data.as_ref().expect("user data").expose().to_owned();
    assert!(!format!("{ask:?} {send:?}").contains(&secret));
}

#[tokio::test]
async fn a_machine_in_the_wrong_lane_is_not_touched() {
    let bench = Bench::new().await;
    let frozen = bench.machine(1);
    let made = bench.provider.launch(&frozen, &bench.send()).await.expect("launched");
    let mut elsewhere = lane();
    elsewhere.account = "999999999999".parse().expect("a literal name");
    let handle = infra_core::contracts::provider::OwnedHandle::unproven(
        made[0].id.clone(),
        ResourceKind::Machine,
        elsewhere,
        frozen.mark,
    );
    for act in [Act::Terminate, Act::Power(PowerMode::Stop), Act::Mark, Act::Unmark] {
        let error = bench.provider.act(&handle, act).await.expect_err("another account's");
        assert!(matches!(error, ProviderError::NotSent { .. }), "{error}");
    }
    assert_eq!(bench.calls(), ["images", "run"]);
}

#[tokio::test]
async fn power_waits_for_what_settles_and_an_ending_is_accepted_twice() {
    let bench = Bench::new().await;
    let frozen = bench.machine(1);
    let made = bench.provider.launch(&frozen, &bench.send()).await.expect("launched");
    let handle = bench.handle(&made[0].id, &frozen);
    bench.ec2.plant("stop", When::Before, refusal("IncorrectInstanceState"));
    let busy = bench.provider.act(&handle, Act::Power(PowerMode::Stop)).await.expect_err("still pending");
    assert_eq!(busy.kind(), FaultKind::Busy);
    bench.provider.act(&handle, Act::Power(PowerMode::Stop)).await.expect("settled");
    let no_such_mode = bench.provider.act(&handle, Act::Power(PowerMode::Shelve)).await;
    assert_eq!(no_such_mode.expect_err("EC2 has none").kind(), FaultKind::Invalid);
    for _ in 0..2 {
        bench.provider.act(&handle, Act::Terminate).await.expect("accepted");
    }
    bench.ec2.with(|world| world.machines.clear());
    bench.provider.act(&handle, Act::Terminate).await.expect("what is not there needs no ending");
    bench.ec2.plant("terminate", When::Before, failure(Reached::Maybe, "no-answer"));
    let lost = bench.provider.act(&handle, Act::Terminate).await.expect_err("the answer is lost");
    assert_eq!(lost.effect(), Effect::Unknown);
}

#[tokio::test]
async fn a_group_made_moments_ago_is_waited_for_and_a_missing_one_is_not() {
    let bench = Bench::new().await;
    let frozen = bench.machine(1);
    for (after_s, kind) in [(1, FaultKind::Busy), (298, FaultKind::Busy), (2, FaultKind::Invalid)] {
        bench.clock.advance(Duration::from_secs(after_s));
        bench.ec2.plant("run", When::Before, refusal("InvalidGroup.NotFound"));
        let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("not there");
        assert_eq!((error.kind(), error.effect()), (kind, Effect::NotApplied), "after {after_s} s more");
    }
}
