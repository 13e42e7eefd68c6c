//! Looking: by token or name, by id, and everything with our mark.

use std::collections::BTreeMap;

use infra_core::contracts::provider::{FindQuery, ProviderError};
use infra_core::nouns::cloud::{Cursor, Observed, OwnedPage, Sighting, ThingState};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{LaunchToken, ResourceId};
use infra_core::words::lane::{Mark, ResourceKind, tags};

use super::api::{Answer, Group, Instance, Page, Tags, Which};
use super::observe;
use super::provider::{Ec2Provider, looked};
use crate::failure::invalid;

/// Ids in one look-up.
const IDS_PER_CALL: usize = 100;

/// Pages that one look-up may have: far above what one token or name can have made.
const PAGES_MAX: usize = 100;

/// Do these tags carry exactly this mark?
pub(super) fn carries(found: &Tags, mark: &Mark) -> bool {
    Mark::from_tags(|key| found.get(key).map(String::as_str)).as_ref() == Some(mark)
}

pub(super) async fn find(provider: &Ec2Provider, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
    let name = Which::Name(query.name.clone());
    let now = provider.clock.wall();
    match query.kind {
        ResourceKind::Machine => {
            let token = Which::ClientToken(query.token.to_string());
            all(machines(provider, &token).await, observe::machine, now)
        }
        ResourceKind::Firewall => {
            let mut found = all(groups(provider, &name).await, observe::firewall, now)?;
            // One whose rules are missing is not yet what the attempt makes: the attempt is to be re-sent.
            found.retain(|one| one.state != ThingState::Building);
            Ok(of_attempt(found, query.token))
        }
        ResourceKind::KeyPair => {
            let found = provider.api.describe_key_pairs(&name).await.map(|page| page.items);
            match all(found, observe::key_pair, now) {
                // Asked by name, EC2 answers a missing one with an error.
                Err(ProviderError::NotFound { .. }) => Ok(Vec::new()),
                found => Ok(of_attempt(found?, query.token)),
            }
        }
        other => Err(not_made(other)),
    }
}

/// What has the unique name and the attempt's mark is the attempt's; what has no mark may have lost it; what has
/// another attempt's mark is that attempt's.
fn of_attempt(mut found: Vec<Observed>, token: LaunchToken) -> Vec<Observed> {
    found.retain(|one| one.mark.is_none_or(|mark| mark.token == token));
    found
}

fn not_made(kind: ResourceKind) -> ProviderError {
    invalid(format!("EC2 is not used for a {kind} here"))
}

async fn machines(provider: &Ec2Provider, which: &Which) -> Answer<Vec<Instance>> {
    let (mut found, mut page) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let answer = provider.api.describe_instances(which, page).await?;
        found.extend(answer.items);
        page = answer.next;
        if page.is_none() {
            break;
        }
    }
    Ok(found)
}

pub(super) async fn groups(provider: &Ec2Provider, which: &Which) -> Answer<Vec<Group>> {
    let (mut found, mut page) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let answer = provider.api.describe_groups(which, page).await?;
        found.extend(answer.items);
        page = answer.next;
        if page.is_none() {
            break;
        }
    }
    Ok(found)
}

pub(super) async fn get(
    provider: &Ec2Provider,
    kind: ResourceKind,
    ids: &[ResourceId],
) -> Result<Vec<Sighting>, ProviderError> {
    let mut found = BTreeMap::new();
    let mut batches: Vec<&[ResourceId]> = ids.chunks(IDS_PER_CALL).collect();
    while let Some(batch) = batches.pop() {
        match by_ids(provider, kind, batch).await? {
            Some(things) => found.extend(things.into_iter().map(|thing| (thing.id.clone(), thing))),
            // One unknown id fails the call for all: halve, until the unknown ones stand alone.
            None if batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                batches.extend([left, right]);
            }
            None => {}
        }
    }
    let sighting = |id: &ResourceId| match found.get(id) {
        Some(thing) => Sighting::Present(Box::new(thing.clone())),
        None => Sighting::Absent(id.clone()),
    };
    Ok(ids.iter().map(sighting).collect())
}

/// The things of these ids; `None` when EC2 does not know one of them.
async fn by_ids(
    provider: &Ec2Provider,
    kind: ResourceKind,
    ids: &[ResourceId],
) -> Result<Option<Vec<Observed>>, ProviderError> {
    let which = Which::Ids(ids.iter().map(ToString::to_string).collect());
    let now = provider.clock.wall();
    let things = match kind {
        ResourceKind::Machine => all(machines(provider, &which).await, observe::machine, now),
        ResourceKind::Firewall => all(groups(provider, &which).await, observe::firewall, now),
        ResourceKind::KeyPair => {
            let found = provider.api.describe_key_pairs(&which).await.map(|page| page.items);
            all(found, observe::key_pair, now)
        }
        other => return Err(not_made(other)),
    };
    match things {
        Ok(things) => Ok(Some(things)),
        Err(ProviderError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn all<T>(
    found: Answer<Vec<T>>,
    observe: impl Fn(T, Timestamp) -> Result<Observed, ProviderError>,
    now: Timestamp,
) -> Result<Vec<Observed>, ProviderError> {
    found.map_err(looked)?.into_iter().map(|one| observe(one, now)).collect()
}

/// Where a listing is: which kind, EC2's marker within it, and when its first page was answered.
struct Place {
    kind: ResourceKind,
    since: Option<Timestamp>,
    page: Option<String>,
}

const LISTED: [ResourceKind; 3] = [ResourceKind::Machine, ResourceKind::Firewall, ResourceKind::KeyPair];

impl Place {
    fn parse(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.splitn(3, '|');
        let kind = ResourceKind::from_word(parts.next()?).filter(|kind| LISTED.contains(kind))?;
        let since = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let page = Some(parts.next()?.to_owned()).filter(|page| !page.is_empty());
        Some(Self { kind, since: Some(since), page })
    }

    /// The place after this one; `None` at the end.
    fn next(&self, page: Option<String>, since: Timestamp) -> Option<Cursor> {
        let after = LISTED.iter().skip_while(|kind| **kind != self.kind).nth(1);
        let kind = if page.is_some() { Some(&self.kind) } else { after }?;
        Some(Cursor(format!("{kind}|{}|{}", since.as_second(), page.unwrap_or_default())))
    }
}

pub(super) async fn owned(provider: &Ec2Provider, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
    let place = match after {
        None => Place { kind: ResourceKind::Machine, since: None, page: None },
        Some(cursor) => Place::parse(&cursor).ok_or_else(|| invalid("the cursor is not of this provider"))?,
    };
    let which = Which::Tag { key: tags::INSTALLATION.to_owned(), value: provider.installation.to_string() };
    // Before the call: the stand-in for a missing Date must not be later than what the answer can know.
    let now = provider.clock.wall();
    let (page, api) = (place.page.clone(), &provider.api);
    let page = match place.kind {
        ResourceKind::Machine => observed(api.describe_instances(&which, page).await, observe::machine, now),
        ResourceKind::Firewall => observed(api.describe_groups(&which, page).await, observe::firewall, now),
        _ => observed(api.describe_key_pairs(&which).await, observe::key_pair, now),
    }?;
    // The whole listing proves something about the moment of its *first* page only: what was born later may be
    // missing from pages already read.
    let as_of = place.since.or(page.as_of).unwrap_or(now);
    let next = place.next(page.next, as_of);
    Ok(OwnedPage { complete: next.is_none(), items: page.items, next, as_of })
}

fn observed<T>(
    answer: Answer<Page<T>>,
    observe: impl Fn(T, Timestamp) -> Result<Observed, ProviderError>,
    now: Timestamp,
) -> Result<Page<Observed>, ProviderError> {
    let page = answer.map_err(looked)?;
    Ok(Page { items: all(Ok(page.items), observe, now)?, next: page.next, as_of: page.as_of })
}
