//! The simulation: one world per seed, a crash between any two effects, and nothing may be lost, doubled, or
//! taken from somebody else.

#![allow(unreachable_pub, reason = "one test binary: its modules are private to it")]
#![allow(clippy::print_stdout, reason = "a simulation that does not print what it met proves nothing")]

mod check;
mod clock;
mod cloud;
mod coverage;
mod door;
mod drive;
mod gate;
mod history;
mod ops;
mod orders;
mod systematic;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use coverage::Coverage;
use infra_core::words::planted::{Bug, Planted};
use world::World;

/// Seeds by default; `INFRA_SEEDS` asks for more.
const SEEDS: u64 = 1_000;

fn seeds() -> u64 {
    std::env::var("INFRA_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// `INFRA_KEEP_GOING` shows every failing seed instead of the first: for whoever mends them.
fn keep_going() -> bool {
    std::env::var_os("INFRA_KEEP_GOING").is_some()
}

/// One world: 3 to 20 operations, the invariants after each, then calm, convergence and release.
fn one(seed: u64, planted: Planted) -> (Coverage, Option<String>) {
    let mut world = World::new(seed, planted);
    let operations = 3 + world.below(18);
    let crash_at = world.below(operations);
    let mut trail = Vec::new();
    for number in 0..operations {
        let op = if number == 0 { ops::Op::Create } else { world.draw() };
        trail.push(op);
        if number == crash_at {
            world.sure_crash();
        }
        if number == 0 {
            world.sure_fault();
        }
        world.perform(op);
        if let Some(violation) = world.violation() {
            if std::env::var_os("INFRA_SEED").is_some() {
                world.explain();
            }
            return (world.coverage, Some(format!("seed {seed}: {violation} after {trail:?}")));
        }
    }
    let verdict = world.finish();
    if verdict.is_some() && std::env::var_os("INFRA_SEED").is_some() {
        world.explain();
    }
    world.coverage.seeds = 1;
    (world.coverage.clone(), verdict.map(|wrong| format!("seed {seed}: {wrong} after {trail:?}")))
}

/// Runs seeds on two threads until one fails or all are done.
fn many(planted: Planted, seeds: u64) -> (Coverage, Option<String>) {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let total = Mutex::new((Coverage::default(), None::<String>));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let run = catch_unwind(AssertUnwindSafe(|| one(seed, planted)));
                    let (coverage, verdict) =
                        run.unwrap_or_else(|_| (Coverage::default(), Some(format!("seed {seed} panicked"))));
                    let mut total = total.lock().expect("no panic under this lock");
                    total.0.add(&coverage);
                    if let Some(verdict) = verdict {
                        if keep_going() {
                            println!("FAILED {verdict}");
                        }
                        stop.store(!keep_going(), Ordering::Relaxed);
                        total.1.get_or_insert(verdict);
                    }
                }
            });
        }
    });
    total.into_inner().expect("no panic under this lock")
}

#[test]
fn crash_at_every_step() {
    if let Some(seed) = std::env::var("INFRA_SEED").ok().and_then(|text| text.parse().ok()) {
        let (_, verdict) = one(seed, Planted::NONE);
        assert_eq!(verdict, None);
        return;
    }
    let (coverage, verdict) = many(Planted::NONE, seeds());
    println!("{}", coverage.line());
    assert_eq!(verdict, None);
    for (name, met) in coverage.musts() {
        assert!(met >= 50 || seeds() < SEEDS, "{name} was met only {met} times");
    }
}

/// `INFRA_BUG=C6` plants only the bugs whose name begins so.
fn chosen(bug: &Bug) -> bool {
    std::env::var("INFRA_BUG").map_or(true, |name| format!("{bug:?}").starts_with(&name))
}

#[test]
fn every_planted_bug_is_caught() {
    let mut caught = 0;
    let mut missed = Vec::new();
    for bug in Bug::ALL.into_iter().filter(chosen) {
        let (coverage, verdict) = many(Planted::one(bug), SEEDS);
        match verdict {
            Some(how) => {
                caught += 1;
                println!("COUNT planted bug={bug:?} caught=1 seeds={} by={how:?}", coverage.seeds);
            }
            None => missed.push(bug),
        }
    }
    println!("COUNT planted_bugs planted={} caught={caught}", Bug::ALL.len());
    assert!(missed.is_empty(), "not caught within {SEEDS} seeds: {missed:?}");
}
