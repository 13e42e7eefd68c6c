//! Pages of reservations, whole under any filter.
//!
//! # Flow
//! Without a filter one read of the owner's index answers a page: it asks for one record more than the page takes, and
//! whether that one is there says whether there is another page. With a filter records are read in larger bites, in key
//! order, until the page is full or there are no more. What is shared is found among all of the tenant's.
//!
//! # Errors
//! [`InfraError::OutOfRange`] for `limit` and `tag`; nothing else is refused. A cursor that names a reservation which is
//! gone by now is fine: the page begins behind where it stood.
//!
//! # Guarantees
//! * A page is full unless it is the last, whatever is filtered: what does not match is read past, not counted.
//! * A reservation that matches throughout all pages is on exactly one of them: the next page begins after the last
//!   one shown, by key, not by place.
//! * Somebody else's is listed only where it is shared, and stands in the caller's tenant.
//!
//! # Caveats
//! A filter that little matches reads all of the user's reservations, or all of the team's for those that are shared.

use super::core::Core;
use super::error::InfraError;
use super::sharing::role_of;
use super::views::{ListOptions, ViewPage};
use super::{page, show};
use crate::contracts::store::{ListBy, ListQuery};
use crate::nouns::account::User;
use crate::nouns::reservation::{Reservation, Role};
use crate::records::{Stored, state};
use crate::words::ids::ReservationId;

/// Records read at once past what does not match.
const READ_AT_ONCE: usize = 500;
/// Tags asked for at once: as many as a reservation may have.
const TAGS_MAX: usize = 30;

/// A page, as asked.
///
/// The record that shows that there is another page is read and not shown. The cursor names the last one shown, so it
/// stays good when that one goes.
pub(super) async fn page(core: &Core, user: &User, options: &ListOptions) -> Result<ViewPage, InfraError> {
    let limit = options.limit.unwrap_or(page::PAGE);
    let mut query = query(user, options, limit);
    let mut items = Vec::new();
    let mut last: Option<ReservationId> = None;
    loop {
        let (records, next) = core.repo.list_page::<Reservation>(&query).await?;
        for record in &records {
            let Some(role) = listed(user, &record.value, options) else { continue };
            if items.len() == limit {
                return Ok(ViewPage { items, next: last });
            }
            last = Some(record.value.id.clone());
            items.push(show::brief(core, record).seen_as(role));
        }
        match next {
            Some(next) => query.after = Some(next),
            None => return Ok(ViewPage { items, next: None }),
        }
    }
}

/// Is it a page that can be asked for?
///
/// Said before anything is read.
pub(super) fn check(options: &ListOptions) -> Result<(), InfraError> {
    page::limit(options.limit)?;
    if options.tags.len() > TAGS_MAX || options.tags.iter().any(String::is_empty) {
        return Err(InfraError::field("tag", format!("must be up to {TAGS_MAX} of name:value or name")));
    }
    Ok(())
}

/// What to read: one more than a page takes shows whether there is another.
///
/// A filter reads in large bites whatever the limit: most of what it reads may not match.
fn query(user: &User, options: &ListOptions, limit: usize) -> ListQuery {
    let tenant = user.tenant.clone();
    let filtered = options.shared || !options.tags.is_empty();
    let by = if options.shared {
        ListBy::Tenant { tenant, prefix: String::new() }
    } else {
        ListBy::Owner { tenant, owner: user.id.clone() }
    };
    ListQuery {
        by,
        kind: Reservation::KIND,
        state_max: (!options.all).then_some(state::OPEN),
        after: options.after.as_ref().map(|id| Reservation::place(&user.tenant, id)),
        limit: if filtered { READ_AT_ONCE } else { limit + 1 },
    }
}

/// The user's role, when the reservation is on the list that was asked for.
///
/// Own and shared ones are two lists: nothing stands on both.
fn listed(user: &User, reservation: &Reservation, options: &ListOptions) -> Option<Role> {
    let role = role_of(user, reservation).filter(|role| (*role == Role::Owner) != options.shared)?;
    options.tags.iter().all(|wanted| has_tag(reservation, wanted)).then_some(role)
}

/// `name:value`, or `name` alone. Both may have `:` in them, so the whole text is compared.
fn has_tag(reservation: &Reservation, wanted: &str) -> bool {
    reservation.spec.request.tags.iter().any(|(name, value)| {
        wanted
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':') == Some(value.as_str()))
    })
}
