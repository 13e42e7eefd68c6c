//! Guards hold what nobody meant. What somebody did mean they must not hold for ever.

use std::sync::Arc;
use std::time::Duration;

use infra_core::nouns::reservation::Phase;
use infra_core::words::lane::{Lane, ResourceKind};
use infra_core::{Clock, SystemClock};
use infra_providers::sim::{SimConfig, SimWorld};
use infra_store::MemoryStore;

use super::house::{HOME, House, parts, quick, sim_key, wish};

/// A loaded machine may take this long.
const LONG: Duration = Duration::from_secs(60);

/// More than the guard against short listings lets go at once.
const MANY: u32 = 12;

/// Like EC2's firewalls and all of DigitalOcean: what has ended is not shown as ended, it is just not there.
async fn without_ends() -> House {
    let config = SimConfig { gone_shown_for: Duration::ZERO, ..quick().config().clone() };
    let (store, sim) = (Arc::new(MemoryStore::new()), SimWorld::new(config, Arc::new(SystemClock)));
    let infra = parts(store.clone(), &sim).with_home(HOME).build().await.expect("opens");
    House { store, sim, infra }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_release_is_over_also_where_no_end_is_ever_shown() {
    let house = without_ends().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(MANY), None).await.expect("accepted").view.id;
    assert_eq!(ada.wait(&id, LONG).await.expect("waits").state, Phase::Ready);
    // Only what is old enough to be in every listing can be missed in one.
    SystemClock.sleep(house.sim.config().visible_within * 2).await;
    ada.release(&id).await.expect("released");
    let over = ada.wait(&id, LONG).await.expect("waits");
    assert_eq!(over.state, Phase::Released, "{over:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_somebody_ended_outside_is_believed_once_a_person_says_so() {
    let house = without_ends().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(MANY), None).await.expect("accepted").view.id;
    let ready = ada.wait(&id, LONG).await.expect("waits");
    assert_eq!(ready.state, Phase::Ready);
    SystemClock.sleep(house.sim.config().visible_within * 2).await;
    let machines = house.sim.truth().into_iter().filter(|thing| thing.kind == ResourceKind::Machine);
    machines.for_each(|machine| assert!(house.sim.vanish(&machine.id)));
    ada.release(&id).await.expect("released");
    let held = ada.wait(&id, Duration::from_secs(5)).await.expect("waits");
    assert_eq!(held.state, Phase::Releasing, "a listing that lost everything is no proof by itself");
    let choice = ready.units.first().expect("it has machines");
    let lane = Lane {
        cloud: choice.provider.clone().expect("placed").parse().expect("legal"),
        endpoint: house.sim.config().endpoint.clone(),
        account: choice.account.clone().expect("placed").parse().expect("legal"),
        region: choice.region.clone().expect("placed").parse().expect("legal"),
    };
    house.infra.operator().allow_mass(&lane.id(), LONG).await.expect("the lane is known");
    let over = ada.wait(&id, LONG).await.expect("waits");
    assert_eq!(over.state, Phase::Released, "{over:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_key_does_not_stop_what_a_living_one_can_end() {
    let house = without_ends().await;
    let ada = house.user("ada").await;
    let living = "sim-another-key";
    house.sim.lead_key(living, Some("acc-ada".parse().expect("legal")));
    ada.save_key(&sim_key("zz-living", living)).await.expect("the sim takes it");
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    assert_eq!(ada.wait(&id, LONG).await.expect("waits").state, Phase::Ready);
    house.sim.revoke_key("sim-acc-ada");
    ada.release(&id).await.expect("released");
    let over = ada.wait(&id, LONG).await.expect("waits");
    assert_eq!(over.state, Phase::Released, "{over:?}");
}
