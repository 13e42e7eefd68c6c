//! Turning off and on, hibernating, and what a machine may be asked for.

use infra_core::nouns::cloud::{Act, PowerMode, ThingState};
use infra_core::nouns::launch::LaunchBody;
use infra_core::nouns::options::MachineOption;
use infra_core::nouns::request::Market;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::Secret;
use infra_providers::aws::fake::Ec2Fake;
use infra_providers::sim::{FaultEffect, Rule};

use crate::bench::Bench;

#[tokio::test]
async fn nothing_is_started_while_it_stops_nor_stopped_while_it_starts() {
    let bench = Bench::new().await;
    let frozen = bench.machine(|_| ());
    let one = bench.launch(&frozen).await.expect("launched").remove(0);
    let busy = async |mode, at: &str| {
        let error = bench.act(&one, &frozen, Act::Power(mode)).await.expect_err(at);
        assert_eq!((error.kind(), error.effect()), (FaultKind::Busy, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains("IncorrectInstanceState"), "{error}");
    };
    bench.until(&one, ThingState::Building).await;
    busy(PowerMode::Stop, "pending").await;
    bench.until(&one, ThingState::Running).await;
    bench.act(&one, &frozen, Act::Power(PowerMode::Stop)).await.expect("stops");
    assert_eq!(bench.state(&one).await, Some(ThingState::Stopping));
    busy(PowerMode::On, "stopping").await;
    bench.until(&one, ThingState::Stopped).await;
    bench.act(&one, &frozen, Act::Power(PowerMode::On)).await.expect("starts");
    busy(PowerMode::Stop, "pending again").await;
    bench.until(&one, ThingState::Running).await;
    bench.act(&one, &frozen, Act::Terminate).await.expect("ends");
    busy(PowerMode::Stop, "shutting down").await;
}

#[tokio::test]
async fn a_machine_hibernates_only_if_its_launch_asked_for_it() {
    let bench = Bench::new().await;
    let plain = bench.machine(|_| ());
    let able = bench.machine(|body| body.options.off = Some(PowerMode::Hibernate));
    for (frozen, kind) in [(plain, Some(FaultKind::Invalid)), (able, None)] {
        let one = bench.launch(&frozen).await.expect("launched").remove(0);
        bench.until(&one, ThingState::Running).await;
        let outcome = bench.act(&one, &frozen, Act::Power(PowerMode::Hibernate)).await;
        assert_eq!(outcome.as_ref().err().map(Fault::kind), kind, "{outcome:?}");
        if kind.is_none() {
            bench.until(&one, ThingState::Stopped).await;
        }
    }
}

#[tokio::test]
async fn a_wish_is_fulfilled_or_refused_and_never_ignored() {
    let bench = Bench::new().await;
    let catalogue = bench.provider.catalogue().await.expect("read");
    let taken = [
        MachineOption::Network,
        MachineOption::Profile,
        MachineOption::Off(PowerMode::Stop),
        MachineOption::Off(PowerMode::Hibernate),
    ];
    assert_eq!(catalogue.options, taken.into());
    let good = bench.machine(|body| {
        body.options.network = Some(Ec2Fake::subnet(bench.zones[0].as_str()));
        body.options.profile = Some("web".to_owned());
        body.options.off = Some(PowerMode::Stop);
    });
    let made = bench.launch(&good).await.expect("launched");
    let truth = bench.ec2.world().truth();
    let thing = truth.iter().find(|thing| thing.id == made[0].id).expect("is true");
    let LaunchBody::Machine(body) = &thing.body else { panic!("{thing:?}") };
    assert_eq!(body.options.network, Some(Ec2Fake::subnet(bench.zones[0].as_str())));
    assert_eq!(body.options.profile.as_deref(), Some("web"));
    let runs = || bench.ec2.calls().iter().filter(|call| **call == "RunInstances").count();
    let before = runs();
    for wrong in [
        bench.machine(|body| body.options.config_drive = Some(true)),
        bench.machine(|body| body.options.off = Some(PowerMode::Shelve)),
        bench.machine(|body| body.options.off = Some(PowerMode::Snapshot)),
        bench.machine(|body| {
            body.options.off = Some(PowerMode::Hibernate);
            body.market = Market::Spot;
        }),
    ] {
        let error = bench.launch(&wrong).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    assert_eq!(runs(), before, "refused before anything left");
}

#[tokio::test]
async fn a_subnet_of_another_zone_is_refused_in_ec2s_words() {
    let bench = Bench::new().await;
    let other = Ec2Fake::subnet(bench.zones[1].as_str());
    for (subnet, code) in
        [(other.as_str(), "InvalidParameterValue"), ("subnet-0", "InvalidSubnetID.NotFound")]
    {
        let frozen = bench.machine(|body| body.options.network = Some(subnet.to_owned()));
        let error = bench.launch(&frozen).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains(code) && error.to_string().contains(subnet), "{error}");
    }
    assert!(bench.ec2.world().truth().is_empty(), "nothing is left behind");
}

/// Everything that the sim can do to a launch, in EC2's words.
#[tokio::test]
async fn whatever_goes_wrong_is_named_in_ec2s_words_and_a_replay_buys_nothing_twice() {
    for (effect, kind, words, sure) in [
        (FaultEffect::LostReply, FaultKind::Unavailable, "no-answer", Effect::Unknown),
        (FaultEffect::LostRequest, FaultKind::Unavailable, "no-answer", Effect::Unknown),
        (FaultEffect::ErrorButCreated, FaultKind::Unavailable, "InternalError", Effect::Unknown),
        (FaultEffect::ServerError, FaultKind::Unavailable, "InternalError", Effect::Unknown),
        (FaultEffect::Garbled, FaultKind::Internal, "unreadable-answer", Effect::Unknown),
        (FaultEffect::SlowMs(40_000), FaultKind::Unavailable, "no-answer", Effect::Unknown),
        (FaultEffect::Capacity, FaultKind::Capacity, "InsufficientInstanceCapacity", Effect::NotApplied),
        (FaultEffect::Quota, FaultKind::Quota, "VcpuLimitExceeded", Effect::NotApplied),
        (FaultEffect::Throttled, FaultKind::Throttled, "RequestLimitExceeded", Effect::NotApplied),
        (FaultEffect::Unauthorized, FaultKind::Unauthorized, "UnauthorizedOperation", Effect::NotApplied),
    ] {
        let bench = Bench::new().await;
        let frozen = bench.machine(|_| ());
        bench.ec2.world().rule(Rule::once("launch", effect));
        let error = bench.launch(&frozen).await.expect_err("a fault");
        assert_eq!((error.kind(), error.effect()), (kind, sure), "{effect:?}: {error}");
        assert!(error.to_string().contains(words), "{effect:?}: {error}");
        bench.launch(&frozen).await.expect("a replay");
        let alive = bench.ec2.world().truth().into_iter().filter(|thing| thing.alive()).count();
        assert_eq!(alive, 1, "{effect:?}");
    }
}

#[tokio::test]
async fn a_machine_that_could_not_be_built_is_ended_by_ec2_with_its_reason() {
    let bench = Bench::new().await;
    bench.ec2.world().rule(Rule::once("launch", FaultEffect::ErrorState));
    let frozen = bench.machine(|_| ());
    let one = bench.launch(&frozen).await.expect("taken").remove(0);
    bench.until(&one, ThingState::Ended).await;
    for _ in 0..2 {
        let seen = bench.provider.get(ResourceKind::Machine, std::slice::from_ref(&one.id)).await;
        let seen = format!("{:?}", seen.expect("an answer"));
        assert!(seen.contains("Server.InternalError: the host failed while building"), "{seen}");
    }
    assert!(bench.ec2.world().truth().iter().all(|thing| !thing.alive()));
    let error = bench.launch(&frozen).await.expect_err("its machine has ended");
    assert_eq!(error.kind(), FaultKind::TokenEnded, "{error}");
}

#[tokio::test]
async fn a_token_with_another_body_is_a_mismatch_and_in_another_zone_another_machine() {
    let bench = Bench::new().await;
    let frozen = bench.machine(|_| ());
    bench.launch(&frozen).await.expect("launched");
    let mut other = frozen.clone();
    other.labels.insert("team".to_owned(), "another".to_owned());
    let error = bench.launch(&other).await.expect_err("another body");
    assert_eq!((error.kind(), error.effect()), (FaultKind::TokenMismatch, Effect::Unknown), "{error}");
    let send = infra_core::contracts::provider::Send {
        user_data: Some(Secret::new("#!/bin/sh".to_owned())),
        ..bench.send()
    };
    let error = bench.provider.launch(&frozen, &send).await.expect_err("other first-boot data");
    assert_eq!(error.kind(), FaultKind::TokenMismatch, "{error}");
    let elsewhere = infra_core::nouns::launch::FrozenLaunch { zone: bench.zones.get(1).cloned(), ..frozen };
    bench.launch(&elsewhere).await.expect("the token's scope is the zone");
    assert_eq!(bench.ec2.world().truth().len(), 2);
}
