//! A small world of offers that a test owns, alters and asks an engine about.
//!
//! # Flow
//! Start from `PriceWorld::default`, add lanes with `with_lane`, alter the last one through `last`, and ask by
//! `rank`.
//!
//! # Guarantees
//! Nothing in it depends on the day of the test: prices were read at `PRICED_AT`, and that is also now.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::contracts::pricing::{Excluded, Prepared, PriceContext, PricedLane, PricingEngine, Ranking};
use crate::nouns::offering::{Billing, Catalogue, Image, OffBilling, Offering, Price};
use crate::nouns::options::MachineOption;
use crate::nouns::overlay::Overlay;
use crate::nouns::request::{Arch, Market, Request};
use crate::nouns::system::System;
use crate::words::clock::Timestamp;
use crate::words::ids::CredentialId;
use crate::words::lane::{Endpoint, Lane};
use crate::words::money::Money;

/// A lane and what it offers.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldLane {
    /// Which.
    pub lane: Lane,
    /// With which key.
    pub credential: CredentialId,
    /// What it offers.
    pub catalogue: Catalogue,
}

/// Everything a ranking depends on, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceWorld {
    /// Lanes, in the order an engine sees them.
    pub lanes: Vec<WorldLane>,
    /// Offers not to take.
    pub excluded: BTreeSet<Excluded>,
    /// What the team pays less.
    pub overlays: Vec<Overlay>,
    /// Now.
    pub now: Timestamp,
    /// When live prices are stale.
    pub stale_after: Duration,
    /// Quotes at most.
    pub limit: usize,
}

/// 2026-01-01, midnight UTC: when the world's prices were read.
pub const PRICED_AT: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Default for PriceWorld {
    /// No lanes; the moment is [`PRICED_AT`], and up to a thousand quotes are wanted.
    fn default() -> Self {
        let stale_after = Duration::from_secs(30 * 24 * 3600);
        Self {
            lanes: Vec::new(),
            excluded: BTreeSet::new(),
            overlays: Vec::new(),
            now: PRICED_AT,
            stale_after,
            limit: 1000,
        }
    }
}

impl PriceWorld {
    /// A copy of what an engine was shown. Whoever records what an engine was asked can ask another engine, or the
    /// same one later, and compare the two.
    #[must_use]
    pub fn copy_of(context: &PriceContext<'_>) -> Self {
        let copy = |it: &PricedLane<'_>| WorldLane {
            lane: it.lane.clone(),
            credential: it.credential.clone(),
            catalogue: it.catalogue.clone(),
        };
        Self {
            lanes: context.lanes.iter().map(copy).collect(),
            excluded: context.excluded.clone(),
            overlays: context.overlays.to_vec(),
            now: context.now,
            stale_after: context.stale_after,
            limit: context.limit,
        }
    }

    /// The world with one more lane: `ubuntu 24.04` for both architectures, no disk sold, billed by the second.
    #[must_use]
    pub fn with_lane(mut self, cloud: &str, region: &str, offerings: Vec<Offering>) -> Self {
        let image = |arch: Arch, id: &str| Image {
            id: id.parse().expect("a short id"),
            name: id.to_owned(),
            os: "ubuntu 24.04".to_owned(),
            arch,
            created_at: PRICED_AT,
            system: System::default(),
            min_disk_gib: 0,
            min_memory_mib: 0,
        };
        self.lanes.push(WorldLane {
            lane: Lane {
                cloud: cloud.parse().expect("a short name"),
                endpoint: Endpoint::default(),
                account: "payer".parse().expect("a short name"),
                region: region.parse().expect("a short name"),
            },
            credential: format!("{cloud}/default").parse().expect("a short name"),
            catalogue: Catalogue {
                offerings,
                images: vec![image(Arch::X86_64, "ubuntu-x86"), image(Arch::Arm64, "ubuntu-arm")],
                disk_gib_hour: Money::default(),
                ipv4_hour: Money::default(),
                billing: Billing::default(),
                billing_by_system: [].into(),
                off_billing: OffBilling::default(),
                options: [].into(),
                as_of: PRICED_AT,
            },
        });
        self
    }

    /// The last lane's catalogue, to alter.
    ///
    /// # Panics
    /// When there is no lane yet.
    pub fn last(&mut self) -> &mut Catalogue {
        &mut self.lanes.last_mut().expect("a lane was added").catalogue
    }

    /// A world that offers the same, and differs in all that what is prepared must not hold
    /// ([`PricingEngine::prepare`]): zones, images, options, who said a price, why there is none, and when, but for the
    /// order of these moments. Its images need more than most machines have, and its live prices are old.
    #[must_use]
    pub fn same_offers(&self) -> Self {
        let mut other = self.clone();
        for Catalogue { offerings, images, options, as_of, .. } in
            other.lanes.iter_mut().map(|lane| &mut lane.catalogue)
        {
            let read = offerings.iter().filter_map(|it| match it.price {
                Price::Known { as_of, .. } => Some(as_of),
                Price::Unknown { .. } => None,
            });
            let read: BTreeSet<Timestamp> = read.collect();
            for offering in &mut *offerings {
                offering.zones = match offering.zones.len() {
                    0 => "elsewhere".parse().into_iter().collect(),
                    more => offering.zones.drain(1..).chain("elsewhere".parse()).take(more % 3).collect(),
                };
                match &mut offering.price {
                    Price::Known { as_of, source, .. } => {
                        let hours = i64::try_from(read.range(*as_of..).count()).unwrap_or(0);
                        *as_of = PRICED_AT - jiff::SignedDuration::from_hours(24 * 365 + hours);
                        "somebody else".clone_into(source);
                    }
                    Price::Unknown { reason } => "for another reason".clone_into(reason),
                }
            }
            images.reverse();
            for (nth, image) in images.iter_mut().enumerate() {
                (image.min_disk_gib, image.min_memory_mib) = (40, 3072);
                image.id = format!("other-{nth}").parse().expect("a short id");
            }
            if !options.remove(&MachineOption::Files) {
                options.insert(MachineOption::Files);
            }
            *as_of -= jiff::SignedDuration::from_hours(1);
        }
        other
    }

    /// Asks an engine that has prepared nothing. Borrows the world for the call alone: a test alters it and asks again.
    pub fn rank(&self, engine: &dyn PricingEngine, need: &Request) -> Ranking {
        let unprepared: Vec<_> = self.lanes.iter().map(|_| Prepared::none().clone()).collect();
        self.with_context(&unprepared, |context| engine.rank(need, context))
    }

    /// Asks an engine that has prepared every catalogue, as it would be asked in earnest.
    pub fn rank_prepared(&self, engine: &dyn PricingEngine, need: &Request) -> Ranking {
        self.with_context(&self.prepare(engine), |context| engine.rank(need, context))
    }

    /// What an engine makes of each lane's catalogue.
    pub fn prepare(&self, engine: &dyn PricingEngine) -> Vec<Prepared> {
        self.lanes.iter().map(|lane| engine.prepare(&lane.catalogue)).collect()
    }

    /// The world as an engine is shown it, with one thing prepared for each lane.
    pub fn with_context<T>(&self, prepared: &[Prepared], work: impl FnOnce(&PriceContext<'_>) -> T) -> T {
        let pairs = self.lanes.iter().zip(prepared);
        let lanes: Vec<PricedLane<'_>> = pairs
            .map(|(WorldLane { lane, credential, catalogue }, prepared)| PricedLane {
                lane,
                credential,
                catalogue,
                prepared,
            })
            .collect();
        let Self { excluded, overlays, now, stale_after, limit, .. } = self;
        let (now, stale_after, limit) = (*now, *stale_after, *limit);
        work(&PriceContext { lanes: &lanes, excluded, overlays, now, stale_after, limit })
    }
}

/// An offering on demand without disk, accelerators or zones; `usd` is its price per hour.
///
/// # Panics
/// When the name or the price is malformed.
#[must_use]
pub fn offering(name: &str, vcpus: u32, memory_gib: u64, usd: &str) -> Offering {
    let per_hour = Money::parse_usd(usd).expect("a decimal");
    Offering {
        vcpus_milli: vcpus * 1000,
        memory_mib: memory_gib * 1024,
        price: Price::Known { per_hour, as_of: PRICED_AT, source: "test".to_owned(), live: false },
        ..Offering::new(name.parse().expect("a short name"), Arch::X86_64, Market::OnDemand)
    }
}
