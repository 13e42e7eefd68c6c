//! What makes catalogues differ, field by field.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::*;
use crate::nouns::offering::{Billing, Image, OffBilling};
use crate::nouns::options::MachineOption;
use crate::nouns::request::{Arch, Market};
use crate::nouns::system::System;
use crate::words::money::Money;

const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn offering(nth: u32) -> Offering {
    let price = Price::Known {
        per_hour: Money::usd_nanos(1_000_000 + i64::from(nth * 7919 % 1_000_003)),
        as_of: NOW,
        source: "list".to_owned(),
        live: true,
    };
    let name = format!("m{}.{}xlarge.v{nth}", nth % 9, nth % 48);
    Offering {
        vcpus_milli: 1000 * (1 + nth % 96),
        memory_mib: 1024 * (1 + u64::from(nth % 400)),
        family: format!("m{}", nth % 9),
        generation: Some(nth % 9),
        zones: ["a", "b"].iter().filter_map(|zone| zone.parse().ok()).collect(),
        price,
        ..Offering::new(name.parse().expect("a short name"), Arch::X86_64, Market::OnDemand)
    }
}

fn catalogue(offerings: u32) -> Catalogue {
    Catalogue {
        offerings: (0..offerings).map(offering).collect(),
        images: Vec::new(),
        disk_gib_hour: Money::usd_nanos(109_590),
        ipv4_hour: Money::usd_nanos(5_000_000),
        billing: Billing::default(),
        billing_by_system: BTreeMap::new(),
        off_billing: OffBilling::default(),
        options: BTreeSet::new(),
        as_of: NOW,
    }
}

/// The catalogue with another price of its second offering.
fn repriced(at: &mut Catalogue, change: impl FnOnce(&mut Money, &mut Timestamp, &mut bool)) {
    if let Price::Known { per_hour, as_of, live, .. } = &mut at.offerings[1].price {
        change(per_hour, as_of, live);
    }
}

#[test]
fn a_list_that_changed_is_ranked_by_the_index_of_the_old_one() {
    let changes: Vec<fn(&mut Catalogue)> = vec![
        |it| it.disk_gib_hour = Money::usd_nanos(1),
        |it| it.ipv4_hour = Money::usd_nanos(1),
        |it| it.billing = Billing::PerHour,
        |it| it.billing_by_system = [(System::Suse, Billing::PerHour)].into(),
        |it| it.off_billing = OffBilling::Disks,
        |it| drop(it.offerings.pop()),
        |it| it.offerings.swap(0, 1),
        |it| it.offerings[1].type_name = "other".parse().expect("a short name"),
        |it| it.offerings[1].vcpus_milli += 1,
        |it| it.offerings[1].memory_mib += 1,
        |it| it.offerings[1].disk_gib += 1,
        |it| it.offerings[1].gpus += 1,
        |it| it.offerings[1].gpu_model = Some("t4".to_owned()),
        |it| it.offerings[1].arch = Arch::Arm64,
        |it| it.offerings[1].market = Market::Spot,
        |it| it.offerings[1].family = "c6".to_owned(),
        |it| it.offerings[1].generation = None,
        |it| it.offerings[1].burstable = true,
        |it| it.offerings[1].gpu_memory_mib += 1,
        |it| it.offerings[1].fee_per_hour = Money::usd_nanos(1),
        |it| it.offerings[1].local_disk_gib += 1,
        |it| it.offerings[1].system = System::Windows,
        |it| it.offerings[1].price = Price::Unknown { reason: String::new() },
        |it| repriced(it, |per_hour, _, _| per_hour.nanos += 1),
        |it| repriced(it, |_, as_of, _| *as_of -= SignedDuration::from_secs(1)),
        |it| repriced(it, |_, as_of, _| *as_of += SignedDuration::from_secs(1)),
        |it| repriced(it, |_, _, live| *live = false),
    ];
    let keys = Sameness::default();
    let mut seen = BTreeSet::from([keys.of(&catalogue(3))]);
    for (nth, change) in changes.iter().enumerate() {
        let mut changed = catalogue(3);
        change(&mut changed);
        assert!(seen.insert(keys.of(&changed)), "change {nth} is not seen");
    }
    assert_eq!(keys.of(&catalogue(700)), keys.of(&catalogue(700)), "of several pieces");
    let mut last = catalogue(700);
    last.offerings[699].memory_mib += 1;
    assert_ne!(keys.of(&last), keys.of(&catalogue(700)));
}

/// All that the law `what_was_prepared_serves_all_that_offer_the_same` lets differ, and [`PricingEngine::prepare`] promises.
///
/// [`PricingEngine::prepare`]: crate::contracts::pricing::PricingEngine::prepare
#[test]
fn every_team_has_an_index_of_its_own_for_one_price_list() {
    let keys = Sameness::default();
    let mut one = catalogue(9);
    for (hours, offering) in (0..).zip(&mut one.offerings) {
        if let Price::Known { as_of, .. } = &mut offering.price {
            *as_of -= SignedDuration::from_hours(hours * 5 % 4);
        }
    }
    one.offerings[3].price = Price::Unknown { reason: "not for sale".to_owned() };
    let mut other = one.clone();
    for offering in &mut other.offerings {
        offering.zones = vec!["their-own-name".parse().expect("a short name")];
        match &mut offering.price {
            Price::Known { as_of, source, .. } => {
                // Read a minute later, all of them.
                *as_of += SignedDuration::from_secs(60);
                "the same list".clone_into(source);
            }
            Price::Unknown { reason } => "nobody knows".clone_into(reason),
        }
    }
    other.as_of += SignedDuration::from_secs(60);
    other.options = [MachineOption::Network].into();
    other.images = vec![Image {
        id: "theirs".parse().expect("a short name"),
        name: String::new(),
        os: "debian 13".to_owned(),
        arch: Arch::X86_64,
        created_at: NOW,
        system: System::default(),
        min_disk_gib: 30,
        min_memory_mib: 4096,
    }];
    assert_eq!(keys.of(&other), keys.of(&one));
}
