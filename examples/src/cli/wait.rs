//! Waiting for a reservation, with something to look at meanwhile.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use infra_core::words::clock::{Clock, SystemClock};

use super::error::CliError;
use super::show::{Out, plain, short};
use crate::client::{Answer, Client, FeedEvent, Reservation, over};

/// A moving line on standard error; nothing where nobody watches.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn begin(out: &Out) -> Self {
        let bar = out.is_lively().then(|| {
            // Not as wide as the terminal: a Ctrl-C that the terminal shows would begin a new line.
            let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}")
                .expect("the template is well formed");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self(bar)
    }

    fn say(&self, text: String) {
        if let Some(bar) = &self.0 {
            bar.set_message(text);
        }
    }

    fn aside(&self, print: impl FnOnce() -> Result<(), CliError>) -> Result<(), CliError> {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// What to do with the states on the way.
pub(super) struct Plan<'a> {
    /// Give up after this.
    pub(super) within: Option<Duration>,
    /// It is as wished, and the wait is over.
    pub(super) done: &'a dyn Fn(&Reservation) -> bool,
    /// Told of every state, in order.
    pub(super) each: &'a dyn Fn(&Answer<Reservation>) -> Result<(), CliError>,
}

/// Waits until it is as wished, or over.
///
/// # Errors
/// [`CliError::TimedOut`], [`CliError::Interrupted`]: the reservation goes on, and the error says so.
pub(super) async fn follow(
    client: &Client,
    out: &Out,
    id: &str,
    plan: &Plan<'_>,
) -> Result<Box<Answer<Reservation>>, CliError> {
    let mut last = None;
    let following = Box::pin(looked(client, out, id, plan, &mut last));
    let ended = within(plan.within, following).await;
    let state = last.unwrap_or_else(|| format!("{id} is where it was"));
    match ended {
        Ended::Done(done) => done,
        Ended::TimedOut(time) => Err(CliError::TimedOut(format!(
            "waited for {} s and stop waiting; it goes on: {state}\n`infra watch {id}` waits again, \
             `infra release {id}` gives it back",
            time.as_secs()
        ))),
        Ended::Interrupted => Err(CliError::Interrupted(format!(
            "stopped waiting; it goes on: {state}\n`infra watch {id}` waits again, `infra release {id}` gives it back"
        ))),
    }
}

async fn looked(
    client: &Client,
    out: &Out,
    id: &str,
    plan: &Plan<'_>,
    last: &mut Option<String>,
) -> Result<Box<Answer<Reservation>>, CliError> {
    let progress = Progress::begin(out);
    let mut feed = client.follow(id);
    loop {
        match feed.next().await? {
            FeedEvent::Now(answer) => {
                let line = short(&answer.value);
                progress.say(line.clone());
                *last = Some(line);
                progress.aside(|| (plan.each)(&answer))?;
                if (plan.done)(&answer.value) || over(&answer.value.state) {
                    return Ok(answer);
                }
            }
            FeedEvent::Away(why) => progress.say(format!("asking again: {}", plain(&why))),
        }
    }
}

/// How something that may take long came to its end.
pub(super) enum Ended<T> {
    Done(T),
    TimedOut(Duration),
    Interrupted,
}

/// Runs something until it is done, the time is up, or Ctrl-C.
pub(super) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Ended<T> {
    let late = async {
        match limit {
            Some(limit) => {
                SystemClock.sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // What is done is done, also when the time is up at the same moment.
        biased;
        done = work => Ended::Done(done),
        limit = late => Ended::TimedOut(limit),
        _ = tokio::signal::ctrl_c() => Ended::Interrupted,
    }
}
