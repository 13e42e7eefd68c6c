//! Looking: by name, by id, and everything with our mark.

use std::collections::{BTreeMap, BTreeSet};

use infra_core::contracts::provider::{FindQuery, ProviderError};
use infra_core::nouns::cloud::{Cursor, Observed, OwnedPage, Sighting};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::ResourceKind;

use super::api::{Droplets, Images, Page};
use super::observe::{self, FirewallId};
use super::provider::{DigitalOceanProvider, looked, not_made};
use super::tags;
use super::wire::{Droplet, Firewall, Image};
use crate::failure::{Answer, garbled, invalid};

/// Pages that one look-up may have: 20,000 items.
const PAGES_MAX: u32 = 100;

/// So many droplets are asked for one by one.
const SINGLES_MAX: usize = 2;

/// The kinds that a listing shows, in this order.
const LISTED: [ResourceKind; 3] = [ResourceKind::Machine, ResourceKind::Firewall, ResourceKind::Snapshot];

/// All pages of a listing, read one after the other.
#[derive(Debug)]
pub(super) struct Pages<T> {
    pub(super) items: Vec<T>,
    /// The page to ask for; `None` when all are here.
    pub(super) next: Option<u32>,
    /// DigitalOcean's clock at the first of them.
    pub(super) as_of: Option<Timestamp>,
    read: u32,
}

impl<T> Pages<T> {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new(), next: Some(1), as_of: None, read: 0 }
    }

    /// Takes the page that was asked for.
    pub(super) fn take(&mut self, answer: Answer<Page<T>>) -> Result<(), ProviderError> {
        let page = answer.map_err(looked)?;
        if self.read == 0 {
            self.as_of = page.as_of;
        }
        self.read += 1;
        self.items.extend(page.items);
        self.next = page.next;
        if self.next.is_some() && self.read == PAGES_MAX {
            return Err(garbled(format!("a listing has more than {PAGES_MAX} pages")));
        }
        Ok(())
    }
}

pub(super) async fn find(
    provider: &DigitalOceanProvider,
    query: &FindQuery,
) -> Result<Vec<Observed>, ProviderError> {
    let mut found = match query.kind {
        ResourceKind::Machine => machines_named(provider, &query.name).await?,
        ResourceKind::Firewall => {
            let found = firewalls_named(provider, &query.name).await?;
            found.iter().map(|one| observe::firewall(one, None)).collect::<Result<_, _>>()?
        }
        ResourceKind::Snapshot => snapshots_named(provider, &query.name).await?,
        other => return Err(not_made(other)),
    };
    // What has no mark may have lost it; what has another attempt's mark is that attempt's.
    found.retain(|one| one.mark.is_none_or(|mark| mark.token == query.token));
    Ok(found)
}

async fn machines_named(provider: &DigitalOceanProvider, name: &str) -> Result<Vec<Observed>, ProviderError> {
    let mut found = Pages::new();
    while let Some(page) = found.next {
        found.take(provider.api.droplets(Droplets::Named(name), page).await)?;
    }
    // The API's filter does not care about capitals.
    let ours = found.items.iter().filter(|one| one.name == name && is_here(provider, one));
    let mut found: Vec<_> = ours.map(observe::machine).collect::<Result<_, _>>()?;
    found.sort_by_key(|one| one.created_at);
    Ok(found)
}

pub(super) async fn firewalls_named(
    provider: &DigitalOceanProvider,
    name: &str,
) -> Result<Vec<Firewall>, ProviderError> {
    let mut found = Pages::new();
    while let Some(page) = found.next {
        found.take(provider.api.firewalls(page).await)?;
    }
    found.items.retain(|one| one.name == name);
    Ok(found.items)
}

pub(super) async fn snapshots_named(
    provider: &DigitalOceanProvider,
    name: &str,
) -> Result<Vec<Observed>, ProviderError> {
    let mut found = Pages::new();
    while let Some(page) = found.next {
        found.take(provider.api.images(Images::Private, page).await)?;
    }
    let named = found.items.iter().filter(|one| one.kind == "snapshot" && one.name == name);
    named.map(observe::snapshot).collect()
}

/// One listing shows droplets of all regions.
fn is_here(provider: &DigitalOceanProvider, droplet: &Droplet) -> bool {
    droplet.region.slug == provider.lane.region.as_str()
}

/// The API has no way to ask for several ids, and 250 requests a minute for everything: many droplets are looked for in
/// a listing, and only what it does not show is asked for by its id.
pub(super) async fn get(
    provider: &DigitalOceanProvider,
    kind: ResourceKind,
    ids: &[ResourceId],
) -> Result<Vec<Sighting>, ProviderError> {
    let many = kind == ResourceKind::Machine && ids.len() > SINGLES_MAX;
    let listed = if many { listed(provider, ids).await? } else { BTreeMap::new() };
    let mut seen = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(found) = listed.get(id) {
            seen.push(Sighting::Present(Box::new(found.clone())));
            continue;
        }
        seen.push(match one(provider, kind, id).await {
            Ok(Some(found)) => Sighting::Present(Box::new(found)),
            Ok(None) | Err(ProviderError::NotFound { .. }) => Sighting::Absent(id.clone()),
            Err(error) => return Err(error),
        });
    }
    Ok(seen)
}

/// Those of these droplets that a listing shows. It is read on only while that is cheaper than asking for the rest.
async fn listed(
    provider: &DigitalOceanProvider,
    ids: &[ResourceId],
) -> Result<BTreeMap<ResourceId, Observed>, ProviderError> {
    let tag = tags::of_installation(provider.installation);
    let mut missing: BTreeSet<u64> = ids.iter().filter_map(|id| id.as_str().parse().ok()).collect();
    let (mut pages, mut found) = (Pages::new(), BTreeMap::new());
    while let Some(page) = pages.next.filter(|_| missing.len() > SINGLES_MAX) {
        pages.take(provider.api.droplets(Droplets::Tagged(&tag), page).await)?;
        for droplet in pages.items.drain(..) {
            if missing.remove(&droplet.id) {
                let observed = observe::machine(&droplet)?;
                found.insert(observed.id.clone(), observed);
            }
        }
    }
    Ok(found)
}

/// `None` when DigitalOcean cannot ever have given such an id.
async fn one(
    provider: &DigitalOceanProvider,
    kind: ResourceKind,
    id: &ResourceId,
) -> Result<Option<Observed>, ProviderError> {
    let number = id.as_str().parse().ok();
    let api = &provider.api;
    match (kind, number) {
        (ResourceKind::Machine, Some(number)) => {
            observe::machine(&api.droplet(number).await.map_err(looked)?).map(Some)
        }
        (ResourceKind::Snapshot, Some(number)) => {
            observe::snapshot(&api.image(number).await.map_err(looked)?).map(Some)
        }
        (ResourceKind::Firewall, _) => {
            let Ok(FirewallId { uuid, .. }) = FirewallId::parse(id) else { return Ok(None) };
            let found = api.firewall(&uuid).await.map_err(looked)?;
            observe::firewall(&found, Some(id)).map(Some)
        }
        (ResourceKind::Machine | ResourceKind::Snapshot, None) => Ok(None),
        (other, _) => Err(not_made(other)),
    }
}

/// Where a listing is: which kind, which page, when the first page was answered, how many items this kind had on its
/// first page, and whether any such number has changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    kind: ResourceKind,
    page: u32,
    since: Option<Timestamp>,
    total: Option<u64>,
    torn: bool,
}

impl Place {
    const START: Self = Self { kind: LISTED[0], page: 1, since: None, total: None, torn: false };

    fn parse(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.split('|');
        let kind = ResourceKind::from_word(parts.next()?).filter(|kind| LISTED.contains(kind))?;
        let page = parts.next()?.parse().ok().filter(|page| *page > 0)?;
        let since = Some(Timestamp::from_second(parts.next()?.parse().ok()?).ok()?);
        let total = match parts.next()? {
            "" => None,
            total => Some(total.parse().ok()?),
        };
        let torn = parts.next()? == "torn";
        parts.next().is_none().then_some(Self { kind, page, since, total, torn })
    }

    fn cursor(self, since: Timestamp) -> Cursor {
        let Self { kind, page, total, torn, .. } = self;
        let total = total.map_or(String::new(), |total| total.to_string());
        let torn = if torn { "torn" } else { "" };
        Cursor(format!("{kind}|{page}|{}|{total}|{torn}", since.as_second()))
    }

    /// The place after a page; `None` at the end.
    fn after(self, next: Option<u32>, total: u64) -> Option<Self> {
        if let Some(page) = next {
            return Some(Self { page, total: self.total.or(Some(total)), ..self });
        }
        let kind = LISTED.into_iter().skip_while(|kind| *kind != self.kind).nth(1)?;
        Some(Self { kind, page: 1, total: None, ..self })
    }
}

pub(super) async fn owned(
    provider: &DigitalOceanProvider,
    after: Option<Cursor>,
) -> Result<OwnedPage, ProviderError> {
    let place = match &after {
        None => Place::START,
        Some(cursor) => Place::parse(cursor).ok_or_else(|| invalid("the cursor is not of this provider"))?,
    };
    // Before the call: the stand-in for a missing Date must not be later than what the answer can know.
    let now = provider.clock.wall();
    let page = match place.kind {
        ResourceKind::Machine => {
            let tag = tags::of_installation(provider.installation);
            let page = provider.api.droplets(Droplets::Tagged(&tag), place.page).await;
            observed(page, |one| is_here(provider, one), observe::machine)
        }
        ResourceKind::Firewall => {
            let page = provider.api.firewalls(place.page).await;
            observed(page, |one| is_firewall_here(provider, one), |one| observe::firewall(one, None))
        }
        _ => {
            let page = provider.api.images(Images::Private, place.page).await;
            observed(page, |one| is_snapshot_here(provider, one), observe::snapshot)
        }
    }?;
    let mut items = page.items;
    items.retain(|one| one.kind == ResourceKind::Machine || is_ours(provider, one));
    // The whole listing proves something about the moment of its *first* page only.
    let as_of = place.since.or(page.as_of).unwrap_or(now);
    let torn = place.torn || place.total.is_some_and(|total| total != page.total);
    let next = Place { torn, ..place }.after(page.next, page.total).map(|next| next.cursor(as_of));
    Ok(OwnedPage { complete: next.is_none() && !torn, items, next, as_of })
}

fn is_ours(provider: &DigitalOceanProvider, one: &Observed) -> bool {
    one.mark.is_some_and(|mark| mark.installation == provider.installation)
}

/// Firewalls are the account's; the tag says for which region one was made.
fn is_firewall_here(provider: &DigitalOceanProvider, one: &Firewall) -> bool {
    let tag = |mark: infra_core::words::lane::Mark| tags::of_firewall(&provider.lane.region, mark.token);
    infra_core::words::lane::Mark::from_name(&one.name).is_some_and(|mark| one.tags.contains(&tag(mark)))
}

fn is_snapshot_here(provider: &DigitalOceanProvider, one: &Image) -> bool {
    one.kind == "snapshot" && one.regions.iter().any(|region| region == provider.lane.region.as_str())
}

fn observed<T>(
    answer: Answer<Page<T>>,
    here: impl Fn(&T) -> bool,
    observe: impl Fn(&T) -> Result<Observed, ProviderError>,
) -> Result<Page<Observed>, ProviderError> {
    let Page { items, next, total, as_of } = answer.map_err(looked)?;
    let items = items.iter().filter(|one| here(one)).map(observe).collect::<Result<_, _>>()?;
    Ok(Page { items, next, total, as_of })
}
