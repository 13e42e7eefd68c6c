//! What people see: tables, times, money; and for scripts the API's own JSON.

mod problem;
mod reservation;
mod table;
mod words;

use std::io::{self, IsTerminal, Write};

use infra_core::words::clock::{Clock, SystemClock, Timestamp};

pub(super) use problem::problem;
pub(super) use reservation::{asked, in_lines, quotes, reservation, reservations, short};
pub(super) use table::{Table, plain};
pub(super) use words::{machines, moment, money, priced, relative, zone};

use super::config::Env;
use super::error::CliError;

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As wished.
    Good,
    /// On its way.
    Busy,
    /// Not as wished.
    Bad,
    /// Of lesser weight.
    Faint,
}

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    json: bool,
    colour: bool,
    colour_err: bool,
    lively: bool,
}

impl Out {
    pub(super) fn new(json: bool, env: Env<'_>) -> Self {
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let allowed = env("NO_COLOR").is_none() && !dumb;
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self { json, colour: allowed && out && !json, colour_err: allowed && err, lively: err && !dumb }
    }

    /// Does somebody watch standard error?
    pub(super) const fn is_lively(&self) -> bool {
        self.lively
    }

    /// Does a script read it?
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn now(&self) -> Timestamp {
        SystemClock.wall()
    }

    /// Text for people, on standard output.
    pub(super) fn text(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') && !text.is_empty() {
            stdout.write_all(b"\n")?;
        }
        stdout.flush().map_err(CliError::from)
    }

    /// One JSON document, on standard output, as the server wrote it but for a line of its own. Nothing for an answer
    /// without one.
    pub(super) fn document(&self, raw: &str) -> Result<(), CliError> {
        let raw = raw.trim();
        if !raw.contains('\n') {
            return self.text(raw);
        }
        // Line by line is how scripts read; a proxy in between may have made it pretty.
        let value: serde_json::Value =
            serde_json::from_str(raw).map_err(|error| CliError::Local(error.to_string()))?;
        self.text(&value.to_string())
    }

    /// Either the document or the text.
    pub(super) fn answer(&self, raw: &str, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json { self.document(raw) } else { self.text(&text()) }
    }

    /// A word on the side, on standard error; for people alone.
    pub(super) fn note(&self, text: &str) {
        if !self.json {
            // Whoever has closed standard error does not want to know.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// A word on the side that makes sense only to somebody who sits there.
    pub(super) fn hint(&self, text: &str) {
        if self.lively {
            self.note(&paint(self.colour_err, Tone::Faint, text));
        }
    }

    /// Says why it was not done, on standard error.
    pub(super) fn failure(&self, error: &CliError) {
        if matches!(error, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return;
        }
        let raw = match error {
            CliError::Client(error) if self.json => error.problem().map(|problem| problem.raw.clone()),
            _ => None,
        };
        let text = raw.unwrap_or_else(|| problem(error, &|tone, text| paint(self.colour_err, tone, text)));
        let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
    }

    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.colour, tone, text)
    }
}

fn paint(colour: bool, tone: Tone, text: &str) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Busy => "33",
        Tone::Bad => "31",
        Tone::Faint => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// The tone of a state.
pub(super) fn tone(state: &str) -> Tone {
    match state {
        "ready" | "valid" => Tone::Good,
        "failed" | "lost" | "invalid" => Tone::Bad,
        "stopped" | "off" | "released" | "gone" => Tone::Faint,
        _ => Tone::Busy,
    }
}
