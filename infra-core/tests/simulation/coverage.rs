//! What the seeds really exercised: a simulation that never met its dangers proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::StepKind;

/// Counters over all seeds.
#[derive(Debug, Default, Clone)]
pub struct Coverage {
    pub seeds: u64,
    pub operations: u64,
    pub crashes: BTreeMap<StepKind, u64>,
    pub crashed_during: BTreeMap<&'static str, u64>,
    pub faults: u64,
    pub unknown_sends: u64,
    pub lagging_lists: u64,
    pub late_births: u64,
    pub stuck_terminates: u64,
    pub commits_lost: u64,
    pub pauses: u64,
    pub copies: u64,
    pub restores: u64,
    pub clock_jumps: u64,
    pub switch_races: u64,
    pub snapshots: u64,
    seen: BTreeSet<String>,
}

impl Coverage {
    /// Counts something that can be met again and again only once.
    pub fn once(&mut self, what: String) -> bool {
        self.seen.insert(what)
    }

    pub fn crashed(&mut self, kind: StepKind, during: &'static str) {
        *self.crashes.entry(kind).or_default() += 1;
        *self.crashed_during.entry(during).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.operations += other.operations;
        for (kind, n) in &other.crashes {
            *self.crashes.entry(*kind).or_default() += n;
        }
        for (during, n) in &other.crashed_during {
            *self.crashed_during.entry(during).or_default() += n;
        }
        self.faults += other.faults;
        self.unknown_sends += other.unknown_sends;
        self.lagging_lists += other.lagging_lists;
        self.late_births += other.late_births;
        self.stuck_terminates += other.stuck_terminates;
        self.commits_lost += other.commits_lost;
        self.pauses += other.pauses;
        self.copies += other.copies;
        self.restores += other.restores;
        self.clock_jumps += other.clock_jumps;
        self.switch_races += other.switch_races;
        self.snapshots += other.snapshots;
    }

    /// Everything that must have been met often enough, by name.
    pub fn musts(&self) -> Vec<(String, u64)> {
        let during = ["create", "power", "resize", "release", "restart", "converge"];
        let crashes = during
            .map(|op| (format!("crashes_{op}"), self.crashed_during.get(op).copied().unwrap_or_default()));
        let mut musts: Vec<_> = crashes.into();
        musts.push(("unknown_sends".to_owned(), self.unknown_sends));
        musts.push(("lagging_lists".to_owned(), self.lagging_lists));
        musts.push(("late_births".to_owned(), self.late_births));
        musts.push(("stuck_terminates".to_owned(), self.stuck_terminates));
        musts.push(("snapshots".to_owned(), self.snapshots));
        musts
    }

    pub fn line(&self) -> String {
        let steps: Vec<String> =
            self.crashes.iter().map(|(kind, n)| format!("crash_{kind:?}={n}").to_lowercase()).collect();
        let musts: Vec<String> = self.musts().into_iter().map(|(name, n)| format!("{name}={n}")).collect();
        format!(
            "COUNT crash_at_every_step seeds={} operations={} faults={} {} {} commits_lost={} pauses={} copies={} restores={} clock_jumps={} switch_races={} snapshots={}",
            self.seeds,
            self.operations,
            self.faults,
            musts.join(" "),
            steps.join(" "),
            self.commits_lost,
            self.pauses,
            self.copies,
            self.restores,
            self.clock_jumps,
            self.switch_races,
            self.snapshots,
        )
    }
}
