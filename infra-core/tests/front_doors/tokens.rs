//! Access tokens: what a user issues for itself, and when one was used.

use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::store::RecordKind;
use infra_core::infra::{Infra, Operator};
use infra_core::nouns::account::{AccessToken, TokenRole};
use infra_core::testing::VirtualClock;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::UserId;
use infra_core::words::secret::Secret;
use infra_core::{Clock, InfraError, SystemClock};
use infra_store::MemoryStore;

use super::house::{HOME, House, parts, quick, word};

async fn used(operator: &Operator, user: &UserId, id: &str) -> Option<Timestamp> {
    let all = operator.tokens(user).await.expect("lists");
    all.into_iter().find(|token| token.id == id).and_then(|token| token.last_used_at)
}

/// Lets what was spawned run.
async fn pause() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

async fn shown(operator: &Operator, secret: &Secret) -> bool {
    let known = operator.authenticate(secret.expose()).await.expect("answers").is_some();
    pause().await;
    known
}

#[tokio::test]
async fn a_busy_token_is_written_once_in_minutes() {
    let (store, clock) = (Arc::new(MemoryStore::new()), VirtualClock::default());
    let open = async || -> Infra {
        let parts = parts(store.clone(), &quick()).with_home(HOME).with_clock(Arc::new(clock.clone()));
        parts.without_engine().build().await.expect("opens")
    };
    let infra = open().await;
    let (operator, ada) = (infra.operator(), "ada".parse().expect("legal"));
    operator.add_user(&ada, None).await.expect("new");
    let (token, secret) = operator.issue_token(&ada, "ci", TokenRole::User, None).await.expect("issues");
    assert_eq!(used(&operator, &ada, &token.id).await, None);
    assert!(shown(&operator, &secret).await);
    let first = used(&operator, &ada, &token.id).await.expect("written");
    assert_eq!(first, clock.wall());
    let newest =
        || async { infra_core::ReservationStore::changes(&*store, Default::default(), Duration::ZERO).await };
    let before = newest().await.expect("answers").newest;
    for _ in 0..50 {
        assert!(shown(&operator, &secret).await);
    }
    let restarted = open().await;
    let opened = newest().await.expect("answers").newest;
    assert!(shown(&restarted.operator(), &secret).await, "another process, which remembers nothing");
    assert_eq!(newest().await.expect("answers").newest, opened, "the record remembers");
    assert!(opened.0 - before.0 <= 1, "fifty requests wrote nothing");
    clock.advance(Duration::from_secs(301));
    assert!(shown(&operator, &secret).await);
    assert_eq!(used(&operator, &ada, &token.id).await, Some(clock.wall()));
}

#[tokio::test]
async fn a_use_that_cannot_be_written_costs_no_request() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    let (token, secret) =
        house.operator().issue_token(ada.id(), "x", TokenRole::User, None).await.expect("issues");
    // A store that takes nothing any more.
    let dying = house.dying(0).await.operator();
    for _ in 0..3 {
        assert!(shown(&dying, &secret).await);
    }
    assert_eq!(used(&dying, ada.id(), &token.id).await, None);
    // A frozen one is not written, and is read.
    let away = house.reopened("machine-b:/srv/copy").await;
    let before = house.newest().await;
    assert!(shown(&away.operator(), &secret).await);
    assert_eq!(house.newest().await, before, "nothing was written");
    assert_eq!(used(&away.operator(), ada.id(), &token.id).await, None);
    away.operator()
        .revoke_token(ada.id(), &token.id)
        .await
        .expect("a stolen token is stopped, frozen or not");
    assert!(!shown(&away.operator(), &secret).await);
}

#[tokio::test]
async fn a_revoked_token_does_not_come_back_by_the_note_of_its_use() {
    let house = House::quiet().await;
    let ada = house.keyless("ada").await;
    let (token, secret) =
        house.operator().issue_token(ada.id(), "x", TokenRole::User, None).await.expect("issues");
    let revokes = {
        let (operator, user) = (house.operator(), ada.id().clone());
        Box::pin(async move { operator.revoke_token(&user, &token.id).await.expect("revokes") })
    };
    let racing = house.with_meanwhile(RecordKind::AccessToken, revokes).await.operator();
    assert!(shown(&racing, &secret).await, "it was good when it was asked");
    assert!(house.all::<AccessToken>().await.is_empty(), "written again after it was revoked");
    assert!(!shown(&racing, &secret).await);
    // The other way round: a use that is written during the revocation does not save the token.
    let (token, secret) =
        house.operator().issue_token(ada.id(), "y", TokenRole::User, None).await.expect("issues");
    let uses = {
        let (operator, secret) = (house.operator(), secret.clone());
        Box::pin(async move { assert!(shown(&operator, &secret).await) })
    };
    let racing = house.with_meanwhile(RecordKind::AccessToken, uses).await.operator();
    racing.revoke_token(ada.id(), &token.id).await.expect("revokes");
    assert!(!shown(&racing, &secret).await);
    assert!(house.all::<AccessToken>().await.is_empty());
}

#[tokio::test]
async fn a_user_issues_no_more_than_it_has() {
    let house = House::quiet().await;
    let (ada, ben) = (house.keyless("ada").await, house.keyless("ben").await);
    let hour = later(SystemClock.wall(), Duration::from_secs(3600));
    let error = ada.issue_token("x", TokenRole::Bot, None, None).await.expect_err("never");
    assert_eq!(word(&error), "OutOfRange");
    let longer = Some(Duration::from_secs(7200));
    let error =
        ada.issue_token("x", TokenRole::User, longer, Some(hour)).await.expect_err("outlives its maker");
    assert_eq!(word(&error), "OutOfRange");
    let (heir, _) = ada.issue_token("x", TokenRole::User, None, Some(hour)).await.expect("issues");
    assert_eq!(heir.expires_at, Some(hour), "a token for an hour begets none for ever");
    let (viewer, secret) = ada.issue_token("look", TokenRole::Viewer, longer, None).await.expect("issues");
    let who = house.operator().authenticate(secret.expose()).await.expect("answers").expect("is hers");
    assert_eq!((&who.user, who.role, who.expires_at), (ada.id(), TokenRole::Viewer, viewer.expires_at));
    assert_eq!((ada.tokens().await.expect("lists").len(), ben.tokens().await.expect("lists").len()), (2, 0));
    let error = ben.revoke_token(&viewer.id).await.expect_err("somebody else's");
    assert!(matches!(error, InfraError::NotFound { what: "token", .. }), "{error:?}");
    house.operator().set_suspended(ada.id(), true).await.expect("suspends");
    let error = ada.issue_token("x", TokenRole::User, None, None).await.expect_err("suspended");
    assert_eq!(word(&error), "Suspended");
    ada.revoke_token(&viewer.id).await.expect("stopping what was stolen is always allowed");
    assert!(house.operator().authenticate(secret.expose()).await.expect("answers").is_none());
}
