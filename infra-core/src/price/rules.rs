//! What each rule of a request costs: the best offer with it, beside the best one without it.
//!
//! # Flow
//! The request is ranked once as it is and once without each of its rules, one quote each time. Any engine can be
//! asked: a rule's price is made of two of its answers.
//!
//! # Guarantees
//! * Rules are asked one by one, all else as it was asked: what two rules cost together may be more than their sum.
//! * Sizes are no rules: what is needed is needed. A rule that costs nothing is listed too, with nothing.
//!
//! # Caveats
//! * Where nothing fits no rule has a price; the refusal names what stands in the way.
//! * A rule without which only what is wished later could be had (on demand before spot) is compared by amount alone.

use crate::contracts::pricing::{PriceContext, PricingEngine, Quote, Ranking, RuleCost};
use crate::nouns::policy::{Among, Burstable, Policy};
use crate::nouns::request::{MarketWish, Request};
use crate::words::money::Money;

/// What every rule of a request costs, the dearest first, then by field.
///
/// Shapes: one entry for each rule that was said, none for a request without rules or one that nothing fits.
pub fn rule_costs(engine: &dyn PricingEngine, need: &Request, context: &PriceContext<'_>) -> Vec<RuleCost> {
    let one = PriceContext { limit: 1, ..*context };
    let best = |need: &Request| match engine.rank(need, &one) {
        Ranking::Fits(quotes) => quotes.into_iter().next(),
        Ranking::Nothing(_) => None,
    };
    let rules = rules(need);
    let Some(with) = best(need).filter(|_| !rules.is_empty()).map(|quote| amount(&quote)) else {
        return Vec::new();
    };
    let mut costs: Vec<RuleCost> = rules
        .into_iter()
        .filter_map(|Rule { field, rule, others }| {
            let freed = others.iter().filter_map(&best).min_by_key(amount)?;
            let without = amount(&freed).min(with);
            Some(RuleCost {
                field: field.to_owned(),
                rule,
                with,
                without,
                offer_without: freed.choice.offer(),
                dearer_permille: dearer_permille(with, without),
            })
        })
        .collect();
    costs.sort_by(|a, b| (b.dearer_permille, &a.field).cmp(&(a.dearer_permille, &b.field)));
    costs
}

/// What a quote is ranked by.
fn amount(quote: &Quote) -> Money {
    quote.total.unwrap_or(quote.per_hour)
}

/// By how many thousandths `with` is above `without`, rounded to the nearest.
fn dearer_permille(with: Money, without: Money) -> u64 {
    let (with, without) = (i128::from(with.nanos), i128::from(without.nanos.max(1)));
    let more = (with - without).max(0) * 1000;
    u64::try_from((more + without / 2) / without).unwrap_or(u64::MAX)
}

/// A rule, and the requests that would do without it.
struct Rule {
    field: &'static str,
    rule: String,
    others: Vec<Request>,
}

/// Every rule that a request says.
fn rules(need: &Request) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |field: &'static str, rule: String, free: &dyn Fn(&mut Request)| {
        let mut other = need.clone();
        free(&mut other);
        rules.push(Rule { field, rule, others: vec![other] });
    };
    if let Some(arch) = need.arch {
        add("arch", format!("arch={}", super::explain::arch_word(arch)), &|it| it.arch = None);
    }
    if let Some(region) = &need.region {
        add("region", format!("region={region}"), &|it| it.region = None);
    }
    if let Some(provider) = &need.provider {
        add("provider", format!("provider={provider}"), &|it| it.provider = None);
    }
    if let Some(cap) = need.price_cap() {
        add("max_price_per_hour", format!("max_price_per_hour={cap}"), &|it| it.max_price_per_hour = None);
    }
    policy_rules(&need.policy, &mut add);
    rules.extend(market_rule(need));
    rules
}

/// The rules of a policy.
fn policy_rules(policy: &Policy, add: &mut dyn FnMut(&'static str, String, &dyn Fn(&mut Request))) {
    if policy.burstable == Burstable::Deny {
        let free = |it: &mut Request| it.policy.burstable = Burstable::Allow;
        add("policy.burstable", "burstable=deny".to_owned(), &free);
    }
    if let Some(least) = policy.min_generation {
        add("policy.min_generation", format!("min_generation={least}"), &|it| {
            it.policy.min_generation = None
        });
    }
    if !policy.regions.is_any() {
        let free = |it: &mut Request| it.policy.regions = Among::default();
        add("policy.regions", listed("regions", &policy.regions), &free);
    }
    if !policy.families.is_any() {
        let free = |it: &mut Request| it.policy.families = Among::default();
        add("policy.families", listed("families", &policy.families), &free);
    }
    if !policy.providers.is_any() {
        let free = |it: &mut Request| it.policy.providers = Among::default();
        add("policy.providers", listed("providers", &policy.providers), &free);
    }
}

/// `families=allow m5,c5; deny t3`.
fn listed<T: ToString>(name: &str, among: &Among<T>) -> String {
    let words = |names: &[T]| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let lists = [("allow", &among.allow), ("deny", &among.deny)].into_iter();
    let said =
        lists.filter(|(_, names)| !names.is_empty()).map(|(word, names)| format!("{word} {}", words(names)));
    format!("{name}={}", said.collect::<Vec<_>>().join("; "))
}

/// The market, when it was said: without it either market would do, whichever is cheaper.
fn market_rule(need: &Request) -> Option<Rule> {
    let wish = need.market?;
    let word = match wish {
        MarketWish::OnDemand => "on_demand",
        MarketWish::Spot => "spot",
        MarketWish::SpotThenOnDemand => "spot_then_on_demand",
    };
    let other = |market| Request { market: Some(market), ..need.clone() };
    let others = [MarketWish::OnDemand, MarketWish::Spot].map(other).to_vec();
    Some(Rule { field: "market", rule: format!("market={word}"), others })
}
