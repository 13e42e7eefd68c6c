//! What crates may depend on.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{File, file, files};
use super::{assert_found, assert_none};

/// A manifest, as far as the rules look.
#[derive(Debug, Default)]
struct Manifest {
    name: String,
    /// Dependency, the section it stands in, and what is said about it.
    dependencies: Vec<(String, String, String)>,
    features: BTreeMap<String, Vec<String>>,
}

impl Manifest {
    fn read(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = String::new();
        for line in joined(text) {
            if let Some(title) = line.strip_prefix('[') {
                title.trim_end_matches(']').clone_into(&mut section);
                // `[dependencies.name]` is a dependency as well.
                if let Some((table, name)) = section.rsplit_once("dependencies.") {
                    let dependency = (name.to_owned(), format!("{table}dependencies"), String::new());
                    manifest.dependencies.push(dependency);
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim().trim_matches('"'), value.trim());
            if section == "package" && key == "name" {
                value.trim_matches('"').clone_into(&mut manifest.name);
            } else if section == "features" {
                let members = value.split('"').skip(1).step_by(2).map(str::to_owned);
                manifest.features.insert(key.to_owned(), members.collect());
            } else if section.ends_with("dependencies") && !section.starts_with("workspace") {
                let name = key.split('.').next().unwrap_or_default();
                manifest.dependencies.push((name.to_owned(), section.clone(), value.to_owned()));
            } else if let Some(said) = in_table(&mut manifest.dependencies, &section) {
                said.push_str(&line);
            }
        }
        manifest
    }

    /// Everything that the default features turn on, directly or through each other.
    fn default_features(&self) -> BTreeSet<&str> {
        let mut on = BTreeSet::new();
        let mut open = vec!["default"];
        while let Some(feature) = open.pop() {
            if on.insert(feature) {
                open.extend(self.features.get(feature).into_iter().flatten().map(String::as_str));
            }
        }
        on
    }
}

/// What is said about the dependency that `[dependencies.name]` has just begun to describe.
fn in_table<'d>(dependencies: &'d mut [(String, String, String)], section: &str) -> Option<&'d mut String> {
    let (name, _, said) = dependencies.last_mut()?;
    section.ends_with(&format!("dependencies.{name}")).then_some(said)
}

/// Lines without comments, lists of several lines joined.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.push_str(line),
            None => lines.push(line.to_owned()),
        }
        let whole = lines.last().map_or("", String::as_str);
        open = whole.contains('=') && whole.matches('[').count() > whole.matches(']').count();
    }
    lines
}

/// Our crates, and which of ours each may be built on. Tests of infra-core may use the two above it.
const MAY: [(&str, &[&str], &[&str]); 5] = [
    ("infra-core", &[], &["infra-core", "infra-providers", "infra-store"]),
    ("infra-store", &["infra-core"], &["infra-core"]),
    ("infra-providers", &["infra-core"], &["infra-core", "infra-providers"]),
    ("infra-examples", &["infra-core", "infra-providers", "infra-store"], &["infra-core"]),
    ("infra-benches", &["infra-core", "infra-providers", "infra-store"], &["infra-core"]),
];

/// infra-core opens no socket, speaks no SDK and keeps no database.
const NOT_IN_CORE: [&str; 8] = ["aws-", "axum", "hyper", "reqwest", "rusqlite", "rustls", "sqlx", "tower"];

fn violations(manifest: &Manifest) -> Vec<String> {
    let name = &manifest.name;
    let Some((_, may, tests_may)) = MAY.iter().find(|(crate_, ..)| crate_ == name) else {
        return vec![format!("{name} is no crate of ours: give it a place")];
    };
    let mut wrong = Vec::new();
    for (dependency, section, said) in &manifest.dependencies {
        let dev = section.ends_with("dev-dependencies");
        let allowed = may.contains(&dependency.as_str()) || (dev && tests_may.contains(&dependency.as_str()));
        if dependency.starts_with("infra-") && !allowed {
            wrong.push(format!("{name} may not depend on {dependency} ({section})"));
        }
        let heavy = NOT_IN_CORE.iter().any(|start| dependency.starts_with(start));
        if name == "infra-core" && heavy && !dev {
            wrong.push(format!("{name} may not depend on {dependency}"));
        }
        if is_aws(dependency) && !said.contains("optional = true") {
            wrong.push(format!("{name}: {dependency} is not optional"));
        }
        if dependency.starts_with("infra-") && said.contains("\"aws\"") {
            wrong.push(format!("{name}: {dependency} brings the AWS SDK whoever asks"));
        }
    }
    let on = manifest.default_features();
    let aws = on
        .into_iter()
        .filter(|on| *on == "aws" || on.ends_with("/aws") || is_aws(on.trim_start_matches("dep:")));
    wrong.extend(aws.map(|on| format!("{name}: {on} is on by default")));
    wrong
}

fn is_aws(name: &str) -> bool {
    name.starts_with("aws-")
}

#[test]
fn a_store_never_knows_a_cloud_and_the_default_build_never_pays_for_an_sdk() {
    let manifests: Vec<File> =
        files().into_iter().filter(|file| file.path.ends_with("/Cargo.toml")).collect();
    assert_eq!(
        manifests.len(),
        MAY.len(),
        "{:?}",
        manifests.iter().map(|file| &file.path).collect::<Vec<_>>()
    );
    let wrong: Vec<_> = manifests.iter().flat_map(|file| violations(&Manifest::read(&file.text))).collect();
    assert_none("crates depend downward", &wrong);
}

#[test]
fn a_forbidden_dependency_is_found_in_every_spelling() {
    let of = |text: &str| violations(&Manifest::read(text));
    let store = |rest: &str| of(&format!("[package]\nname = \"infra-store\"\n{rest}"));
    assert_found(
        &store("[dependencies]\ninfra-providers.workspace = true"),
        "infra-store may not depend on infra-p",
    );
    assert_found(
        &store("[dev-dependencies.infra-providers]\npath = \"..\""),
        "infra-providers (dev-dependencies)",
    );
    assert_found(&store("[target.'cfg(unix)'.dependencies]\ninfra-providers = \"1\""), "may not depend");
    assert_found(
        &of("[package]\nname = \"infra-core\"\n[dependencies]\nrusqlite = \"1\""),
        "may not depend on rusqlite",
    );
    assert_found(&of("[package]\nname = \"infra-more\""), "no crate of ours");
    assert_none(
        "tests of the core",
        &of("[package]\nname = \"infra-core\"\n[dev-dependencies]\ninfra-store = \"1\""),
    );
}

#[test]
fn an_sdk_in_the_default_build_is_found_in_every_spelling() {
    let clouds =
        |rest: &str| violations(&Manifest::read(&format!("[package]\nname = \"infra-providers\"\n{rest}")));
    assert_found(
        &clouds("[features]\ndefault = [\n  \"real\",\n]\nreal = [\"aws\"]\naws = []"),
        "aws is on by default",
    );
    assert_found(&clouds("[features]\ndefault = [\"dep:aws-sdk-ec2\"]"), "on by default");
    assert_found(&clouds("[dependencies]\naws-sdk-ec2.workspace = true"), "aws-sdk-ec2 is not optional");
    assert_found(&clouds("[dependencies.aws-sdk-ec2]\nversion = \"1\""), "not optional");
    assert_none("as a feature", &clouds("[dependencies.aws-sdk-ec2]\nversion = \"1\"\noptional = true"));
    let front = "[package]\nname = \"infra-examples\"\n[dependencies]\ninfra-providers = { path = \"p\", features = [\"aws\"] }";
    assert_found(&violations(&Manifest::read(front)), "whoever asks");
    let front = "[package]\nname = \"infra-examples\"\n[features]\ndefault = [\"infra-providers/aws\"]";
    assert_found(&violations(&Manifest::read(front)), "on by default");
}

#[test]
fn one_source_of_crates_is_locked() {
    let check = |text: &str| -> Vec<String> {
        let sources = text.lines().filter_map(|line| line.strip_prefix("source = "));
        let crates_io = "\"registry+https://github.com/rust-lang/crates.io-index\"";
        sources.filter(|source| *source != crates_io).map(str::to_owned).collect()
    };
    let lock = file("Cargo.lock").text;
    assert!(lock.contains("\nsource = "), "the lock file names its sources");
    assert_none("crates come from crates.io", &check(&lock));
    assert_found(&check("source = \"git+https://example.com/fork\""), "git+");
}
