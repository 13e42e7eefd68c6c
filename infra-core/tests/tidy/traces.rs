//! The tree speaks of the project alone, and would read the same on any machine.

use std::env;

use super::tree::{File, files, is_word, root};
use super::{assert_found, assert_none};

/// Tools that write text for people; put together here, so that no file of the tree has them, this one included.
fn writers() -> Vec<String> {
    let halves = [
        ("anth", "ropic"),
        ("assis", "tant"),
        ("chat", "gpt"),
        ("cla", "ude"),
        ("co-auth", "ored-by"),
        ("cod", "ex"),
        ("copi", "lot"),
        ("gener", "ated with"),
        ("language", " model"),
        ("ll", "m"),
        ("open", "ai"),
        ("sub", "agent"),
        ("coding ", "agent"),
    ];
    halves.iter().map(|(left, right)| format!("{left}{right}")).collect()
}

/// Folders in which only one machine keeps its work, and settings that name another registry than crates.io.
fn places() -> Vec<String> {
    let halves = [
        ("/ro", "ot/"),
        ("/wo", "rk/"),
        ("/ho", "me/"),
        ("/Us", "ers/"),
        ("--index", "-url"),
        ("extra-index", "-url"),
        ("[sour", "ce."),
        ("[regis", "tries"),
        ("replace", "-with"),
        ("sparse", "+http"),
    ];
    halves.iter().map(|(left, right)| format!("{left}{right}")).collect()
}

/// Where this very copy lies, and who runs it.
fn here() -> Vec<String> {
    let parent = root().parent().map(|parent| format!("{}/", parent.display()));
    let home = env::var("HOME").ok().map(|home| format!("{home}/"));
    parent.into_iter().chain(home).filter(|path| path.len() > 2).collect()
}

/// The word, as a word of its own, in any case.
fn says(line: &str, word: &str) -> bool {
    let line = line.to_lowercase();
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn violations(file: &File) -> Vec<String> {
    let (writers, places, here) = (writers(), places(), here());
    let mut wrong = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let word = writers.iter().find(|word| says(line, word));
        let place = places.iter().chain(&here).find(|place| names_place(line, place));
        if let Some(found) = word.or(place) {
            wrong.push(format!("{}:{}: {found:?}", file.path, number + 1));
        }
    }
    let name = file.path.to_lowercase();
    wrong.extend(
        writers.iter().filter(|word| says(&name, word)).map(|word| format!("{}: {word:?}", file.path)),
    );
    wrong
}

/// The path begins here: `~/.config` and `https://example.com/home/` are none of this machine's folders.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !place.starts_with('/') || !before.is_some_and(|c| is_word(c) || "~.-}$)/*".contains(c))
    })
}

#[test]
fn the_tree_never_names_a_machine_a_registry_or_who_wrote_it() {
    let wrong: Vec<_> = files().iter().flat_map(violations).collect();
    assert_none("the tree speaks of the project alone", &wrong);
}

#[test]
fn a_trace_is_found_in_any_case_and_only_as_a_whole() {
    let of = |text: &str| violations(&File::new("a.md", text));
    for word in writers() {
        assert_found(&of(&format!("Written by {}.", word.to_uppercase())), "a.md:1");
    }
    for place in places().into_iter().chain(here()) {
        assert_found(&of(&format!("fine\nsee {place}")), "a.md:2");
    }
    let name = writers().remove(3);
    assert_found(&violations(&File::new(&format!("{name}.md"), "")), &name);
    assert_none(
        "near misses",
        &of("allman ~/.config/x user-agent https://example.com/home/x $HOME/x a session"),
    );
}
