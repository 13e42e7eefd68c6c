//! Firewalls and key pairs: no token at EC2, so the unique name is one.

use infra_core::contracts::provider::FindQuery;
use infra_core::nouns::cloud::{Act, Sighting, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;
use infra_providers::aws::api::{Group, Reached};

use crate::Bench;
use crate::fake::{When, failure, refusal};

fn query(frozen: &FrozenLaunch) -> FindQuery {
    let (token, kind, name) = (frozen.token, frozen.body.kind(), frozen.name.clone());
    FindQuery { token, kind, name, since: infra_core::words::clock::Timestamp::UNIX_EPOCH }
}

#[tokio::test]
async fn a_firewall_lets_nobody_in_unless_told() {
    let bench = Bench::new().await;
    let made = bench.provider.launch(&bench.firewall(&[]), &bench.send()).await.expect("made");
    assert_eq!((made.len(), made[0].state), (1, ThingState::Running));
    assert_eq!(bench.calls(), ["create-group"]);
    assert!(bench.ec2.with(|world| world.groups[0].open_to.is_empty()));
}

#[tokio::test]
async fn a_crash_between_group_and_rules_is_seen_and_mended_by_the_replay() {
    for lost in [When::Before, When::After] {
        let bench = Bench::new().await;
        let frozen = bench.firewall(&["10.1.2.3/8", "192.0.2.0/24", "10.0.0.0/8"]);
        bench.ec2.plant("authorize", lost, failure(Reached::Maybe, "no-answer"));
        let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("lost");
        assert_eq!(error.effect(), Effect::Unknown);
        let half = lost == When::Before;
        let found = bench.provider.find(&query(&frozen)).await.expect("looked");
        assert_eq!(found.is_empty(), half, "half a firewall is not what the attempt makes");
        let id = bench.ec2.with(|world| world.groups[0].id.parse().expect("an id"));
        let seen = bench.provider.get(ResourceKind::Firewall, &[id]).await.expect("looked");
        let Sighting::Present(seen) = &seen[0] else { panic!("it is there") };
        assert_eq!(seen.state == ThingState::Building, half);
        let again = bench.provider.launch(&frozen, &bench.send()).await.expect("replayed");
        assert_eq!((again[0].mark, again[0].stamp), (Some(frozen.mark), Some(frozen.token)));
        let groups = bench.ec2.with(|world| world.groups.clone());
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].open_to, ["10.0.0.0/8", "192.0.2.0/24"]);
        let found = bench.provider.find(&query(&frozen)).await.expect("looked");
        assert_eq!((found.len(), found[0].stamp), (1, Some(frozen.token)));
    }
}

#[tokio::test]
async fn a_refusal_of_the_second_half_is_no_refusal_of_the_attempt() {
    for code in ["UnauthorizedOperation", "RulesPerSecurityGroupLimitExceeded", "InvalidGroup.NotFound"] {
        let bench = Bench::new().await;
        bench.ec2.plant("authorize", When::Before, refusal(code));
        let frozen = bench.firewall(&["10.0.0.0/8"]);
        let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("refused");
        assert_eq!(error.effect(), Effect::Unknown, "{code}: the group stands");
    }
}

#[tokio::test]
async fn bad_rules_are_refused_before_the_group_exists() {
    let bench = Bench::new().await;
    let many: Vec<String> = (0..61).map(|n| format!("10.{n}.0.0/16")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for blocks in [&["10.0.0.1"][..], &["10.0.0.0/33"], &["0.0.0.0/0", "everybody"], &many] {
        let error = bench.provider.launch(&bench.firewall(blocks), &bench.send()).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    assert_eq!(bench.calls(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_strangers_group_of_the_same_name_is_left_alone() {
    let bench = Bench::new().await;
    let frozen = bench.firewall(&["10.0.0.0/8"]);
    let stranger = Group { id: "sg-9".into(), name: frozen.name.clone(), ..Group::default() };
    bench.ec2.with(|world| world.groups.push(stranger.clone()));
    let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("taken");
    assert_eq!((error.kind(), error.effect()), (FaultKind::TokenMismatch, Effect::Unknown));
    assert_eq!(bench.ec2.with(|world| world.groups.clone()), [stranger]);
    // Another attempt's group of that name is not this attempt's, either.
    let tags = bench.firewall(&[]).mark.to_tags();
    let tags: std::collections::BTreeMap<_, _> = tags.map(|(key, value)| (key.to_owned(), value)).into();
    bench.ec2.with(|world| world.groups[0].tags = tags);
    assert_eq!(bench.provider.find(&query(&frozen)).await.expect("looked"), []);
}

#[tokio::test]
async fn a_name_taken_by_what_is_not_shown_yet_is_unknown_and_may_be_sent_again() {
    let bench = Bench::new().await;
    let pair = LaunchBody::KeyPair { public_key: "ssh-ed25519 AAAA".into() };
    for (frozen, call, code) in [
        (bench.firewall(&[]), "create-group", "InvalidGroup.Duplicate"),
        (bench.frozen(1, pair), "import", "InvalidKeyPair.Duplicate"),
    ] {
        bench.ec2.plant(call, When::Before, refusal(code));
        let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("taken");
        // No mismatch: after one of those an attempt is never sent again.
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unavailable, Effect::Unknown), "{error}");
        bench.provider.launch(&frozen, &bench.send()).await.expect("made");
    }
}

#[tokio::test]
async fn a_group_that_somebody_opened_further_is_not_taken_for_the_launchs_own() {
    let bench = Bench::new().await;
    let frozen = bench.firewall(&["10.0.0.0/8"]);
    bench.provider.launch(&frozen, &bench.send()).await.expect("made");
    bench.ec2.with(|world| world.groups[0].open_to.push("0.0.0.0/0".into()));
    let error = bench.provider.launch(&frozen, &bench.send()).await.expect_err("opened");
    assert_eq!(error.kind(), FaultKind::TokenMismatch);
}

#[tokio::test]
async fn two_sends_that_overtake_each_other_end_with_every_rule_once() {
    let bench = Bench::new().await;
    let frozen = bench.firewall(&["10.0.0.0/8", "192.0.2.0/24"]);
    // The other send wrote one rule between our look and our write.
    bench.ec2.plant("authorize", When::Before, refusal("InvalidPermission.Duplicate"));
    bench.provider.launch(&frozen, &bench.send()).await.expect("made");
    assert_eq!(bench.calls(), ["create-group", "authorize", "authorize", "authorize"]);
    assert_eq!(bench.ec2.with(|world| world.groups[0].open_to.len()), 2);
}

#[tokio::test]
async fn a_group_in_use_is_busy_and_one_that_is_gone_is_accepted() {
    let bench = Bench::new().await;
    let frozen = bench.firewall(&[]);
    let made = bench.provider.launch(&frozen, &bench.send()).await.expect("made");
    let handle = bench.handle(&made[0].id, &frozen);
    bench.ec2.plant("delete-group", When::Before, refusal("DependencyViolation"));
    let busy = bench.provider.act(&handle, Act::Terminate).await.expect_err("in use");
    assert_eq!((busy.kind(), busy.effect()), (FaultKind::Busy, Effect::NotApplied));
    for _ in 0..2 {
        bench.provider.act(&handle, Act::Terminate).await.expect("accepted");
    }
    assert_eq!(bench.ec2.with(|world| world.groups.len()), 0);
}

#[tokio::test]
async fn a_key_pair_is_imported_once_and_never_swapped() {
    let bench = Bench::new().await;
    let pair = |key: &str| LaunchBody::KeyPair { public_key: key.into() };
    let frozen = bench.frozen(1, pair("ssh-ed25519 AAAA ada@home"));
    bench.ec2.plant("import", When::After, failure(Reached::Maybe, "no-answer"));
    let lost = bench.provider.launch(&frozen, &bench.send()).await.expect_err("lost");
    assert_eq!(lost.effect(), Effect::Unknown);
    let found = bench.provider.find(&query(&frozen)).await.expect("looked");
    let again = bench.provider.launch(&frozen, &bench.send()).await.expect("replayed");
    assert_eq!((found[0].id.clone(), found[0].stamp), (again[0].id.clone(), Some(frozen.token)));
    let mut swapped = frozen.clone();
    swapped.body = pair("ssh-ed25519 BBBB eve@home");
    let error = bench.provider.launch(&swapped, &bench.send()).await.expect_err("another key");
    assert_eq!(error.kind(), FaultKind::TokenMismatch);
    bench.provider.act(&bench.handle(&again[0].id, &frozen), Act::Terminate).await.expect("accepted");
    assert_eq!(bench.provider.find(&query(&frozen)).await.expect("looked"), []);
}
