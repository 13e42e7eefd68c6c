//! The server: leases cloud capacity over HTTP. All logic is in the library; this prints and exits.

use std::process::ExitCode;

use clap::Parser;
use infra_examples::server::{self, Args, Settings, StartError, Stop};

#[tokio::main]
#[allow(clippy::print_stderr, reason = "a program says why it does not start")]
async fn main() -> ExitCode {
    // What this process writes is for its owner alone, whatever the shell's mask says.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(said) => {
            let usage = said.use_stderr();
            let _ = said.print();
            return if usage { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http-server: {error}");
            ExitCode::from(&error)
        }
    }
}

#[allow(clippy::print_stdout, reason = "the banner and the configuration are this program's output")]
async fn run(args: Args) -> Result<(), StartError> {
    let settings = Settings::load(&args, &|name| std::env::var(name).ok())?;
    if args.print_config {
        print!("{}", settings.to_toml());
    }
    if args.check_config {
        for note in server::check(&settings)? {
            println!("# {note}");
        }
        println!("# the configuration is fine");
    }
    if args.print_config || args.check_config {
        return Ok(());
    }
    let logging = server::install_logging(&settings)?;
    let stop = Stop::on_signals()
        .map_err(|error| StartError::Broken(format!("signals cannot be handled: {error}")))?;
    let server = server::start(settings, stop.clone()).await?;
    print!("{}", server.banner());
    server.run(stop).await;
    logging.finish().await;
    Ok(())
}
