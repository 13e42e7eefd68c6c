//! Everything around the router that only a process needs: flags, files, keys, logs, signals.
//!
//! # Flow
//! [`Args`] and the environment and the file become [`Settings`]; the data folder is locked; the master key is
//! found or made; the store and the clouds are opened; then the router is served until a signal.
//!
//! # Errors
//! Every failure before the server listens is a [`StartError`] with an exit code that a script can act on.

mod accepting;
mod args;
mod banner;
mod config;
mod data_dir;
mod error;
mod file;
mod http_settings;
mod limits;
mod logging;
mod master_key;
#[cfg(feature = "otlp")]
mod otlp;
mod parts;
mod pricing;
#[cfg(test)]
mod reference_tests;
mod sealing;
mod shutdown;
mod span;
mod start;
mod tls;

pub use args::Args;
pub use banner::Banner;
pub use config::{Environment, LogFormat, Settings, StoreUrl, TlsFiles};
pub use data_dir::DataDir;
pub use error::StartError;
pub(crate) use file::nearest;
pub use http_settings::HttpSettings;
pub use infra_providers::registry::CloudSpec;
pub use logging::{Logging, install as install_logging};
pub use pricing::Pricing;
pub use shutdown::{Door, Stop, serve};
pub use start::{Server, check, start};
pub use tls::Tls;
