//! Structured logs on standard error, and spans to a collector. What is logged is decided where it happens; this chooses
//! form and level.

use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::config::{LogFormat, Settings};
use super::error::StartError;

/// What was installed; [`Self::finish`] sends what is left of it.
#[derive(Debug)]
#[must_use = "spans that are left are sent when it is finished"]
pub struct Logging {
    #[cfg(feature = "otlp")]
    exporting: Option<std::sync::Arc<super::otlp::Exporting>>,
}

impl Logging {
    /// Sends the spans that are left, if any are collected; some seconds at most.
    pub async fn finish(self) {
        #[cfg(feature = "otlp")]
        if let Some(exporting) = self.exporting {
            // It blocks until the runtime has posted them.
            let _ = tokio::task::spawn_blocking(move || exporting.finish()).await;
        }
    }
}

/// Installs the process's logger. Only a binary may do so, once.
///
/// # Errors
/// [`StartError::Config`] when the filter cannot be read, or spans cannot go where they should.
pub fn install(settings: &Settings) -> Result<Logging, StartError> {
    let filter = filter(settings)?;
    let out = BoxMakeWriter::new(std::io::stderr);
    let lines = tracing_subscriber::fmt::layer().with_writer(out);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.log_format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    #[cfg(feature = "otlp")]
    let (layers, logging) = {
        let to = settings.otlp.as_deref();
        let exporting = to.map(super::otlp::Exporting::to).transpose()?.map(std::sync::Arc::new);
        let mut layers = vec![lines];
        layers.extend(exporting.as_ref().map(|exporting| exporting.layer().boxed()));
        (layers, Logging { exporting })
    };
    #[cfg(not(feature = "otlp"))]
    let (layers, logging) = (vec![lines], Logging {});
    let installed = tracing_subscriber::registry().with(layers).try_init();
    installed.map_err(|error| StartError::Broken(format!("logger cannot be installed: {error}")))?;
    Ok(logging)
}

/// Reads the filter without installing anything.
pub(super) fn filter(settings: &Settings) -> Result<EnvFilter, StartError> {
    if cfg!(not(feature = "otlp")) && settings.otlp.is_some() {
        let how = "cargo run --release --features otlp --bin http-server";
        return Err(StartError::Config(format!("log.otlp: this build sends no spans: {how}")));
    }
    EnvFilter::try_new(&settings.log_filter)
        .map_err(|why| StartError::Config(format!("INFRA_LOG {:?}: {why}", settings.log_filter)))
}
