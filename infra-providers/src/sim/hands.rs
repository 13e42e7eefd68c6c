//! Hands from outside: what people do in the console, and what a test may know.

use std::collections::BTreeMap;

use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::nouns::offering::Image;
use infra_core::nouns::request::Market;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{AccountId, ImageId, LaunchToken, Region, ResourceId, TypeName, Zone};
use infra_core::words::lane::{Mark, ResourceKind, tags};
use serde::{Deserialize, Serialize};

use super::catalogue::images;
use super::rules::{CallRecord, Rule};
use super::server::key_name;
use super::thing::{Leaving, SimThing};
use super::world::{SimWorld, State};

/// A machine somebody makes in the console. What is not said is the region's first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandMade {
    /// Whose.
    pub account: AccountId,
    /// Where; must be a region of the sim.
    pub region: Region,
    /// In which zone.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Which type.
    #[serde(default, rename = "type")]
    pub type_name: Option<TypeName>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A thing as it truly is: never lagged, hidden or forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthThing {
    /// The cloud's id.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
    /// Who pays.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// In which zone.
    pub zone: Option<Zone>,
    /// Its name.
    pub name: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The token stamped on it by the cloud.
    pub stamp: Option<LaunchToken>,
    /// The token of the call that made it, with or without stamp; `None` by hand.
    pub made_under: Option<LaunchToken>,
    /// The first digits of the digest of the key that made it; `hand` by hand.
    pub key: String,
    /// Digest of its first-boot data.
    pub user_data: Option<String>,
    /// What was made.
    pub body: LaunchBody,
    /// Which data is on it: new with every fresh machine, copied by a snapshot and by a machine made from one; 0 for
    /// what holds none.
    #[serde(default)]
    pub disk: u64,
    /// Made by a person outside.
    pub by_hand: bool,
    /// What it is now.
    pub state: ThingState,
    /// Billed since.
    pub created_at: Timestamp,
    /// Billed until; `None` while it is there.
    pub ended_at: Option<Timestamp>,
    /// When its end was first ordered.
    pub terminate_ordered_at: Option<Timestamp>,
}

impl TruthThing {
    /// Is it there, and billed?
    #[must_use]
    pub const fn alive(&self) -> bool {
        self.ended_at.is_none()
    }

    /// The mark in its tags.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        Mark::from_tags(|tag| self.tags.get(tag).map(String::as_str))
    }
}

impl SimWorld {
    /// Everything that ever was, in the order in which it was made.
    #[must_use]
    pub fn truth(&self) -> Vec<TruthThing> {
        self.with(|state, now| state.things.values().map(|thing| truth_of(thing, now)).collect())
    }

    /// Somebody makes a machine in the console, visible at once. `None` when the region is unknown or offers no
    /// such type.
    #[must_use]
    pub fn make_by_hand(&self, wish: HandMade) -> Option<ResourceId> {
        self.with(|state, now| self.hand_make(state, wish, now))
    }

    fn hand_make(&self, state: &mut State, wish: HandMade, now: Timestamp) -> Option<ResourceId> {
        let shelf = self.inner.shelves.get(&wish.region)?;
        let offering = match &wish.type_name {
            Some(type_name) => shelf.offering(type_name)?,
            None => shelf.offerings.first()?,
        };
        let image = state.small.images.iter().find(|image| image.arch == offering.arch)?.id.clone();
        let body = LaunchBody::Machine(MachineBody {
            type_name: offering.type_name.clone(),
            image,
            disk_gib: 0,
            market: Market::OnDemand,
            user_data: None,
            ssh_public_keys: Vec::new(),
            firewall: None,
            key_pair: None,
            private_only: false,
            options: Default::default(),
            files: None,
            spot_max: None,
        });
        let (number, id) = state.draw_id("vm");
        state.put(SimThing {
            number,
            id: id.clone(),
            account: wish.account,
            region: wish.region,
            zone: wish.zone.or_else(|| offering.zones.first().cloned()),
            name: wish.name,
            tags: wish.tags,
            stamp: None,
            made_under: None,
            key: "hand".to_owned(),
            user_data: None,
            body,
            disk: number,
            by_hand: true,
            created_at: now,
            ready_at: now,
            error: None,
            by_id_at: now,
            listed_at: Some(now),
            power: None,
            leaving: None,
            vanished_at: None,
        });
        Some(id)
    }

    /// It is gone, and no listing will ever say that it ended. `false` when the id is unknown.
    pub fn vanish(&self, id: &ResourceId) -> bool {
        self.hand_change(id, |thing, now| thing.vanished_at = Some(now))
    }

    /// Somebody ends it in the console: seen as ended from now on. `false` when the id is unknown.
    pub fn end_by_hand(&self, id: &ResourceId) -> bool {
        self.hand_change(id, |thing, now| {
            let ended = thing.ended_at(now).unwrap_or(now);
            let since = thing.leaving.map_or(ended, |leaving| leaving.since);
            thing.leaving = Some(Leaving { since, done_at: Some(ended) });
        })
    }

    /// "Launch more like this": a new machine with the same type, place and tags, but no name and no stamp.
    #[must_use]
    pub fn copy_marks(&self, from: &ResourceId) -> Option<ResourceId> {
        self.with(|state, now| {
            let original = state.things.get(&state.number_of(from)?)?;
            let type_name = match &original.body {
                LaunchBody::Machine(machine) => Some(machine.type_name.clone()),
                _ => None,
            };
            let wish = HandMade {
                account: original.account.clone(),
                region: original.region.clone(),
                zone: original.zone.clone(),
                type_name,
                name: None,
                tags: original.tags.clone(),
            };
            self.hand_make(state, wish, now)
        })
    }

    /// Copies the mark's tags of one thing onto another. `false` when an id is unknown.
    pub fn copy_marks_to(&self, from: &ResourceId, to: &ResourceId) -> bool {
        let copied = self.with(|state, _| {
            let number = state.number_of(from)?;
            Some(state.things[&number].tags.clone())
        });
        copied.is_some_and(|copied| self.hand_change(to, |thing, _| thing.tags.extend(copied)))
    }

    /// A tag policy takes our mark off. `false` when the id is unknown.
    pub fn strip_marks(&self, id: &ResourceId) -> bool {
        self.hand_change(id, |thing, _| {
            for tag in [tags::INSTALLATION, tags::TOKEN, tags::KIND, tags::SEQ] {
                thing.tags.remove(tag);
            }
        })
    }

    /// Somebody takes one tag off. `false` when the id is unknown.
    pub fn take_tag(&self, id: &ResourceId, key: &str) -> bool {
        self.hand_change(id, |thing, _| {
            thing.tags.remove(key);
        })
    }

    /// Publishes newer images of an operating system, one per architecture.
    pub fn publish_image(&self, os: &str) -> Vec<ImageId> {
        self.with(|state, now| {
            let serial = state.small.images.len() as u64 + 1;
            let new: Vec<Image> = images(os, serial, now);
            let ids = new.iter().map(|image| image.id.clone()).collect();
            state.small.images.extend(new);
            state.changed.small = true;
            ids
        })
    }

    /// Takes away or gives back the capacity of a type, in one zone or everywhere.
    pub fn set_capacity(&self, type_name: &TypeName, zone: Option<&Zone>, there_is: bool) {
        self.with(|state, _| {
            let key = (type_name.clone(), zone.cloned());
            if there_is {
                state.small.no_capacity.remove(&key);
            } else {
                state.small.no_capacity.insert(key);
            }
            state.changed.small = true;
        });
    }

    /// Sets how many machines an account may have at once.
    pub fn set_quota(&self, account: &AccountId, machines_max: u32) {
        self.with(|state, _| {
            state.small.machines_max.insert(account.clone(), machines_max);
            state.changed.small = true;
        });
    }

    /// A key stops working. Only its digest is kept.
    pub fn revoke_key(&self, token: &str) {
        self.with(|state, _| {
            state.small.revoked.insert(key_name(token));
            state.changed.small = true;
        });
    }

    /// From now on a key reaches another account, or its own again: a credential that was scoped anew behind our
    /// back. Only the key's digest is kept.
    pub fn lead_key(&self, token: &str, to: Option<AccountId>) {
        self.with(|state, _| {
            let key = key_name(token);
            match to {
                Some(account) => state.small.led.insert(key, account),
                None => state.small.led.remove(&key),
            };
            state.changed.small = true;
        });
    }

    /// A revoked key works again.
    pub fn restore_key(&self, token: &str) {
        self.with(|state, _| {
            state.small.revoked.remove(&key_name(token));
            state.changed.small = true;
        });
    }

    /// Adds a fault rule.
    pub fn rule(&self, rule: Rule) {
        self.with(|state, _| {
            state.small.rules.push(rule);
            state.changed.small = true;
        });
    }

    /// Forgets all fault rules. Requests already stuck in a queue still arrive.
    pub fn clear_rules(&self) {
        self.with(|state, _| {
            state.small.rules.clear();
            state.changed.small = true;
        });
    }

    /// Fault rules that still stand.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().small.rules.clone()
    }

    /// The latest calls, oldest first; since the process started, at most 100,000.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.lock().calls.iter().cloned().collect()
    }

    /// How many calls of each operation since the process started.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }

    fn hand_change(&self, id: &ResourceId, change: impl FnOnce(&mut SimThing, Timestamp)) -> bool {
        self.with(|state, now| {
            let Some(number) = state.number_of(id) else { return false };
            state.change(number, |thing| change(thing, now));
            true
        })
    }
}

fn truth_of(thing: &SimThing, now: Timestamp) -> TruthThing {
    TruthThing {
        id: thing.id.clone(),
        kind: thing.kind(),
        account: thing.account.clone(),
        region: thing.region.clone(),
        zone: thing.zone.clone(),
        name: thing.name.clone(),
        tags: thing.tags.clone(),
        stamp: thing.stamp,
        made_under: thing.made_under,
        key: thing.key.clone(),
        user_data: thing.user_data.clone(),
        body: thing.body.clone(),
        disk: thing.disk,
        by_hand: thing.by_hand,
        state: thing.state(now),
        created_at: thing.created_at,
        ended_at: thing.ended_at(now),
        terminate_ordered_at: thing.leaving.map(|leaving| leaving.since),
    }
}
