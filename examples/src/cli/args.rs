//! The command line: words of the API, each with an example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::commands::{
    admin, brakes, change, completions, keys, login, look, money, overlays, people, reserve, templates, watch,
};
use super::error::CODES;

const START: &str = "\
First steps, with a server on this machine:
  infra login                                      where to, and your token
  infra keys save sim                              a key to a cloud: here the simulator
  infra quote --count 2 --vcpus 2 --for 3h         what would it cost?
  infra reserve --count 2 --vcpus 2 --for 3h --os \"ubuntu 24.04\" --wait
  infra list                                       what there is, and when it ends
  infra release ID                                 give it back

In place of an ID every command takes the reservation's name.
With --json a command prints the API's own JSON on standard output and nothing else there.
INFRA_URL, INFRA_TOKEN and INFRA_USER win over what `infra login` has saved; INFRA_PROFILE names a login.";

/// Leases cloud capacity: reserve machines for a time, watch them, give them back.
#[derive(Debug, Clone, Parser)]
#[command(name = "infra", version, after_help = START, after_long_help = format!("{START}\n\n{CODES}"))]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For every command")]
pub(super) struct Global {
    /// Which saved login to use [env: INFRA_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// The server's address [env: INFRA_URL]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(super) url: Option<String>,
    /// Whose things: for the admin's token and for bots [env: INFRA_USER]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// Print the API's own JSON and nothing else
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Trust the certificates in this PEM file, too [env: INFRA_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Allow plain HTTP to another machine: whoever is on the way reads the token
    #[arg(long, global = true)]
    pub(super) insecure: bool,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one of it is made, once")]
pub(super) enum Command {
    /// Say where the server is, and with which token
    Login(login::LoginArgs),
    /// Forget a login
    Logout,
    /// Which server, which user, and does it work?
    Whoami,
    /// What a request would cost, cheapest first; nothing is reserved
    Quote(reserve::QuoteArgs),
    /// Reserve machines
    Reserve(Box<reserve::ReserveArgs>),
    /// List reservations, oldest first
    List(look::ListArgs),
    /// Everything about one reservation
    Show(look::ShowArgs),
    /// Follow a reservation until it is ready, off or over
    Watch(watch::WatchArgs),
    /// Let a reservation end later, or sooner
    Extend(change::ExtendArgs),
    /// Turn its machines off and keep them
    Stop(change::PowerArgs),
    /// Turn its machines on again
    Start(change::PowerArgs),
    /// Give a reservation back: its machines end, for good
    Release(change::ReleaseArgs),
    /// Keep what a reservation asked for under a name
    Save(templates::SaveArgs),
    /// Keys to clouds: list, save, remove
    Keys(keys::KeysArgs),
    /// Requests kept under a name: list, show, remove
    Templates(templates::TemplatesArgs),
    /// What your requests are filled up with: show, set, clear
    Profile(people::ProfileArgs),
    /// Whom a reservation is shared with: list, add, remove
    Shares(people::SharesArgs),
    /// How to log in to a reservation's machines
    Access(look::AccessArgs),
    /// What happened to a reservation
    History(look::IdArgs),
    /// Everything your keys reach, with prices
    Offerings(look::OfferingsArgs),
    /// What is spent: so far, per hour, and until the month's end
    Usage(money::UsageArgs),
    /// What may be held and spent; setting it is the admin's
    Budget(money::BudgetArgs),
    /// What your team pays less than the lists say; setting it is the admin's
    Overlays(overlays::OverlaysArgs),
    /// Kill switches: list, set, open (admin)
    Brakes(brakes::BrakesArgs),
    /// Teams: list, show, add and remove users (admin)
    Teams(people::TeamsArgs),
    /// People: list, add, change, transfer, remove (admin)
    Users(admin::UsersArgs),
    /// Access tokens, your own or (admin) a user's: list, issue, revoke
    Tokens(admin::TokensArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// clap gives a command's own argument the value of a global one of the same name: whose things are meant would be
    /// decided by whom they are shared with.
    #[test]
    fn no_argument_of_a_command_is_called_as_one_of_all_commands() {
        fn below<'c>(command: &'c clap::Command, all: &mut Vec<(&'c str, &'c str)>) {
            for one in command.get_subcommands() {
                all.extend(one.get_arguments().map(|arg| (one.get_name(), arg.get_id().as_str())));
                below(one, all);
            }
        }
        let command = Cli::command();
        let global: Vec<&str> = command
            .get_arguments()
            .filter(|arg| arg.is_global_set())
            .map(|arg| arg.get_id().as_str())
            .collect();
        assert!(global.contains(&"user"), "{global:?}");
        let mut all = Vec::new();
        below(&command, &mut all);
        let doubled: Vec<_> = all.into_iter().filter(|(_, id)| global.contains(id)).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
    }
}
