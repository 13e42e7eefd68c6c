//! From a request to ranked offers: all lanes that the team's keys reach, as their catalogues say.
//!
//! # Flow
//! Lanes of the team's keys, less those that are paused; their catalogues, several at once; less those that lack an
//! option; then the ranking. An empty answer is told from an unheard one last.
//!
//! # Guarantees
//! * Only active keys of the team, and only lanes where creating is not switched off.
//! * "Nothing fits" is said only when every lane that could have fitted was heard; else the answer is which lane
//!   was silent.
//! * Lanes are given to the ranking in one order: same catalogues, same answer.
//! * An offer that was refused for capacity or quota in the last minutes is not in the answer while anything else
//!   fits. When nothing else does it is, and the engine says when it is asked for.
//! * A reservation keeps the best of such offers in its list, where they rank: what it still has to launch when their
//!   time is over is launched there.
//!
//! # Errors
//! One for each thing that a person would mend in another way: no keys, a pause, an option that no cloud has, a lane
//! that is silent, and each kind of "nothing fits" with what misses by the least.
//!
//! # Caveats
//! A quote holds nothing: prices and capacity may be others when the reservation is asked for, which is ranked anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::core::Core;
use super::error::InfraError;
use super::gate::open_for_creates;
use super::overlays;
use super::views::Explained;
use crate::connect::{ConnectError, Stock};
use crate::contracts::pricing::{NoFit, NoFitReason, PriceContext, PricedLane, Quote, Ranking};
use crate::nouns::options::MachineOptions;
use crate::nouns::request::Request;
use crate::nouns::reservation::{Choice, Tariff};
use crate::nouns::scarcity::Scarcity;
use crate::nouns::switch::Switch;
use crate::plan::memory::Memory;
use crate::price::rule_costs;
use crate::records::system_tenant;
use crate::words::fault::Fault;
use crate::words::ids::{CredentialId, TenantId};
use crate::words::lane::Lane;

/// One part in so many of a reservation's list may lack capacity when it is made.
const REMEMBERED_SHARE: usize = 4;

/// Clouds asked at once for one quote.
const ASKED_AT_ONCE: usize = 16;

/// A lane with what it offers.
pub(super) type Offered = (Lane, CredentialId, Arc<Stock>);

/// Ranks all offers for a request. Answers the quotes, and the choices that a reservation of it keeps: `limit` of each at
/// most.
///
/// An error of one lane is not one of the ranking, as long as another lane fits.
///
/// # Errors
/// As [`super::UserHandle::quote`], but for the request's own fields.
pub(super) async fn rank(
    core: &Core,
    tenant: &TenantId,
    request: &Request,
    limit: usize,
) -> Result<(Vec<Quote>, Vec<Choice>), InfraError> {
    ranked(core, tenant, request, limit, false).await.map(|(explained, kept)| (explained.quotes, kept))
}

/// Ranks all offers, and says what each rule of the request costs.
///
/// # Errors
/// As [`rank`].
pub(super) async fn explained(
    core: &Core,
    tenant: &TenantId,
    request: &Request,
    limit: usize,
) -> Result<Explained, InfraError> {
    ranked(core, tenant, request, limit, true).await.map(|(explained, _)| explained)
}

/// The answer, and the choices that a reservation of it keeps.
async fn ranked(
    core: &Core,
    tenant: &TenantId,
    request: &Request,
    limit: usize,
    explain: bool,
) -> Result<(Explained, Vec<Choice>), InfraError> {
    let lanes = core.connections.lanes_of(tenant).await.map_err(connect_error)?;
    if lanes.is_empty() {
        return Err(InfraError::NoCredentials);
    }
    let lanes = without_paused(core, lanes).await?;
    let (offered, failed) = catalogues(core, tenant, lanes).await;
    let offered = with_options(offered, &request.options)?;
    let priced: Vec<PricedLane<'_>> = offered
        .iter()
        .map(|(lane, credential, stock)| {
            let Stock { catalogue, prepared, .. } = &**stock;
            PricedLane { lane, credential, catalogue, prepared }
        })
        .collect();
    let memory = memory(core, offered.iter().map(|(lane, ..)| lane)).await?;
    let (excluded, nothing_excluded) = (memory.excluded(), BTreeSet::new());
    let overlays = overlays::of(core, tenant).await?.overlays;
    let context = PriceContext {
        lanes: &priced,
        excluded: &excluded,
        overlays: &overlays,
        now: core.now(),
        stale_after: core.limits.price_stale_after,
        limit,
    };
    let (quotes, answered) = match core.pricing.rank(request, &context) {
        Ranking::Fits(quotes) if !quotes.is_empty() => (quotes, context),
        Ranking::Fits(_) => {
            return Err(InfraError::Internal { why: "pricing answered an empty ranking".to_owned() });
        }
        Ranking::Nothing(_) if !excluded.is_empty() => {
            let all = PriceContext { excluded: &nothing_excluded, ..context };
            (without_memory(core, request, &all, failed)?, all)
        }
        Ranking::Nothing(why) => {
            return Err(unanswered(request, failed).unwrap_or_else(|| nothing(*why)));
        }
    };
    let rules = if explain { rule_costs(&*core.pricing, request, &answered) } else { Vec::new() };
    let skipped = if explain { memory.skipped() } else { Vec::new() };
    let mut quotes = tariffs(quotes, &offered);
    quotes.iter_mut().for_each(|quote| quote.refused_until = memory.until(&quote.choice));
    let mut kept: Vec<Choice> = quotes.iter().map(|quote| quote.choice.clone()).collect();
    // Where nothing else fits, what lacks capacity is the list already.
    if !excluded.is_empty() && kept.first().is_some_and(|first| memory.until(first).is_none()) {
        let context = PriceContext { excluded: &nothing_excluded, ..context };
        if let Ranking::Fits(all) = core.pricing.rank(request, &context) {
            kept = with_remembered(kept, tariffs(all, &offered), &memory);
        }
    }
    kept.truncate(limit);
    Ok((Explained { quotes, from_profile: Vec::new(), rules, skipped }, kept))
}

/// What a reservation's list is continued with when all in it was refused: the best offers for its request that are
/// neither known already nor refused lately.
///
/// The same ranking as for a quote of this moment: the request as it was admitted, prices and rules of now. An offer is
/// known by its lane, type, market, zone and image; of one that is known already a new price is not taken over.
///
/// # Errors
/// As [`rank`].
pub(super) async fn more(
    core: &Core,
    tenant: &TenantId,
    request: &Request,
    known: &[Choice],
) -> Result<Vec<Choice>, InfraError> {
    let (quotes, _) = rank(core, tenant, request, core.limits.offers_kept).await?;
    let memory = memory(core, quotes.iter().map(|quote| &quote.choice.lane)).await?;
    let place = |it: &Choice| {
        (it.lane.id(), it.offering.type_name.clone(), it.offering.market, it.zone.clone(), it.image.clone())
    };
    let known: BTreeSet<_> = known.iter().map(place).collect();
    let choices = quotes.into_iter().map(|quote| quote.choice);
    Ok(choices.filter(|it| memory.until(it).is_none() && !known.contains(&place(it))).collect())
}

/// The list that a reservation keeps: what may be taken now, and the best of what was refused a moment ago, each where it
/// ranks. The planner skips the latter while they are remembered.
///
/// They are a quarter of the list at most, so that there is enough to walk down to.
fn with_remembered(open: Vec<Choice>, all: Vec<Quote>, memory: &Memory) -> Vec<Choice> {
    let mut room = open.len().max(REMEMBERED_SHARE) / REMEMBERED_SHARE;
    let (mut open, mut kept) = (open.into_iter().peekable(), Vec::new());
    for choice in all.into_iter().map(|quote| quote.choice) {
        if memory.until(&choice).is_none() {
            kept.extend(open.next());
        } else if room > 0 && open.peek().is_some_and(|it| it.offering.market == choice.offering.market) {
            room -= 1;
            kept.push(choice);
        }
    }
    kept.extend(open);
    kept
}

/// Nothing fits but what was refused a moment ago: that is taken, and waited for. "Nothing fits" would say for ever what
/// is true for three minutes; the engine, which has the same memory, says when it is tried. `context` excludes nothing.
fn without_memory(
    core: &Core,
    request: &Request,
    context: &PriceContext<'_>,
    failed: Vec<(Lane, ConnectError)>,
) -> Result<Vec<Quote>, InfraError> {
    match core.pricing.rank(request, context) {
        Ranking::Fits(quotes) => Ok(quotes),
        Ranking::Nothing(why) => Err(unanswered(request, failed).unwrap_or_else(|| nothing(*why))),
    }
}

/// How the time of each is paid: what a catalogue says goes with the choice, since catalogues move.
fn tariffs(mut quotes: Vec<Quote>, offered: &[Offered]) -> Vec<Quote> {
    for choice in quotes.iter_mut().map(|quote| &mut quote.choice) {
        let stock = offered.iter().find(|(lane, ..)| *lane == choice.lane).map(|(.., stock)| stock);
        choice.tariff = stock.map(|stock| Tariff {
            billing: stock.catalogue.billing_of(choice.offering.system),
            off_per_hour: stock.catalogue.off_per_hour(choice.per_hour, choice.disk_gib),
        });
    }
    quotes
}

/// What these lanes lack.
async fn memory(core: &Core, lanes: impl Iterator<Item = &Lane>) -> Result<Memory, InfraError> {
    let keys: Vec<_> = lanes.map(Scarcity::place).collect::<BTreeSet<_>>().into_iter().collect();
    let lacks = core.repo.get_all::<Scarcity>(&keys).await?;
    Ok(Memory::of(lacks.iter().flatten().map(|lack| &lack.value), core.now()))
}

/// What every lane offers, and which lanes did not answer.
///
/// Never fails as a whole: whether a silent lane matters is for the caller to say.
pub(super) async fn catalogues(
    core: &Core,
    tenant: &TenantId,
    lanes: Vec<(Lane, CredentialId)>,
) -> (Vec<Offered>, Vec<(Lane, ConnectError)>) {
    let asked = lanes.into_iter().map(|(lane, credential)| async move {
        let answer = core.connections.catalogue(tenant, &credential, &lane).await;
        (lane, credential, answer)
    });
    // In order, so that the same catalogues always make the same context.
    let answers: Vec<_> = stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await;
    let mut offered = Vec::new();
    let mut failed = Vec::new();
    for (lane, credential, answer) in answers {
        match answer {
            Ok(stock) => offered.push((lane, credential, stock)),
            Err(error) => failed.push((lane, error)),
        }
    }
    (offered, failed)
}

/// Lanes where machines can be made with every option asked for.
///
/// # Errors
/// [`InfraError::Unfulfillable`] naming the first option that is missing, when it is missing everywhere.
fn with_options(offered: Vec<Offered>, options: &MachineOptions) -> Result<Vec<Offered>, InfraError> {
    let lacking =
        offered.iter().find_map(|(lane, _, stock)| Some((lane.clone(), stock.catalogue.lacks(options)?)));
    let able: Vec<_> =
        offered.into_iter().filter(|(_, _, stock)| stock.catalogue.lacks(options).is_none()).collect();
    match lacking {
        Some((lane, option)) if able.is_empty() => Err(InfraError::Unfulfillable {
            field: option.field(),
            why: format!("none of your clouds can do that, {lane} among them"),
        }),
        _ => Ok(able),
    }
}

/// Lanes where creating is not switched off.
///
/// A pause is an error only when it leaves no lane: else the others answer, and the pause is not mentioned.
async fn without_paused(
    core: &Core,
    lanes: Vec<(Lane, CredentialId)>,
) -> Result<Vec<(Lane, CredentialId)>, InfraError> {
    let switches = core.repo.list_prefix::<Switch>(&system_tenant(), "lane:", None).await?;
    let now = core.now();
    let mut open = Vec::new();
    let mut paused = None;
    for (lane, credential) in lanes {
        let scope = format!("lane:{}", lane.id());
        let switch = switches.iter().find(|switch| switch.value.scope.id() == scope);
        match switch.map_or(Ok(()), |switch| open_for_creates(&switch.value, now)) {
            Ok(()) => open.push((lane, credential)),
            Err(error) => paused = Some(error),
        }
    }
    match paused {
        Some(error) if open.is_empty() => Err(error),
        _ => Ok(open),
    }
}

/// "Nothing fits" cannot be said while a lane that might have fitted was not heard.
///
/// A lane of another cloud or region than the request names could not have fitted: its silence says nothing.
fn unanswered(request: &Request, failed: Vec<(Lane, ConnectError)>) -> Option<InfraError> {
    let meant = |lane: &Lane| {
        request.provider.as_ref().is_none_or(|cloud| *cloud == lane.cloud)
            && request.region.as_ref().is_none_or(|region| *region == lane.region)
    };
    let (lane, error) = failed.into_iter().find(|(lane, _)| meant(lane))?;
    Some(provider_unavailable(&lane, &error))
}

/// A lane that does not answer, as users are told.
pub(super) fn provider_unavailable(lane: &Lane, error: &ConnectError) -> InfraError {
    InfraError::ProviderUnavailable {
        what: lane.to_string(),
        said: error.to_string(),
        retry_after: error.retry_after(),
    }
}

/// Each kind of "nothing" is an answer of its own, with the offers that miss by the least.
fn nothing(why: NoFit) -> InfraError {
    let (failed, nearest) = (Box::new(why.failed), why.nearest);
    match why.reason {
        NoFitReason::NoLanes => InfraError::NoCredentials,
        NoFitReason::UnknownRegion => InfraError::UnknownRegion { failed, nearest },
        NoFitReason::UnknownImage => InfraError::UnknownImage { failed, nearest },
        NoFitReason::TooDemanding => InfraError::NoFit { failed, nearest },
    }
}

/// A connection that could not be had, outside any one lane.
///
/// A store that does not answer stays what it is, so that callers try again; anything else is a fault of ours.
pub(super) fn connect_error(error: ConnectError) -> InfraError {
    match error {
        ConnectError::Repo(error) => InfraError::Store(error),
        other => InfraError::Internal { why: other.to_string() },
    }
}
