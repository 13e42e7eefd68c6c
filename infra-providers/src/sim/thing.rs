//! One thing in the cloud, and what it is at a given moment.

use std::collections::BTreeMap;

use infra_core::nouns::cloud::{Observed, PowerMode, ThingState};
use infra_core::nouns::launch::LaunchBody;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{AccountId, LaunchToken, Region, ResourceId, Zone};
use infra_core::words::lane::{Mark, ResourceKind};
use serde::{Deserialize, Serialize};

use super::rules::Match;

/// A power order and when it has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PowerChange {
    pub(super) mode: PowerMode,
    pub(super) done_at: Timestamp,
}

/// An accepted terminate. Without `done_at` it never happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leaving {
    pub(super) since: Timestamp,
    pub(super) done_at: Option<Timestamp>,
}

/// Everything the cloud knows about a thing. Moments stand in it from the start, so its state needs no task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SimThing {
    pub(super) number: u64,
    pub(super) id: ResourceId,
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) zone: Option<Zone>,
    pub(super) name: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) stamp: Option<LaunchToken>,
    pub(super) made_under: Option<LaunchToken>,
    pub(super) key: String,
    pub(super) user_data: Option<String>,
    pub(super) body: LaunchBody,
    /// Which data is on it: new with every fresh machine, copied by a snapshot and by a machine made from one.
    #[serde(default)]
    pub(super) disk: u64,
    pub(super) by_hand: bool,
    pub(super) created_at: Timestamp,
    pub(super) ready_at: Timestamp,
    pub(super) error: Option<String>,
    pub(super) by_id_at: Timestamp,
    /// `None`: never listed.
    pub(super) listed_at: Option<Timestamp>,
    pub(super) power: Option<PowerChange>,
    pub(super) leaving: Option<Leaving>,
    pub(super) vanished_at: Option<Timestamp>,
}

impl SimThing {
    pub(super) const fn kind(&self) -> ResourceKind {
        self.body.kind()
    }

    /// When it ended or vanished, if it has by now.
    pub(super) fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ended = self.leaving.and_then(|leaving| leaving.done_at).filter(|at| *at <= now);
        let vanished = self.vanished_at.filter(|at| *at <= now);
        ended.into_iter().chain(vanished).min()
    }

    pub(super) fn alive(&self, now: Timestamp) -> bool {
        self.ended_at(now).is_none()
    }

    /// Is it, or its end, still shown?
    pub(super) fn shown(&self, now: Timestamp, gone_shown_for: std::time::Duration) -> bool {
        if self.vanished_at.is_some_and(|at| at <= now) {
            return false;
        }
        self.ended_at(now).is_none_or(|at| now < later(at, gone_shown_for))
    }

    pub(super) fn listed(&self, now: Timestamp) -> bool {
        self.listed_at.is_some_and(|at| at <= now)
    }

    pub(super) fn state(&self, now: Timestamp) -> ThingState {
        if self.ended_at(now).is_some() {
            return ThingState::Ended;
        }
        if self.leaving.is_some() {
            return ThingState::Ending;
        }
        if now < self.ready_at {
            return ThingState::Building;
        }
        if self.error.is_some() {
            return ThingState::Error;
        }
        match self.power {
            None => ThingState::Running,
            Some(PowerChange { mode: PowerMode::On, done_at }) if now < done_at => ThingState::Building,
            Some(PowerChange { mode: PowerMode::On, .. }) => ThingState::Running,
            Some(PowerChange { done_at, .. }) if now < done_at => ThingState::Stopping,
            Some(_) => ThingState::Stopped,
        }
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        Mark::from_tags(|tag| self.tags.get(tag).map(String::as_str))
    }

    /// What rules match it by.
    pub(super) fn facets(&self) -> Match {
        let type_name = match &self.body {
            LaunchBody::Machine(machine) => Some(machine.type_name.clone()),
            _ => None,
        };
        Match {
            account: Some(self.account.clone()),
            region: Some(self.region.clone()),
            zone: self.zone.clone(),
            kind: Some(self.kind()),
            type_name,
            name: self.name.clone(),
            id: Some(self.id.clone()),
            token: self.made_under,
        }
    }

    /// How the cloud shows it.
    pub(super) fn observed(&self, now: Timestamp) -> Observed {
        let state = self.state(now);
        let machine = match &self.body {
            LaunchBody::Machine(machine) => Some(machine),
            _ => None,
        };
        let up = machine.is_some() && state == ThingState::Running;
        let public = up && machine.is_some_and(|machine| !machine.private_only);
        let settled = machine.is_some() && now >= self.ready_at && state != ThingState::Ended;
        Observed {
            id: self.id.clone(),
            kind: self.kind(),
            state,
            mark: self.mark(),
            stamp: self.stamp,
            name: self.name.clone(),
            type_name: machine.map(|machine| machine.type_name.clone()),
            image: machine.map(|machine| machine.image.clone()),
            zone: self.zone.clone(),
            public_address: public.then(|| self.address("198.18")),
            private_address: settled.then(|| self.address("10.64")),
            created_at: self.created_at,
            fault: self.error.clone().filter(|_| state == ThingState::Error),
            tags: self.tags.clone(),
        }
    }

    /// Nobody answers there: both blocks are set aside for tests and private use.
    fn address(&self, block: &str) -> String {
        format!("{block}.{}.{}", (self.number >> 8) & 0xff, self.number & 0xff)
    }
}
