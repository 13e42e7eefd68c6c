//! Laws: what every implementation of a contract must keep, one sentence and one function each.
//!
//! # Flow
//! [`run`] asks a factory for a fresh subject per law and collects a [`LawReport`]. [`run_mutants`] then gives each
//! law a subject broken in just that law's point: a law that is content with it proves nothing. A test prints the
//! report, which is one line, and asserts [`LawReport::is_kept`].
//!
//! A third party runs the laws of `infra_core` against an implementation of its own in the same way:
//!
//! ```
//! use infra_core::testing::laws::{Law, Unmet, run};
//!
//! // A contract of one function, and one law about it.
//! type Adder = fn(u32, u32) -> u32;
//! async fn order_does_not_matter(add: Adder) -> Result<(), Unmet> {
//!     if add(1, 2) == add(2, 1) { Ok(()) } else { Err(Unmet::Broken("1 + 2".to_owned())) }
//! }
//! let law = Law::<Adder> { name: "order_does_not_matter", check: |add| Box::pin(order_does_not_matter(add)) };
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
//! # runtime.block_on(async {
//! let report = run("adder", "plain", "none", &[law], async || (|a, b| a + b) as Adder).await;
//! assert!(report.is_kept());
//! assert!(report.to_string().starts_with("LAWS contract=adder impl=plain counterpart=none passed=1"));
//! # });
//! ```

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Ends a law as broken unless the condition holds.
macro_rules! hold {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::testing::laws::Unmet::Broken(format!($($why)+)));
        }
    };
}

/// Ends a law as broken unless both sides are equal; says what they are.
macro_rules! same {
    ($left:expr, $right:expr, $what:expr) => {
        match (&$left, &$right) {
            (left, right) => hold!(left == right, "{}: {left:?}, not {right:?}", $what),
        }
    };
}

/// A list of laws, each named as its function.
macro_rules! laws {
    ($($module:ident :: $law:ident),* $(,)?) => {
        vec![$($crate::testing::laws::Law {
            name: stringify!($law),
            check: |subject| Box::pin($module::$law(subject)),
        }),*]
    };
}

pub mod allocator;
pub mod pricing;
pub mod provider;
pub mod store;

/// Why a law was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// The subject breaks it; the text says what was seen.
    Broken(String),
    /// It cannot be checked here, and why.
    Skipped(String),
}

impl<E: std::error::Error> From<E> for Unmet {
    /// An error where none is allowed breaks the law.
    fn from(error: E) -> Self {
        Self::Broken(error.to_string())
    }
}

/// One law about subjects of type `T`: whatever its check needs, made fresh for it.
#[derive(Debug)]
pub struct Law<T> {
    /// The sentence, in snake case: the name of the function.
    pub name: &'static str,
    /// Checks it. Takes no longer than a few seconds, whatever the subject does.
    pub check: fn(T) -> BoxFuture<'static, Result<(), Unmet>>,
}

/// How an implementation kept the laws of a contract. `Display` is the line that a test prints.
#[derive(Debug, Clone, Default)]
pub struct LawReport {
    /// Which contract.
    pub contract: &'static str,
    /// Which implementation of it.
    pub implementation: String,
    /// What stands on the other side: `file`, a server, `none`.
    pub counterpart: String,
    /// Laws kept.
    pub passed: Vec<&'static str>,
    /// Laws broken, and what was seen.
    pub failed: Vec<(&'static str, String)>,
    /// Laws that could not be checked, and why.
    pub skipped: Vec<(&'static str, String)>,
    /// How many mutants there were; `None` when none were asked for.
    pub mutants: Option<usize>,
    /// Laws that were content with a subject broken in just their point, or had none.
    pub survivors: Vec<&'static str>,
}

impl LawReport {
    /// Is no law broken, and has every mutant been found out?
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.failed.is_empty() && self.survivors.is_empty() && !self.passed.is_empty()
    }
}

impl fmt::Display for LawReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contract, implementation, counterpart, .. } = self;
        write!(f, "LAWS contract={contract} impl={implementation} counterpart={counterpart}")?;
        let (passed, failed, skipped) = (self.passed.len(), self.failed.len(), self.skipped.len());
        write!(f, " passed={passed} failed={failed} skipped={skipped}")?;
        if let Some((_, why)) = self.skipped.first() {
            write!(f, " why={why:?}")?;
        }
        if let Some(mutants) = self.mutants {
            write!(f, " mutants={mutants} killed={}", mutants.saturating_sub(self.survivors.len()))?;
        }
        Ok(())
    }
}

/// Checks every law, each on a fresh subject.
pub async fn run<T>(
    contract: &'static str,
    implementation: &str,
    counterpart: &str,
    laws: &[Law<T>],
    fresh: impl AsyncFn() -> T,
) -> LawReport {
    let mut report = LawReport {
        contract,
        implementation: implementation.to_owned(),
        counterpart: counterpart.to_owned(),
        ..LawReport::default()
    };
    for law in laws {
        match verdict(law, fresh().await).await {
            Ok(()) => report.passed.push(law.name),
            Err(Unmet::Broken(seen)) => report.failed.push((law.name, seen)),
            Err(Unmet::Skipped(why)) => report.skipped.push((law.name, why)),
        }
    }
    report
}

/// Gives each law a subject broken in just its point, made by `broken` from the law's name, and adds to the report
/// which laws did not notice. A law without such a subject counts as one that did not notice.
pub async fn run_mutants<T>(
    report: &mut LawReport,
    laws: &[Law<T>],
    broken: impl AsyncFn(&'static str) -> Option<T>,
) {
    report.mutants = Some(laws.len());
    for law in laws {
        let found_out = match broken(law.name).await {
            Some(subject) => matches!(verdict(law, subject).await, Err(Unmet::Broken(_))),
            None => false,
        };
        if !found_out {
            report.survivors.push(law.name);
        }
    }
}

/// A panic breaks the law at hand, not the report about all the others.
async fn verdict<T>(law: &Law<T>, subject: T) -> Result<(), Unmet> {
    let check = AssertUnwindSafe((law.check)(subject)).catch_unwind();
    check.await.unwrap_or_else(|panic| Err(Unmet::Broken(format!("panicked: {}", said(&*panic)))))
}

/// The text of a panic, whichever way it was raised.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
