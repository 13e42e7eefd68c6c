//! A provider that is watched: every call is counted, timed and logged, whoever makes it.
//!
//! # Flow
//! A call is noted when it begins and told when it is answered. One that is dropped before is told by its destructor,
//! so that no way out of a call is silent.
//!
//! # Guarantees
//! * Every method is forwarded as it is, once; nothing is changed, retried or kept.
//! * A call whose future is dropped counts as abandoned: it may still have happened.
//! * The log line stands in the span of whoever calls, and so bears the id of the request that it is made for. It says
//!   lane, operation, outcome and duration, and the cloud's own id of a refused call, and nothing of what was sent.
//!
//! # Caveats
//! Calls that change something are logged as `INFO`, those that look as `DEBUG`: a lane looks every second.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::Instrument;
use tracing::field::Empty;

use crate::contracts::observer::{CallOutcome, Observer, Op};
use crate::contracts::provider::{
    CloudProvider, Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError, Send, Series,
};
use crate::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, Sighting};
use crate::nouns::launch::FrozenLaunch;
use crate::nouns::offering::Catalogue;
use crate::words::clock::Clock;
use crate::words::fault::Fault;
use crate::words::ids::ResourceId;
use crate::words::lane::{Lane, ResourceKind};

/// A provider, and who hears of its calls.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) provider: Arc<dyn CloudProvider>,
    pub(super) lane: Lane,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) clock: Arc<dyn Clock>,
}

/// A call under way. Dropped without an answer it was abandoned.
struct Call<'a> {
    of: &'a Watched,
    op: Op,
    begun: Duration,
    answered: bool,
    /// Around the call itself. Its target is off in logs: the line says the same.
    span: tracing::Span,
}

impl Watched {
    /// Watches one call from here on.
    fn call(&self, op: Op) -> Call<'_> {
        let span = tracing::debug_span!(
            target: "infra_trace", "cloud call", otel.kind = "client", lane = %self.lane, op = op.word(), outcome = Empty
        );
        Call { of: self, op, begun: self.clock.mono(), answered: false, span }
    }
}

impl Call<'_> {
    /// Makes the call, and tells that it was answered.
    ///
    /// The answer goes on as it came. Taking the call by value makes it impossible to tell it twice.
    async fn made<T>(
        mut self,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let answer = call.instrument(self.span.clone()).await;
        self.answered = true;
        let outcome = answer.as_ref().map_or_else(|e| CallOutcome::Failed(e.kind()), |_| CallOutcome::Done);
        self.tell(outcome, answer.as_ref().err());
        answer
    }

    /// To the observer first, who counts, then to the log. The outcome is a word of few, so that figures stay
    /// countable.
    fn tell(&self, outcome: CallOutcome, error: Option<&ProviderError>) {
        let took = self.of.clock.mono().saturating_sub(self.begun);
        self.of.observer.provider_call(&self.of.lane, self.op, outcome, took);
        let (lane, op, outcome) = (&self.of.lane, self.op.word(), outcome.word());
        self.span.record("outcome", outcome);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let said = error.map(tracing::field::display);
        if matches!(self.op, Op::Launch | Op::Act) {
            tracing::info!(target: "infra_cloud", %lane, op, outcome, took_ms, said, "cloud call");
        } else {
            tracing::debug!(target: "infra_cloud", %lane, op, outcome, took_ms, said, "cloud call");
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.tell(CallOutcome::Abandoned, None);
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CloudProvider for Watched {
    fn facts(&self) -> &Facts {
        self.provider.facts()
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        let call = self.call(Op::Identify);
        call.made(self.provider.identify()).await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        let call = self.call(Op::Catalogue);
        call.made(self.provider.catalogue()).await
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        let call = self.call(Op::Launch);
        call.made(self.provider.launch(frozen, send)).await
    }

    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        let call = self.call(Op::Find);
        call.made(self.provider.find(query)).await
    }

    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        let call = self.call(Op::Get);
        call.made(self.provider.get(kind, ids)).await
    }

    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        let call = self.call(Op::List);
        call.made(self.provider.list_owned(after)).await
    }

    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        let call = self.call(Op::Act);
        call.made(self.provider.act(on, act)).await
    }

    async fn measure(&self, ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        let call = self.call(Op::Measure);
        call.made(self.provider.measure(ids, query)).await
    }
}
