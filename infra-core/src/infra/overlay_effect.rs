//! What a team's overlays lower now: a discount for a name that nothing has is told, not kept in silence.
//!
//! # Flow
//! The lanes of the team's keys that some overlay is for are asked what they offer, as for a quote, but for some seconds
//! only. Then every overlay is held against the clouds of this installation and against what was heard: a pure decision.
//!
//! # Guarantees
//! * Never an error: what cannot be found out now is said to be unknown. So setting depends on no cloud.
//! * Counted is what a quote would lower: offers with a price, by as much as is taken off. An amount that no price can
//!   spare lowers nothing, and that is said.
//! * A cloud that answers too late goes on answering aside: who asks again finds it.
//!
//! # Caveats
//! A moment's answer. Types come and go, keys are saved, and other overlays may lower the same offers by more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::core::Core;
use crate::connect::Stock;
use crate::nouns::offering::Offering;
use crate::nouns::overlay::Overlay;
use crate::nouns::request::Market;
use crate::words::ids::{CloudName, CredentialId, Region, TenantId};
use crate::words::lane::Lane;

/// Nobody who sets a discount waits longer for a cloud.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// Clouds asked at once.
const ASKED_AT_ONCE: usize = 16;

/// Silent lanes that are named at most.
const SILENT_NAMED_MAX: usize = 3;

/// What an overlay lowers now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverlayEffect {
    /// Offers of the team's keys that it lowers, of lanes that were heard; `None` when none that it is for was.
    pub matches: Option<usize>,
    /// Why that may be none, or fewer than meant: a sentence each, for people.
    pub warnings: Vec<String>,
}

/// A cloud of this installation, with the regions that it is used in.
type Known = (CloudName, Vec<Region>);

/// What the lanes of a team's keys said.
#[derive(Debug, Default)]
struct Heard {
    lanes: Vec<(Lane, Arc<Stock>)>,
    silent: Vec<Lane>,
    /// Why nobody could be asked.
    unasked: Option<String>,
}

/// What each of these lowers for a team, in their order. Cancel safe.
pub(super) async fn of(core: &Core, tenant: &TenantId, overlays: &[Overlay]) -> Vec<OverlayEffect> {
    if overlays.is_empty() {
        return Vec::new();
    }
    let regions = |cloud: &CloudName| core.connections.driver(cloud).map(|driver| driver.regions());
    let clouds = core.connections.clouds().into_iter();
    let known: Vec<Known> = clouds.filter_map(|cloud| Some((cloud.clone(), regions(&cloud)?))).collect();
    let heard = match core.connections.lanes_of(tenant).await {
        Ok(lanes) => {
            let meant = |lane: &Lane| overlays.iter().any(|it| it.is_for_place(&lane.cloud, &lane.region));
            hear(core, tenant, lanes.into_iter().filter(|(lane, _)| meant(lane)).collect()).await
        }
        Err(error) => Heard { unasked: Some(error.to_string()), ..Heard::default() },
    };
    overlays.iter().map(|overlay| effect(overlay, &known, &heard)).collect()
}

/// Asks lanes what they offer, each until the same moment.
async fn hear(core: &Core, tenant: &TenantId, lanes: Vec<(Lane, CredentialId)>) -> Heard {
    let until = core.clock.mono() + HEARD_WITHIN;
    let asked = lanes.into_iter().map(|(lane, credential)| async move {
        let answer = asked(core, tenant.clone(), credential, lane.clone());
        let stock = tokio::select! {
            biased;
            answer = answer => answer,
            () = core.clock.sleep(until.saturating_sub(core.clock.mono())) => None,
        };
        (lane, stock)
    });
    let mut heard = Heard::default();
    for (lane, stock) in stream::iter(asked).buffered(ASKED_AT_ONCE).collect::<Vec<_>>().await {
        match stock {
            Some(stock) => heard.lanes.push((lane, stock)),
            None => heard.silent.push(lane),
        }
    }
    heard
}

/// One lane's catalogue. On a runtime it is asked for in a task: a slow cloud's answer is there for the next one who asks.
async fn asked(core: &Core, tenant: TenantId, credential: CredentialId, lane: Lane) -> Option<Arc<Stock>> {
    let connections = core.connections.clone();
    let asking = async move { connections.catalogue(&tenant, &credential, &lane).await.ok() };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn(asking).await.ok().flatten(),
        Err(_) => asking.await,
    }
}

/// What one overlay lowers. From the outside in, as for a request that nothing fits: no such place, no key, no answer, and
/// only then families, markets and amounts.
fn effect(overlay: &Overlay, known: &[Known], heard: &Heard) -> OverlayEffect {
    if let Some(why) = unknown_place(overlay, known) {
        return OverlayEffect { matches: Some(0), warnings: vec![why] };
    }
    if let Some(why) = &heard.unasked {
        return OverlayEffect { matches: None, warnings: vec![format!("nothing could be counted: {why}")] };
    }
    let is_for = |lane: &Lane| overlay.is_for_place(&lane.cloud, &lane.region);
    let silent: Vec<String> = heard.silent.iter().filter(|lane| is_for(lane)).map(Lane::to_string).collect();
    let lanes: Vec<_> = heard.lanes.iter().filter(|(lane, _)| is_for(lane)).collect();
    let mut warnings = Vec::new();
    if !silent.is_empty() {
        let more = silent.len().saturating_sub(SILENT_NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = silent[..silent.len().min(SILENT_NAMED_MAX)].join(", ");
        warnings.push(format!("{named}{more}: no answer in time, so what is offered there is not counted"));
        if lanes.is_empty() {
            return OverlayEffect { matches: None, warnings };
        }
    } else if lanes.is_empty() {
        let cloud = overlay.provider.as_ref().map_or_else(|| "any cloud".to_owned(), ToString::to_string);
        warnings.push(format!("the team has no key to {cloud} yet"));
        return OverlayEffect { matches: Some(0), warnings };
    }
    let offers: Vec<&Offering> = lanes.iter().flat_map(|(_, stock)| &stock.catalogue.offerings).collect();
    let (matches, why) = counted(overlay, &offers);
    warnings.extend(why);
    OverlayEffect { matches: Some(matches), warnings }
}

/// How many of these offers an overlay lowers, and why it is none.
fn counted(overlay: &Overlay, offers: &[&Offering]) -> (usize, Option<String>) {
    let kind: Vec<_> = offers.iter().filter(|it| overlay.is_for_kind(&it.family, it.market)).collect();
    let prices: Vec<i64> = kind.iter().filter_map(|it| it.price.per_hour()).map(|it| it.nanos).collect();
    let lowered = prices.iter().filter(|list| overlay.off.lowered(**list) < **list).count();
    let why = match (lowered, &overlay.family, overlay.market) {
        (1.., ..) => return (lowered, None),
        (_, Some(family), _) if !offers.iter().any(|it| it.family.eq_ignore_ascii_case(family)) => {
            let families: BTreeSet<&str> = offers.iter().map(|it| it.family.as_str()).collect();
            let hint = meant(family, families);
            format!("nothing that the team's keys reach there is of the family {family}{hint}")
        }
        (_, family, Some(market)) if kind.is_empty() => {
            let of = family.as_ref().map(|it| format!(" of the family {it}")).unwrap_or_default();
            let word = if market == Market::Spot { "spot" } else { "on_demand" };
            format!("nothing{of} that the team's keys reach there is sold {word}")
        }
        _ if prices.is_empty() => "nothing that it is for has a known price".to_owned(),
        _ => format!(
            "it takes off more than the {} prices that it is for can spare: a twentieth must be left",
            prices.len()
        ),
    };
    (0, Some(why))
}

/// Why no cloud of this installation could ever be meant.
fn unknown_place(overlay: &Overlay, known: &[Known]) -> Option<String> {
    let of = |cloud: &CloudName| overlay.provider.as_ref().is_none_or(|it| it == cloud);
    if let Some(cloud) = overlay.provider.as_ref().filter(|cloud| !known.iter().any(|(it, _)| it == *cloud)) {
        let hint = meant(cloud.as_str(), known.iter().map(|(cloud, _)| cloud.as_str()));
        return Some(format!("no cloud of this installation is called {cloud}{hint}"));
    }
    let region = overlay.region.as_ref()?;
    let regions = || known.iter().filter(|(cloud, _)| of(cloud)).flat_map(|(_, regions)| regions);
    if regions().any(|it| it == region) {
        return None;
    }
    let whose = overlay.provider.as_ref().map_or("no cloud", CloudName::as_str);
    let not = if overlay.provider.is_some() { "not " } else { "" };
    let hint = meant(region.as_str(), regions().map(Region::as_str));
    Some(format!("{whose} of this installation is {not}used in the region {region}{hint}"))
}

/// `; did you mean aws?`, when something known is near enough.
pub(super) fn meant<'w>(said: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    let lower = said.to_lowercase();
    let near = known.into_iter().filter(|word| !word.is_empty());
    let near = near.map(|word| (strsim::jaro_winkler(&lower, &word.to_lowercase()), word));
    // It likes a common beginning, as slips of the pen have it; below this two words have little in common.
    let near = near.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map(|(_, word)| format!("; did you mean {word}?")).unwrap_or_default()
}
