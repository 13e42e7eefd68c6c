//! Claim: a team's budget is one record that every reservation of the team writes, and that is what it costs. One user
//! and sixteen at once ask for machines as fast as they are answered, in a durable store, with a budget and without;
//! nobody plans and no cloud is called, so what is measured is admission alone.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra_benches::quick;
use infra_core::infra::{NewKey, UserHandle};
use infra_core::nouns::budget::{BudgetLimits, BudgetScope};
use infra_core::nouns::request::Request;
use infra_core::words::ids::{TenantId, UserId};
use infra_core::words::secret::{MasterKey, Secret};
use infra_core::{Clock, Infra, InfraError, Limits, SystemClock};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld};
use infra_store::SqliteStore;
use tokio::task::JoinSet;

/// Reservations of each figure, by all users together.
const RESERVATIONS: u32 = 160;

fn main() {
    let rounds = if quick() { 1 } else { 5 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads start");
    let mut rates = BTreeMap::<(u32, bool), Vec<Rush>>::new();
    for _ in 0..rounds {
        // One after the other in every round: what slows the machine down slows all of them.
        for users in [1, 16] {
            for budget in [false, true] {
                rates.entry((users, budget)).or_default().push(runtime.block_on(rush(users, budget)));
            }
        }
    }
    for ((users, budget), rushes) in &mut rates {
        rushes.sort_by(|a, b| a.per_s.total_cmp(&b.per_s));
        let Rush { per_s, busy } = rushes[rushes.len() / 2];
        println!(
            "BENCH name=reserve_sqlite users={users} budget={budget} value={per_s:.0} unit=per_s busy={busy} \
             reservations={RESERVATIONS} rounds={rounds}"
        );
    }
}

/// How many reservations in a second, and how many answers were "busy" instead.
#[derive(Debug, Clone, Copy)]
struct Rush {
    per_s: f64,
    busy: u32,
}

async fn rush(users: u32, budget: bool) -> Rush {
    let folder = Folder::beside_this_binary();
    let store = Arc::new(SqliteStore::open(&folder.0).expect("the folder can be written to"));
    let infra = installation(Arc::clone(&store)).await;
    let team: TenantId = "crew".parse().expect("legal");
    let mut crew = Vec::new();
    for n in 0..users {
        let id: UserId = format!("user-{n}").parse().expect("legal");
        infra.operator().add_user(&id, Some(&team)).await.expect("a new user");
        crew.push(infra.user(&id));
    }
    crew[0].save_key(&key()).await.expect("the sim takes any key");
    if budget {
        let limits = BudgetLimits { machines: Some(u32::MAX), ..BudgetLimits::default() };
        infra.operator().set_budget(&BudgetScope::Team(team), &limits, None).await.expect("set");
    }
    // The first quote reads the catalogue; nobody's admission is measured by that.
    crew[0].quote(&wish()).await.expect("something fits");
    let began = SystemClock.mono();
    let mut all = JoinSet::new();
    for user in crew {
        all.spawn(asks(user, RESERVATIONS / users));
    }
    let busy = all.join_all().await.into_iter().sum();
    let took = SystemClock.mono().saturating_sub(began);
    infra.shutdown().await;
    store.close().await;
    Rush { per_s: f64::from(RESERVATIONS) / took.as_secs_f64(), busy }
}

/// One user asks again and again; whoever is told "busy" repeats the question.
async fn asks(user: UserHandle, count: u32) -> u32 {
    let mut busy = 0;
    for _ in 0..count {
        while let Err(error) = user.reserve(&wish(), None).await {
            assert!(matches!(error, InfraError::Busy { .. }), "{error}");
            busy += 1;
        }
    }
    busy
}

async fn installation(store: Arc<SqliteStore>) -> Infra {
    let sim = SimWorld::new(SimConfig::small(1), Arc::new(SystemClock));
    let mut limits = Limits::default();
    limits.machines_max = RESERVATIONS;
    let builder = Infra::builder()
        .with_store(store)
        .with_driver(Arc::new(SimDriver::new(sim)))
        .with_limits(limits)
        .with_master_key(MasterKey::new([7; 32]));
    builder.with_home("bench").without_engine().build().await.expect("opens")
}

fn key() -> NewKey {
    let fields = BTreeMap::from([("token".to_owned(), Secret::new("sim-acc-1".to_owned()))]);
    let provider = "sim".parse().expect("legal");
    NewKey { provider, label: "default".to_owned(), kind: "static".to_owned(), fields }
}

fn wish() -> Request {
    let mut request = Request::default();
    request.count = Some(1);
    request.vcpus = Some(1.0);
    request.duration_s = Some(Duration::from_secs(3600).as_secs());
    request
}

/// A folder for one store, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn beside_this_binary() -> Self {
        let path =
            std::env::current_exe().expect("a program knows where it is").with_extension("budget-data");
        // What an interrupted run left is not this run's store.
        fs::remove_dir_all(&path).ok();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
