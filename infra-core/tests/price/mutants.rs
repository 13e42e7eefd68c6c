//! Engines that are wrong in one point each: they alter what the right engine is shown, or what it says.

use infra_core::CheapestFit;
use infra_core::PricingEngine;
use infra_core::contracts::pricing::{Prepared, PriceContext, Quote, Ranking};
use infra_core::nouns::offering::{Billing, Catalogue, Offering, Price};
use infra_core::nouns::policy::{Among, Burstable};
use infra_core::nouns::request::{Market, MarketWish, Request};
use infra_core::nouns::system::System;
use infra_core::testing::price_world::PriceWorld;
use infra_core::words::money::Money;

macro_rules! defects {
    ($($name:ident breaks $law:literal,)*) => {
        /// What is wrong with an engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Defect { $($name,)* }

        impl Defect {
            pub(crate) const ALL: [Self; [$($law),*].len()] = [$(Self::$name),*];

            /// The law that must catch it.
            pub(crate) const fn breaks(self) -> &'static str {
                match self { $(Self::$name => $law,)* }
            }
        }
    };
}

defects! {
    FirstBySize breaks "the_cheapest_total_comes_first",
    IgnoresMemory breaks "a_quote_meets_every_limit",
    IgnoresGpuModel breaks "a_quote_meets_every_limit",
    IgnoresArch breaks "a_quote_meets_every_limit",
    IgnoresRegion breaks "a_quote_meets_every_limit",
    TrustsPrices breaks "a_price_that_is_not_known_is_never_chosen",
    FollowsInput breaks "the_order_of_the_input_changes_nothing",
    PrefersLarge breaks "ties_go_to_less_waste_then_to_names",
    ForgetsDiskPrice breaks "bought_disk_is_part_of_the_price",
    BuysWholeDisk breaks "only_the_missing_disk_is_bought",
    ForgetsMinimum breaks "the_billing_minimum_is_part_of_the_total",
    BillsSeconds breaks "a_begun_hour_is_paid_where_hours_are_billed",
    CountsOne breaks "the_total_counts_every_machine",
    GuessesADuration breaks "without_a_duration_there_is_no_total",
    CapsComputeOnly breaks "the_price_cap_counts_the_disk",
    NeverStale breaks "a_stale_price_ranks_after_its_fresh_equal",
    ForgetsExclusions breaks "an_excluded_offer_is_not_offered",
    ExcludesAllZones breaks "an_excluded_offer_is_not_offered",
    ZonesInBetween breaks "zones_follow_each_other_directly",
    OldestImage breaks "the_newest_image_of_the_architecture_is_taken",
    AnyMarket breaks "spot_is_taken_only_when_asked_for",
    NanPasses breaks "a_size_that_is_no_number_fits_nothing",
    TotalsWrap breaks "absurd_numbers_do_not_overflow",
    NamesNothingNear breaks "no_fit_names_the_limit_and_the_nearest",
    NamesAnotherField breaks "no_fit_names_the_limit_and_the_nearest",
    PromisesWhatDoesNotHelp breaks "a_limit_that_does_not_help_alone_is_not_promised_to",
    Unbounded breaks "the_limit_of_quotes_is_kept",
    ForgetsAddress breaks "the_public_address_is_part_of_the_price",
    ForgetsFee breaks "a_services_fee_is_part_of_the_price",
    HidesDiskInCompute breaks "the_parts_of_a_cost_add_up",
    ForgetsOverlays breaks "the_lowest_overlay_decides",
    OverlaysForAllMarkets breaks "the_lowest_overlay_decides",
    IgnoresBurstable breaks "every_rule_of_a_policy_is_kept",
    IgnoresGeneration breaks "every_rule_of_a_policy_is_kept",
    IgnoresFamilies breaks "every_rule_of_a_policy_is_kept",
    IgnoresPlaces breaks "every_rule_of_a_policy_is_kept",
    ChargesAllMonth breaks "a_month_is_not_charged_beyond_its_ceiling",
    SpotByPrice breaks "spot_comes_first_and_leaves_room_for_the_fallback",
    NoFallback breaks "spot_comes_first_and_leaves_room_for_the_fallback",
    SaysNoReason breaks "each_quote_says_why_it_stands_before_the_next",
    OneSystemForAll breaks "a_price_of_one_system_is_not_anothers",
    PreparesTheDominant breaks "what_was_prepared_changes_no_answer",
    KeepsZones breaks "what_was_prepared_serves_all_that_offer_the_same",
    KeepsImages breaks "what_was_prepared_serves_all_that_offer_the_same",
    KeepsMoments breaks "what_was_prepared_serves_all_that_offer_the_same",
    KeepsSources breaks "what_was_prepared_serves_all_that_offer_the_same",
}

/// The right engine, made wrong.
#[derive(Debug)]
pub(crate) struct Mutant(pub(crate) Defect);

impl PricingEngine for Mutant {
    fn rank<'a>(&self, asked: &Request, context: &PriceContext<'a>) -> Ranking {
        let mut need = asked.clone();
        let mut world = PriceWorld::copy_of(context);
        self.alter_need(&mut need);
        self.alter_offers(&need, &mut world);
        self.alter_catalogues(&mut world);
        self.alter_rules(&mut world);
        for (lane, asked) in world.lanes.iter_mut().zip(context.lanes) {
            if let Some(Kept(kept)) = asked.prepared.get() {
                self.use_prepared(kept, &mut lane.catalogue);
            }
        }
        match world.rank(&CheapestFit, &need) {
            Ranking::Fits(mut quotes) => {
                self.alter_quotes(asked, context, &mut quotes);
                if self.0 != Defect::Unbounded {
                    quotes.truncate(context.limit);
                }
                Ranking::Fits(quotes)
            }
            Ranking::Nothing(mut why) => {
                match self.0 {
                    Defect::NamesNothingNear => why.nearest.clear(),
                    Defect::PromisesWhatDoesNotHelp if !why.failed.also.is_empty() => {
                        why.failed.also.clear();
                        why.failed.limit = Some("0.001".to_owned());
                    }
                    Defect::NamesAnotherField => why.failed.field = "vcpus".to_owned(),
                    _ => {}
                }
                Ranking::Nothing(why)
            }
        }
    }

    fn prepare(&self, catalogue: &Catalogue) -> Prepared {
        Prepared::new(Kept(catalogue.clone()))
    }
}

/// What an engine prepares that keeps all it is shown.
struct Kept(Catalogue);

/// Leaves what nothing cheaper is at least as large as.
fn drop_dominated(offers: &mut Vec<Offering>) {
    let all = offers.clone();
    let cheaper = |a: &Offering, b: &Offering| {
        a.price.per_hour().is_some_and(|a| b.price.per_hour().is_some_and(|b| a < b))
            && (a.vcpus_milli >= b.vcpus_milli && a.memory_mib >= b.memory_mib)
    };
    offers.retain(|it| !all.iter().any(|other| cheaper(other, it)));
}

impl Mutant {
    /// Makes of a catalogue what an engine sees of it that trusts what it prepared too far.
    fn use_prepared(&self, kept: &Catalogue, now: &mut Catalogue) {
        let pairs = kept.offerings.iter().zip(&mut now.offerings);
        match self.0 {
            Defect::PreparesTheDominant => drop_dominated(&mut now.offerings),
            Defect::KeepsZones => pairs.for_each(|(kept, now)| now.zones.clone_from(&kept.zones)),
            Defect::KeepsImages => now.images.clone_from(&kept.images),
            Defect::KeepsMoments => pairs.for_each(|(kept, now)| {
                if let (Price::Known { as_of: kept, .. }, Price::Known { as_of, .. }) =
                    (&kept.price, &mut now.price)
                {
                    *as_of = *kept;
                }
            }),
            Defect::KeepsSources => pairs.for_each(|(kept, now)| {
                if let (Price::Known { source: kept, .. }, Price::Known { source, .. }) =
                    (&kept.price, &mut now.price)
                {
                    source.clone_from(kept);
                }
            }),
            _ => {}
        }
    }

    fn alter_need(&self, need: &mut Request) {
        match self.0 {
            Defect::IgnoresMemory => need.memory_gib = None,
            Defect::IgnoresGpuModel => need.gpu_model = None,
            Defect::IgnoresArch => need.arch = None,
            Defect::IgnoresRegion => need.region = None,
            Defect::CountsOne => need.count = None,
            Defect::CapsComputeOnly => need.max_price_per_hour = None,
            Defect::IgnoresBurstable => need.policy.burstable = Burstable::Allow,
            Defect::IgnoresGeneration => need.policy.min_generation = None,
            Defect::IgnoresFamilies => need.policy.families = Among::default(),
            Defect::IgnoresPlaces => {
                need.policy.regions = Among::default();
                need.policy.providers = Among::default();
            }
            Defect::GuessesADuration => need.duration_s = need.duration_s.or(Some(3600)),
            Defect::NanPasses => {
                for size in [&mut need.vcpus, &mut need.memory_gib, &mut need.disk_gib] {
                    *size = size.filter(|it| !it.is_nan());
                }
            }
            _ => {}
        }
    }

    fn alter_offers(&self, need: &Request, world: &mut PriceWorld) {
        let offers = world.lanes.iter_mut().flat_map(|lane| &mut lane.catalogue.offerings);
        for offer in offers {
            match (self.0, &mut offer.price) {
                (Defect::TrustsPrices, Price::Known { per_hour, .. }) => {
                    per_hour.nanos = per_hour.nanos.saturating_abs().max(1);
                }
                (Defect::NeverStale, Price::Known { live, .. }) => *live = false,
                (Defect::AnyMarket, _) => {
                    offer.market = need.market.unwrap_or(MarketWish::OnDemand).markets()[0];
                }
                (Defect::BuysWholeDisk, _) => offer.disk_gib = 0,
                (Defect::OneSystemForAll, _) => offer.system = System::default(),
                (Defect::ForgetsFee, _) => offer.fee_per_hour = Money::default(),
                _ => {}
            }
        }
    }

    fn alter_catalogues(&self, world: &mut PriceWorld) {
        for catalogue in world.lanes.iter_mut().map(|lane| &mut lane.catalogue) {
            match self.0 {
                Defect::ForgetsDiskPrice if catalogue.disk_gib_hour.nanos > 0 => {
                    catalogue.disk_gib_hour = Money::usd_nanos(1);
                }
                Defect::ForgetsMinimum => {
                    catalogue.billing =
                        Billing::PerSecond { min_s: 0, min_charge: Money::default(), month_hours_max: None };
                }
                Defect::BillsSeconds => catalogue.billing = Billing::default(),
                Defect::ForgetsAddress => catalogue.ipv4_hour = Money::default(),
                Defect::ChargesAllMonth => {
                    if let Billing::PerSecond { month_hours_max, .. } = &mut catalogue.billing {
                        *month_hours_max = None;
                    }
                }
                Defect::OneSystemForAll => {
                    catalogue.images.iter_mut().for_each(|image| image.system = System::default());
                }
                Defect::OldestImage => {
                    let newest = catalogue.images.iter().map(|it| it.created_at).max().unwrap_or_default();
                    for image in &mut catalogue.images {
                        image.created_at = newest + newest.duration_since(image.created_at);
                    }
                }
                _ => {}
            }
        }
    }

    fn alter_rules(&self, world: &mut PriceWorld) {
        match self.0 {
            Defect::ForgetsExclusions => world.excluded.clear(),
            Defect::ForgetsOverlays => world.overlays.clear(),
            Defect::OverlaysForAllMarkets => world.overlays.iter_mut().for_each(|it| it.market = None),
            Defect::NoFallback => {}
            Defect::ExcludesAllZones => {
                let all = std::mem::take(&mut world.excluded).into_iter();
                world.excluded = all
                    .map(|mut it| {
                        it.zone = None;
                        it
                    })
                    .collect();
            }
            // Those that re-order must see all there is.
            _ => world.limit = usize::MAX,
        }
    }

    fn alter_quotes(&self, need: &Request, context: &PriceContext<'_>, quotes: &mut Vec<Quote>) {
        let size = |it: &Quote| (it.choice.offering.vcpus_milli, it.choice.offering.memory_mib);
        match self.0 {
            Defect::FirstBySize => quotes.sort_by_key(size),
            Defect::HidesDiskInCompute => {
                for parts in quotes.iter_mut().map(|it| &mut it.parts_per_hour) {
                    parts.compute = parts.compute.plus(std::mem::take(&mut parts.disk));
                }
            }
            Defect::SpotByPrice => quotes.sort_by_key(|it| it.total.unwrap_or(it.per_hour)),
            Defect::NoFallback if quotes.iter().any(|it| it.choice.offering.market == Market::Spot) => {
                quotes.retain(|it| it.choice.offering.market == Market::Spot);
            }
            Defect::SaysNoReason => quotes.iter_mut().for_each(|it| it.beats_next = None),
            Defect::PrefersLarge => {
                quotes.sort_by_key(|it| (it.total.unwrap_or(it.per_hour), std::cmp::Reverse(size(it))));
            }
            Defect::FollowsInput => {
                let place = |it: &Quote| {
                    let all = context.lanes.iter().flat_map(|lane| &lane.catalogue.offerings);
                    all.clone().position(|offer| offer == &it.choice.offering)
                };
                quotes.sort_by_key(|it| (it.per_hour, place(it)));
            }
            Defect::ZonesInBetween => quotes.sort_by_key(|it| (it.per_hour, it.choice.zone.clone())),
            Defect::TotalsWrap => {
                for quote in quotes {
                    let count = i64::from(need.count());
                    quote.total = quote.total.map(|it| Money::usd_nanos(it.nanos.wrapping_mul(count)));
                }
            }
            Defect::CapsComputeOnly => quotes.retain(|it| {
                need.price_cap().is_none_or(|cap| it.choice.offering.price.per_hour() <= Some(cap))
            }),
            _ => {}
        }
    }
}
