//! Spans over OTLP/HTTP (as JSON), to a collector.
//!
//! # Flow
//! Spans of the targets below are collected, batched by a thread of the SDK's, and posted to `<otlp>/v1/traces`. What a
//! request led to later, in the engine, bears the request's id: it goes into the trace that is named by that id, so that
//! one trace shows the request, its planning, and each call to a cloud.
//!
//! # Guarantees
//! * A collector that is slow or gone costs spans, never a request.
//! * Spans say ids, routes, lanes, operations and outcomes; no header, no body, no token.
//!
//! # Caveats
//! Headers for the collector come from `OTEL_EXPORTER_OTLP_HEADERS`, as its specification says.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::words::secret::digest;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::error::StartError;

/// One post to the collector may take so long.
const POST_WITHIN: Duration = Duration::from_secs(10);
/// Below the address: where a collector takes spans.
const TRACES: &str = "v1/traces";

/// Spans on their way out.
#[derive(Debug)]
pub(super) struct Exporting(SdkTracerProvider);

/// Can spans go there, as far as can be seen without asking?
///
/// # Errors
/// [`StartError::Config`].
pub(super) fn check(address: &str) -> Result<reqwest::Client, StartError> {
    crate::client::plain(address).map_err(|why| wrong(address, &why))
}

fn wrong(address: &str, why: &str) -> StartError {
    StartError::Config(format!("log.otlp {address:?}: {why}"))
}

impl Exporting {
    /// Begins to export to a collector. Needs a tokio runtime, on which the posts are made.
    ///
    /// # Errors
    /// [`StartError::Config`] when the address cannot be used.
    pub(super) fn to(address: &str) -> Result<Self, StartError> {
        let post = Post { http: check(address)?, runtime: tokio::runtime::Handle::current() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(post)
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("{}/{TRACES}", address.trim_end_matches('/')))
            .with_timeout(POST_WITHIN)
            .build()
            .map_err(|error| wrong(address, &error.to_string()))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("infra").with_attribute(version).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self(provider))
    }

    /// What collects the spans, and what it collects.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
    {
        let collected = Targets::new()
            .with_target("infra_trace", Level::DEBUG)
            .with_target("infra_audit", Level::INFO)
            .with_target("infra_cloud", Level::DEBUG)
            .with_target("infra_core", Level::INFO)
            .with_target("infra_examples", Level::INFO);
        let inner = tracing_opentelemetry::layer().with_tracer(self.0.tracer("infra"));
        ByRequest(inner.with_location(false).with_threads(false)).with_filter(collected)
    }

    /// Sends what is left. Blocks for some seconds at most.
    pub(super) fn finish(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(POST_WITHIN / 2) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Posts on our own runtime: the SDK's thread has none.
struct Post {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let post = self.http.request(head.method, head.uri.to_string());
        let post = post.headers(head.headers).timeout(POST_WITHIN).body(body);
        let posted = self.runtime.spawn(async move {
            let answer = post.send().await?;
            let status = answer.status();
            answer.bytes().await.map(|body| (status, body))
        });
        let (status, body) = posted.await??;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}

/// Puts a span that bears the id of a request, and stands in no other, into the trace that is named by that id.
struct ByRequest<S>(OpenTelemetryLayer<S, SdkTracer>);

/// The trace of a request, by its id: a parent that is elsewhere.
fn trace_of(request_id: &str) -> OtelContext {
    let digest = digest(request_id.as_bytes());
    let (trace, span) = (TraceId::from_hex(&digest[..32]), SpanId::from_hex(&digest[32..48]));
    let (trace, span) = (trace.expect("a digest is hex"), span.expect("a digest is hex"));
    let remote = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    OtelContext::new().with_remote_span_context(remote)
}

/// Reads the one field that matters here.
#[derive(Default)]
struct RequestIdOf(Option<String>);

impl tracing::field::Visit for RequestIdOf {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "request_id" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "request_id" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

impl<S> Layer<S> for ByRequest<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    OpenTelemetryLayer<S, SdkTracer>: Layer<S>,
{
    fn on_register_dispatch(&self, subscriber: &tracing::Dispatch) {
        self.0.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.0.on_layer(subscriber);
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut request = RequestIdOf::default();
        if !OtelContext::current().has_active_span() {
            attrs.record(&mut request);
        }
        let _trace = request.0.map(|id| trace_of(&id).attach());
        self.0.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.0.on_record(id, values, ctx);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        self.0.on_follows_from(id, follows, ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        self.0.on_event(event, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.0.on_close(id, ctx);
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
        self.0.on_id_change(old, new, ctx);
    }
}
