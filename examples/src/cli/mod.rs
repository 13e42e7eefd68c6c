//! The `infra` command line: the words of the API, for people and for scripts.
//!
//! # Flow
//! Arguments are read whole before anything is asked; then one command runs over [`crate::client`], prints its answer
//! on standard output, and ends with an exit code that scripts can rely on ([`error::CliError::code`]).
//!
//! # Guarantees
//! * With `--json` standard output holds the API's own JSON and nothing else; failures, questions and progress go to
//!   standard error, progress only where somebody watches.
//! * No secret is taken from the command line, and none is printed but the one that was just issued.
//! * Whatever is repeated is safe to repeat; what may have been done is said.
//! * Names and reasons from elsewhere are shown without what would steer a terminal.

mod args;
mod bound;
mod commands;
mod config;
pub mod error;
mod prompt;
mod quantity;
mod request;
mod session;
mod show;
mod wait;

use std::process::ExitCode;

use clap::Parser;

pub use args::Cli;
pub use error::CliError;

use args::Command;
use commands::{
    admin, brakes, change, completions, keys, login, look, money, overlays, people, reserve, templates, watch,
};
use session::Session;
use show::Out;

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            let usage = said.use_stderr();
            let _ = said.print();
            return if usage { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let env = |name: &str| std::env::var(name).ok();
    let session = Session { global: &cli.global, env: &env, out: Out::new(cli.global.json, &env) };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = CliError::Local(format!("cannot begin: {error}"));
            session.out.failure(&error);
            return ExitCode::from(&error);
        }
    };
    let ended = runtime.block_on(run(&session, &cli.command));
    // A question that nobody will answer any more must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            session.out.failure(&error);
            ExitCode::from(&error)
        }
    }
}

async fn run(session: &Session<'_>, command: &Command) -> Result<(), CliError> {
    match command {
        Command::Login(args) => login::login(session, args).await,
        Command::Logout => login::logout(session),
        Command::Whoami => login::who_am_i(session).await,
        Command::Quote(args) => reserve::quote(session, args).await,
        Command::Reserve(args) => reserve::reserve(session, args).await,
        Command::List(args) => look::list(session, args).await,
        Command::Show(args) => look::show(session, args).await,
        Command::Watch(args) => watch::watch(session, args).await,
        Command::Extend(args) => change::extend(session, args).await,
        Command::Stop(args) => change::power(session, args, false).await,
        Command::Start(args) => change::power(session, args, true).await,
        Command::Release(args) => change::release(session, args).await,
        Command::Save(args) => templates::save(session, args).await,
        Command::Keys(args) => keys::keys(session, args).await,
        Command::Templates(args) => templates::templates(session, args).await,
        Command::Profile(args) => people::profile(session, args).await,
        Command::Shares(args) => people::shares(session, args).await,
        Command::Access(args) => look::access(session, args).await,
        Command::History(args) => look::history(session, args).await,
        Command::Offerings(args) => look::offerings(session, args).await,
        Command::Usage(args) => money::usage(session, args).await,
        Command::Budget(args) => money::budget(session, args).await,
        Command::Overlays(args) => overlays::overlays(session, args).await,
        Command::Brakes(args) => brakes::brakes(session, args).await,
        Command::Users(args) => admin::users(session, args).await,
        Command::Teams(args) => people::teams(session, args).await,
        Command::Tokens(args) => admin::tokens(session, args).await,
        Command::Completions(args) => completions::completions(session, args),
    }
}
