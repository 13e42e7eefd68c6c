//! Budgets, usage and discounts.

use infra_core::contracts::pricing;
use infra_core::infra::{BudgetView, Explained, OverlaysView, ReservationUsage, Usage as Used};
use infra_core::nouns::budget::{BudgetKind, BudgetLimits as Limits, BudgetScope};
use infra_core::nouns::overlay::Overlay;
use infra_core::nouns::request::Market;
use infra_core::nouns::reservation::Phase;
use infra_core::price::usage;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ReservationId, TypeName, UserId, Zone};
use infra_core::words::money::Money;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Quote;

/// Ways to fulfil a request, and, when asked for, why they stand as they do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quotes {
    /// Cheapest first.
    pub items: Vec<Quote>,
    /// Always `null`: all of them are here.
    #[schema(required = true)]
    pub next: Option<String>,
    /// Fields of the request that the user did not say: they come from the profile, and restrict the list alike.
    pub from_profile: Vec<String>,
    /// What each rule of the request costs, the dearest first; `null` unless `explain=true`.
    #[schema(required = true)]
    pub rules: Option<Vec<RuleCost>>,
    /// What is skipped now, because a cloud refused it a moment ago; `null` unless `explain=true`.
    #[schema(required = true)]
    pub skipped: Option<Vec<Skipped>>,
}

/// What one rule of a request costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleCost {
    /// The request's field.
    #[schema(example = "policy.burstable")]
    pub field: String,
    /// The rule.
    #[schema(example = "burstable=deny")]
    pub rule: String,
    /// The best with it: all machines, for the time asked or else for an hour.
    pub with: Money,
    /// The best without it, of the same.
    pub without: Money,
    /// What would be taken without it.
    pub offer_without: String,
    /// In one line.
    #[schema(example = "+28 %: burstable=deny")]
    pub says: String,
}

impl From<&pricing::RuleCost> for RuleCost {
    fn from(cost: &pricing::RuleCost) -> Self {
        Self {
            field: cost.field.clone(),
            rule: cost.rule.clone(),
            with: cost.with,
            without: cost.without,
            offer_without: cost.offer_without.clone(),
            says: cost.to_string(),
        }
    }
}

/// An offer that is not asked for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// Cloud, endpoint, account and region.
    pub lane: String,
    /// The machine type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The zone; `null` for all of them.
    #[schema(required = true)]
    pub zone: Option<Zone>,
    /// How it is bought.
    pub market: Market,
    /// Asked for again from then on.
    pub until: Timestamp,
}

impl Quotes {
    /// Quotes alone, or with everything that explains them.
    #[must_use]
    pub fn new(explained: &Explained, explain: bool) -> Self {
        let skipped = |(offer, until): &(pricing::Excluded, Timestamp)| Skipped {
            lane: offer.lane.to_string(),
            type_name: offer.type_name.clone(),
            zone: offer.zone.clone(),
            market: offer.market,
            until: *until,
        };
        Self {
            items: explained.quotes.iter().map(Quote::from).collect(),
            next: None,
            from_profile: explained.from_profile.clone(),
            rules: explain.then(|| explained.rules.iter().map(RuleCost::from).collect()),
            skipped: explain.then(|| explained.skipped.iter().map(skipped).collect()),
        }
    }
}

/// What may be held and spent; what is left out has no limit. A budget without any limit is removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"machines": 10, "per_month": {"amount": "500", "currency": "USD"}}))]
pub struct BudgetLimits {
    /// Machines at once, turned off ones included.
    #[schema(format = Int64, minimum = 0, maximum = 4294967295_u32)]
    pub machines: Option<u32>,
    /// Virtual processors that run at once.
    #[schema(format = Int64, minimum = 0, maximum = 4294967295_u32)]
    pub vcpus: Option<u32>,
    /// What everything that runs may cost per hour.
    pub per_hour: Option<Money>,
    /// What a calendar month of UTC may cost: spent so far, and what there is goes on to cost until it ends. Nothing is
    /// taken that would pass it in this month or in the next.
    pub per_month: Option<Money>,
}

impl From<&BudgetLimits> for Limits {
    fn from(limits: &BudgetLimits) -> Self {
        let BudgetLimits { machines, vcpus, per_hour, per_month } = *limits;
        Self { machines, vcpus, per_hour, per_month }
    }
}

impl From<Limits> for BudgetLimits {
    fn from(limits: Limits) -> Self {
        let Limits { machines, vcpus, per_hour, per_month } = limits;
        Self { machines, vcpus, per_hour, per_month }
    }
}

/// What counts against a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetTotals {
    /// Machines.
    pub machines: u64,
    /// Virtual processors that run, or may.
    pub vcpus: f64,
    /// Everything that runs, for one hour.
    pub per_hour: Money,
    /// Spent in this month, and still to be.
    pub in_month: Money,
    /// What there is will cost in the next month, or, what goes on for longer, in the dearest of those that follow.
    pub next_month: Money,
}

/// The budget of a user or a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// Whose: `user` or `team`.
    #[schema(pattern = "^(user|team)$")]
    pub scope: String,
    /// The user's or the team's name.
    pub name: String,
    /// How much.
    pub limits: BudgetLimits,
    /// What counts against it now.
    pub totals: BudgetTotals,
    /// The calendar month of UTC that is counted.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$", example = "2026-11")]
    pub month: String,
    /// The first limit that is passed: what runs goes on, nothing new is made; `null` when none is.
    #[schema(required = true)]
    pub passed: Option<BudgetKind>,
    /// When the limits were set.
    pub changed_at: Timestamp,
    /// Number of the commit that wrote it last.
    pub version: u64,
}

impl From<&BudgetView> for Budget {
    fn from(view: &BudgetView) -> Self {
        let (scope, name) = match &view.scope {
            BudgetScope::User(user) => ("user", user.to_string()),
            BudgetScope::Team(team) => ("team", team.to_string()),
        };
        let totals = &view.totals;
        #[allow(clippy::cast_precision_loss, reason = "processors in thousandths are far below 2^52")]
        let vcpus = totals.vcpus_milli as f64 / 1000.0;
        Self {
            scope: scope.to_owned(),
            name,
            limits: view.limits.into(),
            totals: BudgetTotals {
                machines: totals.machines,
                vcpus,
                per_hour: totals.per_hour,
                in_month: totals.in_month,
                next_month: totals.next_month.unwrap_or_default(),
            },
            month: totals.month.to_string(),
            passed: view.passed.as_ref().map(|passed| passed.kind),
            changed_at: view.changed_at,
            version: view.version.0,
        }
    }
}

/// What is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spending {
    /// Since it began.
    pub so_far: Money,
    /// In the month asked for.
    pub in_month: Money,
    /// All machines that are there, for one hour as they are now.
    pub per_hour: Money,
    /// What it will have come to at its end; `null` when nobody said when that is.
    #[schema(required = true)]
    pub at_end: Option<Money>,
    /// What the month will have come to at its end.
    pub at_month_end: Money,
}

impl From<usage::Spending> for Spending {
    fn from(spending: usage::Spending) -> Self {
        let usage::Spending { so_far, in_month, per_hour, at_end, at_month_end, .. } = spending;
        Self { so_far, in_month, per_hour, at_end, at_month_end }
    }
}

/// What one reservation spends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageOf {
    /// The reservation.
    pub id: ReservationId,
    /// Its name.
    #[schema(required = true)]
    pub name: Option<String>,
    /// Its owner.
    pub user: UserId,
    /// How it is.
    pub state: Phase,
    /// Asked at.
    pub created_at: Timestamp,
    /// Ends then, or was over then.
    #[schema(required = true)]
    pub ends_at: Option<Timestamp>,
    /// How much.
    pub spending: Spending,
}

impl From<&ReservationUsage> for UsageOf {
    fn from(one: &ReservationUsage) -> Self {
        Self {
            id: one.id.clone(),
            name: one.name.clone(),
            user: one.owner.clone(),
            state: one.state,
            created_at: one.created_at,
            ends_at: one.ends_at,
            spending: one.spending.into(),
        }
    }
}

/// What a user spends, and its team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// The calendar month of UTC that `in_month` is of.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$", example = "2026-11")]
    pub month: String,
    /// As of then.
    pub as_of: Timestamp,
    /// The user's own reservations together.
    pub user: Spending,
    /// The whole team's together, the user's included.
    pub team: Spending,
    /// The user's own reservations that ran in that month, oldest first.
    pub reservations: Vec<UsageOf>,
}

impl From<&Used> for Usage {
    fn from(used: &Used) -> Self {
        Self {
            month: used.month.to_string(),
            as_of: used.at,
            user: used.user.into(),
            team: used.team.into(),
            reservations: used.reservations.iter().map(UsageOf::from).collect(),
        }
    }
}

/// What a team pays less than the lists say; replaced whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlays": [{"name": "savings plan", "provider": "aws", "family": "m5", "off": {"percent": 28.5}}]}))]
pub struct NewOverlays {
    /// All of them; of several that match an offer the lowest price counts.
    #[schema(max_items = 100)]
    pub overlays: Vec<Overlay>,
}

/// What a discount lowers now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverlayEffect {
    /// Offers of the team's keys that it lowers; `null` when none of the clouds it is for answers now.
    #[schema(required = true)]
    pub matches: Option<u64>,
    /// Why that may be none, or fewer than meant: a sentence each.
    pub warnings: Vec<String>,
}

/// A team's discounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overlays {
    /// All of them.
    pub overlays: Vec<Overlay>,
    /// What each of them lowers now, in the same order. One that lowers nothing may be mistyped.
    #[serde(default)]
    pub effects: Vec<OverlayEffect>,
    /// When they were set; `null` when never.
    #[schema(required = true)]
    pub changed_at: Option<Timestamp>,
    /// Number of the commit that wrote them last; 0 when never set.
    pub version: u64,
}

impl From<OverlaysView> for Overlays {
    fn from(view: OverlaysView) -> Self {
        let OverlaysView { overlays, effects, changed_at, version } = view;
        let effects = effects.into_iter().map(|effect| OverlayEffect {
            matches: effect.matches.map(|count| u64::try_from(count).unwrap_or(u64::MAX)),
            warnings: effect.warnings,
        });
        Self { overlays, effects: effects.collect(), changed_at, version: version.0 }
    }
}
