//! Fleets on the clouds' own protocols: the engine, the real clients, and a cloud in process that lags, fails builds and
//! loses terminates. What is asked for is had, nothing beyond it stays, and nothing is left after a release.

#![allow(clippy::print_stdout, reason = "the figures are what the fleet is run for")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use infra_core::infra::NewKey;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{Heal, Phase};
use infra_core::testing::{SeededEntropy, VirtualClock, in_virtual_time};
use infra_core::words::ids::{ReservationId, UserId};
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, CloudDriver, Infra, Limits, UserHandle};
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::digitalocean::{DigitalOceanDriver, DigitalOceanSettings};
use infra_providers::http::{HttpRequest, HttpResponse, Transport, TransportError};
use infra_providers::openstack::{OpenStackDriver, OpenStackFake, OpenStackSettings, PriceSheet};
use infra_providers::sim::{FaultEffect, Match, Rule, SimConfig, SimWorld, TruthThing};
use infra_store::MemoryStore;

/// When a create that came late is done: long after it was given up.
const LATE_MS: u64 = 40 * 60 * 1000;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct House {
    clock: VirtualClock,
    world: SimWorld,
    infra: Infra,
    user: UserHandle,
}

impl House {
    async fn open(
        clock: VirtualClock,
        world: SimWorld,
        driver: Arc<dyn CloudDriver>,
        key: &[(&str, &str)],
    ) -> Self {
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let mut limits = Limits::default();
        limits.machines_max = 1_000;
        let provider = driver.name();
        let infra = Infra::builder()
            .with_store(Arc::new(MemoryStore::with_clock(Arc::clone(&shared))))
            .with_driver(driver)
            .with_clock(shared)
            .with_entropy(Arc::new(SeededEntropy::new(3)))
            .with_master_key(MasterKey::new([7; 32]))
            .with_home("fleet")
            .with_limits(limits)
            .build()
            .await
            .expect("all parts are there");
        let name: UserId = "ada".parse().expect("a legal name");
        infra.operator().add_user(&name, None).await.expect("the name is free");
        let user = infra.user(&name);
        let (kind, fields) = (key[0].1.to_owned(), &key[1..]);
        let fields: BTreeMap<_, _> = fields
            .iter()
            .map(|(field, value)| ((*field).to_owned(), Secret::new((*value).to_owned())))
            .collect();
        let key = NewKey { provider, label: "default".into(), kind, fields };
        user.save_key(&key).await.expect("the fake takes this key");
        Self { clock, world, infra, user }
    }

    fn alive(&self, kind: ResourceKind) -> Vec<TruthThing> {
        self.world.truth().into_iter().filter(|thing| thing.kind == kind && thing.alive()).collect()
    }

    async fn reserve(&self, count: u32) -> ReservationId {
        let mut wish = Request::default();
        wish.vcpus = Some(1.0);
        wish.count = Some(count);
        wish.heal = Some(Heal::Replace);
        self.user.reserve(&wish, None).await.expect("something fits").view.id
    }

    async fn comes_to(&self, id: &ReservationId, phase: Phase) {
        let view = self.user.wait(id, DAY).await.expect("it is ours");
        assert_eq!(view.state, phase, "{:?}", view.reason);
    }

    /// Everything that was ever ours and is still there.
    fn left(&self) -> Vec<TruthThing> {
        self.world.truth().into_iter().filter(|thing| thing.alive() && !thing.by_hand).collect()
    }
}

fn openstack(clock: &VirtualClock) -> (SimWorld, Arc<OpenStackFake>, OpenStackDriver) {
    let config = OpenStackFake::lagging(5);
    let regions = config.regions.iter().map(|region| region.name.clone()).collect();
    let mut settings = OpenStackSettings::new(config.cloud.clone(), &OpenStackFake::auth_url(), regions);
    settings.visible_within = config.visible_within;
    settings.simulated = true;
    let sheet = "as_of = \"2026-01-01T00:00:00Z\"\ncurrency = \"USD\"\n[per_hour]\n\"t3.small\" = \"0.02\"\n";
    settings.prices = Some(PriceSheet::from_toml(sheet).expect("a sheet"));
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let world = SimWorld::new(config, Arc::clone(&clock));
    let fake = Arc::new(OpenStackFake::new(world.clone()));
    let driver = OpenStackDriver::new(settings, Arc::<OpenStackFake>::clone(&fake), clock);
    (world, fake, driver)
}

#[tokio::test]
async fn three_hundred_servers_come_and_go_whatever_nova_does() {
    const SERVERS: u32 = 300;
    let clock = VirtualClock::default().manual();
    let (world, fake, driver) = openstack(&clock);
    let key = [("kind", "password"), ("username", "ada"), ("password", "sim-ada"), ("project_name", "ada")];
    let work = Box::pin(async {
        let house = House::open(clock.clone(), world, Arc::new(driver), &key).await;
        fake.trouble(50, 20);
        // Of 1,000 creates 30 lose their answer, and 15 are done only after everybody has given them up.
        let machines = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
        for (effect, per_mille) in [(FaultEffect::LostReply, 30), (FaultEffect::LateMs(LATE_MS), 15)] {
            let rule = Rule::once("launch", effect).times(None).per_mille(per_mille);
            house.world.rule(rule.only(machines.clone()));
        }
        let began = house.clock.mono();
        let id = house.reserve(SERVERS).await;
        house.comes_to(&id, Phase::Ready).await;
        let ready_after = house.clock.mono() - began;
        let ready = house.user.get(&id).await.expect("it is ours").units;
        let ready: BTreeSet<_> = ready.iter().filter_map(|unit| unit.provider_id.clone()).collect();
        assert_eq!(ready.len(), SERVERS as usize);
        // Beyond what is asked there may be one machine for each send whose outcome was unknown, and none for long.
        let staying = || {
            let alive = house.alive(ResourceKind::Machine);
            alive.iter().filter(|thing| thing.terminate_ordered_at.is_none()).count()
        };
        let ready_at = house.clock.wall();
        let mut surplus_most = staying() - SERVERS as usize;
        for _ in 0..LATE_MS / 10_000 {
            house.clock.sleep(Duration::from_secs(10)).await;
            surplus_most = surplus_most.max(staying().saturating_sub(SERVERS as usize));
        }
        house.clock.sleep(Duration::from_secs(600)).await;
        let surplus = staying() - SERVERS as usize;
        let late = |thing: &&TruthThing| thing.kind == ResourceKind::Machine && thing.created_at > ready_at;
        let late_births = house.world.truth().iter().filter(late).count();
        house.user.release(&id).await.expect("it is ours");
        house.comes_to(&id, Phase::Released).await;
        let made = house.world.truth().iter().filter(|thing| thing.kind == ResourceKind::Machine).count();
        println!(
            "COUNT fleet cloud=openstack-fake servers={SERVERS} made={made} ready_after_s={} late_births={late_births} \
             surplus_most={surplus_most} surplus={surplus} left={}",
            ready_after.as_secs(),
            house.left().len()
        );
        assert!(late_births > 0, "no create came late: the fault rules did nothing");
        assert!(surplus_most <= late_births, "more than one machine for an unknown attempt");
        assert_eq!(surplus, 0, "every late birth is ended");
        assert!(made > SERVERS as usize, "no build failed: the fault rules did nothing");
        assert_eq!(house.left(), Vec::new());
        house.infra.shutdown().await;
    });
    in_virtual_time(&clock, work).await;
}

#[tokio::test]
async fn two_people_of_one_project_leave_no_key_pair_behind() {
    let clock = VirtualClock::default().manual();
    let (world, _, driver) = openstack(&clock);
    let key = [("kind", "password"), ("username", "ada"), ("password", "sim-lab"), ("project_name", "lab")];
    let work = Box::pin(async {
        let house = House::open(clock.clone(), world, Arc::new(driver), &key).await;
        let name: UserId = "zoe".parse().expect("a legal name");
        house.infra.operator().add_user(&name, None).await.expect("the name is free");
        let zoe = house.infra.user(&name);
        let fields = [("username", "zoe"), ("password", "sim-lab"), ("project_name", "lab")];
        let fields = fields.map(|(field, value)| (field.to_owned(), Secret::new(value.to_owned())));
        let provider = house.world.config().cloud.clone();
        let key =
            NewKey { provider, label: "default".into(), kind: "password".into(), fields: fields.into() };
        zoe.save_key(&key).await.expect("the fake takes this key");
        for user in [&house.user, &zoe] {
            let mut wish = Request::default();
            wish.vcpus = Some(1.0);
            wish.ssh_public_keys = vec![
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0nXkTnP3Yw0b3hZyqXb3Z1o3yq0b3hZyqXb3Z1o3yq me"
                    .to_owned(),
            ];
            let before = house.alive(ResourceKind::KeyPair).len();
            let id = user.reserve(&wish, None).await.expect("something fits").view.id;
            assert_eq!(user.wait(&id, DAY).await.expect("ours").state, Phase::Ready);
            assert_eq!(house.alive(ResourceKind::KeyPair).len(), before + 1);
            // Long enough for a pair that nobody sees to be taken for gone.
            house.clock.sleep(Duration::from_secs(1800)).await;
            user.release(&id).await.expect("ours");
            assert_eq!(user.wait(&id, DAY).await.expect("ours").state, Phase::Released);
            house.clock.sleep(Duration::from_secs(3600)).await;
            assert_eq!(house.left(), Vec::new(), "whichever key the lane is looked at with");
        }
        house.infra.shutdown().await;
    });
    in_virtual_time(&clock, work).await;
}

fn droplet_settings(config: &SimConfig) -> DigitalOceanSettings {
    let mut settings = DigitalOceanSettings::default();
    settings.visible_within = config.visible_within;
    settings.simulated = true;
    settings.regions = config.regions.iter().map(|region| region.name.clone()).collect();
    settings
}

fn digitalocean(clock: &VirtualClock) -> (SimWorld, DigitalOceanDriver) {
    let config = DigitalOceanFake::config(5);
    let settings = droplet_settings(&config);
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let world = SimWorld::new(config, Arc::clone(&clock));
    let driver = DigitalOceanDriver::new(settings, Arc::new(DigitalOceanFake::new(world.clone())), clock);
    (world, driver)
}

#[tokio::test]
async fn a_droplet_that_is_turned_off_costs_a_snapshot_and_comes_back_with_its_data() {
    let clock = VirtualClock::default().manual();
    let (world, driver) = digitalocean(&clock);
    let work = Box::pin(async {
        let house =
            House::open(clock.clone(), world, Arc::new(driver), &[("kind", "token"), ("token", "sim-ada")])
                .await;
        let id = house.reserve(3).await;
        house.comes_to(&id, Phase::Ready).await;
        let disks = |of: &[TruthThing]| of.iter().map(|thing| thing.disk).collect::<BTreeSet<_>>();
        let data = disks(&house.alive(ResourceKind::Machine));
        assert_eq!(data.len(), 3);
        // One copy fails, and one order's answer is lost: neither may cost data.
        let copies = Match { kind: Some(ResourceKind::Snapshot), ..Match::default() };
        house.world.rule(Rule::once("launch", FaultEffect::ErrorState).only(copies.clone()));
        house.world.rule(Rule::once("launch", FaultEffect::LostReply).only(copies));
        house.user.stop(&id, None).await.expect("it is ours");
        house.comes_to(&id, Phase::Stopped).await;
        assert_eq!(house.alive(ResourceKind::Machine), Vec::new(), "a droplet that is off is billed");
        assert_eq!(disks(&house.alive(ResourceKind::Snapshot)), data, "nothing but the copies is kept");
        house.user.start(&id, None).await.expect("it is ours");
        house.comes_to(&id, Phase::Ready).await;
        assert_eq!(disks(&house.alive(ResourceKind::Machine)), data, "each comes back with its own disk");
        house.clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(house.alive(ResourceKind::Snapshot), Vec::new(), "a copy that nobody needs is billed");
        house.user.release(&id).await.expect("it is ours");
        house.comes_to(&id, Phase::Released).await;
        assert_eq!(house.left(), Vec::new());
        house.infra.shutdown().await;
    });
    in_virtual_time(&clock, work).await;
}

#[tokio::test]
async fn a_lost_reply_of_a_tokenless_cloud_buys_at_most_one_more_and_ends_it() {
    let clock = VirtualClock::default().manual();
    let (world, driver) = digitalocean(&clock);
    let work = Box::pin(async {
        let house =
            House::open(clock.clone(), world, Arc::new(driver), &[("kind", "token"), ("token", "sim-ada")])
                .await;
        let machines = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
        // It is made long after everybody has given it up.
        house.world.rule(Rule::once("launch", FaultEffect::LateMs(40 * 60 * 1000)).only(machines));
        let id = house.reserve(2).await;
        house.comes_to(&id, Phase::Ready).await;
        house.clock.sleep(Duration::from_secs(3 * 3600)).await;
        assert_eq!(house.alive(ResourceKind::Machine).len(), 2, "the late birth is ended");
        let made = house.world.truth().iter().filter(|thing| thing.kind == ResourceKind::Machine).count();
        assert_eq!(made, 3, "one attempt more than asked, and no second");
        house.user.release(&id).await.expect("it is ours");
        house.comes_to(&id, Phase::Released).await;
        assert_eq!(house.left(), Vec::new());
        house.infra.shutdown().await;
    });
    in_virtual_time(&clock, work).await;
}

/// Reserves one machine with tags, and answers the tags of the machine that is there then.
async fn tags_that_arrive(house: House) -> BTreeMap<String, String> {
    let mut wish = Request::default();
    wish.vcpus = Some(1.0);
    wish.tags =
        [("team", "data"), ("Cost Center", "R&D: 10")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let id = house.user.reserve(&wish, None).await.expect("something fits").view.id;
    house.comes_to(&id, Phase::Ready).await;
    let mut machines = house.alive(ResourceKind::Machine);
    assert_eq!(machines.len(), 1);
    house.infra.shutdown().await;
    machines.remove(0).tags
}

#[tokio::test]
async fn whoever_looks_at_the_cloud_finds_the_tags_that_were_asked_for() {
    let clock = VirtualClock::default().manual();
    let (world, _, driver) = openstack(&clock);
    let key = [("kind", "password"), ("username", "ada"), ("password", "sim-ada"), ("project_name", "ada")];
    let nova =
        async { tags_that_arrive(House::open(clock.clone(), world, Arc::new(driver), &key).await).await };
    let nova = in_virtual_time(&clock, nova).await;
    let clock = VirtualClock::default().manual();
    let (world, driver) = digitalocean(&clock);
    let key = [("kind", "token"), ("token", "sim-ada")];
    let droplet =
        async { tags_that_arrive(House::open(clock.clone(), world, Arc::new(driver), &key).await).await };
    let droplet = in_virtual_time(&clock, droplet).await;
    for tags in [nova, droplet] {
        assert_eq!(tags.get("team").map(String::as_str), Some("data"), "{tags:?}");
        // What a cloud's grammar does not take is spelled so that it does, and read back by the provider.
        let ours = tags.keys().filter(|name| !name.starts_with("infra-")).count();
        assert_eq!(ours, 2, "{tags:?}");
    }
}

/// Counts what leaves for DigitalOcean.
#[derive(Debug)]
struct Counting {
    fake: DigitalOceanFake,
    requests: AtomicU64,
}

#[async_trait::async_trait]
impl Transport for Counting {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.fake.call(request).await
    }
}

/// Requests of one hour in which one droplet in each of these regions is being built, and one that is there is released.
async fn requests_of_a_slow_hour(regions: &[&str]) -> u64 {
    let clock = VirtualClock::default().manual();
    let config = DigitalOceanFake::config(5);
    let settings = droplet_settings(&config);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let world = SimWorld::new(config, Arc::clone(&shared));
    let fake = DigitalOceanFake::new(world.clone());
    let counting = Arc::new(Counting { fake, requests: AtomicU64::new(0) });
    let driver = DigitalOceanDriver::new(settings, Arc::<Counting>::clone(&counting), shared);
    let work = Box::pin(async {
        let key = [("kind", "token"), ("token", "sim-ada")];
        let house = House::open(clock.clone(), world, Arc::new(driver), &key).await;
        let wish = |region: &str| {
            let mut wish = Request::default();
            (wish.vcpus, wish.region) = (Some(1.0), Some(region.parse().expect("a region")));
            wish
        };
        let there = house.user.reserve(&wish(regions[0]), None).await.expect("fits").view.id;
        house.comes_to(&there, Phase::Ready).await;
        let machines = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
        let slow = Rule::once("launch", FaultEffect::SlowBuildS(2 * 3600)).times(None);
        house.world.rule(slow.only(machines));
        let before = counting.requests.load(Ordering::Relaxed);
        for region in regions {
            house.user.reserve(&wish(region), None).await.expect("fits");
        }
        house.clock.sleep(Duration::from_secs(1800)).await;
        assert_eq!(house.alive(ResourceKind::Machine).len(), regions.len() + 1);
        house.user.release(&there).await.expect("ours");
        house.comes_to(&there, Phase::Released).await;
        assert_eq!(house.alive(ResourceKind::Machine).len(), regions.len(), "the end went through");
        house.clock.sleep(Duration::from_secs(1800)).await;
        let requests = counting.requests.load(Ordering::Relaxed) - before;
        println!("COUNT digitalocean_budget regions={} requests_in_an_hour={requests}", regions.len());
        house.infra.shutdown().await;
        requests
    });
    in_virtual_time(&clock, work).await
}

#[tokio::test]
async fn one_slow_droplet_stays_within_five_thousand_requests_an_hour() {
    const BUDGET: u64 = 5_000;
    let one = requests_of_a_slow_hour(&["ams3"]).await;
    let two = requests_of_a_slow_hour(&["ams3", "nyc3"]).await;
    assert!(one <= BUDGET / 4 && two <= BUDGET / 2, "{one}, {two}: nothing is left for creates and ends");
}
