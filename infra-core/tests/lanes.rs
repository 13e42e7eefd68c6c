//! What one lane shows or suffers must not be the end of the others, nor of its own work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::infra::NewKey;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::Phase;
use infra_core::testing::{SeededEntropy, VirtualClock, in_virtual_time};
use infra_core::words::ids::UserId;
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, Infra, UserHandle};
use infra_providers::sim::{FaultEffect, HandMade, Rule, SimConfig, SimDriver, SimWorld, TruthThing};
use infra_store::MemoryStore;

const HOUR: Duration = Duration::from_secs(3600);

struct House {
    clock: VirtualClock,
    sim: SimWorld,
    infra: Infra,
    user: UserHandle,
}

impl House {
    async fn open(clock: &VirtualClock) -> Self {
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let sim = SimWorld::new(SimConfig::small(1), Arc::clone(&shared));
        let infra = Infra::builder()
            .with_store(Arc::new(MemoryStore::with_clock(Arc::clone(&shared))))
            .with_driver(Arc::new(SimDriver::with_clock(sim.clone(), Arc::clone(&shared))))
            .with_clock(shared)
            .with_entropy(Arc::new(SeededEntropy::new(1)))
            .with_master_key(MasterKey::new([7; 32]))
            .with_home("lanes")
            .build()
            .await
            .expect("all parts are there");
        let name: UserId = "ada".parse().expect("a legal name");
        infra.operator().add_user(&name, None).await.expect("the name is free");
        let user = infra.user(&name);
        let fields = BTreeMap::from([("token".to_owned(), Secret::new("sim-ada".to_owned()))]);
        let provider = "sim".parse().expect("a legal name");
        let key = NewKey { provider, label: "default".into(), kind: "static".into(), fields };
        user.save_key(&key).await.expect("the sim takes any account");
        Self { clock: clock.clone(), sim, infra, user }
    }

    /// One machine in the first region, ready.
    async fn ready(&self) -> infra_core::words::ids::ReservationId {
        let mut wish = Request::default();
        wish.region = Some(self.sim.config().regions[0].name.clone());
        let id = self.user.reserve(&wish, None).await.expect("something fits").view.id;
        let view = self.user.wait(&id, HOUR).await.expect("it is ours");
        assert_eq!(view.state, Phase::Ready, "{:?}", view.reason);
        id
    }

    fn machines(&self) -> Vec<TruthThing> {
        let machine = |thing: &TruthThing| thing.kind == ResourceKind::Machine && thing.alive();
        self.sim.truth().into_iter().filter(machine).collect()
    }
}

/// Somebody copies a machine with its tags into another region, or a cloud shows one thing in two places: the store
/// knows the launch, so it is not older than the cloud.
#[tokio::test]
async fn a_mark_of_another_lane_does_not_freeze_the_installation() {
    let clock = VirtualClock::default().manual();
    in_virtual_time(
        &clock.clone(),
        Box::pin(async {
            let house = House::open(&clock).await;
            let id = house.ready().await;
            let mine = house.machines().remove(0);
            let elsewhere = house.sim.config().regions[1].name.clone();
            let copy = house.sim.make_by_hand(HandMade {
                account: mine.account.clone(),
                region: elsewhere,
                zone: None,
                type_name: None,
                name: Some("a copy".to_owned()),
                tags: mine.tags.clone(),
            });
            let copy = copy.expect("the sim has two regions");
            house.clock.sleep(HOUR / 2).await;
            let status = house.infra.operator().status().await.expect("answers");
            assert!(status.frozen.is_none(), "{:?}", status.frozen);
            house.user.release(&id).await.expect("it is ours");
            let over = house.user.wait(&id, HOUR).await.expect("it is ours");
            assert_eq!(over.state, Phase::Released, "{:?}", over.reason);
            let left = house.machines();
            assert_eq!(
                left.iter().map(|thing| &thing.id).collect::<Vec<_>>(),
                [&copy],
                "the copy is not ours"
            );
            house.infra.shutdown().await;
        }),
    )
    .await;
}

/// A listing may take longer than a claim lives. What is sent after it does not count from before it, and the next
/// listing leaves time for it.
#[tokio::test]
async fn a_lane_whose_listing_takes_longer_than_a_claim_still_creates_and_ends() {
    let clock = VirtualClock::default().manual();
    in_virtual_time(
        &clock.clone(),
        Box::pin(async {
            let house = House::open(&clock).await;
            house.sim.rule(Rule::once("list_owned", FaultEffect::SlowMs(45_000)).times(None));
            let id = house.ready().await;
            house.user.release(&id).await.expect("it is ours");
            let over = house.user.wait(&id, HOUR).await.expect("it is ours");
            assert_eq!((over.state, house.machines().len()), (Phase::Released, 0), "{:?}", over.reason);
            house.infra.shutdown().await;
        }),
    )
    .await;
}

/// Machines wait for their firewall. Where the cloud refuses that one, whoever waits reads why: nothing else shows it.
#[tokio::test]
async fn a_firewall_that_is_refused_says_why_in_the_clouds_words() {
    let clock = VirtualClock::default().manual();
    in_virtual_time(
        &clock.clone(),
        Box::pin(async {
            let house = House::open(&clock).await;
            house.sim.rule(Rule::once("launch", FaultEffect::Unauthorized).times(None));
            let id = house.user.reserve(&Request::default(), None).await.expect("accepted").view.id;
            house.clock.sleep(Duration::from_secs(60)).await;
            let reason = house.user.get(&id).await.expect("it is ours").reason.unwrap_or_default();
            assert!(reason.contains("firewall") && reason.contains("not authori"), "{reason}");
            house.infra.shutdown().await;
        }),
    )
    .await;
}
