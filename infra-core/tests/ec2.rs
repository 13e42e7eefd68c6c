//! The engine over the EC2 provider, whose cloud is the fake: what EC2 refuses while something settles is waited for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::infra::{NewKey, UserHandle};
use infra_core::nouns::cloud::{PowerMode, ThingState};
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::Phase;
use infra_core::words::ids::UserId;
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, Infra, Limits, SystemClock};
use infra_providers::aws::AwsDriver;
use infra_providers::aws::fake::Ec2Fake;
use infra_providers::sim::{SimWorld, Span};
use infra_store::MemoryStore;

const PATIENCE: Duration = Duration::from_secs(60);

/// Slow enough that every order meets EC2 while the last one settles.
const SETTLES: Span = Span::millis(300, 400);

async fn ada() -> (Arc<Ec2Fake>, Infra, UserHandle) {
    let mut config = Ec2Fake::config(1);
    (config.boot, config.stop) = (SETTLES, SETTLES);
    config.terminate = Span::millis(1, 30);
    (config.list_lag, config.id_lag) = (Span::ZERO, Span::ZERO);
    config.visible_within = Duration::from_millis(200);
    let ec2 = Ec2Fake::new(SimWorld::new(config, Arc::new(SystemClock)));
    let driver = AwsDriver::with_connector(ec2.settings(), Arc::new(Arc::clone(&ec2)), Arc::new(SystemClock));
    let mut limits = Limits::default();
    limits.poll_every = Duration::from_millis(20);
    limits.listing_every = Duration::from_millis(100);
    limits.listing_idle_every = Duration::from_millis(100);
    limits.retry_min = Duration::from_millis(20);
    limits.retry_max = Duration::from_millis(100);
    let builder = Infra::builder()
        .with_store(Arc::new(MemoryStore::new()))
        .with_driver(Arc::new(driver))
        .with_master_key(MasterKey::new([7; 32]))
        .with_home("machine-a:/var/lib/infra")
        .with_limits(limits);
    let infra = builder.build().await.expect("all parts are there");
    let name = UserId::new("ada").expect("a legal name");
    infra.operator().add_user(&name, None).await.expect("the name is free");
    let user = infra.user(&name);
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    let fields =
        BTreeMap::from([field("access_key_id", "sim-123456789012"), field("secret_access_key", "hunter2")]);
    let provider = "aws".parse().expect("a legal name");
    let key = NewKey { provider, label: "default".to_owned(), kind: "static".to_owned(), fields };
    user.save_key(&key).await.expect("the fake knows this key");
    (ec2, infra, user)
}

fn machines(ec2: &Ec2Fake) -> Vec<ThingState> {
    let truth = ec2.world().truth().into_iter();
    truth.filter(|thing| thing.kind == ResourceKind::Machine && thing.alive()).map(|one| one.state).collect()
}

async fn eventually(what: &str, so: impl Fn() -> bool) {
    let until = SystemClock.mono() + PATIENCE;
    while !so() {
        assert!(SystemClock.mono() < until, "never {what}");
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
}

fn wish() -> Request {
    let mut wish = Request::default();
    wish.vcpus = Some(1.0);
    wish.region = Some("us-east-1".parse().expect("a legal name"));
    let key = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ada@example", "A".repeat(43));
    wish.ssh_public_keys = vec![key];
    wish
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_against_each_other_settle_at_the_last_one_and_buy_nothing() {
    let (ec2, infra, user) = ada().await;
    let id = user.reserve(&wish(), None).await.expect("EC2 has room").view.id;
    assert_eq!(user.wait(&id, PATIENCE).await.expect("ours").state, Phase::Ready);
    for round in 0..3 {
        user.stop(&id, None).await.expect("stops");
        eventually("stopping", || machines(&ec2) == [ThingState::Stopping]).await;
        // Told to start while it stops: EC2 would refuse.
        user.start(&id, None).await.expect("starts");
        eventually("pending again", || machines(&ec2) == [ThingState::Building]).await;
        // Told to stop while it starts, and to start again before that was seen.
        user.stop(&id, None).await.expect("stops");
        SystemClock.sleep(Duration::from_millis(50 * round)).await;
        user.start(&id, None).await.expect("starts");
        let settled = || machines(&ec2) == [ThingState::Running];
        eventually("running", settled).await;
        assert_eq!(user.wait(&id, PATIENCE).await.expect("ours").state, Phase::Ready);
        eventually("running and left so", settled).await;
    }
    let runs = ec2.calls().iter().filter(|call| **call == "RunInstances").count();
    assert_eq!(runs, 1, "a machine that settles is not replaced");
    user.release(&id).await.expect("ours");
    assert_eq!(user.wait(&id, PATIENCE).await.expect("ours").state, Phase::Released);
    eventually("empty", || ec2.world().truth().iter().all(|thing| !thing.alive())).await;
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_to_hibernate_hibernates() {
    let (ec2, infra, user) = ada().await;
    let mut wish = wish();
    wish.options.off = Some(PowerMode::Hibernate);
    let id = user.reserve(&wish, None).await.expect("EC2 has room").view.id;
    assert_eq!(user.wait(&id, PATIENCE).await.expect("ours").state, Phase::Ready);
    user.stop(&id, None).await.expect("stops");
    eventually("off", || machines(&ec2) == [ThingState::Stopped]).await;
    let calls = ec2.calls();
    assert!(calls.contains(&"StopInstances hibernate") && !calls.contains(&"StopInstances"), "{calls:?}");
    user.start(&id, None).await.expect("starts");
    eventually("on", || machines(&ec2) == [ThingState::Running]).await;
    user.release(&id).await.expect("ours");
    eventually("empty", || ec2.world().truth().iter().all(|thing| !thing.alive())).await;
    infra.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_at_ec2_finds_the_tags_that_were_asked_for() {
    let (ec2, infra, user) = ada().await;
    let mut wish = wish();
    wish.tags = [("team".to_owned(), "data".to_owned())].into();
    let id = user.reserve(&wish, None).await.expect("EC2 has room").view.id;
    assert_eq!(user.wait(&id, PATIENCE).await.expect("ours").state, Phase::Ready);
    let truth = ec2.world().truth();
    let machine = truth.iter().find(|thing| thing.kind == ResourceKind::Machine).expect("one was made");
    assert_eq!(machine.tags.get("team").map(String::as_str), Some("data"), "{:?}", machine.tags);
    user.release(&id).await.expect("ours");
    infra.shutdown().await;
}
