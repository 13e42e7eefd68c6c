//! A cloud of one's own, and the laws run on it: `cargo run --example own_provider`.
//!
//! Here the cloud is a list in memory, without idempotency tokens and without firewalls. A real one does the same over
//! its API; the laws that do not apply skip themselves by what `facts` says.

#![allow(clippy::print_stdout, reason = "the laws' line is what this program is run for")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{
    Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError, Said, Send, Series, allowed,
};
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, PowerMode, Sighting, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::{Catalogue, Image};
use infra_core::testing::laws::{provider, run};
use infra_core::testing::{SeededEntropy, VirtualClock, fixtures};
use infra_core::words::clock::Clock;
use infra_core::words::ids::{InstallationId, ResourceId};
use infra_core::words::lane::{Lane, Mark, ResourceKind};
use infra_core::{CloudProvider, words::lane::tags};

/// One key in one lane of our cloud. `machines` is the cloud.
#[derive(Debug)]
struct Shelf {
    machines: Arc<Mutex<Vec<Observed>>>,
    installation: InstallationId,
    lane: Lane,
    clock: Arc<VirtualClock>,
    facts: Facts,
}

fn invalid(message: &str) -> ProviderError {
    ProviderError::Invalid {
        said: Said { code: "invalid".into(), message: message.into(), request_id: None },
    }
}

impl Shelf {
    fn change(&self, on: &OwnedHandle, change: impl FnOnce(&mut Observed)) {
        let mut machines = self.machines.lock().expect("nobody panics while holding it");
        if let Some(machine) = machines.iter_mut().find(|one| one.id == *on.id()) {
            change(machine);
        }
    }

    fn all(&self, shown: impl Fn(&Observed) -> bool) -> Vec<Observed> {
        let machines = self.machines.lock().expect("nobody panics while holding it");
        machines.iter().filter(|one| shown(one)).cloned().collect()
    }
}

#[async_trait]
impl CloudProvider for Shelf {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        Ok(Identity { account: self.lane.account.clone(), principal: "the owner of the shelf".into() })
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        let (choice, as_of) = (fixtures::choice(), self.clock.wall());
        let image = Image {
            id: choice.image,
            name: "ubuntu-24.04".into(),
            os: "ubuntu 24.04".into(),
            arch: choice.offering.arch,
            created_at: as_of,
            system: Default::default(),
            min_disk_gib: 0,
            min_memory_mib: 0,
        };
        let offering = infra_core::nouns::offering::Offering { zones: Vec::new(), ..choice.offering };
        Ok(Catalogue {
            offerings: vec![offering],
            images: vec![image],
            disk_gib_hour: Default::default(),
            ipv4_hour: Default::default(),
            billing: Default::default(),
            billing_by_system: Default::default(),
            off_billing: Default::default(),
            options: Default::default(),
            as_of,
        })
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        if self.clock.mono() > send.deadline {
            return Err(ProviderError::NotSent { why: "too late".into() });
        }
        let LaunchBody::Machine(body) = &frozen.body else { return Err(invalid("only machines")) };
        if body.image != fixtures::choice().image {
            return Err(invalid("unknown image"));
        }
        if frozen.count != 1 {
            return Err(invalid("one at a time"));
        }
        let mut machines = self.machines.lock().expect("nobody panics while holding it");
        let mut marked = frozen.labels.clone();
        marked.extend(frozen.mark.to_tags().map(|(key, value)| (key.to_owned(), value)));
        let made = Observed {
            id: format!("shelf-{}", machines.len()).parse().expect("a legal id"),
            kind: ResourceKind::Machine,
            state: ThingState::Running,
            mark: Some(frozen.mark),
            stamp: None,
            name: Some(frozen.name.clone()),
            type_name: Some(body.type_name.clone()),
            image: Some(body.image.clone()),
            zone: None,
            public_address: None,
            private_address: None,
            created_at: self.clock.wall(),
            fault: None,
            tags: marked,
        };
        machines.push(made.clone());
        Ok(vec![made])
    }

    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        Ok(self.all(|one| one.name.as_ref() == Some(&query.name) && one.created_at >= query.since))
    }

    async fn get(&self, _: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        let look = |id: &ResourceId| self.all(|one| one.id == *id).pop().map(Box::new);
        Ok(ids.iter().map(|id| look(id).map_or(Sighting::Absent(id.clone()), Sighting::Present)).collect())
    }

    async fn list_owned(&self, _: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        let ours = self.installation.to_string();
        let items = self.all(|one| one.tags.get(tags::INSTALLATION) == Some(&ours));
        Ok(OwnedPage { items, next: None, complete: true, as_of: self.clock.wall() })
    }

    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        allowed(on, &self.lane, act)?;
        self.change(on, |one| match act {
            Act::Terminate => one.state = ThingState::Ended,
            Act::Power(PowerMode::On) => one.state = ThingState::Running,
            Act::Power(_) => one.state = ThingState::Stopped,
            Act::Mark => one.tags.extend(on.mark().to_tags().map(|(key, value)| (key.to_owned(), value))),
            Act::Unmark => on.mark().to_tags().iter().for_each(|(key, _)| drop(one.tags.remove(*key))),
        });
        self.change(on, |one| one.mark = Mark::from_tags(|tag| one.tags.get(tag).map(String::as_str)));
        Ok(Accepted)
    }

    async fn measure(&self, _: &[ResourceId], _: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        Err(invalid("no metrics"))
    }
}

/// A fresh cloud with nothing in it, and what the laws need besides.
fn subject() -> provider::Subject {
    let (clock, entropy) = (Arc::new(VirtualClock::default()), Arc::new(SeededEntropy::new(1)));
    let machines = Arc::new(Mutex::new(Vec::new()));
    let of = |installation| {
        let (machines, lane, clock) = (Arc::clone(&machines), fixtures::lane(), Arc::clone(&clock));
        Arc::new(Shelf { machines, installation, lane, clock, facts: fixtures::facts(1, false) })
    };
    let installation = InstallationId::draw(clock.wall(), &*entropy);
    provider::Subject {
        provider: of(installation),
        stranger: of(InstallationId::draw(clock.wall(), &*entropy)),
        wrong_key: None,
        lane: fixtures::lane(),
        installation,
        machine: fixtures::machine(),
        zones: Vec::new(),
        unknown_id: "shelf-none".parse().expect("a legal id"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_secs(1),
        clock,
        entropy,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let report = run("provider", "shelf", "none", &provider::laws(), async || subject()).await;
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
}

#[tokio::test]
async fn the_example_of_a_third_party_keeps_the_laws() {
    let report = run("provider", "shelf", "none", &provider::laws(), async || subject()).await;
    assert!(report.is_kept(), "{report:#?}");
}
