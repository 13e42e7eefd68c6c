//! Tags: words, which keep their first spelling. The sim has keys and values: a tag is cut at its first colon.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use infra_core::nouns::cloud::Observed;
use infra_core::words::lane::{Mark, ResourceKind, tags as words};
use serde_json::json;

use super::DigitalOceanFake;
use super::reply::{Outcome, Refusal, Reply};
use super::request::Asking;
use crate::http::Method;
use crate::sim::skin::{self, Call};

fn spellings(fake: &DigitalOceanFake) -> MutexGuard<'_, BTreeMap<String, String>> {
    fake.tags.lock().expect("nobody panics while spelling")
}

fn check(tag: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-' || c == '_';
    if tag.is_empty() || tag.len() > 255 || !tag.chars().all(legal) {
        return Err(Refusal::unprocessable(
            "Tag names may contain letters, numbers, colons, dashes, and underscores.",
        ));
    }
    Ok(())
}

fn cut(tag: &str) -> (String, String) {
    let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
    (key.to_owned(), value.to_owned())
}

/// A new droplet's tags as the sim's mark and labels.
pub(super) fn take(
    fake: &DigitalOceanFake,
    written: &[String],
) -> Result<(Option<Mark>, BTreeMap<String, String>), Refusal> {
    written.iter().try_for_each(|tag| check(tag))?;
    let spelled = written.iter().map(|tag| spellings(fake).get(&tag.to_lowercase()).unwrap_or(tag).clone());
    let mut labels: BTreeMap<String, String> = spelled.map(|tag| cut(&tag)).collect();
    let mark = Mark::from_tags(|key| labels.get(key).map(String::as_str));
    if mark.is_some() {
        let ours = [words::INSTALLATION, words::TOKEN, words::KIND, words::SEQ];
        labels.retain(|key, _| !ours.contains(&key.as_str()));
    }
    Ok((mark, labels))
}

/// Tags that a droplet was made with are the account's from now on.
pub(super) fn remember(fake: &DigitalOceanFake, written: &[String]) {
    let mut spellings = spellings(fake);
    for tag in written {
        spellings.entry(tag.to_lowercase()).or_insert_with(|| tag.clone());
    }
}

pub(super) fn is_known(fake: &DigitalOceanFake, tag: &str) -> bool {
    spellings(fake).contains_key(&tag.to_lowercase())
}

/// A droplet's tags, as words in their first spelling.
pub(super) fn shown(fake: &DigitalOceanFake, one: &Observed) -> Vec<String> {
    let word = |(key, value): (&String, &String)| {
        if value.is_empty() { key.clone() } else { format!("{key}:{value}") }
    };
    let spellings = spellings(fake);
    one.tags.iter().map(word).map(|tag| spellings.get(&tag.to_lowercase()).cloned().unwrap_or(tag)).collect()
}

pub(super) async fn create(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    // Nothing of the sim's is made, but keys are checked.
    fake.ask(asking, &fake.home(), Call::Identify).await?;
    let name = asking.text("name")?.to_owned();
    check(&name)?;
    remember(fake, std::slice::from_ref(&name));
    let name = spellings(fake).get(&name.to_lowercase()).cloned().unwrap_or(name);
    let none = json!({ "count": 0 });
    let resources = json!({
        "count": 0,
        "droplets": none,
        "imgages": none,
        "volumes": none,
        "volume_snapshots": none,
        "databases": none,
    });
    Ok(Reply::of(201, &json!({ "tag": { "name": name, "resources": resources } })))
}

/// Off everything, and out of the account.
pub(super) async fn delete(fake: &DigitalOceanFake, asking: &Asking, tag: &str) -> Outcome {
    let found = fake.everything(asking, ResourceKind::Machine).await?;
    spellings(fake).remove(&tag.to_lowercase()).ok_or_else(Refusal::not_found)?;
    for (_, one) in found {
        skin::retag(fake.world(), &one.id, |tags| take_off(tags, tag));
    }
    Ok(Reply::nothing())
}

fn take_off(tags: &mut BTreeMap<String, String>, tag: &str) {
    let (key, value) = cut(tag);
    if tags.get(&key) == Some(&value) {
        tags.remove(&key);
    }
}

/// Puts a tag on droplets, or takes it off them.
pub(super) async fn put(fake: &DigitalOceanFake, asking: &Asking, tag: &str) -> Outcome {
    let resources = asking.body["resources"].as_array().cloned().unwrap_or_default();
    for resource in resources {
        if resource["resource_type"] != json!("droplet") {
            return Err(Refusal::unprocessable("only droplets are simulated"));
        }
        let number = resource["resource_id"].as_str().and_then(|id| id.parse().ok());
        let number = number.ok_or_else(Refusal::not_found)?;
        let (_, one) = fake.one(asking, ResourceKind::Machine, number).await?;
        if !is_known(fake, tag) {
            return Err(Refusal::not_found());
        }
        skin::retag(fake.world(), &one.id, |tags| {
            if asking.method == Method::Post {
                tags.extend([cut(tag)]);
            } else {
                take_off(tags, tag);
            }
        });
    }
    Ok(Reply::nothing())
}
