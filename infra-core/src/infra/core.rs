//! What all handles share.

use std::sync::{Arc, OnceLock};

use super::health::Pulse;
use super::reseal::Resealed;
use super::tokens::{Holders, Uses};
use crate::connect::Connections;
use crate::contracts::pricing::PricingEngine;
use crate::records::Repo;
use crate::words::clock::{Clock, Timestamp};
use crate::words::entropy::Entropy;
use crate::words::lane::Version;
use crate::words::limits::Limits;
use crate::words::planted::Planted;
use crate::words::secret::MasterKey;

/// The parts of an open installation.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) repo: Repo,
    pub(crate) connections: Connections,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) limits: Limits,
    pub(crate) master: MasterKey,
    pub(crate) pricing: Arc<dyn PricingEngine>,
    /// Where this process opened the store.
    pub(crate) home: String,
    /// The store's newest commit before any of this process.
    pub(crate) opened_at: Version,
    pub(crate) planted: Planted,
    /// What was last heard of the engine.
    pub(super) pulse: Arc<Pulse>,
    /// When the use of access tokens was written.
    pub(super) uses: Uses,
    /// Whose tokens were when they were last used.
    pub(super) holders: Holders,
    /// What came of sealing again at the start, when it was done.
    pub(super) resealed: OnceLock<Resealed>,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }
}
