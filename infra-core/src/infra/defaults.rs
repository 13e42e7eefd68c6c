//! What a profile adds to a request, and what of it gives way.
//!
//! # Flow
//! Public keys and software are added to a request that names none. A default region and a default system are added,
//! too, and the offers ranked; when nothing can be had with both, they are ranked again without the region, then without
//! the system, then without either.
//!
//! | field | added when the request | gives way when |
//! |---|---|---|
//! | `ssh_public_keys` | names none | never |
//! | `software` | names none | nothing here installs software by name |
//! | `region` | does not say | nobody's key reaches it, or nothing fits there |
//! | `os` | names neither system nor image | there is no image of it, or nothing fits with it |
//! | `time_zone` | never: it is for whoever speaks with the user | |
//!
//! # Assumptions
//! Ranking is repeatable and cheap beside asking a cloud: catalogues are kept for minutes, so that up to four rankings of
//! one request read them once.
//!
//! # Errors
//! Those of the request: a profile is checked when it is set, and adds nothing that could be refused by itself. The one
//! exception is `setup`, whose room is shared with the public keys: a long script may leave none for many keys.
//!
//! # Guarantees
//! * A request says more than a profile: nothing that was said is changed.
//! * A default is a preference. A region that the named cloud does not have, or where nothing fits; a system of which
//!   there is no image there; software that nothing here installs: each is left out, and does not make a request fail
//!   that would go through without it. The error, if there is one, is that of the request without them.
//! * What is recorded is what was ranked: the request with what the profile added, and the names of those fields.
//!
//! # Caveats
//! * A cloud that does not answer in the default region is no reason to go elsewhere: then the answer is that it does not
//!   answer, as if the region had been asked for.
//! * A request for an image takes no default system, and no default is ever a limit (`max_price_per_hour`) or an end.

use super::core::Core;
use super::error::InfraError;
use super::{ask, profile, quote};
use crate::contracts::pricing::Quote;
use crate::nouns::account::{Preferences, User};
use crate::nouns::request::Request;
use crate::nouns::reservation::Choice;

/// A request that can be had.
#[derive(Debug)]
pub(super) struct Admitted {
    /// With what the profile added.
    pub(super) request: Request,
    /// Names of the fields that the profile added.
    pub(super) from_profile: Vec<String>,
    /// The best first.
    pub(super) quotes: Vec<Quote>,
    /// What a reservation of it keeps: the same, and better ones that lack something for some minutes.
    pub(super) kept: Vec<Choice>,
}

/// Fills a request up, checks it, and ranks what could fulfil it.
///
/// Up to four rankings; of the same request only one. The error of the last one is answered, the one without defaults.
/// At most `limit` quotes.
///
/// # Errors
/// As [`super::UserHandle::quote`].
pub(super) async fn admit(
    core: &Core,
    user: &User,
    request: &Request,
    limit: usize,
) -> Result<Admitted, InfraError> {
    let (limits, now) = (&core.limits, core.now());
    ask::check(request, limits, now)?;
    let preferences = profile::of(core, user).await?.preferences;
    let with = |with: With| {
        let (mut filled, mut from_profile) = (request.clone(), Vec::new());
        fill(&mut filled, &preferences, with, &mut from_profile);
        (filled, from_profile)
    };
    let nobody_installs = ask::check(&with(With { software: true, ..With::default() }).0, limits, now)
        .is_err_and(|error| matches!(error, InfraError::Unfulfillable { field: "software", .. }));
    let mut refused = None;
    let mut tried: Vec<Request> = Vec::new();
    for (region, os) in [(true, true), (false, true), (true, false), (false, false)] {
        let (request, from_profile) = with(With { region, os, software: !nobody_installs });
        if tried.contains(&request) {
            continue;
        }
        ask::check(&request, limits, now)?;
        match quote::rank(core, &user.tenant, &request, limit).await {
            Ok((quotes, kept)) => return Ok(Admitted { request, from_profile, quotes, kept }),
            Err(error) if !gives_way(&error) => return Err(error),
            Err(error) => refused = Some(error),
        }
        tried.push(request);
    }
    Err(refused.unwrap_or_else(|| InfraError::Internal { why: "no request was ranked".to_owned() }))
}

/// Which of the defaults that may give way are added.
#[derive(Debug, Clone, Copy, Default)]
struct With {
    region: bool,
    os: bool,
    software: bool,
}

/// Adds what the request does not say and the profile does, as far as `with` allows, and notes the names in `added`. A
/// request for an image takes no system: it would say two things of one disk.
fn fill(request: &mut Request, from: &Preferences, with: With, added: &mut Vec<String>) {
    let mut add = |field: &str| added.push(field.to_owned());
    if request.ssh_public_keys.is_empty() && !from.ssh_public_keys.is_empty() {
        request.ssh_public_keys.clone_from(&from.ssh_public_keys);
        add("ssh_public_keys");
    }
    if with.software && request.software.is_empty() && !from.software.is_empty() {
        request.software.clone_from(&from.software);
        add("software");
    }
    if with.region && request.region.is_none() && from.region.is_some() {
        request.region.clone_from(&from.region);
        add("region");
    }
    if with.os && request.os.is_none() && request.image.is_none() && from.os.is_some() {
        request.os.clone_from(&from.os);
        add("os");
    }
}

/// Takes out of a recorded request what came from a profile.
///
/// For a template: whoever asks it again brings a profile of their own. Names that are no defaults are passed by.
pub(super) fn without(request: &mut Request, from_profile: &[String]) {
    for field in from_profile {
        match field.as_str() {
            "ssh_public_keys" => request.ssh_public_keys.clear(),
            "software" => request.software.clear(),
            "region" => request.region = None,
            "os" => request.os = None,
            _ => {}
        }
    }
}

/// Is it an answer that a preference could have caused?
///
/// A silent lane is no such answer: it may well have what was preferred.
const fn gives_way(error: &InfraError) -> bool {
    matches!(
        error,
        InfraError::UnknownRegion { .. }
            | InfraError::UnknownImage { .. }
            | InfraError::NoFit { .. }
            | InfraError::Unfulfillable { .. }
    )
}
