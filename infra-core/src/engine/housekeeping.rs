//! What may be forgotten, and when: closed launches after their late births, keys after their reservations.

use super::claims::Ownership;
use super::world::Engine;
use crate::contracts::store::Expect;
use crate::nouns::account::IdempotencyRecord;
use crate::nouns::installation::Installation;
use crate::nouns::launch::Launch;
use crate::records::{RepoError, TokenRef, Versioned};

/// Rows pruned per shard and pass.
const PER_PASS: usize = 8;

impl Engine {
    /// Prunes what is due for it in one shard.
    pub(super) async fn prune(
        &self,
        shard: u16,
        installation: &Versioned<Installation>,
        ownership: &Ownership,
    ) -> Result<(), RepoError> {
        let repo = &self.parts.repo;
        let now = self.now();
        if self.deadlines_held(&installation.value).is_some() {
            return Ok(());
        }
        let rows: Vec<Versioned<Launch>> = repo.due(shard, now, PER_PASS).await?;
        for row in rows.iter().filter(|row| row.value.closed()) {
            let reference: Option<Versioned<TokenRef>> = repo.get(TokenRef::place(row.value.token)).await?;
            let mut txn = repo.txn();
            txn.delete(row);
            reference.iter().for_each(|reference| txn.delete(reference));
            ownership.check(&mut txn);
            txn.check(Installation::place(), Expect::Version(installation.version));
            repo.commit(txn).await?;
        }
        let keys: Vec<Versioned<IdempotencyRecord>> = repo.due(shard, now, PER_PASS).await?;
        for key in &keys {
            let mut txn = repo.txn();
            txn.delete(key);
            ownership.check(&mut txn);
            repo.commit(txn).await?;
        }
        Ok(())
    }
}
