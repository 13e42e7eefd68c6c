//! A failure for people: what, where, what would have done, and the id to ask about.

use std::fmt::Write;

use super::Tone;
use super::reservation::quotes;
use super::table::plain;
use crate::cli::error::CliError;
use crate::client::{ClientError, Problem};

/// The lines. `paint` colours a part of them.
pub(in crate::cli) fn problem(error: &CliError, paint: &dyn Fn(Tone, &str) -> String) -> String {
    let mut text = format!("{} ", paint(Tone::Bad, "infra:"));
    match error {
        CliError::Client(ClientError::Refused(problem)) => refused(&mut text, problem, paint),
        CliError::Client(ClientError::NoUser) => {
            text.push_str("whose? This token is nobody's own (the admin's, most likely): say --user NAME");
        }
        CliError::Client(error @ ClientError::Unreachable { maybe_done: true, .. }) => {
            write!(text, "{error}\nIt may have been done all the same.")
                .expect("writing to a string cannot fail");
        }
        other => text.push_str(&said(other)),
    }
    text
}

/// Line by line: what another program said may hold anything.
fn said(error: &CliError) -> String {
    error.to_string().lines().map(plain).collect::<Vec<_>>().join("\n")
}

fn refused(text: &mut String, problem: &Problem, paint: &dyn Fn(Tone, &str) -> String) {
    // The server's advice on headers is for whoever writes clients.
    let titled = problem.detail.is_empty() || problem.code() == "unauthenticated";
    let detail = if titled { &problem.title } else { &problem.detail };
    text.push_str(&plain(detail));
    for wrong in &problem.errors {
        // A single field stands in the detail already.
        let line = format!("{}: {}", wrong.field, wrong.message);
        if !plain(detail).contains(&plain(&wrong.message)) {
            write!(text, "\n  {}", plain(&line)).expect("writing to a string cannot fail");
        }
        if let Some(limit) = &wrong.limit {
            write!(text, "\n  limit of {}: {}", plain(&wrong.field), plain(limit))
                .expect("writing to a string cannot fail");
        }
    }
    if problem.status == 404 && problem.detail == "there is no such path" {
        text.push_str(
            "\nThis server does not offer that: it is older than this program, or it is switched off there.",
        );
    }
    if let Some(hint) = hint(problem.code()) {
        write!(text, "\n{hint}").expect("writing to a string cannot fail");
    }
    if !problem.nearest.is_empty() {
        text.push_str("\nNearest offers:\n");
        text.push_str(quotes(&problem.nearest, 2).trim_end());
    }
    if let Some(seconds) = problem.retry_after_s {
        write!(text, "\nTry again in {seconds} s.").expect("writing to a string cannot fail");
    }
    let id = problem.request_id.as_deref().unwrap_or("-");
    let about = format!("({}, request {})", plain(problem.code()), plain(id));
    write!(text, "\n{}", paint(Tone::Faint, &about)).expect("writing to a string cannot fail");
}

/// What a newcomer does next.
fn hint(code: &str) -> Option<&'static str> {
    match code {
        "unauthenticated" => Some("This one does not count here, or no more: `infra login` takes another."),
        "no-credentials" => Some(
            "Save a key to a cloud first: `infra keys save sim` for the simulator, or aws, digitalocean, ...",
        ),
        "in-use" => Some("Give back what uses it first: `infra release ID`."),
        _ => None,
    }
}
