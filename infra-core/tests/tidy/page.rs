//! The architecture page claims nothing that is not there.

use std::collections::BTreeSet;

use infra_core::contracts::store::RecordKind;
use infra_core::words::planted::Bug;

use super::tree::{File, bare, file, files, names, root, rust};
use super::{assert_found, assert_none};

/// Defects that nothing plants yet, each with where it belongs. Whoever plants one takes it off.
const NOT_YET_PLANTED: [Bug; 0] = [];

fn page() -> String {
    file("ARCHITECTURE.md").text
}

/// What stands between single backticks, outside of fenced blocks.
fn quoted(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// Paths on the page: from the root, or from the source folder of infra-core.
fn missing_paths(page: &str) -> Vec<String> {
    let is_path = |word: &&str| {
        let whole = word.chars().all(|c| c.is_alphanumeric() || "_-./".contains(c));
        whole && (word.ends_with('/') || [".rs", ".md", ".toml"].iter().any(|end| word.ends_with(end)))
    };
    let there = |path: &str| ["", "infra-core/src/"].iter().any(|base| root().join(base).join(path).exists());
    let paths = quoted(page).into_iter().filter(is_path);
    paths.filter(|path| !there(path)).map(|path| format!("{path} does not exist")).collect()
}

/// Sentences in snake case are tests or laws.
fn missing_tests(page: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let sentence = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let named = quoted(page).into_iter().filter(sentence);
    named.filter(|name| !functions.contains(*name)).map(|name| format!("there is no test {name}")).collect()
}

fn functions(files: &[File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        let code = bare(&file.text);
        found.extend(code.split("fn ").skip(1).filter_map(|rest| names(rest).next()).map(str::to_owned));
    }
    found
}

fn unnamed(page: &str, words: impl IntoIterator<Item = String>) -> Vec<String> {
    let on_page: BTreeSet<&str> = names(page).collect();
    words.into_iter().filter(|word| !on_page.contains(word.as_str())).collect()
}

/// Defects that no code asks about.
fn unplanted(sources: &[File]) -> Vec<Bug> {
    let asked = |bug: &Bug| {
        let question = format!("Bug::{bug:?}");
        let elsewhere = |file: &&File| !file.path.ends_with("words/planted.rs") && !file.is_test();
        !sources.iter().filter(elsewhere).any(|file| file.code().contains(&question))
    };
    Bug::ALL.into_iter().filter(asked).collect()
}

#[test]
fn the_page_points_at_nothing_that_is_gone() {
    let page = page();
    assert_none("paths on the page exist", &missing_paths(&page));
    assert_none("tests on the page exist", &missing_tests(&page, &functions(&rust())));
    assert_found(&missing_paths("See `plan/nowhere.rs`."), "plan/nowhere.rs");
    assert_found(&missing_tests("`a_test_that_is_gone`", &BTreeSet::new()), "a_test_that_is_gone");
    assert_none("other words", &missing_paths("`Launch::state` `a/b` and\n```\n`c/d.rs`\n```\n"));
}

#[test]
fn a_paper_promises_what_no_test_keeps() {
    let functions = functions(&rust());
    for paper in ["SECURITY.md", "CONTRIBUTING.md"] {
        let text = file(paper).text;
        assert_none(paper, &missing_tests(&text, &functions));
        assert_none(
            paper,
            &missing_paths(&text).into_iter().filter(|path| path.contains('/')).collect::<Vec<_>>(),
        );
    }
    let named =
        quoted(&file("SECURITY.md").text).iter().filter(|word| word.matches('_').count() >= 3).count();
    assert!(named > 25, "only {named} tests are named: is this the paper?");
}

#[test]
fn the_page_leaves_out_no_rule_no_record_and_no_defect() {
    let page = page();
    assert_none("rules on the page", &unnamed(&page, (1..=24).map(|n| format!("C{n}"))));
    assert_none("records on the page", &unnamed(&page, RecordKind::ALL.map(|kind| format!("{kind:?}"))));
    assert_none("defects on the page", &unnamed(&page, Bug::ALL.map(|bug| format!("{bug:?}"))));
    let links = quoted(&page).len();
    assert!(links > 50, "only {links} names in backticks: is this the page?");
    assert_found(&unnamed("C1 and C10", ["C1".to_owned(), "C2".to_owned()]), "C2");
}

#[test]
fn every_defect_can_be_planted() {
    let sources: Vec<File> =
        rust().into_iter().filter(|file| file.path.starts_with("infra-core/src/")).collect();
    let unplanted = unplanted(&sources);
    assert_eq!(unplanted, NOT_YET_PLANTED, "what no code asks about, and what is known of that");
    let all = Bug::ALL.map(|bug| format!("f(Bug::{bug:?});")).concat();
    let mentioned = File::new(
        "infra-core/src/a.rs",
        &all.replacen("f(Bug::C4BodyRebuilt);", "\n// Bug::C4BodyRebuilt\n", 1),
    );
    assert_eq!(self::unplanted(&[mentioned]), [Bug::C4BodyRebuilt]);
}

#[test]
fn every_diagram_is_closed() {
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        assert_eq!(file.text.matches("```").count() % 2, 0, "{}: a fence is open", file.path);
    }
}
