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
