//! Every law is run: one sentence, one function, one place in the list of its contract, one test that runs the list.

use super::tree::{File, bare, is_word, names, rust};
use super::{assert_found, assert_none};

const LAWS: &str = "infra-core/src/testing/laws/";

/// What a law answers.
const VERDICTS: [&str; 3] = ["-> Kept", "-> Verdict", "-> Result<(), Unmet>"];

/// A contract's name: the file or folder below `laws/`; `None` for what all contracts share.
fn contract(file: &File) -> Option<&str> {
    let inside = file.path.strip_prefix(LAWS)?;
    let name = inside.split(['/', '.']).next()?;
    (name != "mod" && name != "report").then_some(name)
}

/// Functions at the left margin, seen from outside their file, that answer whether they hold.
fn laws(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("\npub") {
        let head = &code[at + 1..];
        let head = head.split('{').next().unwrap_or_default();
        let is_law = VERDICTS.iter().any(|verdict| head.trim_end().ends_with(verdict));
        if is_law && let Some((_, named)) = head.split_once("fn ") {
            found.extend(names(named).next().map(str::to_owned));
        }
    }
    found
}

/// Names in the lists of laws: whatever a macro called `laws!` or `..._laws!` is given, the last part of each path.
fn listed(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("laws![") {
        let list = &code[at + "laws![".len()..];
        let list = list.split(']').next().unwrap_or_default();
        let paths =
            list.split(',').map(str::trim).filter(|path| path.chars().all(|c| is_word(c) || c == ':'));
        found.extend(paths.filter_map(|path| names(path).last()).map(str::to_owned));
    }
    found
}

fn violations(files: &[File]) -> Vec<String> {
    let mut contracts: Vec<&str> = files.iter().filter_map(contract).collect();
    contracts.dedup();
    let mut wrong = Vec::new();
    for name in contracts {
        let code: String =
            files.iter().filter(|file| contract(file) == Some(name)).map(|file| bare(&file.body())).collect();
        let listed = listed(&code);
        if listed.is_empty() {
            wrong.push(format!("{name}: no list of laws"));
        }
        let laws = laws(&code);
        wrong.extend(
            laws.iter().filter(|law| !listed.contains(law)).map(|law| format!("{name}: {law} is in no list")),
        );
        let path = format!("laws::{name}");
        let runs = |file: &&File| !file.path.starts_with(LAWS) && file.is_test() && runs_laws(file, &path);
        if !files.iter().any(|file| runs(&file)) {
            wrong.push(format!("{name}: no test runs its laws"));
        }
    }
    wrong
}

fn runs_laws(file: &File, path: &str) -> bool {
    let code = bare(&file.text);
    let named = code.match_indices(path).any(|(at, _)| !code[at + path.len()..].starts_with(is_word));
    named && code.contains("run(")
}

#[test]
fn a_law_is_never_written_and_not_run() {
    let files = rust();
    let laws = files.iter().filter(|file| contract(file).is_some()).count();
    let declared = files.iter().any(|file| {
        file.path == "infra-core/src/testing/mod.rs" && bare(&file.text).contains("pub mod laws;")
    });
    assert_eq!(laws > 0, declared, "the laws stand below {LAWS}");
    assert_none("every law is run", &violations(&files));
}

#[test]
fn a_law_that_is_not_listed_or_a_list_that_is_not_run_is_found() {
    let list =
        File::new(&format!("{LAWS}store/mod.rs"), "pub fn laws() -> Vec<Law> { laws![commits::one, two,] }");
    let commits = "//! Laws.\npub(super) async fn one(s: Subject) -> Kept {}\nfn helper() -> Kept {}\n";
    let test =
        File::new("infra-store/tests/laws.rs", "use infra_core::testing::laws::store::laws; run(laws());");
    let of = |commits: &str, test: &File| {
        violations(&[list.clone(), File::new(&format!("{LAWS}store/commits.rs"), commits), test.clone()])
    };
    assert_none("listed and run", &of(commits, &test));
    let forgotten = format!("{commits}\npub fn three(\n    s: Subject,\n) -> Verdict {{}}\n");
    assert_found(&of(&forgotten, &test), "store: three is in no list");
    let other =
        File::new("infra-store/tests/laws.rs", "use infra_core::testing::laws::store_more; run(laws());");
    assert_found(&of(commits, &other), "no test runs its laws");
    let prose = File::new("infra-store/tests/laws.rs", "// use laws::store; run(laws())");
    assert_found(&of(commits, &prose), "no test runs its laws");
    assert_found(&violations(&[File::new(&format!("{LAWS}pool.rs"), "")]), "pool: no list of laws");
}
