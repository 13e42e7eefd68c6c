//! `examples/infra.toml` says every key and every default, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::args::Args;
use super::config::Settings;
use super::file::{File, Source};

const REFERENCE: &str = include_str!("../../infra.toml");

/// The file with its examples of settings without a default: a line that begins with `#` and no blank is one.
fn with_examples() -> String {
    let bare =
        |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
    REFERENCE.lines().map(bare).collect::<Vec<_>>().join("\n")
}

/// Every key with its value; what an operator names himself (clouds, currencies) is `*`, and so is a place in a list.
fn keys(table: &Table, before: &str, found: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let named = ["clouds.", "pricing.rates."].contains(&before);
        let key = if named { format!("{before}*") } else { format!("{before}{name}") };
        match value {
            Value::Table(inner) => keys(inner, &format!("{key}."), found),
            Value::Array(list) if list.iter().any(Value::is_table) => {
                for inner in list.iter().filter_map(Value::as_table) {
                    keys(inner, &format!("{key}.*."), found);
                }
            }
            value => {
                found.insert(key, value.clone());
            }
        }
    }
}

fn keys_of(text: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    keys(&text.parse().expect("well-formed TOML"), "", &mut found);
    found
}

/// What serde says that it knows where an unknown key stands; nothing where no table may stand.
fn known(header: &str) -> Vec<String> {
    let text = format!("{header}\nno_such_key = 1\n");
    let Err(error) = toml::from_str::<File>(&text) else { return Vec::new() };
    let said = error.message();
    // An optional table whose fields are needed is asked about its unknown field first.
    if !said.starts_with("unknown field `no_such_key`") {
        return Vec::new();
    }
    said.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Every key that the code knows, asked from the code itself.
fn code_keys(table: &str, shown: &str, found: &mut BTreeSet<String>) {
    let header = if table.is_empty() { String::new() } else { format!("[{table}]") };
    fields(known(&header), table, shown, found);
}

fn fields(names: Vec<String>, table: &str, shown: &str, found: &mut BTreeSet<String>) {
    for name in names {
        let (inner, shown) = (format!("{table}.{name}"), format!("{shown}.{name}"));
        let (inner, shown) = (inner.trim_start_matches('.'), shown.trim_start_matches('.'));
        if !known(&format!("[{inner}]")).is_empty() {
            code_keys(inner, shown, found);
        } else if !known(&format!("[{inner}.any]")).is_empty() {
            code_keys(&format!("{inner}.any"), &format!("{shown}.*"), found);
        } else {
            let listed = known(&format!("[[{inner}]]"));
            if listed.is_empty() {
                found.insert(shown.to_owned());
            } else {
                found.extend(listed.iter().map(|field| format!("{shown}.*.{field}")));
            }
        }
    }
}

fn loaded(text: &str) -> Settings {
    let path =
        std::env::temp_dir().join(format!("infra-reference-{}-{}.toml", std::process::id(), text.len()));
    std::fs::write(&path, text).expect("the temporary folder takes a file");
    let args = Args { config: Some(path.clone()), ..Args::default() };
    let settings = Settings::load(&args, &|_| None).expect("the file is fine");
    std::fs::remove_file(path).expect("it was just written");
    settings
}

/// Keys of the code that a text leaves out, and keys of the text that the code does not know.
fn differences(text: &str) -> (Vec<String>, Vec<String>) {
    let mut code = BTreeSet::new();
    code_keys("", "", &mut code);
    assert!(code.len() > 80 && code.contains("clouds.*.images.*.os"), "{code:?}");
    let text: BTreeSet<String> = keys_of(text).into_keys().collect();
    (code.difference(&text).cloned().collect(), text.difference(&code).cloned().collect())
}

#[test]
fn a_key_is_missing_from_the_reference_or_stands_there_alone() {
    assert_eq!(differences(&with_examples()), (vec![], vec![]));
    // It would be seen.
    let without = with_examples().replace("orphan_age_min =", "# orphan_age_min =");
    assert_eq!(differences(&without).0, ["limits.orphan_age_min"]);
    let without = with_examples().replace("visible_within_s =", "# visible_within_s =");
    assert_eq!(differences(&without).0, ["clouds.*.visible_within_s"]);
}

#[test]
fn a_default_in_the_reference_is_not_the_one_in_force() {
    let defaults = keys_of(&loaded("").to_toml());
    let said = keys_of(REFERENCE);
    for (key, value) in &said {
        assert_eq!(defaults.get(key), Some(value), "{key}");
    }
    // What has a default stands there as a setting, not as an example.
    let hidden: Vec<_> = defaults.keys().filter(|key| !said.contains_key(*key)).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
    assert_eq!(loaded(REFERENCE).to_toml(), loaded("").to_toml());
    // It would be seen.
    let wrong = keys_of(&REFERENCE.replace("machines_max = 20", "machines_max = 21"));
    assert_ne!(wrong["limits.machines_max"], defaults["limits.machines_max"]);
}

#[test]
fn an_example_of_the_reference_is_no_setting() {
    let file: File = toml::from_str(&with_examples()).expect("all examples together are a settings file");
    assert!(file.tls.is_some() && file.clouds.len() == 3);
    // Without AWS, which not every build has.
    let text = with_examples();
    let lab = text.split("[clouds.aws]").next().expect("a split has a first part");
    let settings = loaded(lab);
    assert_eq!(settings.clouds.keys().collect::<Vec<_>>(), ["digitalocean", "lab"]);
}

#[test]
fn the_printed_settings_are_read_as_others() {
    for text in ["", "store = \"memory:\"\nhome = \"x\"\n[limits]\nretry_min = \"250ms\"\n", REFERENCE] {
        let settings = loaded(text);
        let again = loaded(&settings.to_toml());
        assert_eq!(format!("{settings:?}"), format!("{again:?}"));
        assert_eq!(settings.to_toml(), again.to_toml());
    }
    assert!(Source::default().file.clouds.is_empty());
}
