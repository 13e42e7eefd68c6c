//! Claim: between a request and a usable machine stands the cloud, not us. Booting takes no time here, so what is
//! measured from `reserve` to `ready` is all our own: quote, commits, planning, the call, and looking again.
//! Baseline in the same run: the same number of machines made at once by calling the sim's `launch` directly.
//!
//! Looking again happens every `poll_every`: half of that is in every figure, which is why it is printed.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra_benches::{quick, report};
use infra_core::contracts::provider::Send;
use infra_core::infra::NewKey;
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Market, Request};
use infra_core::nouns::reservation::Phase;
use infra_core::testing::{SeededEntropy, fixtures};
use infra_core::words::ids::{InstallationId, LaunchToken, UserId};
use infra_core::words::lane::{Mark, ResourceKind, Version};
use infra_core::words::limits::Rate;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, CloudDriver, CloudProvider, Infra, Limits, ReservationStore, SystemClock};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld, Span};
use infra_store::{MemoryStore, SqliteStore};
use tokio::task::JoinSet;

/// Reservations in flight, each of one machine.
const IN_FLIGHT: u32 = 64;
/// Longest a reservation may take before the bench fails.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let rounds = if quick() { 1 } else { 5 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads start");
    let limits = limits();
    println!(
        "LIMITS poll_every={:?} listing_every={:?} call_timeout={:?} create_rate={:?} open_creates_max={} \
         creates_per_cycle={} lane_creates_per_hour={} rounds={rounds}",
        limits.poll_every,
        limits.listing_every,
        limits.call_timeout,
        limits.create_rate,
        limits.open_creates_max,
        limits.creates_per_cycle,
        limits.lane_creates_per_hour,
    );
    let (mut direct, mut memory, mut sqlite) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        direct.extend(runtime.block_on(launches()));
        memory.extend(runtime.block_on(reserves(Arc::new(MemoryStore::new()))));
        let folder = Folder::beside_this_binary();
        let store = Arc::new(SqliteStore::open(&folder.0).expect("the folder can be written to"));
        sqlite.extend(runtime.block_on(reserves(Arc::clone(&store) as _)));
        runtime.block_on(store.close());
    }
    let base = (median(&mut direct), p99(&mut direct));
    report("sim_launch_direct_64_median", base.0, "ms", None);
    report("sim_launch_direct_64_p99", base.1, "ms", None);
    report("reserve_to_ready_overhead_64", median(&mut memory), "ms", Some(base.0));
    report("reserve_to_ready_overhead_64_p99", p99(&mut memory), "ms", Some(base.1));
    report("reserve_to_ready_overhead_64_sqlite", median(&mut sqlite), "ms", Some(base.0));
    report("reserve_to_ready_overhead_64_sqlite_p99", p99(&mut sqlite), "ms", Some(base.1));
}

/// The documented ones, but for the two that would make this a measurement of a throttle or of a brake.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.poll_every = Duration::from_millis(20);
    limits.create_rate = Rate::OPEN;
    limits.machines_max = IN_FLIGHT;
    limits.lane_creates_per_hour = 10_000;
    limits
}

/// A cloud without any waiting of its own.
fn cloud() -> SimWorld {
    let mut config = SimConfig::small(1);
    config.boot = Span::ZERO;
    config.list_lag = Span::ZERO;
    config.id_lag = Span::ZERO;
    SimWorld::new(config, Arc::new(SystemClock))
}

fn fields() -> BTreeMap<String, Secret> {
    BTreeMap::from([("token".to_owned(), Secret::new("sim-acc-1".to_owned()))])
}

/// Milliseconds of each direct call, all made at once.
async fn launches() -> Vec<f64> {
    let driver = SimDriver::new(cloud());
    let (lane, entropy) = (fixtures::lane(), SeededEntropy::new(1));
    let credential = Credential { provider: lane.cloud.clone(), kind: "static".to_owned(), fields: fields() };
    let installation = InstallationId::draw(SystemClock.wall(), &entropy);
    let provider = driver.connect(&credential, &lane, installation).await.expect("a lane of the sim");
    let catalogue = provider.catalogue().await.expect("the sim answers");
    let offering = catalogue.offerings.first().expect("the sim offers something");
    let image = catalogue.images.iter().find(|image| image.arch == offering.arch).expect("one that boots");
    let mut calls = JoinSet::new();
    for no in 0..IN_FLIGHT {
        let token = LaunchToken::draw(SystemClock.wall(), &entropy);
        let mark = Mark { installation, token, kind: ResourceKind::Machine, seq: Version(1) };
        let body = LaunchBody::Machine(MachineBody {
            type_name: offering.type_name.clone(),
            image: image.id.clone(),
            disk_gib: 0,
            market: Market::OnDemand,
            user_data: None,
            ssh_public_keys: Vec::new(),
            firewall: None,
            key_pair: None,
            private_only: false,
            options: Default::default(),
            files: None,
            spot_max: None,
        });
        let zone = offering.zones.first().cloned();
        let name = format!("bench-{no}");
        let frozen = FrozenLaunch { token, mark, name, count: 1, zone, labels: BTreeMap::new(), body };
        let provider: Arc<dyn CloudProvider> = Arc::clone(&provider);
        let began = SystemClock.mono();
        calls.spawn(async move {
            let send = Send { user_data: None, files: None, deadline: began + PATIENCE };
            provider.launch(&frozen, &send).await.expect("the sim has room");
            millis_since(began)
        });
    }
    calls.join_all().await
}

/// Milliseconds from each reserve to its ready, all asked for at once.
async fn reserves(store: Arc<dyn ReservationStore>) -> Vec<f64> {
    let infra = Infra::builder()
        .with_store(store)
        .with_driver(Arc::new(SimDriver::new(cloud())))
        .with_master_key(MasterKey::new([7; 32]))
        .with_home("bench")
        .with_limits(limits())
        .build()
        .await
        .expect("all parts are there");
    let name = UserId::new("bench").expect("a legal name");
    infra.operator().add_user(&name, None).await.expect("the store is new");
    let user = infra.user(&name);
    let (provider, label) = (fixtures::lane().cloud, "default".to_owned());
    let key = NewKey { provider, label, kind: "static".to_owned(), fields: fields() };
    user.save_key(&key).await.expect("the sim knows this key");
    let mut request = Request::default();
    request.vcpus = Some(1.0);
    // The first quote fetches catalogues, which a running installation has at hand.
    user.quote(&request).await.expect("the sim has room");
    let mut calls = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (user, request, began) = (user.clone(), request.clone(), SystemClock.mono());
        calls.spawn(async move {
            let id = user.reserve(&request, None).await.expect("the sim has room").view.id;
            let view = user.wait(&id, PATIENCE).await.expect("it is ours");
            assert_eq!(view.state, Phase::Ready, "{view:?}");
            millis_since(began)
        });
    }
    let took = calls.join_all().await;
    infra.shutdown().await;
    took
}

fn millis_since(began: Duration) -> f64 {
    SystemClock.mono().saturating_sub(began).as_secs_f64() * 1e3
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn p99(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * 99).div_ceil(100) - 1]
}

/// A folder on the disk that the build is on: the temporary one is often memory.
struct Folder(PathBuf);

impl Folder {
    fn beside_this_binary() -> Self {
        let binary = std::env::current_exe().expect("this binary has a path");
        let path = binary.with_file_name(format!("bench-reserve-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the build folder can be written to");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}
