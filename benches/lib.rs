//! Shared parts of the benches: timing by medians, and the one line each claim prints.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

pub mod offers;

use std::time::Duration;

use infra_core::{Clock, SystemClock};

/// Was `--quick` asked for? Then a bench proves that it runs, and its figures mean little.
#[must_use]
pub fn quick() -> bool {
    std::env::args().any(|arg| arg == "--quick")
}

/// Measures one thing many times.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    rounds: usize,
}

impl Bench {
    /// So many rounds per figure.
    #[must_use]
    pub const fn new(rounds: usize) -> Self {
        Self { rounds }
    }

    /// Median time of one run, in nanoseconds.
    #[must_use]
    pub fn median_ns<T>(&mut self, mut work: impl FnMut() -> T) -> f64 {
        let mut times: Vec<Duration> = (0..self.rounds.max(1))
            .map(|_| {
                let began = SystemClock.mono();
                let result = work();
                let took = SystemClock.mono().saturating_sub(began);
                drop(result);
                took
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e9
    }

    /// Prints a time per run, beside its baseline from the same run.
    pub fn report(&self, name: &str, ns: f64, baseline_ns: Option<f64>) {
        report(name, ns / 1e3, "us", baseline_ns.map(|ns| ns / 1e3));
    }
}

/// Turns of [`in_turns`].
const TURNS: usize = 9;

/// One of several pieces of work that are compared.
pub struct Work<'w> {
    /// How often it is measured in one turn.
    rounds: usize,
    /// How often it is done within one measurement: the clock itself takes some nanoseconds.
    at_once: u32,
    run: Box<dyn FnMut() + 'w>,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Work {{ {} x {} }}", self.rounds, self.at_once)
    }
}

impl<'w> Work<'w> {
    /// Work that takes long enough to be measured once at a time.
    pub fn new(rounds: usize, run: impl FnMut() + 'w) -> Self {
        Self { rounds, at_once: 1, run: Box::new(run) }
    }

    /// Work that takes nanoseconds.
    pub fn tiny(rounds: usize, run: impl FnMut() + 'w) -> Self {
        Self { rounds, at_once: 100, run: Box::new(run) }
    }
}

/// The median time of each piece of work, in nanoseconds. They are taken in turns, each turn beginning with another one,
/// so that what the machine does beside hits all alike, and none always finds the caches as the same other left them.
#[must_use]
pub fn in_turns(mut works: Vec<Work<'_>>) -> Vec<f64> {
    let mut medians = vec![Vec::new(); works.len()];
    for turn in 0..TURNS {
        for step in 0..works.len() {
            let at = (turn + step) % works.len();
            let Work { rounds, at_once, run } = &mut works[at];
            let ns = Bench::new(*rounds).median_ns(|| (0..*at_once).for_each(|_| run()));
            medians[at].push(ns / f64::from(*at_once));
        }
    }
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    medians.into_iter().map(middle).collect()
}

/// Prints one claim.
pub fn report(name: &str, value: f64, unit: &str, baseline: Option<f64>) {
    match baseline {
        Some(base) => println!(
            "BENCH name={name} value={value:.1} unit={unit} baseline={base:.1} ratio={:.2}",
            value / base.max(f64::MIN_POSITIVE)
        ),
        None => println!("BENCH name={name} value={value:.1} unit={unit}"),
    }
}
