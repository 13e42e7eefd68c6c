//! Fenced claims on shards and lanes: who works on what.
//!
//! A claim record changes only when its holder does; the heartbeat beside it is renewed. Commits check the claim
//! record, so a replica that lost its claim can write nothing more, and renewing never fails its own commits.
//! A claim is taken over only by a replica that itself watched the heartbeat stand still for a whole life of it
//! on its own monotonic clock. Where the store admits one process only, the previous holder is surely dead.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::contracts::store::Expect;
use crate::nouns::installation::{Claim, Heartbeat};
use crate::records::{Repo, RepoError, Txn, Versioned};
use crate::words::clock::{Clock, Timestamp, later};
use crate::words::ids::{BootId, ReplicaId};
use crate::words::lane::{Fence, Version};
use crate::words::limits::Limits;

/// A claim that is held now.
#[derive(Debug, Clone)]
pub struct Ownership {
    /// Its record's version: commits check it.
    version: Version,
    on: String,
    /// By the monotonic clock: nothing may leave after this.
    pub until: Duration,
}

impl Ownership {
    /// Makes a commit fail unless the claim is still held.
    pub(crate) fn check(&self, txn: &mut Txn) {
        txn.check(Claim::place(&self.on), Expect::Version(self.version));
    }
}

#[derive(Debug, Clone)]
struct Seen {
    heartbeat: Version,
    since: Duration,
}

#[derive(Debug, Clone)]
struct Held {
    ownership: Ownership,
    renewed: Duration,
}

/// All claims of one replica.
#[derive(Debug)]
pub(crate) struct Claims {
    replica: ReplicaId,
    boot: BootId,
    /// Only one process can have this store open: every older claim is a dead one's.
    alone: bool,
    held: Mutex<HashMap<String, Held>>,
    seen: Mutex<HashMap<String, Seen>>,
}

impl Claims {
    pub(crate) fn new(replica: ReplicaId, boot: BootId, alone: bool) -> Self {
        Self { replica, boot, alone, held: Mutex::default(), seen: Mutex::default() }
    }

    /// Holds, renews or takes a claim; `None` while somebody else has it.
    pub(crate) async fn hold(
        &self,
        repo: &Repo,
        clock: &dyn Clock,
        limits: &Limits,
        epoch: u32,
        on: &str,
    ) -> Result<Option<Ownership>, RepoError> {
        let now = clock.mono();
        let held = self.held.lock().expect("no panic under this lock").get(on).cloned();
        if let Some(held) = &held {
            let fresh = now < held.renewed + limits.claim_renew_every && now < held.ownership.until;
            if fresh {
                return Ok(Some(held.ownership.clone()));
            }
        }
        match self.renew_or_take(repo, clock, limits, epoch, on).await {
            Ok(Some(held)) => {
                let ownership = held.ownership.clone();
                self.held.lock().expect("no panic under this lock").insert(on.to_owned(), held);
                Ok(Some(ownership))
            }
            Ok(None) => {
                self.held.lock().expect("no panic under this lock").remove(on);
                Ok(None)
            }
            Err(error) if error.is_conflict() => {
                self.held.lock().expect("no panic under this lock").remove(on);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn renew_or_take(
        &self,
        repo: &Repo,
        clock: &dyn Clock,
        limits: &Limits,
        epoch: u32,
        on: &str,
    ) -> Result<Option<Held>, RepoError> {
        // Read before the records: time spent reading must not lengthen the claim.
        let (mono, wall) = (clock.mono(), clock.wall());
        let claim: Option<Versioned<Claim>> = repo.get(Claim::place(on)).await?;
        let heartbeat: Option<Versioned<Heartbeat>> = repo.get(Heartbeat::place(on)).await?;
        let beat = self.beat(on, wall, limits);
        let mut txn = repo.txn();
        let claim_version = match &claim {
            Some(claim) if claim.value.boot == self.boot => {
                txn.check(Claim::place(on), Expect::Version(claim.version));
                Some(claim.version)
            }
            Some(claim) => {
                if !self.may_take(on, heartbeat.as_ref(), mono, limits) {
                    return Ok(None);
                }
                txn.update(claim, &self.claim(on, epoch, claim.value.fence.seq + 1));
                None
            }
            None => {
                txn.insert(&self.claim(on, epoch, 1));
                None
            }
        };
        txn.put(&beat, heartbeat.map_or(Expect::Absent, |h| Expect::Version(h.version)));
        let version = repo.commit(txn).await?;
        let ownership = Ownership {
            version: claim_version.unwrap_or(version),
            on: on.to_owned(),
            until: mono + limits.claim_ttl,
        };
        Ok(Some(Held { ownership, renewed: mono }))
    }

    fn may_take(
        &self,
        on: &str,
        heartbeat: Option<&Versioned<Heartbeat>>,
        mono: Duration,
        limits: &Limits,
    ) -> bool {
        let Some(heartbeat) = heartbeat.filter(|_| !self.alone) else { return true };
        let mut seen = self.seen.lock().expect("no panic under this lock");
        let watched = seen
            .entry(on.to_owned())
            .and_modify(|seen| {
                if seen.heartbeat != heartbeat.version {
                    *seen = Seen { heartbeat: heartbeat.version, since: mono };
                }
            })
            .or_insert(Seen { heartbeat: heartbeat.version, since: mono });
        mono.saturating_sub(watched.since) > limits.claim_ttl
    }

    fn claim(&self, on: &str, epoch: u32, seq: u64) -> Claim {
        Claim { on: on.to_owned(), holder: self.replica, boot: self.boot, fence: Fence { epoch, seq } }
    }

    fn beat(&self, on: &str, wall: Timestamp, limits: &Limits) -> Heartbeat {
        Heartbeat { on: on.to_owned(), boot: self.boot, until: later(wall, limits.claim_ttl), at: wall }
    }

    /// Which start of this replica.
    pub(crate) const fn boot(&self) -> BootId {
        self.boot
    }
}
