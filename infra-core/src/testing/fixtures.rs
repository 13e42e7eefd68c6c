//! Records as they stand right after admission, for tests and benches of what follows.
//!
//! # Guarantees
//! The same arguments give the same record, on every machine: nothing is read from a clock or drawn by chance.
//!
//! # Caveats
//! Names such as `rsv_1` and `team` repeat. A test that keeps two of a kind in one store has to rename one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::SeededEntropy;
use crate::contracts::provider::{Facts, KindFacts, TokenScope};
use crate::nouns::cloud::{PowerMode, ThingState};
use crate::nouns::launch::{
    FirewallBody, FrozenLaunch, Launch, LaunchBody, LaunchState, MachineBody, Origin, Thing, Want,
};
use crate::nouns::offering::{Offering, Price};
use crate::nouns::options::MachineOptions;
use crate::nouns::request::{Arch, Market, Request};
use crate::nouns::reservation::{
    Choice, DeadlineKind, Deadlines, Desired, Heal, Phase, Power, Reservation, Source, Spec, Summary,
};
use crate::words::clock::Timestamp;
use crate::words::ids::{ImageId, InstallationId, LaunchToken, ReservationId, ResourceId, Zone};
use crate::words::lane::{Endpoint, Lane, Mark, ResourceKind, Version};
use crate::words::limits::Rate;
use crate::words::money::Money;

/// A lane of a cloud that does not exist. All fixtures share it, so that records made by different functions belong
/// together.
#[must_use]
pub fn lane() -> Lane {
    Lane {
        cloud: "sim".parse().expect("a legal name"),
        endpoint: Endpoint::default(),
        account: "acc-1".parse().expect("a legal name"),
        region: "sim-east".parse().expect("a legal name"),
    }
}

/// What its cloud can do: machines alone, up to `max_batch` per call, with a token or without. Rates are open: a test
/// that is held back by one has set it itself.
#[must_use]
pub fn facts(max_batch: u16, token: bool) -> Facts {
    let token = if token {
        TokenScope::Token { valid_after_end: Duration::from_secs(86_400), per_zone: true }
    } else {
        TokenScope::None
    };
    Facts {
        kinds: vec![KindFacts {
            kind: ResourceKind::Machine,
            token,
            max_batch,
            visible_within: Duration::from_secs(60),
            gone_shown_for: Duration::from_secs(3600),
            of_maker: false,
        }],
        off_modes: vec![PowerMode::Stop],
        create_rate: Rate::OPEN,
        terminate_rate: Rate::OPEN,
        open_creates_max: 20,
        reads: crate::contracts::provider::ReadPace::default(),
        simulated: true,
        login: crate::contracts::provider::LoginScheme::ByImage,
    }
}

/// One way to get a small machine. One cent per hour, priced by no live source, so that it never grows stale in the
/// middle of a test.
#[must_use]
pub fn choice() -> Choice {
    let now = Timestamp::UNIX_EPOCH;
    let per_hour = Money::usd_nanos(10_000_000);
    let zone: Zone = "sim-east-1".parse().expect("a legal name");
    Choice {
        lane: lane(),
        credential: "sim/default/acc-1".parse().expect("a legal name"),
        offering: Offering {
            vcpus_milli: 1000,
            memory_mib: 1024,
            zones: vec![zone.clone()],
            price: Price::Known { per_hour, as_of: now, source: "fixture".to_owned(), live: false },
            ..Offering::new("t.small".parse().expect("a legal name"), Arch::X86_64, Market::OnDemand)
        },
        zone: Some(zone),
        image: ImageId::new("img-1").expect("a legal name"),
        disk_gib: 8,
        per_hour,
        tariff: None,
    }
}

/// The small machine of [`choice`], with nothing but what every machine has. Everything optional is left out: a test
/// adds what it is about.
#[must_use]
pub fn machine() -> MachineBody {
    let choice = choice();
    MachineBody {
        type_name: choice.offering.type_name,
        image: choice.image,
        disk_gib: 0,
        market: choice.offering.market,
        user_data: None,
        ssh_public_keys: Vec::new(),
        firewall: None,
        key_pair: None,
        private_only: false,
        options: MachineOptions::default(),
        files: None,
        spot_max: None,
    }
}

/// A reservation as admission writes it: `count` machines, on, for `duration`. Nothing has been launched, no unit
/// exists, and its end is the provisional one, which leaves time for a build.
#[must_use]
pub fn reservation(count: u32, heal: Heal, duration: Option<Duration>, now: Timestamp) -> Reservation {
    let request = Request {
        count: Some(count),
        duration_s: duration.map(|duration| duration.as_secs()),
        ..Request::default()
    };
    let limits = crate::Limits::default();
    let ends = duration.map(|d| crate::plan::reservation::provisional_end(now, d, limits.build_deadline));
    Reservation {
        id: ReservationId::new("rsv_1").expect("a legal name"),
        tenant: "team".parse().expect("a legal name"),
        owner: "ada".parse().expect("a legal name"),
        shares: BTreeMap::new(),
        source: Source::Cloud,
        spec: Spec {
            request,
            setup: None,
            files: None,
            login: None,
            from_profile: Vec::new(),
            template: None,
            choices: vec![choice()],
        },
        desired: Desired { count, power: Power::On, present: true, change: 1 },
        heal,
        parent: None,
        needs: Vec::new(),
        next_unit: 0,
        deadlines: Deadlines(ends.map(|at| (DeadlineKind::Ends, at)).into_iter().collect::<BTreeMap<_, _>>()),
        hold: None,
        end_cause: None,
        failure: None,
        recent_creates: Vec::new(),
        tries: Vec::new(),
        summary: Summary {
            phase: Phase::Pending,
            wanted: count,
            have: 0,
            ready: 0,
            reason: None,
            places: Vec::new(),
        },
        created_at: now,
        ready_at: None,
        over_at: None,
        idempotency: Vec::new(),
        counted: count,
        request_id: None,
        diverged_at: None,
        cost: None,
        charge: None,
        months: BTreeMap::new(),
    }
}

/// An attempt at a firewall, unknown and never sent, with nothing made: its token is drawn from `seed`. One seed
/// gives the same attempt on every machine; two seeds give two tokens and two installations, and nothing else
/// differs.
#[must_use]
pub fn launch(seed: u64) -> Launch {
    let (entropy, epoch) = (SeededEntropy::new(seed), Timestamp::UNIX_EPOCH);
    let token = LaunchToken::draw(epoch, &entropy);
    let installation = InstallationId::draw(epoch, &entropy);
    let mark = Mark { installation, token, kind: ResourceKind::Firewall, seq: Version(1) };
    Launch {
        token,
        tenant: "team".parse().expect("a legal name"),
        reservation: ReservationId::new("rsv_1").expect("a legal name"),
        lane: lane(),
        credential: "sim/default/acc-1".parse().expect("a legal name"),
        origin: Origin::Created,
        units: 0..0,
        wants: BTreeMap::from([(0, Want::On)]),
        cause: None,
        frozen: FrozenLaunch {
            token,
            mark,
            name: format!("infra-{token}"),
            count: 1,
            zone: None,
            labels: BTreeMap::new(),
            body: LaunchBody::Firewall(FirewallBody::open_to(vec!["10.0.0.0/8".to_owned()])),
        },
        sends: Vec::new(),
        state: LaunchState::Unknown,
        things: Vec::new(),
        unseen: None,
        superseded: false,
        short: false,
        ambiguous: false,
        retry: None,
        created_at: epoch,
        keep_until: None,
        request_id: None,
        told: [].into(),
        price: None,
    }
}

/// A thing that runs and fills no slot. Its last look was at `seen_at`, it has been seen to run, and nothing was ever
/// ordered of it.
#[must_use]
pub fn thing(id: &str, seen_at: Timestamp) -> Thing {
    Thing {
        id: ResourceId::new(id).expect("a legal name"),
        unit: None,
        state: ThingState::Running,
        seen_at,
        public_address: None,
        private_address: None,
        zone: None,
        late: false,
        mark_lost: false,
        confirmed: false,
        ran: true,
        missing: None,
        ending: None,
        power: None,
        power_refused: None,
        end: None,
        fault: None,
        born_at: None,
        ended_at: None,
        offs: Vec::new(),
    }
}
