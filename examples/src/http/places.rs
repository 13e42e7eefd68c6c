//! How much may go on at once: in all, and of one token.
//!
//! # Guarantees
//! * A place that was taken is given back when it is dropped, however its request ends.
//! * One token never takes all places. The admin's is counted only in all: whoever mends things must get in.
//! * Memory is bounded by the places there are: who holds none is not remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;

use super::problem::{Code, Problem};
use super::{HttpOptions, auth};

/// Whoever found no place comes back after this.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

/// Places of one kind.
#[derive(Debug)]
pub(super) struct Places {
    /// What they are for, in the plural.
    what: &'static str,
    all_max: usize,
    each_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: HashMap<String, usize>,
}

/// One place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Option<String>,
    places: Arc<Places>,
}

impl Places {
    pub(super) fn new(what: &'static str, all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self { what, all_max, each_max, held: Mutex::default() })
    }

    /// A place for whoever sent these headers, whether its token counts or not.
    ///
    /// # Errors
    /// 429 `rate-limited`, with what is full and when to come back.
    pub(super) fn take(
        self: &Arc<Self>,
        headers: &HeaderMap,
        options: &HttpOptions,
    ) -> Result<Place, Problem> {
        let of = auth::sent_digest(headers).filter(|sent| !auth::is_admins(sent, options));
        self.take_for(of)
    }

    fn take_for(self: &Arc<Self>, of: Option<String>) -> Result<Place, Problem> {
        let mut held = self.held();
        if held.all >= self.all_max {
            return Err(full(format!("{} {} go on already", self.all_max, self.what)));
        }
        if let Some(of) = &of {
            let own = held.of.get(of).copied().unwrap_or(0);
            if own >= self.each_max {
                return Err(full(format!("{own} {} of this token go on already", self.what)));
            }
            held.of.insert(of.clone(), own + 1);
        }
        held.all += 1;
        drop(held);
        Ok(Place { of, places: Arc::clone(self) })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full(why: String) -> Problem {
    let mut problem = Problem::new(Code::RateLimited, why);
    problem.retry_after_s = Some(COME_BACK_AFTER.as_secs());
    problem
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.all -= 1;
        let Some(of) = &self.of else { return };
        match held.of.get_mut(of) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                held.of.remove(of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_takes_all_places_or_a_place_is_lost() {
        let places = Places::new("waits", 3, 2);
        let ada = || places.take_for(Some("ada".to_owned()));
        let (one, two) = (ada().expect("free"), ada().expect("free"));
        let told = ada().expect_err("two are hers");
        assert_eq!((told.code, told.retry_after_s), (Code::RateLimited, Some(1)));
        let eve = places.take_for(Some("eve".to_owned())).expect("one is left");
        assert!(places.take_for(None).is_err(), "three in all");
        drop((one, eve));
        let again = ada().expect("hers came back");
        drop((two, again));
        let held = places.held();
        assert!(held.all == 0 && held.of.is_empty(), "{held:?}");
    }
}
