//! The settings file: TOML, no unknown keys, errors that name file, line and key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use infra_providers::registry::CloudSpec;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::config::LogFormat;
use super::error::StartError;
use super::limits::{LimitsFile, RateFile};
use super::pricing::PricingFile;
use super::span::Span;

/// The file as written. Everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<std::net::SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<super::config::StoreUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_master_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_control: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFile>,
    #[serde(default)]
    pub log: LogFile,
    #[serde(default)]
    pub http: HttpFile,
    #[serde(default)]
    pub limits: LimitsFile,
    #[serde(default)]
    pub pricing: PricingFile,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clouds: BTreeMap<String, CloudSpec>,
}

/// The table `[tls]`: both files, or no table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// The table `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
}

/// The table `[http]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_within: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_within: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_within: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_in_flight_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_waits_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_max: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_for: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_within: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callers_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_rate: Option<RateFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_rate: Option<RateFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_rate: Option<RateFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_header: Option<crate::http::ProxyHeader>,
}

/// Longest settings file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A settings file, and its text to find lines in.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) file: File,
    shown: String,
    text: String,
}

impl Source {
    /// Reads a settings file.
    pub(super) fn read(path: &Path) -> Result<Self, StartError> {
        let shown = path.display().to_string();
        let unread = |error| StartError::Config(format!("{shown} cannot be read: {error}"));
        let size = std::fs::metadata(path).map_err(unread)?.len();
        if size > FILE_BYTES_MAX {
            let why = format!("{shown} has {size} bytes, the limit is {FILE_BYTES_MAX}");
            return Err(StartError::Config(why));
        }
        let text = std::fs::read_to_string(path).map_err(unread)?;
        let file = parse(&text).map_err(|why| StartError::Config(format!("{shown} {why}")))?;
        Ok(Self { file, shown, text })
    }

    /// What is wrong with a key that was read: with its line when it stands in the file.
    pub(super) fn wrong(&self, key: &[&str], why: impl std::fmt::Display) -> StartError {
        let place =
            line_of(&self.text, key).map_or_else(String::new, |n| format!("{} line {n}: ", self.shown));
        StartError::Config(format!("{place}{}: {why}", key.join(".")))
    }
}

/// The line on which a key stands.
fn line_of(text: &str, key: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let (last, tables) = key.split_last()?;
    for name in tables {
        table = table.get(*name)?.get_ref().as_table()?;
    }
    let (found, _) = table.get_key_value(*last)?;
    Some(line_at(text, found.span().start))
}

fn line_at(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
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
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    let key = if key.is_empty() || key == "." { String::new() } else { format!("{key}: ") };
    let what = error.message().lines().next().unwrap_or("not TOML");
    format!("line {line}: {key}{}", helpful(what))
}

/// Longest list of keys that is printed when no key is near the one that was written.
const KEYS_SHOWN_MAX: usize = 16;

/// serde's sentence about a word that it does not know, shortened to what helps: the nearest one that it does.
fn helpful(what: &str) -> String {
    let kind = match what {
        _ if what.starts_with("unknown field") => "key",
        _ if what.starts_with("unknown variant") => "word",
        _ => return what.to_owned(),
    };
    let mut words = what.split('`').skip(1).step_by(2);
    let said = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    match nearest(said, known.iter().copied()) {
        Some(word) => format!("unknown {kind}; did you mean {word}?"),
        None if known.len() > KEYS_SHOWN_MAX => format!("unknown {kind}; examples/infra.toml lists them all"),
        None => format!("unknown {kind}; there are {}", known.join(", ")),
    }
}

/// The known word that somebody may have meant.
pub(crate) fn nearest<'w>(said: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // Jaro-Winkler likes a common beginning, as typos have it; below this they have little in common.
    let near = known.into_iter().map(|word| (strsim::jaro_winkler(said, word), word));
    let near = near.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_named_with_its_line_and_key() {
        for (text, wanted) in [
            ("listn = \"127.0.0.1:1\"\n", &["line 1", "listn", "did you mean listen?"][..]),
            (
                "\n[clouds.sim]\nendpont = \"x\"\n",
                &["line 3", "clouds.sim.endpont", "did you mean endpoint?"],
            ),
            (
                "[limits]\nresend_withn = \"1h\"\n",
                &["line 2", "limits.resend_withn", "did you mean resend_within?"],
            ),
            ("sim_only = \"yes\"\n", &["line 1", "sim_only", "invalid type"]),
            ("[log]\nformat = \"jso\"\n", &["line 2", "log.format", "did you mean json?"]),
            ("listen = 127\n\nx = [\n", &["line"]),
            ("listen = \"nowhere\"\n", &["line 1", "listen"]),
            ("store = \"postgres://x\"\n", &["line 1", "store", "sqlite:FOLDER"]),
            ("[tls]\nzzz = 1\n", &["line 2", "tls.zzz", "there are cert, key"]),
            ("[limits]\nzzz = 1\n", &["line 2", "examples/infra.toml"]),
        ] {
            let why = parse(text).expect_err(text);
            assert!(wanted.iter().all(|part| why.contains(part)), "{text:?} said {why:?}");
        }
    }

    #[test]
    fn a_key_is_found_in_its_table_wherever_that_stands() {
        let text = "listen = \"x\"\n[clouds.a]\nkind = 'b'\n\n[limits]\ncreate_rate = { per_second = 1, burst = 2 }\n";
        for (key, line) in [
            (&["listen"][..], Some(1)),
            (&["clouds", "a"], Some(2)),
            (&["clouds", "a", "kind"], Some(3)),
            (&["limits", "create_rate", "burst"], Some(6)),
            (&["limits", "other"], None),
            (&["listen", "deeper"], None),
        ] {
            assert_eq!(line_of(text, key), line, "{key:?}");
        }
    }

    #[test]
    fn a_secret_in_the_file_is_not_printed() {
        let why = parse("admin_token = \"planted-secret\"\n").expect_err("there is no such key");
        assert!(why.contains("admin_token") && !why.contains("planted-secret"), "{why}");
    }
}
