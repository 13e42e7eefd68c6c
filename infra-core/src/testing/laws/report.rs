//! What came of running a contract's laws.

use std::fmt;

use super::Verdict;

/// The outcome of every law of a contract, for one implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LawReport {
    /// Which contract.
    pub contract: &'static str,
    /// Whose laws they were run against.
    pub implementation: String,
    /// Law and verdict, in the order they were run.
    pub verdicts: Vec<(&'static str, Verdict)>,
}

impl LawReport {
    /// The laws that do not hold, with why.
    pub fn broken(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.verdicts.iter().filter_map(|(law, verdict)| Some((*law, verdict.as_ref().err()?.as_str())))
    }

    /// Does this law not hold?
    #[must_use]
    pub fn breaks(&self, law: &str) -> bool {
        self.broken().any(|(broken, _)| broken == law)
    }
}

impl fmt::Display for LawReport {
    /// The line that tests print: `LAWS contract= impl= counterpart= passed= failed= skipped=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.broken().count();
        write!(
            f,
            "LAWS contract={} impl={} counterpart=none passed={} failed={failed} skipped=0",
            self.contract,
            self.implementation,
            self.verdicts.len() - failed,
        )
    }
}
