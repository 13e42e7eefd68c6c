//! Structured logs on standard error. What is logged is decided where it happens; this chooses form and level.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::config::{LogFormat, Settings};
use super::error::StartError;

/// Installs the process's logger. Only a binary may do so, once.
///
/// # Errors
/// [`StartError::Config`] when the filter cannot be read.
pub fn install(settings: &Settings) -> Result<(), StartError> {
    let filter = filter(settings)?;
    let out = BoxMakeWriter::new(std::io::stderr);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(out);
    let installed = match settings.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| StartError::Broken(format!("logger cannot be installed: {error}")))
}

/// Reads the filter without installing anything.
pub(super) fn filter(settings: &Settings) -> Result<EnvFilter, StartError> {
    EnvFilter::try_new(&settings.log_filter)
        .map_err(|why| StartError::Config(format!("INFRA_LOG {:?}: {why}", settings.log_filter)))
}
