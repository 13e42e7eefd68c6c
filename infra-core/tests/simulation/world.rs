//! One simulated world: a cloud, a store, people, and replicas that crash.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::connect::Connections;
use infra_core::contracts::store::ListBy;
use infra_core::engine::{Engine, EngineParts};
use infra_core::infra::NewKey;
use infra_core::nouns::cloud::PowerMode;
use infra_core::nouns::installation::Installation;
use infra_core::nouns::launch::{Launch, LaunchState, SendRecord};
use infra_core::nouns::reservation::Reservation;
use infra_core::nouns::unit::Unit;
use infra_core::records::{Repo, Stored, Versioned};
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::entropy::Entropy;
use infra_core::words::fault::Effect;
use infra_core::words::ids::{ReservationId, ResourceId, UserId};
use infra_core::words::lane::ResourceKind;
use infra_core::words::planted::Planted;
use infra_core::words::secret::MasterKey;
use infra_core::{CloudDriver, Infra, InfraError, Limits};
use infra_providers::sim::{SimConfig, Span};
use infra_store::MemoryStore;

use super::clock::SkewedClock;
use super::coverage::Coverage;
use super::door::{Door, repo};
use super::drive::{Job, Outcome, drive};
use super::gate::{Gate, GateDriver, GateStore};
use super::skin::{Cloud, Kind};

/// Shards of a simulated store.
pub const SHARDS: u16 = 2;
/// Where the store lives.
const HOME: &str = "machine-a:/var/lib/infra";

/// A reservation as its owner remembers it.
#[derive(Debug, Clone)]
pub struct Held {
    pub user: UserId,
    pub key: String,
    pub id: Option<ReservationId>,
    pub count: u32,
    pub released: bool,
}

/// One replica: the handle and the engine over one gate.
pub struct Replica {
    pub gate: Gate,
    pub clock: Arc<SkewedClock>,
    pub infra: Infra,
    pub engine: Arc<Engine>,
}

/// Everything of one seed.
pub struct World {
    pub seed: u64,
    pub chance: SeededEntropy,
    pub clock: VirtualClock,
    pub kind: Kind,
    pub sim: Cloud,
    pub store: Arc<MemoryStore>,
    pub door: Arc<Door>,
    pub limits: Limits,
    pub planted: Planted,
    pub tokens: bool,
    pub replica: Option<Replica>,
    pub held: Vec<Held>,
    pub by_hand: BTreeMap<ResourceId, ()>,
    pub coverage: Coverage,
    pub operation: &'static str,
    /// A call that was paused may give birth at any time: its token is exempt from "closed means not there".
    pub paused_tokens: Vec<infra_core::words::ids::LaunchToken>,
    boots: u64,
}

/// Users of every world; each its own tenant with its own account.
pub const USERS: [&str; 2] = ["ada", "ben"];

impl World {
    /// A world of a seed on the sim itself: half of them with idempotency tokens, half without.
    pub fn new(seed: u64, planted: Planted) -> Self {
        Self::on(Kind::Sim, seed, planted)
    }

    /// A world of a seed; real clouds' protocols know no tokens for machines.
    pub fn on(kind: Kind, seed: u64, planted: Planted) -> Self {
        let chance = SeededEntropy::new(seed);
        let clock = VirtualClock::default().manual();
        let tokens = chance.below(2) == 0 && kind == Kind::Sim;
        let plain = config(seed, tokens, &chance);
        let sim = Cloud::new(kind, seed, plain, &chance, &clock);
        let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
        let limits = limits();
        let door = Arc::new(Door::new(clock.clone(), Arc::clone(&store), limits.clone()));
        let mut world = Self {
            seed,
            chance,
            clock,
            kind,
            sim,
            store,
            door,
            limits,
            planted,
            tokens,
            replica: None,
            held: Vec::new(),
            by_hand: BTreeMap::new(),
            coverage: Coverage::default(),
            operation: "create",
            paused_tokens: Vec::new(),
            boots: 0,
        };
        world.start();
        world.settle_people();
        world
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    /// What is asked for per machine: the fake Nova has a price for its smallest server alone.
    pub fn vcpus(&self) -> Option<f64> {
        (self.kind != Kind::Sim).then_some(1.0)
    }

    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A new process over the same store and cloud.
    pub fn start(&mut self) {
        self.boots += 1;
        let replica = self.boot(Arc::clone(&self.store), Arc::clone(&self.door), HOME, self.boots);
        self.replica = Some(replica);
    }

    /// A process over any store.
    pub fn boot(&self, store: Arc<MemoryStore>, door: Arc<Door>, home: &str, boot: u64) -> Replica {
        let opened_at = super::door::newest(&store);
        let gate = Gate::new();
        let clock = Arc::new(SkewedClock::new(self.clock.clone()));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(self.seed ^ (boot << 32)));
        let master = MasterKey::new([7; 32]);
        let store = Arc::new(GateStore { store, gate: gate.clone() });
        let driver = self.sim.driver(&gate, Arc::<SkewedClock>::clone(&clock));
        let driver: Arc<dyn CloudDriver> =
            Arc::new(GateDriver { driver, gate: gate.clone(), door, sim: self.sim.clone() });
        let builder = Infra::builder()
            .with_store(Arc::<GateStore>::clone(&store))
            .with_driver(Arc::clone(&driver))
            .with_clock(Arc::<SkewedClock>::clone(&clock))
            .with_entropy(Arc::clone(&entropy))
            .with_limits(self.limits.clone())
            .with_master_key(master.clone())
            .with_home(home)
            .with_shards(SHARDS)
            .with_planted(self.planted)
            .without_engine();
        let infra =
            self.now_or_never(async move { builder.build().await.map_err(|error| error.to_string()) });
        let wall: Arc<dyn infra_core::Clock> = Arc::<SkewedClock>::clone(&clock);
        let repo = Repo::new(store, Arc::clone(&wall), Arc::clone(&entropy), SHARDS, self.planted);
        let connections = Connections::new(repo.clone(), Arc::clone(&wall), master.clone(), vec![driver])
            .expect("one driver");
        let engine = Engine::new(EngineParts {
            repo,
            connections: Arc::new(connections),
            clock: wall,
            entropy,
            limits: Arc::new(self.limits.clone()),
            master,
            home: home.to_owned(),
            opened_at,
            refill: None,
            planted: self.planted,
        });
        Replica { gate, clock, infra, engine: Arc::new(engine) }
    }

    fn now_or_never<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> T {
        use std::sync::Mutex;
        let slot = Arc::new(Mutex::new(None));
        let put = Arc::clone(&slot);
        let job: Job = Box::pin(async move {
            *put.lock().expect("no panic") = Some(work.await?);
            Ok(())
        });
        match drive(job, &Gate::new(), &self.clock) {
            Outcome::Done(Ok(())) => slot.lock().expect("no panic").take().expect("it was put there"),
            Outcome::Done(Err(error)) => panic!("seed {}: {error}", self.seed),
            _ => panic!("nothing crashes here"),
        }
    }

    fn settle_people(&mut self) {
        for name in USERS {
            let (infra, user) = (self.replica().infra.clone(), UserId::new(name).expect("legal"));
            let key = self.sim.key(&format!("acc-{user}"));
            self.now_or_never(async move {
                let text = |error: InfraError| error.to_string();
                infra.operator().add_user(&user, None).await.map_err(text)?;
                infra.operator().set_machines_max(&user, Some(100_000)).await.map_err(text)?;
                save_key(&infra, &user, &key).await
            });
        }
    }

    pub fn replica(&self) -> &Replica {
        self.replica.as_ref().expect("a replica runs")
    }

    /// Runs a job of the current replica; a crash starts a new one.
    pub fn run(&mut self, job: Job) -> Option<Result<(), String>> {
        let gate = self.replica().gate.clone();
        match drive(job, &gate, &self.clock) {
            Outcome::Done(result) => Some(result),
            Outcome::Crashed(kind) => {
                self.coverage.crashed(kind, self.operation);
                self.crash();
                None
            }
            Outcome::Paused(_) => panic!("nothing was told to pause"),
        }
    }

    /// The process is gone; a new one starts.
    pub fn crash(&mut self) {
        self.replica = None;
        self.start();
    }

    /// One tick of the engine.
    pub fn tick(&mut self) {
        let job = tick_job(&self.replica().engine);
        self.run(job);
        self.observe();
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub fn repo(&self) -> Repo {
        repo(&self.store, &self.clock)
    }

    pub fn all<T: Stored>(&self) -> Vec<Versioned<T>> {
        use futures_util::FutureExt;
        let all = self.repo().list_all(ListBy::All, None).now_or_never();
        all.expect("memory never waits").expect("it reads")
    }

    pub fn rows(&self) -> Vec<Versioned<Launch>> {
        self.all()
    }

    pub fn units(&self) -> Vec<Versioned<Unit>> {
        self.all()
    }

    pub fn reservations(&self) -> Vec<Versioned<Reservation>> {
        self.all()
    }

    pub fn installation(&self) -> Installation {
        self.all::<Installation>().pop().expect("it was opened").value
    }

    /// Counts what this world has met.
    fn observe(&mut self) {
        self.coverage.lagging_lists += self.replica().gate.take_lagging();
        for row in self.rows() {
            let unknown = |send: &SendRecord| send.effect == Some(Effect::Unknown);
            let met = row.value.state == LaunchState::Unknown || row.value.sends.iter().any(unknown);
            if met && self.coverage.once(format!("unknown {}", row.value.token)) {
                self.coverage.unknown_sends += 1;
            }
            for thing in &row.value.things {
                let copied = row.value.kind() == ResourceKind::Snapshot;
                if copied && self.coverage.once(format!("snapshot {}", thing.id)) {
                    self.coverage.snapshots += 1;
                }
                let stuck = thing.ending.as_ref().is_some_and(|order| order.tries >= 3);
                if stuck && self.coverage.once(format!("stuck {}", thing.id)) {
                    self.coverage.stuck_terminates += 1;
                }
            }
            let late = row.value.cause == Some(infra_core::nouns::launch::EndCause::LateBirth);
            if late
                && row.value.things.iter().any(|_| true)
                && self.coverage.once(format!("late {}", row.value.token))
            {
                self.coverage.late_births += 1;
            }
        }
    }
}

/// One tick, as a job.
pub fn tick_job(engine: &Arc<Engine>) -> Job {
    let engine = Arc::clone(engine);
    Box::pin(async move { engine.tick().await.map(drop).map_err(|error| error.to_string()) })
}

/// Saves a user's key.
pub async fn save_key(infra: &Infra, user: &UserId, key: &NewKey) -> Result<(), String> {
    infra.user(user).save_key(key).await.map(drop).map_err(|error| error.to_string())
}

fn config(seed: u64, tokens: bool, chance: &SeededEntropy) -> SimConfig {
    let lag = 1 + chance.below(20);
    let base = SimConfig::small(seed);
    let base = SimConfig {
        visible_within: Duration::from_secs(60),
        list_lag: Span::secs(0, lag),
        id_lag: Span::secs(0, 2),
        max_batch: if chance.below(2) == 0 { 1 } else { 4 },
        boot: Span::secs(1, 30),
        page: 3,
        ..base
    };
    if tokens { base } else { SimConfig { off_modes: off_modes(seed), ..base.without_token() } }
}

/// Half of the clouds without tokens bill what is off, as DigitalOcean does: being off is being a snapshot there.
fn off_modes(seed: u64) -> Vec<PowerMode> {
    vec![if seed % 4 < 2 { PowerMode::Snapshot } else { PowerMode::Stop }]
}

/// The documented limits, but for brakes that would need a person in the middle of every other seed.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.runaway_slack = 1_000_000;
    limits.mass_min = 1_000;
    limits.lane_creates_per_hour = 1_000_000;
    limits.breaker_failures_min = 1_000_000;
    limits.count_max = 1_000;
    // Short enough to be met; closed rows are kept for longer, and keep their reservation.
    limits.released_readable_for = Duration::from_secs(1200);
    limits
}
