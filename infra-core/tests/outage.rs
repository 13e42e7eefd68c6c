//! The outage drill: a region that answers nothing but errors, while a thousand machines are wanted of it. An outage
//! must not be made worse, and nobody may have to do anything when it is over.

#![allow(clippy::print_stdout, reason = "the figures are what the drill is run for")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::infra::NewKey;
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{Heal, Phase};
use infra_core::testing::{SeededEntropy, VirtualClock, in_virtual_time};
use infra_core::words::clock::{Timestamp, between};
use infra_core::words::ids::UserId;
use infra_core::words::lane::ResourceKind;
use infra_core::words::limits::Rate;
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, Infra, Limits, UserHandle};
use infra_providers::sim::{FaultEffect, Rule, SimConfig, SimDriver, SimWorld, Span};
use infra_store::MemoryStore;

/// EC2's documented bucket for creates.
const BUCKET: Rate = Rate { per_second: 2.0, burst: 5 };
/// Calls are under way when the outage begins.
const BEFORE: Duration = Duration::from_secs(4);
const OUTAGE: Duration = Duration::from_secs(600);
/// By then all must be ready, counted from the end of the outage.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
const CREATES_IN_OUTAGE_MAX: usize = 30;

struct Drill {
    clock: VirtualClock,
    sim: SimWorld,
    infra: Infra,
    users: Vec<UserHandle>,
    wanted: u32,
}

impl Drill {
    async fn new(accounts: u32, wanted: u32, config: SimConfig) -> Self {
        let clock = VirtualClock::default().manual();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let config = SimConfig { boot: Span::secs(20, 60), ..config };
        let sim = SimWorld::new(config, Arc::clone(&shared));
        let mut limits = Limits::default();
        limits.machines_max = wanted;
        let infra = Infra::builder()
            .with_store(Arc::new(MemoryStore::with_clock(Arc::clone(&shared))))
            .with_driver(Arc::new(SimDriver::with_clock(sim.clone(), Arc::clone(&shared))))
            .with_clock(shared)
            .with_entropy(Arc::new(SeededEntropy::new(1)))
            .with_master_key(MasterKey::new([7; 32]))
            .with_home("drill")
            .with_limits(limits)
            .build()
            .await
            .expect("all parts are there");
        let mut users = Vec::new();
        for number in 0..accounts {
            let name: UserId = format!("user{number}").parse().expect("a legal name");
            infra.operator().add_user(&name, None).await.expect("the name is free");
            let user = infra.user(&name);
            let token = Secret::new(format!("sim-account{number}"));
            let fields = BTreeMap::from([("token".to_owned(), token)]);
            let provider = "sim".parse().expect("a legal name");
            let key = NewKey { provider, label: "default".into(), kind: "static".into(), fields };
            user.save_key(&key).await.expect("the sim takes any account");
            users.push(user);
        }
        Self { clock, sim, infra, users, wanted }
    }

    fn running(&self) -> usize {
        let up = |thing: &&infra_providers::sim::TruthThing| {
            thing.kind == ResourceKind::Machine && thing.alive() && thing.state == ThingState::Running
        };
        self.sim.truth().iter().filter(up).count()
    }

    /// When create calls reached the cloud, by account.
    fn creates(&self) -> BTreeMap<String, Vec<Timestamp>> {
        let mut creates: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for call in self.sim.calls().into_iter().filter(|call| call.op == "launch") {
            let account = call.account.map_or_else(String::new, |account| account.to_string());
            creates.entry(account).or_default().push(call.at);
        }
        creates
    }

    /// Asks for everything, and answers the reservations.
    async fn reserve(&self) -> Vec<(UserHandle, infra_core::words::ids::ReservationId)> {
        let mut held = Vec::new();
        for user in &self.users {
            let mut wish = Request::default();
            wish.region = Some("sim-east".parse().expect("a legal name"));
            wish.count = Some(self.wanted / u32::try_from(self.users.len()).expect("a few"));
            wish.heal = Some(Heal::Replace);
            let made = user.reserve(&wish, None).await.expect("the catalogue was read before the outage");
            held.push((user.clone(), made.view.id));
        }
        held
    }

    /// `op` is what fails: everything, or creates alone, so that nothing but the brakes of creating holds them back.
    async fn run(&self, op: &str) -> Drilled {
        // The catalogue is known: quoting is not what is drilled.
        for user in &self.users {
            user.quote(&Request::default()).await.expect("the sim is well");
        }
        let held = self.reserve().await;
        self.clock.sleep(BEFORE).await;
        let calls = || self.creates().values().map(Vec::len).sum::<usize>();
        let before = calls();
        self.sim.rule(Rule::once(op, FaultEffect::ServerError).times(None));
        self.clock.sleep(OUTAGE).await;
        let in_outage = calls() - before;
        self.sim.clear_rules();
        let over = self.clock.wall();
        for (user, id) in &held {
            let left = PATIENCE.saturating_sub(between(over, self.clock.wall()));
            let view = user.wait(id, left).await.expect("it is ours");
            assert_eq!(view.state, Phase::Ready, "{} run: {:?}", self.running(), view.reason);
        }
        let recovered = between(over, self.clock.wall());
        Drilled { in_outage, recovered, running: self.running(), over_bucket: self.over_bucket() }
    }

    /// The first account whose create calls were ever faster than its bucket.
    fn over_bucket(&self) -> Option<String> {
        let faster = |calls: &[Timestamp]| {
            calls.iter().enumerate().any(|(first, from)| {
                calls[first..].iter().zip(1_u32..).any(|(to, count)| {
                    let most =
                        BUCKET.per_second.mul_add(between(*from, *to).as_secs_f64(), f64::from(BUCKET.burst));
                    f64::from(count) > most + 1e-6
                })
            })
        };
        self.creates().into_iter().find(|(_, calls)| faster(calls)).map(|(account, _)| account)
    }
}

struct Drilled {
    in_outage: usize,
    recovered: Duration,
    running: usize,
    over_bucket: Option<String>,
}

/// A cloud without tokens whose queue keeps some create calls for a while, and works through it when everybody
/// has given up on it: many late births at once. Answers how many machines run in the end, and how many were made.
async fn late_queue(wanted: u32) -> (usize, usize) {
    // All calls leave within one listing, and so do the births come.
    let create_rate = Rate { per_second: 50.0, burst: wanted };
    let config = SimConfig { max_batch: 1, create_rate, ..SimConfig::small(1).without_token() };
    let drill = Drill::new(1, wanted, config).await;
    let late = Limits::default().unknown_hold + Duration::from_secs(600);
    let late = FaultEffect::LateMs(u64::try_from(late.as_millis()).expect("minutes"));
    in_virtual_time(&drill.clock.clone(), async {
        drill.sim.rule(Rule::once("launch", late).times(Some(wanted / 3)).per_mille(450));
        for (user, id) in &drill.reserve().await {
            let view = user.wait(id, PATIENCE).await.expect("it is ours");
            assert_eq!(view.state, Phase::Ready, "{} run: {:?}", drill.running(), view.reason);
        }
        drill.clock.sleep(PATIENCE).await;
        drill.infra.shutdown().await;
    })
    .await;
    let machines = drill.sim.truth().into_iter().filter(|thing| thing.kind == ResourceKind::Machine);
    (drill.running(), machines.count())
}

#[tokio::test]
async fn late_births_are_ended_however_many_come_at_once() {
    const WANTED: u32 = 30;
    let (running, made) = late_queue(WANTED).await;
    println!("COUNT late_births wanted={WANTED} made={made} running={running}");
    assert!(made > WANTED as usize * 5 / 4, "only {made} were made: too few for a mass");
    assert_eq!(running, WANTED as usize, "who was born too late still costs");
}

async fn drill(accounts: u32, wanted: u32, tokens: bool, op: &str) {
    let config = SimConfig { create_rate: BUCKET, terminate_rate: BUCKET, ..SimConfig::small(1) };
    let config = if tokens { config } else { SimConfig { max_batch: 1, ..config.without_token() } };
    let clock_and_drill = Drill::new(accounts, wanted, config).await;
    let clock = clock_and_drill.clock.clone();
    let drilled = in_virtual_time(&clock, async {
        let drilled = clock_and_drill.run(op).await;
        clock_and_drill.infra.shutdown().await;
        drilled
    })
    .await;
    println!(
        "COUNT outage_drill of={op} accounts={accounts} tokens={tokens} wanted={wanted} creates_in_outage={} ready_after_s={} running={}",
        drilled.in_outage,
        drilled.recovered.as_secs(),
        drilled.running
    );
    assert_eq!(drilled.over_bucket, None, "faster than the bucket");
    assert!(drilled.in_outage <= CREATES_IN_OUTAGE_MAX, "{} creates in the outage", drilled.in_outage);
    assert_eq!(drilled.running, wanted as usize);
}

#[tokio::test]
async fn an_outage_of_one_account_is_not_made_worse_and_heals_by_itself() {
    drill(1, 1000, true, "*").await;
}

#[tokio::test]
async fn an_outage_without_tokens_is_not_made_worse_and_heals_by_itself() {
    drill(1, 1000, false, "*").await;
}

#[tokio::test]
async fn an_outage_of_five_accounts_is_not_made_worse_and_heals_by_itself() {
    drill(5, 1000, true, "*").await;
}

#[tokio::test]
async fn where_only_creates_fail_the_breaker_alone_holds_them_back_and_opens_again() {
    drill(1, 1000, true, "launch").await;
}

#[tokio::test]
async fn where_only_creates_fail_and_none_may_be_sent_again_a_new_one_is_the_canary() {
    drill(1, 300, false, "launch").await;
}
