//! Records as released programs wrote them, still read: `tests/records/VERSION/KIND.json`, each a list of bodies.
//!
//! A field that is added without a default, renamed or narrowed fails here. The files are never changed; a release that writes
//! new kinds or new shapes adds a folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use infra_core::contracts::store::RecordKind;
use infra_core::nouns::account::{AccessToken, IdempotencyRecord, Profile, Team, User};
use infra_core::nouns::budget::Budget;
use infra_core::nouns::credential::StoredCredential;
use infra_core::nouns::event::Outbox;
use infra_core::nouns::installation::{Claim, Heartbeat, Installation, LaneRecord};
use infra_core::nouns::launch::Launch;
use infra_core::nouns::overlay::Overlays;
use infra_core::nouns::reservation::Reservation;
use infra_core::nouns::retention::Retention;
use infra_core::nouns::scarcity::Scarcity;
use infra_core::nouns::switch::Switch;
use infra_core::nouns::template::{Template, TemplateVersion};
use infra_core::nouns::unit::Unit;
use infra_core::records::{Stored, TokenRef};
use serde_json::Value;

/// Kinds that have a body of their own making: what front ends keep is theirs.
const NOT_OURS: [RecordKind; 1] = [RecordKind::FrontEnd];

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
    let entries = std::fs::read_dir(root).expect("records are kept");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("an entry reads").path()).collect();
    folders.sort();
    folders
}

/// Reads one body, writes it, reads it again, and finds the same key and index both times.
fn reads<T: Stored>(body: &Value) -> Result<(), String> {
    let first: T = serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(&first).map_err(|error| error.to_string())?;
    let again: T = serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
    if (first.key(), first.index(16)) != (again.key(), again.index(16)) {
        return Err("it stands elsewhere after it was rewritten".to_owned());
    }
    kept(body, &written, "")
}

/// Everything that the old body said is still said: nothing is dropped in silence.
fn kept(old: &Value, new: &Value, at: &str) -> Result<(), String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().try_for_each(|(name, value)| match new.get(name) {
                Some(found) => kept(value, found, &format!("{at}.{name}")),
                // Said by leaving it out.
                None if value.is_null() || value == &Value::Bool(false) => Ok(()),
                None => Err(format!("{at}.{name} is dropped")),
            })
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            let mut pairs = old.iter().zip(new).enumerate();
            pairs.try_for_each(|(n, (old, new))| kept(old, new, &format!("{at}[{n}]")))
        }
        (old, new) if old == new => Ok(()),
        (old, new) => Err(format!("{at} was {old} and is {new}")),
    }
}

/// Reads a body and says what was lost.
type Reader = fn(&Value) -> Result<(), String>;

/// How the bodies of a kind are read; `None` for one that has no line here yet.
fn reader(kind: RecordKind) -> Option<Reader> {
    Some(match kind {
        RecordKind::Installation => reads::<Installation>,
        RecordKind::Reservation => reads::<Reservation>,
        RecordKind::Unit => reads::<Unit>,
        RecordKind::Launch => reads::<Launch>,
        RecordKind::TokenRef => reads::<TokenRef>,
        RecordKind::Outbox => reads::<Outbox>,
        RecordKind::Claim => reads::<Claim>,
        RecordKind::Heartbeat => reads::<Heartbeat>,
        RecordKind::Credential => reads::<StoredCredential>,
        RecordKind::User => reads::<User>,
        RecordKind::AccessToken => reads::<AccessToken>,
        RecordKind::Idempotency => reads::<IdempotencyRecord>,
        RecordKind::Switch => reads::<Switch>,
        RecordKind::Lane => reads::<LaneRecord>,
        RecordKind::Template => reads::<Template>,
        RecordKind::Profile => reads::<Profile>,
        RecordKind::Team => reads::<Team>,
        RecordKind::TemplateVersion => reads::<TemplateVersion>,
        RecordKind::Retention => reads::<Retention>,
        RecordKind::Overlays => reads::<Overlays>,
        RecordKind::Budget => reads::<Budget>,
        RecordKind::Scarcity => reads::<Scarcity>,
        _ => return None,
    })
}

fn bodies(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a kept file reads");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_record_of_an_older_release_cannot_be_read_any_more() {
    let (mut files, mut count) = (BTreeSet::new(), 0);
    for folder in folders() {
        for entry in std::fs::read_dir(folder).expect("reads") {
            let path = entry.expect("an entry reads").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let kind = RecordKind::ALL.into_iter().find(|kind| format!("{kind:?}") == name);
            let kind = kind.unwrap_or_else(|| panic!("{name}: kinds are for ever"));
            let read = reader(kind).unwrap_or_else(|| panic!("{name} needs a line in reader()"));
            let bodies = bodies(&path);
            assert!(!bodies.is_empty(), "{}", path.display());
            for body in &bodies {
                read(body).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
                count += 1;
            }
            files.insert(name);
        }
    }
    // A kind that is written is kept from its first day on.
    let ours = RecordKind::ALL.into_iter().filter(|kind| !NOT_OURS.contains(kind));
    let missing: Vec<_> = ours.filter(|kind| !files.contains(&format!("{kind:?}"))).collect();
    assert!(missing.is_empty(), "no old record of {missing:?}");
    println!("COUNT old_records kinds={} bodies={count}", files.len());
}

/// A field without a default, a field that is gone, and one that moved: each is seen.
#[test]
fn a_shape_that_broke_is_seen() {
    let path = folders().remove(0).join("User.json");
    let user = bodies(&path).remove(0);
    assert_eq!(reads::<User>(&user), Ok(()));
    let mut short = user.clone();
    short.as_object_mut().expect("an object").remove("machines_held");
    // As if `machines_held` had been added after this body was written, without a default.
    assert!(reads::<User>(&short).is_err_and(|why| why.contains("machines_held")));
    let mut more = user.clone();
    more["colour"] = "red".into();
    assert!(reads::<User>(&more).is_err_and(|why| why.contains(".colour is dropped")));
}
