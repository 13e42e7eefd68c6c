//! The settings file: TOML, no unknown keys, errors that name file, line and key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use infra_core::words::limits::Limits;
use infra_providers::registry::CloudSpec;
use serde::{Deserialize, Serialize};

use super::config::LogFormat;
use super::error::StartError;

/// The file as written. Everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<std::net::SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<super::config::StoreUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_control: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_only: Option<bool>,
    #[serde(default)]
    pub log: LogFile,
    #[serde(default)]
    pub limits: LimitsFile,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clouds: BTreeMap<String, CloudSpec>,
}

/// The table `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
}

/// The table `[limits]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    /// Seconds that an attempt with an unknown outcome holds its slot where a cloud has no idempotency token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_hold_s: Option<u64>,
}

impl LimitsFile {
    /// The documented limits, with what is said here in their place.
    pub(super) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(seconds) = self.unknown_hold_s {
            limits.unknown_hold = Duration::from_secs(seconds);
        }
        limits
    }
}

/// Longest settings file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a settings file.
pub(super) fn read(path: &Path) -> Result<File, StartError> {
    let shown = path.display();
    let size = std::fs::metadata(path)
        .map_err(|error| StartError::Config(format!("{shown} cannot be read: {error}")))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(StartError::Config(format!("{shown} has {size} bytes, the limit is {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| StartError::Config(format!("{shown} cannot be read: {error}")))?;
    parse(&text).map_err(|why| StartError::Config(format!("{shown} {why}")))
}

/// Reads settings. The error is `line N: key: what is wrong`; the line itself is not shown, since somebody may
/// have put a secret there.
pub(super) fn parse(text: &str) -> Result<File, String> {
    let toml = toml::Deserializer::parse(text).map_err(|error| located(text, "", &error))?;
    serde_path_to_error::deserialize(toml).map_err(|error| {
        let key = error.path().to_string();
        located(text, &key, error.inner())
    })
}

fn located(text: &str, key: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        let before = text.get(..span.start).unwrap_or(text);
        before.matches('\n').count() + 1
    });
    let key = if key.is_empty() || key == "." { String::new() } else { format!("{key}: ") };
    let what = error.message().lines().next().unwrap_or("not TOML").to_owned();
    format!("line {line}: {key}{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_named_with_its_line_and_key() {
        for (text, wanted) in [
            ("listn = \"127.0.0.1:1\"\n", &["line 1", "listn", "unknown field"][..]),
            ("\n[clouds.sim]\nendpont = \"x\"\n", &["line 3", "clouds.sim.endpont", "unknown field"]),
            ("sim_only = \"yes\"\n", &["line 1", "sim_only", "invalid type"]),
            ("[limits]\nunknown_hold = 5\n", &["line 2", "limits.unknown_hold", "unknown_hold_s"]),
            ("[log]\nformat = \"xml\"\n", &["line 2", "log.format", "xml"]),
            ("listen = 127\n\nx = [\n", &["line"]),
            ("listen = \"nowhere\"\n", &["line 1", "listen"]),
            ("store = \"postgres://x\"\n", &["line 1", "store", "sqlite:FOLDER"]),
        ] {
            let why = parse(text).expect_err(text);
            assert!(wanted.iter().all(|part| why.contains(part)), "{text:?} said {why:?}");
        }
    }

    #[test]
    fn a_secret_in_the_file_is_not_printed() {
        let why = parse("admin_token = \"planted-secret\"\n").expect_err("there is no such key");
        assert!(why.contains("admin_token") && !why.contains("planted-secret"), "{why}");
    }
}
