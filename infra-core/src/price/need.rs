//! A request in the units offers are counted in, read once.
//!
//! # Guarantees
//! * From here on there are only whole numbers: no comparison can be false in both directions, as it is with NaN.
//! * Fractions are rounded up, so what fits in units fits as asked.
//!
//! # Caveats
//! `duration_s` wins over `ends_at`, should both be said; admission refuses that before. An `ends_at` in the past is
//! a time of zero, for which the cloud's minimum is still charged.

use std::time::Duration;

use super::DEFAULT_OS;
use super::limit::Limit;
use crate::nouns::policy::Policy;
use crate::nouns::request::{Arch, Market, MarketWish, Request};
use crate::words::clock::{Timestamp, between};
use crate::words::ids::{CloudName, ImageId, Region};

/// What to boot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish<'a> {
    /// Exactly this image.
    Id(&'a ImageId),
    /// The newest image of this operating system.
    Os(&'a str),
}

/// What must fit, in whole units, rounded up.
#[derive(Debug)]
pub(super) struct Need<'a> {
    /// Machines.
    pub(super) count: u32,
    /// Thousandths of a virtual processor, as offers count them.
    pub(super) vcpus_milli: u64,
    /// Memory, MiB.
    pub(super) memory_mib: u64,
    /// Disk, GiB; 0 when none was asked for.
    pub(super) disk_gib: u64,
    /// Accelerators.
    pub(super) gpus: u32,
    /// Which accelerator.
    pub(super) gpu_model: Option<&'a str>,
    /// Only this architecture.
    pub(super) arch: Option<Arch>,
    /// Only these markets, the first wished first.
    pub(super) market: MarketWish,
    /// Only this region.
    pub(super) region: Option<&'a Region>,
    /// Only this cloud.
    pub(super) provider: Option<&'a CloudName>,
    /// The rules beside the sizes.
    pub(super) policy: &'a Policy,
    /// Does each machine have a public address?
    pub(super) public: bool,
    /// What it boots.
    pub(super) wish: Wish<'a>,
    /// Billionths of a dollar per machine and hour.
    pub(super) cap: Option<i64>,
    /// How long, if said.
    pub(super) time: Option<Duration>,
}

/// A value that no machine could ever meet: nothing fits, and this is why.
#[derive(Debug)]
pub(super) struct Nonsense {
    /// The field.
    pub(super) limit: Limit,
    /// What is wrong with it, for people.
    pub(super) detail: String,
}

impl<'a> Need<'a> {
    /// Reads a request. Values that make no sense count as not said, and the first of them is reported.
    pub(super) fn read(request: &'a Request, now: Timestamp) -> (Self, Option<Nonsense>) {
        let mut nonsense = None;
        let mut whole = |limit: Limit, value: Option<f64>, units: f64| {
            value.and_then(|value| {
                let read = units_up(value, units);
                if read.is_none() && nonsense.is_none() {
                    let detail = format!("{} must be a number from 0 up, not {value}", limit.field());
                    nonsense = Some(Nonsense { limit, detail });
                }
                read
            })
        };
        let vcpus_milli = whole(Limit::Vcpus, request.vcpus, 1000.0).unwrap_or(0);
        let memory_mib = whole(Limit::Memory, request.memory_gib, 1024.0).unwrap_or(0);
        let disk_gib = whole(Limit::Disk, request.disk_gib, 1.0).unwrap_or(0);
        let capped = whole(Limit::MaxPrice, request.max_price_per_hour, 1.0).is_some();
        if request.count == Some(0) && nonsense.is_none() {
            let detail = "count must be 1 at least".to_owned();
            nonsense = Some(Nonsense { limit: Limit::Count, detail });
        }
        let need = Self {
            count: request.count(),
            vcpus_milli,
            memory_mib,
            disk_gib,
            gpus: request.gpus.unwrap_or(0),
            gpu_model: request.gpu_model.as_deref(),
            arch: request.arch,
            market: request.market.unwrap_or_default(),
            region: request.region.as_ref(),
            provider: request.provider.as_ref(),
            policy: &request.policy,
            public: !request.private_only,
            wish: match (&request.image, &request.os) {
                (Some(id), _) => Wish::Id(id),
                (None, os) => Wish::Os(os.as_deref().unwrap_or(DEFAULT_OS)),
            },
            // A cap beyond what money can say caps nothing.
            cap: request.price_cap().filter(|_| capped).map(|cap| cap.nanos),
            time: request
                .duration_s
                .map(Duration::from_secs)
                .or_else(|| request.ends_at.map(|end| between(now, end))),
        };
        (need, nonsense)
    }

    /// Which wish of the request a market is: 0 for the first; `None` for one that is not wanted.
    pub(super) fn class(&self, market: Market) -> Option<usize> {
        self.market.markets().iter().position(|wanted| *wanted == market)
    }

    /// The limit that `wish` is.
    pub(super) const fn image_limit(&self) -> Limit {
        match self.wish {
            Wish::Id(_) => Limit::Image,
            Wish::Os(_) => Limit::Os,
        }
    }
}

/// `value` in units, rounded up; `None` for what is no number, infinite or below zero.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and nothing has u64::MAX units"
)]
fn units_up(value: f64, units: f64) -> Option<u64> {
    // 0.07 x 1000 is 70.00000000000001: binary dust must not ask for one unit more.
    const DUST: f64 = 1e-6;
    (value.is_finite() && value >= 0.0).then(|| (value * units - DUST).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_dust_does_not_ask_for_a_unit_more() {
        assert_eq!(units_up(0.07, 1000.0), Some(70));
        assert_eq!(units_up(0.0701, 1000.0), Some(71));
        assert_eq!(units_up(-0.0, 1.0), Some(0));
        assert_eq!(units_up(f64::MAX, 1024.0), Some(u64::MAX));
        for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001] {
            assert_eq!(units_up(nonsense, 1.0), None);
        }
    }
}
