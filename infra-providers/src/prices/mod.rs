//! What capacity costs, from whoever says so: one small trait, and what keeps its answers.
//!
//! # Flow
//! A [`PriceSource`] reads one [`PriceTable`] of one region: from a cloud's API, from a file, from an inventory. A
//! [`PriceFeed`] asks it, in the background, no more often than its [`Pace`] says, keeps the last good table, and turns
//! a row into the contract's `Price` with the configured [`Rates`]. A [`PriceBook`] holds all feeds of an installation:
//! readiness and metrics read their ages there. [`PricedDriver`] puts a feed over any cloud.
//!
//! # Guarantees
//! * A price is a decimal above zero and below [`PER_HOUR_MAX`], in a currency that is named. Zero, negative, missing,
//!   unreadable, contradictory and implausible ones are Unknown with the reason, whoever says them: one place decides
//!   ([`Amount`]).
//! * Nobody who reads a table waits for a source. A failed refresh leaves the last good table, its age and the error in
//!   sight; an answer without a single price is a failure.
//! * Sums of one currency only: what is priced in another one has a configured rate, or no price. What is converted or
//!   cut is rounded up, so that nobody is quoted less than they pay.
//!
//! # Caveats
//! * A feed is refreshed by whoever uses it when its time has come, never by a timer of its own: a tenant's key is used
//!   for that tenant's own questions alone, and what nobody asks for is not asked of a cloud.
//! * The world's rates are nobody's business here: a rate is what an operator wrote down, with its date.

mod amount;
mod error;
mod feed;
mod file;
#[cfg(test)]
mod garbage;
mod inventory;
mod priced;
mod rates;
mod sheet;
mod table;

use std::fmt;

use async_trait::async_trait;

pub use amount::{Amount, CurrencyCode, PER_HOUR_MAX};
pub use error::PriceError;
pub use feed::{Pace, PriceAge, PriceBook, PriceFeed, Scope};
pub use file::{FileSource, Form};
pub use inventory::InventorySource;
pub use priced::PricedDriver;
pub(crate) use priced::priced;
pub use rates::{Rate, Rates, RatesError};
pub use table::{LINUX, PriceOf, PriceTable, Row, TypeWords, Unused};

/// Says what capacity costs in one region.
///
/// # Guarantees asked of implementers
/// * A table is whole: an answer that ends early, or of which a page is missing, is an error.
/// * What cannot be read is a row without a price and with the reason, not a missing row.
/// * No retries, no caching, no waiting: that is the feed's.
#[async_trait]
pub trait PriceSource: fmt::Debug + Send + Sync {
    /// Reads the table. The feed cuts the call, so it must be safe to drop.
    ///
    /// # Errors
    /// [`PriceError`].
    async fn read(&self) -> Result<PriceTable, PriceError>;
}
