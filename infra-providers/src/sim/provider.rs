//! The client side: one key in one lane of a sim.

use std::sync::Arc;

use async_trait::async_trait;
use infra_core::CloudProvider;
use infra_core::contracts::provider::{
    Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError, Send, Series, allowed,
};
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, Sighting};
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::nouns::offering::Catalogue;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{InstallationId, ResourceId};
use infra_core::words::lane::{Lane, ResourceKind};
use infra_core::words::secret::Secret;

use super::wire::{Answer, Asked, Call, Port, said};

/// One key in one lane.
#[derive(Debug)]
pub(super) struct SimProvider {
    pub(super) port: Arc<dyn Port>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) key: Secret,
    pub(super) lane: Lane,
    pub(super) installation: InstallationId,
    pub(super) facts: Facts,
}

impl SimProvider {
    async fn call(&self, call: Call) -> Result<Answer, ProviderError> {
        let asked = Asked { key: self.key.expose().to_owned(), region: self.lane.region.clone(), call };
        // The socket write: a replica may be paused just here, whatever it checked before.
        tokio::task::yield_now().await;
        self.port.call(asked).await
    }
}

fn garbled() -> ProviderError {
    ProviderError::Garbled { said: said("Garbled", "the answer is of another call") }
}

#[async_trait]
impl CloudProvider for SimProvider {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        match self.call(Call::Identify).await? {
            Answer::Identity { account, principal } => Ok(Identity { account, principal }),
            _ => Err(garbled()),
        }
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        match self.call(Call::Catalogue).await? {
            Answer::Catalogue(catalogue) => Ok(*catalogue),
            _ => Err(garbled()),
        }
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        let user_data = send.user_data.as_ref().map(|data| data.expose().to_owned());
        let call = Call::Launch { frozen: Box::new(frozen.clone()), user_data };
        let now = self.clock.mono();
        if now > send.deadline {
            return Err(ProviderError::NotSent {
                why: format!("deadline passed {:?} ago", now - send.deadline),
            });
        }
        match self.call(call).await? {
            Answer::Things(things) => Ok(things),
            _ => Err(garbled()),
        }
    }

    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        let FindQuery { token, kind, name, since } = query.clone();
        match self.call(Call::Find { token, kind, name, since }).await? {
            Answer::Things(things) => Ok(things),
            _ => Err(garbled()),
        }
    }

    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        let Answer::Sightings(seen) = self.call(Call::Get { kind, ids: ids.to_vec() }).await? else {
            return Err(garbled());
        };
        if seen.len() != ids.len() {
            return Err(garbled());
        }
        let sightings = seen.into_iter().zip(ids).map(|(seen, id)| match seen {
            Some(observed) => Sighting::Present(Box::new(observed)),
            None => Sighting::Absent(id.clone()),
        });
        Ok(sightings.collect())
    }

    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        match self.call(Call::ListOwned { installation: self.installation, after }).await? {
            Answer::Page { items, next, complete, as_of } => Ok(OwnedPage { items, next, complete, as_of }),
            _ => Err(garbled()),
        }
    }

    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        allowed(on, &self.lane, act)?;
        let call = Call::Act { id: on.id().clone(), kind: on.kind(), mark: *on.mark(), act };
        match self.call(call).await? {
            Answer::Accepted => Ok(Accepted),
            _ => Err(garbled()),
        }
    }

    async fn measure(&self, ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        let MetricQuery { metric, from, to } = query.clone();
        match self.call(Call::Measure { ids: ids.to_vec(), metric, from, to }).await? {
            Answer::Series(series) => {
                Ok(series.into_iter().map(|(id, points)| Series { id, points }).collect())
            }
            _ => Err(garbled()),
        }
    }
}
