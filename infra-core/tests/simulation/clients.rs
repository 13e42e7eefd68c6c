//! The same worlds through the real clients of real clouds, over their protocols: whatever the engine promises on the
//! sim it keeps on the wire, and a defect that breaks it is caught there, too.

use infra_core::words::planted::{Bug, Planted};

use super::gate::StepKind;
use super::skin::Kind;
use super::{many, one};

/// Worlds per cloud.
const SEEDS: u64 = 60;

/// `INFRA_CLIENT_SEEDS` asks for more, apart from the simulation on the sim: a world costs several times as much here.
fn seeds() -> u64 {
    std::env::var("INFRA_CLIENT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// Worlds within which a defect must be caught.
const SEEDS_PER_BUG: u64 = 200;

/// Which defects bite on which wire. A droplet that is off is a snapshot; Nova's servers just stop.
const ON_THE_WIRE: [(Bug, &[Kind]); 6] = [
    // OpenStack's client itself sends nothing with a token of another project: there the defect has no damage to do.
    (Bug::C3AbsenceOfAnotherAccount, &[Kind::DigitalOcean]),
    (Bug::C8TokenlessResend, &[Kind::DigitalOcean, Kind::OpenStack]),
    (Bug::C9CopiedMarkAdopted, &[Kind::DigitalOcean, Kind::OpenStack]),
    (Bug::C11NotFoundIsGone, &[Kind::DigitalOcean, Kind::OpenStack]),
    (Bug::C12LostMarkReplaced, &[Kind::DigitalOcean, Kind::OpenStack]),
    (Bug::C15SnapshotUnproven, &[Kind::DigitalOcean]),
];

fn comes_through(kind: Kind) {
    let (coverage, verdict) = many(kind, Planted::NONE, seeds());
    println!("{} cloud={kind:?}", coverage.line());
    assert_eq!(verdict, None);
    let on_the_wire = coverage.crashes.get(&StepKind::Request).copied().unwrap_or_default();
    let met = [
        ("unknown sends", coverage.unknown_sends),
        ("lagging lists", coverage.lagging_lists),
        ("stuck terminates", coverage.stuck_terminates),
        ("crashes at a request", on_the_wire),
        // A server of Nova that is off is no snapshot.
        ("snapshots", coverage.snapshots + u64::from(kind == Kind::OpenStack) * 5),
    ];
    for (name, met) in met {
        assert!(met >= 5 || seeds() < SEEDS, "{name} were met only {met} times");
    }
}

#[test]
fn crash_between_any_two_requests_to_digitalocean() {
    comes_through(Kind::DigitalOcean);
}

#[test]
fn crash_between_any_two_requests_to_openstack() {
    comes_through(Kind::OpenStack);
}

/// The first world in which a defect shows; the same world without it is well.
fn caught(bug: Bug, kind: Kind) -> Option<String> {
    let seen = |seed| Some((seed, one(kind, seed, Planted::one(bug)).1?));
    let (seed, how) = (0..SEEDS_PER_BUG).find_map(seen)?;
    assert_eq!(one(kind, seed, Planted::NONE).1, None, "{kind:?} fails without {bug:?}, too");
    println!("COUNT planted_on_the_wire bug={bug:?} cloud={kind:?} seeds={} by={how:?}", seed + 1);
    Some(how)
}

#[test]
fn what_naive_rules_get_wrong_is_caught_through_the_real_clients() {
    let pairs = ON_THE_WIRE.into_iter().flat_map(|(bug, kinds)| kinds.iter().map(move |kind| (bug, *kind)));
    let missed: Vec<_> = pairs.filter(|(bug, kind)| caught(*bug, *kind).is_none()).collect();
    assert!(missed.is_empty(), "not caught within {SEEDS_PER_BUG} worlds: {missed:?}");
}
