//! Why nothing fits: the one limit whose relaxing helps most, and what misses by the least.
//!
//! # Flow
//! Places and images that are not there at all are said first, because no size would help. Then every offer is
//! asked what it misses. Of those that miss the fewest limits, the limit that most of them miss is named: when one
//! limit alone stands in the way, relaxing that one lets in more offers than relaxing any other.
//!
//! # Guarantees
//! * The named best is usable as it stands: ask for it, with all else as it was, and something fits. Where every offer
//!   misses two limits or more no best is named, because asking for it would be refused as well; the others are.
//! * `field` is a field of the wire's request. The one exception is `capacity`: everything that fits failed for
//!   capacity or quota lately, so no field is to blame, and waiting helps. Where waiting alone does not, a field is named.
//! * At most [`NEAREST_MAX`] near misses, each offering once, in its first open zone.
//!
//! # Assumptions
//! The same offers were ranked before, and none of them fitted; what is asked here again costs a second pass over what
//! misses the fewest limits, which only a refusal pays for.
//!
//! # Caveats
//! When several limits stand in the way of every offer, relaxing the named one alone lets in nothing yet: it is the
//! one that the most of the nearest miss, and it says so. Near misses are measured by what is lacking as a share of what
//! was asked. What is no number (a region, an architecture) counts as lacking whole. What is too dear only for the disk
//! that is asked for counts as too dear, although less disk would help as well.

use std::collections::BTreeSet;

use super::fit::{Fit, LaneView};
use super::limit::Limit;
use super::need::{Need, Nonsense, Wish};
use super::{NEAREST_MAX, index, rank};
use crate::contracts::pricing::{FailedLimit, NoFit, NoFitReason, Quote};
use crate::nouns::request::{Arch, Market};
use crate::nouns::system::System;
use crate::words::money::Money;

/// Most names listed as what there is.
const NAMES_MAX: usize = 10;

/// Explains. `lanes` hold no offer that misses nothing, unless `nonsense` was asked (a size that is no number,
/// no machine at all): that is refused by its name, whatever is on offer.
///
/// Answers a reason (which kind of error it is on the wire), the limit with the best there is of it, and the near
/// misses as quotes.
pub(super) fn no_fit<'a>(need: &Need<'_>, lanes: &'a [LaneView<'a>], nonsense: Option<Nonsense>) -> NoFit {
    let every = |lane: &'a LaneView<'a>| {
        lane.priced.catalogue.offerings.iter().filter_map(|it| Fit::assess(need, lane, it))
    };
    // Nonsense is answered with the best of all there is; anything else is a question about what misses the fewest.
    let all: Vec<Fit<'a, 'a>> =
        if nonsense.is_some() { lanes.iter().flat_map(every).collect() } else { index::near(need, lanes) };
    let (reason, failed) = nonsense.map_or_else(
        || why(need, lanes, &all),
        |it| {
            let limit = if it.limit == Limit::Count { None } else { best(it.limit, need, &all) };
            (NoFitReason::TooDemanding, failed(it.limit, it.detail, limit))
        },
    );
    NoFit { reason, failed, nearest: nearest(need, all) }
}

/// The reason and the limit, for a request that makes sense. From the outside in: no key, no such place, no such
/// image, and only then sizes and prices. So nobody is told to ask for less memory in a region that is not there.
fn why(need: &Need<'_>, lanes: &[LaneView<'_>], all: &[Fit<'_, '_>]) -> (NoFitReason, FailedLimit) {
    let mut asked_for = lanes.iter().filter(|lane| lane.is_named()).peekable();
    if lanes.is_empty() {
        let detail = "no key reaches any cloud".to_owned();
        return (NoFitReason::NoLanes, failed(Limit::Provider, detail, None));
    }
    if asked_for.peek().is_none() {
        return (NoFitReason::UnknownRegion, unknown_place(need, lanes));
    }
    if !asked_for.any(|lane| lane.can_boot(need)) {
        return (NoFitReason::UnknownImage, unknown_image(need, lanes));
    }
    if let Some(system) = unpriced(need, lanes) {
        let detail = format!("nobody names a price with {system}; one of another system is not taken for it");
        return (NoFitReason::TooDemanding, failed(need.image_limit(), detail, None));
    }
    let too_much = match helps_most(all) {
        Some((limit, fewest)) => {
            let missing: Vec<&Fit<'_, '_>> =
                all.iter().filter(|fit| fit.misses.has(limit) && fit.misses.count() == fewest).collect();
            if fewest > 1 {
                return (NoFitReason::TooDemanding, not_alone(limit, need, &missing));
            }
            let best = best(limit, need, missing.iter().copied());
            let too_large = missing.iter().filter_map(|fit| fit.image_needs_mib()).min();
            let too_large = too_large.filter(|_| limit == need.image_limit());
            let detail = detail(limit, need, best.as_deref(), too_large);
            failed(limit, detail, best)
        }
        None => nothing_boots(need, lanes),
    };
    (NoFitReason::TooDemanding, too_much)
}

/// No offer is even near: none has a price, or what boots needs more memory than any offer has.
fn nothing_boots(need: &Need<'_>, lanes: &[LaneView<'_>]) -> FailedLimit {
    let arches =
        [Arch::X86_64, Arch::Arm64].into_iter().filter(|arch| need.arch.is_none_or(|it| it == *arch));
    let needs = arches.flat_map(|arch| lanes.iter().map(move |lane| lane.needs_mib(arch)));
    let Some(least) = needs.filter(|mib| *mib > 0).min() else {
        return failed(Limit::MaxPrice, "no offer has a known price and an image".to_owned(), None);
    };
    let (limit, gib) = (need.image_limit(), parts(least, 1024));
    let detail = format!("is {}, which needs {gib} GiB of memory; no offer has that", asked(limit, need));
    failed(limit, detail, None)
}

/// The system that is paid for and of which no lane that boots it has a price; `None` when a price is not what is
/// missing.
fn unpriced(need: &Need<'_>, lanes: &[LaneView<'_>]) -> Option<System> {
    let bootable = lanes.iter().filter(|lane| lane.is_named() && lane.can_boot(need));
    let systems: Option<BTreeSet<System>> = bootable.map(|lane| lane.unpriced(need)).collect();
    systems?.into_iter().find(|system| !system.is_linux())
}

/// A limit of several that the nearest offers miss each: no best of it would do, so the others are named instead.
fn not_alone(limit: Limit, need: &Need<'_>, missing: &[&Fit<'_, '_>]) -> FailedLimit {
    let missed = |other: &Limit| missing.iter().any(|fit| fit.misses.has(*other));
    let others = Limit::ALL.into_iter().filter(|other| *other != limit && missed(other));
    let also: Vec<String> = others.map(|other| other.field().to_owned()).collect();
    let is = match limit {
        Limit::MaxPrice => format!("is {}", Money::usd_nanos(need.cap.unwrap_or(0))),
        Limit::Burstable => "is deny".to_owned(),
        Limit::Families | Limit::Regions | Limit::Providers => "rules out what comes nearest".to_owned(),
        _ => format!("is {}", asked(limit, need)),
    };
    let detail = format!(
        "{is}, and without that nothing fits either: what comes nearest also misses {}",
        also.join(", ")
    );
    FailedLimit { also, ..failed(limit, detail, None) }
}

/// Of the offers that miss the fewest limits: the limit that most of them miss, and how many that fewest is. When
/// one limit alone stands in the way, dropping the answer lets in more offers than dropping any other. Capacity, which
/// nobody can relax, is the answer only when it stands there alone.
fn helps_most(all: &[Fit<'_, '_>]) -> Option<(Limit, u32)> {
    let fewest = all.iter().map(|fit| fit.misses.count()).min()?;
    let near = || all.iter().filter(|fit| fit.misses.count() == fewest);
    let lets_in = |limit: Limit| near().filter(|fit| fit.misses.has(limit)).count();
    // `rev`, because the last of equals wins and the first declared should.
    let named = Limit::ALL.into_iter().rev().filter(|limit| fewest == 1 || *limit != Limit::Capacity);
    named.max_by_key(|limit| lets_in(*limit)).map(|limit| (limit, fewest))
}

/// A limit under its name on the wire.
fn failed(limit: Limit, detail: String, best: Option<String>) -> FailedLimit {
    FailedLimit { field: limit.field().to_owned(), detail, limit: best, also: Vec::new() }
}

/// No lane is where it was asked for: the cloud is not reached at all, or not in that region.
fn unknown_place(need: &Need<'_>, lanes: &[LaneView<'_>]) -> FailedLimit {
    let of_cloud = |lane: &&LaneView<'_>| need.provider.is_none_or(|it| it == &lane.priced.lane.cloud);
    match (need.provider, need.region) {
        (Some(cloud), _) if !lanes.iter().any(|lane| of_cloud(&lane)) => {
            let there = names(lanes.iter().map(|lane| lane.priced.lane.cloud.as_str()));
            failed(Limit::Provider, format!("no key reaches {cloud}; there is {there}"), Some(there))
        }
        (_, region) => {
            let there = names(lanes.iter().filter(of_cloud).map(|lane| lane.priced.lane.region.as_str()));
            let asked = region.map_or("", |it| it.as_str());
            failed(Limit::Region, format!("no key reaches region {asked}; there is {there}"), Some(there))
        }
    }
}

/// The lanes are there, but none can boot what was asked for.
fn unknown_image(need: &Need<'_>, lanes: &[LaneView<'_>]) -> FailedLimit {
    let images = lanes.iter().filter(|lane| lane.is_named()).flat_map(|it| &it.priced.catalogue.images);
    let images = images.filter(|image| need.arch.is_none_or(|arch| arch == image.arch));
    let (asked, there) = match need.wish {
        Wish::Id(id) => (id.as_str(), names(images.map(|image| image.id.as_str()))),
        Wish::Os(os) => (os, names(images.map(|image| image.os.as_str()))),
    };
    let limit = need.image_limit();
    failed(limit, format!("no image for {} {asked:?}; there is {there}", limit.field()), Some(there))
}

/// The failed limit in words: what was asked, and the best there is, in the unit of the wire's field (GiB, processors,
/// US dollars per hour). For people; programs read `field` and `limit`.
///
/// `too_large` is the memory in MiB that an image needs, where it is there and that is what stands in the way.
fn detail(limit: Limit, need: &Need<'_>, best: Option<&str>, too_large: Option<u64>) -> String {
    let best = best.unwrap_or("none");
    if let Some(mib) = too_large {
        let (asked, gib) = (asked(limit, need), parts(mib, 1024));
        return format!("is {asked}, which needs {gib} GiB of memory; what fits otherwise has {best}");
    }
    match limit {
        Limit::Capacity => {
            "every offer that fits failed for capacity or quota in the last minutes".to_owned()
        }
        Limit::MaxPrice => {
            let cap = need.cap.map_or_else(String::new, |nanos| Money::usd_nanos(nanos).to_string());
            format!("is {cap}; the cheapest that fits otherwise costs {best} with all that belongs to it")
        }
        Limit::Vcpus | Limit::Memory | Limit::Disk | Limit::Gpus => {
            format!("is {}; the most there is otherwise is {best}", asked(limit, need))
        }
        Limit::Burstable => "is deny; what fits otherwise is burstable".to_owned(),
        Limit::Families | Limit::Regions | Limit::Providers => {
            format!("rules it out; what fits otherwise has {best}")
        }
        _ => format!("is {}; what fits otherwise has {best}", asked(limit, need)),
    }
}

/// What was asked for, as the wire would say it.
fn asked(limit: Limit, need: &Need<'_>) -> String {
    match limit {
        Limit::Vcpus => parts(need.vcpus_milli, 1000),
        Limit::Memory => parts(need.memory_mib, 1024),
        Limit::Disk => need.disk_gib.to_string(),
        Limit::Gpus => need.gpus.to_string(),
        Limit::GpuModel => need.gpu_model.unwrap_or_default().to_owned(),
        Limit::Market => {
            need.market.markets().iter().map(|it| market_word(*it)).collect::<Vec<_>>().join(" or ")
        }
        Limit::Arch => need.arch.map_or("", arch_word).to_owned(),
        Limit::Region => need.region.map_or_else(String::new, ToString::to_string),
        Limit::Provider => need.provider.map_or_else(String::new, ToString::to_string),
        Limit::Image | Limit::Os => match need.wish {
            Wish::Id(id) => id.to_string(),
            Wish::Os(os) => os.to_owned(),
        },
        Limit::Generation => need.policy.min_generation.map_or_else(String::new, |it| it.to_string()),
        Limit::MaxPrice
        | Limit::Capacity
        | Limit::Count
        | Limit::Burstable
        | Limit::Families
        | Limit::Regions
        | Limit::Providers => String::new(),
    }
}

/// The best these offers have in a limit's unit: the most, the lowest price, or the names. `None` where there is no
/// such thing: for capacity, for a count, and where no offer is left.
fn best<'f, 'a: 'f>(
    limit: Limit,
    need: &Need<'_>,
    fits: impl IntoIterator<Item = &'f Fit<'a, 'a>>,
) -> Option<String> {
    let fits = fits.into_iter();
    let some = |names: String| (!names.is_empty()).then_some(names);
    match limit {
        Limit::MaxPrice => fits.map(|it| it.per_hour).min().map(|it| Money::usd_nanos(it).to_string()),
        Limit::Vcpus => fits.map(|it| it.offering.vcpus_milli).max().map(|it| parts(it.into(), 1000)),
        Limit::Memory => fits.map(|it| it.offering.memory_mib).max().map(|it| parts(it, 1024)),
        Limit::Disk => fits.map(|it| it.offering.disk_gib).max().map(|it| it.to_string()),
        Limit::Gpus => fits.map(|it| it.offering.gpus).max().map(|it| it.to_string()),
        Limit::GpuModel => some(names(fits.filter_map(|it| it.offering.gpu_model.as_deref()))),
        Limit::Market => some(names(fits.map(|it| market_word(it.offering.market)))),
        Limit::Arch => some(names(fits.map(|it| arch_word(it.offering.arch)))),
        Limit::Burstable => Some("allow".to_owned()),
        Limit::Generation => fits.filter_map(|it| it.offering.generation).max().map(|it| it.to_string()),
        Limit::Families => {
            some(names(fits.map(|it| it.offering.family.as_str()).filter(|it| !it.is_empty())))
        }
        Limit::Region | Limit::Regions => some(names(fits.map(|it| it.lane.priced.lane.region.as_str()))),
        Limit::Provider | Limit::Providers => some(names(fits.map(|it| it.lane.priced.lane.cloud.as_str()))),
        Limit::Image | Limit::Os => some(names(fits.flat_map(Fit::images).map(|it| match need.wish {
            Wish::Id(_) => it.id.as_str(),
            Wish::Os(_) => it.os.as_str(),
        }))),
        Limit::Capacity | Limit::Count => None,
    }
}

/// The first ten names by alphabet, each once: enough to see a slip of the pen, short enough for a chat message.
fn names<'n>(of: impl Iterator<Item = &'n str>) -> String {
    let sorted: BTreeSet<&str> = of.collect();
    sorted.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join(", ")
}

/// `units` parts as a decimal number of wholes, three decimals at most: 1536 MiB of 1024 are `1.5`.
fn parts(units: u64, per_whole: u64) -> String {
    // Rounded down, so that asking for what is named as the most there is does fit.
    let milli = u128::from(units % per_whole) * 1000 / u128::from(per_whole);
    let text = format!("{}.{milli:03}", units / per_whole);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The wire's word for an architecture.
pub(super) const fn arch_word(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::Arm64 => "arm64",
    }
}

/// The wire's word for a market.
const fn market_word(market: Market) -> &'static str {
    match market {
        Market::OnDemand => "on_demand",
        Market::Spot => "spot",
    }
}

/// The offers that miss the fewest limits, by the least, then the best of them; one quote each.
fn nearest<'a>(need: &Need<'_>, all: Vec<Fit<'a, 'a>>) -> Vec<Quote> {
    let mut ranked: Vec<(u32, u64, Fit<'a, 'a>)> =
        all.into_iter().map(|fit| (fit.misses.count(), shortfall(need, &fit), fit)).collect();
    rank::best_first(&mut ranked, NEAREST_MAX, |a, b| {
        (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| rank::order(&a.2, &b.2))
    });
    let first_zone = |fit: &Fit<'a, 'a>| {
        let open = fit.lane.open_zones(fit.offering).into_iter().next();
        open.unwrap_or_else(|| fit.offering.zones.iter().min())
    };
    ranked.iter().map(|(_, _, fit)| rank::quote(need, fit, first_zone(fit))).collect()
}

/// By how much an offer misses, as millionths of what was asked, summed over the limits it misses; 1,000,000 for what
/// is no number. A price misses by what it is above the cap, as a share of the price itself.
fn shortfall(need: &Need<'_>, fit: &Fit<'_, '_>) -> u64 {
    const WHOLE: u64 = 1_000_000;
    let share = |asked: u64, has: u64| {
        let lacks = u128::from(asked.saturating_sub(has)) * u128::from(WHOLE);
        u64::try_from(lacks / u128::from(asked.max(1))).unwrap_or(WHOLE)
    };
    let missed = Limit::ALL.into_iter().filter(|limit| fit.misses.has(*limit));
    missed
        .map(|limit| match limit {
            Limit::Vcpus => share(need.vcpus_milli, fit.offering.vcpus_milli.into()),
            Limit::Memory => share(need.memory_mib, fit.offering.memory_mib),
            Limit::Disk => share(need.disk_gib, fit.offering.disk_gib.into()),
            Limit::Gpus => share(need.gpus.into(), fit.offering.gpus.into()),
            Limit::MaxPrice => {
                share(fit.per_hour.unsigned_abs(), need.cap.unwrap_or(0).max(0).unsigned_abs())
            }
            _ => WHOLE,
        })
        .sum()
}
