//! Layers of infra-core point strictly downward.

use super::tree::{File, is_word, names, rust};
use super::{assert_found, assert_none};

/// From below. What shares a number knows nothing of each other.
const LAYERS: [(&str, u8); 11] = [
    ("words", 0),
    ("nouns", 1),
    ("contracts", 2),
    ("records", 3),
    ("price", 4),
    ("plan", 5),
    ("budgets", 6),
    ("connect", 6),
    ("engine", 7),
    ("infra", 8),
    ("testing", 9),
];

const SRC: &str = "infra-core/src/";

fn level(layer: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, level)| *level)
}

/// Names that lib.rs re-exports, and the layer each comes from.
fn reexports(lib: &str) -> Vec<(String, String)> {
    let uses = lib.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let of = |path: &str| {
        let layer = names(path).next().unwrap_or_default().to_owned();
        names(path).skip(1).map(|name| (name.to_owned(), layer.clone())).collect::<Vec<_>>()
    };
    uses.flat_map(of).collect()
}

/// First names of every path in `code` that begins with `from`, groups opened.
fn roots<'c>(code: &'c str, from: &str) -> Vec<&'c str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(from) {
        let whole = !code[..at].ends_with(|c: char| is_word(c) || c == ':');
        let rest = &code[at + from.len()..];
        match rest.strip_prefix('{') {
            _ if !whole => {}
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(names(rest).next()),
        }
    }
    found
}

/// The first name of each member of a group that has just been opened.
fn group_heads(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut heads) = (0_u32, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(names(&group[start..at]).next());
                start = at + 1;
            }
            '}' => {
                heads.extend(names(&group[start..at]).next());
                break;
            }
            _ => {}
        }
    }
    heads
}

/// How deep the module of a file lies below the crate.
fn depth(path: &str) -> usize {
    let inside = path.trim_start_matches(SRC).trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').count()
}

fn violations(file: &File, reexported: &[(String, String)]) -> Vec<String> {
    let layer = file.path.trim_start_matches(SRC).split(['/', '.']).next().unwrap_or_default();
    let Some(own) = level(layer) else {
        let known = layer == "lib";
        return if known {
            Vec::new()
        } else {
            vec![format!("{}: {layer} is no layer: give it a place", file.path)]
        };
    };
    let code = file.code();
    let up = "super::".repeat(depth(&file.path));
    let mut used = roots(&code, "crate::");
    used.extend(roots(&code, &up));
    let mut wrong = Vec::new();
    for name in used {
        let reexport = reexported.iter().find(|(what, _)| what == name).map(|(_, layer)| layer.as_str());
        let target = reexport.unwrap_or(name);
        match level(target) {
            Some(other) if target != layer && other >= own => {
                wrong.push(format!("{}: {layer} uses {target}, which is not below it", file.path));
            }
            _ => {}
        }
    }
    wrong
}

/// The crate's own files; the laws and fixtures of `testing` are compiled only for tests.
fn sources() -> Vec<File> {
    rust().into_iter().filter(|file| file.path.starts_with(SRC)).collect()
}

#[test]
fn a_layer_never_knows_what_lies_above_it() {
    let sources = sources();
    let lib = sources.iter().find(|file| file.path.ends_with("src/lib.rs")).expect("the crate has a root");
    let reexported = reexports(&lib.code());
    assert!(reexported.iter().any(|(name, layer)| name == "Clock" && layer == "words"), "{reexported:?}");
    let wrong: Vec<_> = sources.iter().flat_map(|file| violations(file, &reexported)).collect();
    assert_none("layers point downward", &wrong);
}

#[test]
fn an_upward_use_is_found_however_it_is_written() {
    let reexported = reexports("pub use infra::{Infra, InfraBuilder};");
    let at = |path: &str, text: &str| violations(&File::new(&format!("{SRC}{path}"), text), &reexported);
    assert_found(&at("words/a.rs", "use crate::nouns::b::C;"), "words uses nouns");
    assert_found(&at("records/a.rs", "use crate::{words::b::{C, D}, engine::E};"), "records uses engine");
    assert_found(&at("price/a.rs", "fn f() { crate::plan::g(); }"), "price uses plan");
    assert_found(&at("nouns/a.rs", "use crate::Infra;"), "nouns uses infra");
    assert_found(&at("plan/deep/a.rs", "use super::super::super::infra::Infra;"), "plan uses infra");
    assert_found(&at("price/mod.rs", "use super::engine::Engine;"), "price uses engine");
    assert_found(&at("sundry/a.rs", ""), "sundry is no layer");
}

#[test]
fn downward_uses_prose_and_siblings_are_no_violation() {
    let at = |path: &str, text: &str| violations(&File::new(&format!("{SRC}{path}"), text), &[]);
    assert_none("engine", &at("engine/a.rs", "use crate::{plan::b, words::c};\nuse super::claims::Claims;"));
    assert_none("words", &at("words/a.rs", "//! See [`crate::plan::guard`].\nuse super::ids::UserId;"));
    assert_none("tests inside", &at("words/a.rs", "#[cfg(test)]\nmod tests { use crate::testing::X; }"));
}
