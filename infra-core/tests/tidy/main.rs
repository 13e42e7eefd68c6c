//! The house rules as tests: a rule worth having is a test or a lint, and a test that cannot fail is none. So each
//! check here is a function from text to violations, run on the tree *and* on a planted violation.

mod laws;
mod layers;
mod manifests;
mod page;
mod sizes;
mod traces;
mod tree;

/// Fails with all violations at once: who mends one wants to see the others.
#[track_caller]
fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

/// The planted violation was found, and for the reason planted.
#[track_caller]
fn assert_found(violations: &[String], words: &str) {
    assert!(violations.iter().any(|found| found.contains(words)), "{words:?} is not in {violations:?}");
}
