//! Looking: by name, by id, and everything with our mark.
//!
//! Nova filters servers by name, but not by metadata, so everything of the project is read and sorted here.
//!
//! # Guarantees
//! * A key that may see other projects (an administrator's) sees this lane's project alone: what has its mark in its name
//!   could otherwise be seen in two lanes. Neutron and Glance are asked for the project, Nova shows others only to who asks
//!   for them; answers of Nova and Neutron are checked as well.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use infra_core::contracts::provider::{FindQuery, ProviderError};
use infra_core::nouns::cloud::{Cursor, Observed, OwnedPage, Sighting, ThingState};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{LaunchToken, ResourceId};
use infra_core::words::lane::ResourceKind;

use super::api::{Ask, Service};
use super::provider::{OpenStackProvider, looked};
use super::shapes::{
    GroupAnswer, GroupsAnswer, Image, ImagesAnswer, KeyPairAnswer, KeyPairsAnswer, ServerAnswer,
    ServersAnswer, has_next,
};
use super::{key_pair, observe};
use crate::failure::invalid;
use crate::http::encoded;

/// Look-ups by id under way at once.
const LOOKS_MAX: usize = 8;

/// So many servers are asked for one by one.
const SINGLES_MAX: usize = 4;

/// Pages that one look-up may have.
const PAGES_MAX: usize = 100;

/// One page as any of the services shows it.
struct Shown {
    items: Vec<Observed>,
    /// The last item's marker, when there is more.
    next: Option<String>,
    /// Something is there that cannot be seen now: the listing proves no absence.
    hidden: bool,
    at: Option<Timestamp>,
}

/// Is it of this lane's project? Where a service does not say, it shows its caller's own.
fn is_here(provider: &OpenStackProvider, project: Option<&str>) -> bool {
    project.is_none_or(|project| project == provider.lane.account.as_str())
}

/// Reads one page of a kind; `filter` is a query like `name=x&` or empty.
async fn page(
    provider: &OpenStackProvider,
    kind: ResourceKind,
    filter: &str,
    after: Option<&str>,
) -> Result<Shown, ProviderError> {
    let marker = after.map(|marker| format!("&marker={}", encoded(marker))).unwrap_or_default();
    let query = format!("{filter}limit={}{marker}", provider.settings.page);
    // The stand-in for a missing Date must not be later than what the answer can know.
    let now = provider.clock.wall();
    let api = &provider.api;
    let project = encoded(provider.lane.account.as_str());
    match kind {
        ResourceKind::Machine => {
            let ask = Ask::get(Service::Compute, format!("/servers/detail?{query}"));
            let answer = api.json::<ServersAnswer>(&ask).await.map_err(looked)?;
            let ServersAnswer { mut servers, servers_links } = answer.value;
            let next = next(has_next(&servers_links), servers.last().map(|one| &one.id));
            servers.retain(|one| is_here(provider, one.tenant_id.as_deref()));
            let hidden = servers.iter().any(observe::is_hidden);
            Ok(Shown { items: all(servers, observe::machine, now)?, next, hidden, at: answer.at })
        }
        ResourceKind::Firewall => {
            let ask = Ask::get(Service::Network, format!("/security-groups?project_id={project}&{query}"));
            let answer = api.json::<GroupsAnswer>(&ask).await.map_err(looked)?;
            let GroupsAnswer { security_groups: mut groups, security_groups_links: links } = answer.value;
            let next = next(has_next(&links), groups.last().map(|one| &one.id));
            groups.retain(|one| is_here(provider, one.project_id.as_deref()));
            Ok(Shown { items: all(groups, observe::firewall, now)?, next, hidden: false, at: answer.at })
        }
        ResourceKind::KeyPair => {
            let ask = Ask::get(Service::Compute, format!("/os-keypairs?{query}"));
            let answer = api.json::<KeyPairsAnswer>(&ask).await.map_err(looked)?;
            let KeyPairsAnswer { keypairs, keypairs_links } = answer.value;
            let mut pairs: Vec<_> = keypairs.into_iter().map(|one| one.keypair).collect();
            let next = next(has_next(&keypairs_links), pairs.last().map(|one| &one.name));
            pairs.retain(|one| is_here(provider, key_pair::project(&one.public_key)));
            Ok(Shown { items: all(pairs, observe::key_pair, now)?, next, hidden: false, at: answer.at })
        }
        ResourceKind::Snapshot => {
            let ask = Ask::get(Service::Image, format!("/images?owner={project}&{query}"));
            let answer = api.json::<ImagesAnswer>(&ask).await.map_err(looked)?;
            let ImagesAnswer { images, next: more } = answer.value;
            let next = next(more.is_some(), images.last().map(|one| &one.id));
            Ok(Shown { items: all(images, observe::snapshot, now)?, next, hidden: false, at: answer.at })
        }
        other => Err(not_made(other)),
    }
}

fn next(more: bool, last: Option<&String>) -> Option<String> {
    last.filter(|_| more).cloned()
}

fn all<T>(
    found: Vec<T>,
    observe: impl Fn(T, Timestamp) -> Result<Observed, ProviderError>,
    now: Timestamp,
) -> Result<Vec<Observed>, ProviderError> {
    found.into_iter().map(|one| observe(one, now)).collect()
}

fn not_made(kind: ResourceKind) -> ProviderError {
    invalid(format!("OpenStack is not used for a {kind} here"))
}

pub(super) async fn find(
    provider: &OpenStackProvider,
    query: &FindQuery,
) -> Result<Vec<Observed>, ProviderError> {
    // A key pair's name is its id. Nova's filter is a pattern, the others' an exact name.
    let name = &query.name;
    let filter = match query.kind {
        ResourceKind::KeyPair => return by_name(provider, query).await,
        ResourceKind::Machine => format!("name={}&", encoded(&format!("^{}$", escaped(name)))),
        _ => format!("name={}&", encoded(name)),
    };
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let shown = page(provider, query.kind, &filter, after.as_deref()).await?;
        found.extend(shown.items);
        after = shown.next;
        if after.is_none() {
            break;
        }
    }
    found.retain(|one| one.name.as_deref() == Some(name));
    if query.kind == ResourceKind::Firewall {
        // One whose rules are missing is not what the attempt makes, and never will be.
        found.retain(|one| one.state != ThingState::Building);
    }
    Ok(of_attempt(found, query.token))
}

async fn by_name(provider: &OpenStackProvider, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
    let Ok(id) = ResourceId::new(query.name.clone()) else { return Ok(Vec::new()) };
    Ok(of_attempt(one(provider, ResourceKind::KeyPair, &id).await?.into_iter().collect(), query.token))
}

/// What has the unique name and the attempt's mark is the attempt's; what has no mark may have lost it; what has
/// another attempt's mark is that attempt's.
fn of_attempt(mut found: Vec<Observed>, token: LaunchToken) -> Vec<Observed> {
    found.retain(|one| one.mark.is_none_or(|mark| mark.token == token));
    found
}

/// A text as a pattern that matches nothing else.
fn escaped(text: &str) -> String {
    let special = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == ' ');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Nova has no way to ask for several ids: many servers are looked for in a listing, and only what it does not show is
/// asked for by its id.
pub(super) async fn get(
    provider: &OpenStackProvider,
    kind: ResourceKind,
    ids: &[ResourceId],
) -> Result<Vec<Sighting>, ProviderError> {
    let listed = if kind == ResourceKind::Machine { listed(provider, ids).await? } else { BTreeMap::new() };
    let looks = ids.iter().cloned().map(|id| sighting(provider, kind, listed.get(&id), id));
    stream::iter(looks.collect::<Vec<_>>()).buffered(LOOKS_MAX).try_collect().await
}

/// Those of these servers that a listing shows. It is read on only while that is cheaper than asking for the rest.
async fn listed(
    provider: &OpenStackProvider,
    ids: &[ResourceId],
) -> Result<BTreeMap<ResourceId, Observed>, ProviderError> {
    let mut missing: BTreeSet<&ResourceId> = ids.iter().collect();
    let (mut found, mut after) = (BTreeMap::new(), None);
    for _ in 0..PAGES_MAX {
        if missing.len() <= SINGLES_MAX {
            break;
        }
        let shown = page(provider, ResourceKind::Machine, "", after.as_deref()).await?;
        for one in shown.items {
            if missing.remove(&one.id) {
                found.insert(one.id.clone(), one);
            }
        }
        after = shown.next;
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}

async fn sighting(
    provider: &OpenStackProvider,
    kind: ResourceKind,
    listed: Option<&Observed>,
    id: ResourceId,
) -> Result<Sighting, ProviderError> {
    if let Some(listed) = listed {
        return Ok(Sighting::Present(Box::new(listed.clone())));
    }
    let seen = one(provider, kind, &id).await?;
    Ok(seen.map_or(Sighting::Absent(id), |seen| Sighting::Present(Box::new(seen))))
}

/// Looks at one id; `None` when the service does not know it, or knows it in another project.
async fn one(
    provider: &OpenStackProvider,
    kind: ResourceKind,
    id: &ResourceId,
) -> Result<Option<Observed>, ProviderError> {
    let (now, api, path) = (provider.clock.wall(), &provider.api, encoded(id.as_str()));
    let here = |project: Option<&str>| is_here(provider, project);
    let seen = match kind {
        ResourceKind::Machine => {
            let ask = Ask::get(Service::Compute, format!("/servers/{path}"));
            let answer = api.json::<ServerAnswer>(&ask).await.map(|one| one.value.server);
            answer.map(|one| here(one.tenant_id.as_deref()).then(|| observe::machine(one, now)))
        }
        ResourceKind::KeyPair => {
            let ask = Ask::get(Service::Compute, format!("/os-keypairs/{path}"));
            let answer = api.json::<KeyPairAnswer>(&ask).await.map(|one| one.value.keypair);
            answer.map(|one| here(key_pair::project(&one.public_key)).then(|| observe::key_pair(one, now)))
        }
        ResourceKind::Firewall => {
            let ask = Ask::get(Service::Network, format!("/security-groups/{path}"));
            let answer = api.json::<GroupAnswer>(&ask).await.map(|one| one.value.security_group);
            answer.map(|one| here(one.project_id.as_deref()).then(|| observe::firewall(one, now)))
        }
        ResourceKind::Snapshot => {
            let ask = Ask::get(Service::Image, format!("/images/{path}"));
            // A label may be called `owner`: what an image says of it is not believed.
            api.json::<Image>(&ask).await.map(|one| Some(observe::snapshot(one.value, now)))
        }
        other => return Err(not_made(other)),
    };
    match seen.map_err(looked) {
        Ok(seen) => seen.transpose(),
        Err(ProviderError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a listing is: which kind, the service's marker within it, when its first page was answered, and whether a
/// page before hid something.
struct Place {
    kind: ResourceKind,
    since: Option<Timestamp>,
    hidden: bool,
    page: Option<String>,
}

const LISTED: [ResourceKind; 4] =
    [ResourceKind::Machine, ResourceKind::Firewall, ResourceKind::KeyPair, ResourceKind::Snapshot];

impl Place {
    fn parse(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.splitn(4, '|');
        let kind = ResourceKind::from_word(parts.next()?).filter(|kind| LISTED.contains(kind))?;
        let since = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let hidden = parts.next()?.parse().ok()?;
        let page = Some(parts.next()?.to_owned()).filter(|page| !page.is_empty());
        Some(Self { kind, since: Some(since), hidden, page })
    }

    /// The place after this one; `None` at the end.
    fn next(&self, page: Option<String>, since: Timestamp, hidden: bool) -> Option<Cursor> {
        let after = LISTED.iter().skip_while(|kind| **kind != self.kind).nth(1);
        let kind = if page.is_some() { Some(&self.kind) } else { after }?;
        Some(Cursor(format!("{kind}|{}|{hidden}|{}", since.as_second(), page.unwrap_or_default())))
    }
}

pub(super) async fn owned(
    provider: &OpenStackProvider,
    after: Option<Cursor>,
) -> Result<OwnedPage, ProviderError> {
    let place = match after {
        None => Place { kind: ResourceKind::Machine, since: None, hidden: false, page: None },
        Some(cursor) => Place::parse(&cursor).ok_or_else(|| invalid("the cursor is not of this provider"))?,
    };
    let now = provider.clock.wall();
    let mut shown = page(provider, place.kind, "", place.page.as_deref()).await?;
    shown.items.retain(|one| one.mark.is_some_and(|mark| mark.installation == provider.installation));
    // The whole listing proves something about the moment of its *first* page only: what was born later may be
    // missing from pages already read.
    let as_of = place.since.or(shown.at).unwrap_or(now);
    let hidden = place.hidden || shown.hidden;
    let next = place.next(shown.next, as_of, hidden);
    Ok(OwnedPage { complete: next.is_none() && !hidden, items: shown.items, next, as_of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_pattern() {
        assert_eq!(escaped("law-01.a*b"), "law-01\\.a\\*b");
    }

    #[test]
    fn a_listing_that_hid_something_says_so_to_its_end() {
        let mut place = Place { kind: ResourceKind::Machine, since: None, hidden: false, page: None };
        let mut pages = 0;
        while let Some(cursor) = place.next(None, Timestamp::UNIX_EPOCH, pages == 0 || place.hidden) {
            place = Place::parse(&cursor).expect("its own");
            pages += 1;
        }
        assert_eq!((pages, place.kind, place.hidden), (3, ResourceKind::Snapshot, true));
        assert!(Place::parse(&Cursor("machine|0|maybe|".to_owned())).is_none());
    }
}
