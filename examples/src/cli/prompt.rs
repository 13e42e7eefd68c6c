//! Asking a person: on the terminal, and only there. What is secret is not shown while it is typed.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use infra_core::words::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::error::CliError;

/// Longest secret or file from standard input, bytes.
const INPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Can somebody be asked?
pub(super) fn somebody() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line; an empty one is the default.
pub(super) async fn line(question: &str, default: Option<&str>) -> Result<String, CliError> {
    let question = match default {
        Some(default) => format!("{question} [{default}]: "),
        None => format!("{question}: "),
    };
    let said = ask(question, false).await?;
    let said = said.trim();
    Ok(if said.is_empty() { default.unwrap_or_default() } else { said }.to_owned())
}

/// Asks for a secret.
pub(super) async fn secret(question: &str) -> Result<Secret, CliError> {
    let said = ask(format!("{question} (not shown): "), true).await?;
    Ok(Secret::new(said.trim().to_owned()))
}

/// Asks for a yes. Anything else is a no.
pub(super) async fn yes(question: &str) -> Result<bool, CliError> {
    let said = ask(format!("{question} [y/N] "), false).await?;
    Ok(matches!(said.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Everything on standard input, as text.
pub(super) fn standard_input() -> Result<String, CliError> {
    read_all(io::stdin().lock(), "standard input")
}

/// A file, `-` for standard input, as text.
pub(super) fn file(path: &str) -> Result<String, CliError> {
    if path == "-" {
        return standard_input();
    }
    let file = std::fs::File::open(path).map_err(|error| CliError::Local(format!("{path}: {error}")))?;
    read_all(file, path)
}

fn read_all(from: impl Read, name: &str) -> Result<String, CliError> {
    let mut text = String::new();
    from.take(INPUT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| CliError::Local(format!("{name}: {error}")))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(CliError::Local(format!("{name}: longer than {INPUT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

async fn ask(question: String, hidden: bool) -> Result<String, CliError> {
    if !somebody() {
        let asked = question.trim_end_matches([' ', ':']);
        return Err(CliError::Usage(format!("there is no terminal to ask at: {asked}")));
    }
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let quiet = hidden.then(Quiet::begin).transpose()?;
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|read| (read > 0).then_some(line))
    });
    // Ctrl-C must not leave a terminal behind that shows nothing.
    let said = tokio::select! {
        said = reading => Some(said),
        _ = tokio::signal::ctrl_c() => None,
    };
    drop(quiet);
    match said {
        Some(Ok(Ok(Some(line)))) => Ok(line),
        Some(Ok(Ok(None))) => Err(CliError::Declined),
        Some(Ok(Err(error))) => Err(CliError::Local(format!("the terminal cannot be read: {error}"))),
        Some(Err(error)) => Err(CliError::Local(error.to_string())),
        None => {
            writeln!(stderr)?;
            Err(CliError::Interrupted("nothing was done".to_owned()))
        }
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> Result<Self, CliError> {
        let refused = |error| CliError::Local(format!("the terminal cannot hide what is typed: {error}"));
        let before = tcgetattr(io::stdin()).map_err(refused)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, so that the next question stands on a line of its own.
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).map_err(refused)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
