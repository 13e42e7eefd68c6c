//! Keys that end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::credential::Credential;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::secret::Secret;
use infra_core::{CloudDriver, CloudProvider};
use infra_providers::sim::{FaultEffect, Rule};

use crate::bench::{ACCOUNT, Bench, credential, lane, ours};

const ROLE: &str = "arn:aws:iam::123456789012:role/infra";

fn role(more: &[(&str, &str)]) -> Credential {
    let base = [("role_arn", ROLE), ("access_key_id", "sim-999999999999"), ("secret_access_key", "hunter2")];
    let mut role = credential("assume_role", &base);
    role.fields.extend(credential("", more).fields);
    role
}

async fn as_role(bench: &Bench) -> Arc<dyn CloudProvider> {
    bench.driver.connect(&role(&[]), &lane(), bench.installation).await.expect("connects")
}

fn assumed(bench: &Bench) -> usize {
    bench.ec2.calls().iter().filter(|call| **call == "AssumeRole").count()
}

#[tokio::test]
async fn a_role_is_assumed_once_for_all_who_wait_and_again_before_its_keys_end() {
    let bench = Bench::new().await;
    let provider = as_role(&bench).await;
    assert_eq!(assumed(&bench), 0, "connecting asks nobody");
    let looks = join_all((0..50).map(|_| provider.list_owned(None))).await;
    assert!(looks.iter().all(Result::is_ok), "{looks:?}");
    assert_eq!(assumed(&bench), 1);
    let who = provider.identify().await.expect("identified");
    assert_eq!(who.account.as_str(), ACCOUNT, "the role's account, not the base key's");
    // An hour's keys: good after 54 minutes, renewed in the last five, never used when they have ended.
    for (minutes, times) in [(54, 1), (2, 2), (54, 2), (2, 3), (300, 4)] {
        bench.clock.advance(Duration::from_secs(minutes * 60));
        let looks = join_all((0..10).map(|_| provider.list_owned(None))).await;
        assert!(looks.iter().all(Result::is_ok), "{looks:?}");
        assert_eq!(assumed(&bench), times, "{minutes} minutes later");
    }
}

#[tokio::test]
async fn keys_that_end_too_early_are_renewed_once_and_the_launch_is_made_once() {
    let bench = Bench::new().await;
    let provider = as_role(&bench).await;
    provider.list_owned(None).await.expect("listed");
    bench.ec2.end_sessions();
    let frozen = bench.machine(|_| ());
    let made = provider.launch(&frozen, &bench.send()).await.expect("launched with new keys");
    assert_eq!((made.len(), made[0].state), (1, ThingState::Building));
    assert_eq!((assumed(&bench), bench.ec2.world().truth().len()), (2, 1));
    // Keys that are refused as soon as they are made are not made for ever.
    let static_keys = bench.ec2.issue(ACCOUNT, Duration::ZERO).keys;
    let spent = credential(
        "static",
        &[
            ("access_key_id", static_keys.access_key_id.expose()),
            ("secret_access_key", "x"),
            ("session_token", static_keys.session_token.as_ref().expect("temporary").expose()),
        ],
    );
    let provider = bench.driver.connect(&spent, &lane(), bench.installation).await.expect("connects");
    let error = provider.list_owned(None).await.expect_err("ended");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Unauthorized, Effect::NotApplied), "{error}");
    assert!(error.to_string().contains("RequestExpired"), "{error}");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_the_answer_and_is_tried_again() {
    let bench = Bench::new().await;
    let provider = as_role(&bench).await;
    bench.ec2.world().rule(Rule::once("identify", FaultEffect::ServerError));
    let frozen = bench.machine(|_| ());
    let error = provider.launch(&frozen, &bench.send()).await.expect_err("STS is down");
    assert_eq!(error.kind(), FaultKind::Unavailable, "{error}");
    assert!(bench.ec2.world().truth().is_empty());
    provider.launch(&frozen, &bench.send()).await.expect("STS is back");
    // Renewal fails while the keys are still good: they are used to their end.
    bench.clock.advance(Duration::from_secs(56 * 60));
    bench.ec2.world().rule(Rule::once("identify", FaultEffect::ServerError).times(None));
    provider.list_owned(None).await.expect("the old keys are good");
    bench.clock.advance(Duration::from_secs(5 * 60));
    let error = provider.list_owned(None).await.expect_err("the old keys have ended");
    assert_eq!(error.kind(), FaultKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_role_that_wants_to_hear_its_external_id_hears_it() {
    let bench = Bench::new().await;
    let role = |id: Option<&str>| {
        let mut role = role(&[("role_arn", "arn:aws:iam::123456789012:role/external-7")]);
        role.fields.extend(id.map(|id| ("external_id".to_owned(), Secret::new(id.to_owned()))));
        role
    };
    let error = bench.driver.identify(&role(None)).await.expect_err("it trusts nobody without");
    assert_eq!(error.kind(), FaultKind::Unauthorized);
    assert!(error.to_string().contains("sts:AssumeRole"), "{error}");
    let who = bench.driver.identify(&role(Some("external-7"))).await.expect("identified");
    assert_eq!(who.account.as_str(), ACCOUNT);
}

#[tokio::test]
async fn the_operators_own_keys_are_for_nobody_unless_the_settings_say_so() {
    let ambient = credential("ambient", &[]);
    let on_ambient = credential("assume_role", &[("role_arn", ROLE)]);
    let bench = Bench::new().await;
    for refused in [&ambient, &on_ambient] {
        let error = bench.driver.identify(refused).await.expect_err("refused");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    }
    let bench = Bench::with(1, |settings| settings.ambient = true).await;
    for allowed in [&ambient, &on_ambient] {
        let who = bench.driver.identify(allowed).await.expect("identified");
        assert_eq!(who.account.as_str(), ACCOUNT);
    }
}

#[tokio::test]
async fn a_credential_of_another_form_is_refused_with_what_is_known_and_without_a_call() {
    let bench = Bench::new().await;
    let before = bench.ec2.calls().len();
    for (bad, words) in [
        (credential("password", &[]), "static, assume_role and ambient"),
        (role(&[("role", "x")]), "role_arn, external_id"),
        (role(&[("role_arn", "arn:aws:iam::1:user/x")]), "no ARN of a role"),
        (role(&[("secret_access_key", "")]), "secret_access_key is missing"),
        (credential("ambient", &[("role_arn", ROLE)]), "there are none"),
        (credential("assume_role", &[]), "role_arn is missing"),
    ] {
        let error = bench.driver.identify(&bad).await.expect_err("refused");
        assert_eq!(error.kind(), FaultKind::Invalid);
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {bad:?}").contains("hunter2"), "a secret in an error");
    }
    let mut elsewhere = lane();
    elsewhere.region = "mars-1".parse().expect("a literal name");
    let error = bench.driver.connect(&ours(), &elsewhere, bench.installation).await.expect_err("unknown");
    assert!(error.to_string().contains("us-east-1, eu-west-1 are"), "{error}");
    assert_eq!(bench.ec2.calls().len(), before);
}
