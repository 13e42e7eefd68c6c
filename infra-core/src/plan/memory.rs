//! Which offers are skipped now, because they were refused for want of capacity or quota a moment ago: pure.
//!
//! # Guarantees
//! * Capacity is remembered for the zone that lacked it, a quota for all zones of the lane: another zone may have what
//!   this one has not, but an account's limit is the same in all of them.
//! * Other types of the same account are still tried: clouds count quotas in processors, or by family, so a smaller
//!   type may well fit.
//! * What is over by `now` is not remembered, whether or not anybody has cleaned up.

use std::collections::{BTreeMap, BTreeSet};

use crate::contracts::pricing::Excluded;
use crate::nouns::reservation::Choice;
use crate::nouns::scarcity::Scarcity;
use crate::words::clock::Timestamp;

/// What lacks where, and until when nobody asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    offers: BTreeMap<Excluded, Timestamp>,
}

impl Memory {
    /// Nothing is remembered.
    #[must_use]
    pub fn nothing() -> &'static Self {
        static NOTHING: Memory = Memory { offers: BTreeMap::new() };
        &NOTHING
    }

    /// What these lanes lack at this moment.
    #[must_use]
    pub fn of<'a>(lanes: impl IntoIterator<Item = &'a Scarcity>, now: Timestamp) -> Self {
        let mut offers = BTreeMap::new();
        for lane in lanes {
            for scarce in lane.offers.iter().filter(|scarce| scarce.until > now) {
                let offer = Excluded {
                    lane: lane.lane.id(),
                    type_name: scarce.type_name.clone(),
                    zone: scarce.zone.clone(),
                    market: scarce.market,
                };
                offers.insert(offer, scarce.until);
            }
        }
        Self { offers }
    }

    /// The offers not to take now, as rankings want them.
    #[must_use]
    pub fn excluded(&self) -> BTreeSet<Excluded> {
        self.offers.keys().cloned().collect()
    }

    /// The same, and until when each is not taken.
    #[must_use]
    pub fn skipped(&self) -> Vec<(Excluded, Timestamp)> {
        self.offers.iter().map(|(offer, until)| (offer.clone(), *until)).collect()
    }

    /// Until when a choice is not asked for; `None` when it may be.
    #[must_use]
    pub fn until(&self, choice: &Choice) -> Option<Timestamp> {
        let offer = |zone| Excluded {
            lane: choice.lane.id(),
            type_name: choice.offering.type_name.clone(),
            zone,
            market: choice.offering.market,
        };
        let everywhere = self.offers.get(&offer(None)).copied();
        let here = choice.zone.clone().and_then(|zone| self.offers.get(&offer(Some(zone))).copied());
        everywhere.max(here)
    }
}
