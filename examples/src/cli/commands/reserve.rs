//! `infra quote` and `infra reserve`.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::change::WAIT;
use super::watch::not_failed;
use super::{sure, templates};
use crate::cli::error::CliError;
use crate::cli::quantity;
use crate::cli::request::RequestArgs;
use crate::cli::session::Session;
use crate::cli::show::{self, money};
use crate::cli::wait::{self, Ended, Plan};
use crate::client::{Answer, Client, ClientError, Page, Quote, Reservation, TemplateName, settled};

/// A template to begin with.
#[derive(Debug, Clone, Default, Args)]
struct TemplateArgs {
    /// Begin with what this template asks for; flags win over it. NAME@3 is its third version
    #[arg(long, value_name = "NAME[@VERSION]", value_parser = templates::versioned)]
    template: Option<(String, Option<u32>)>,
    /// Whose template: a team mate's
    #[arg(long, value_name = "USER", requires = "template")]
    owner: Option<String>,
}

impl TemplateArgs {
    fn which(&self) -> Option<TemplateName> {
        let (name, version) = self.template.clone()?;
        Some(TemplateName { name, owner: self.owner.clone(), version })
    }
}

/// What would it cost?
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra quote --count 2 --vcpus 2 --memory 4 --for 3h
  infra quote --gpus 1 --max-price-per-hour 2.50
  infra quote --template web --count 5")]
pub(in crate::cli) struct QuoteArgs {
    #[command(flatten)]
    template: TemplateArgs,
    /// Also what each is made of, why it stands before the next, and what each of your rules costs
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    request: RequestArgs,
}

/// What is wanted, and how to wait for it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It shows what it would cost and asks, unless --yes. Every reserve carries a key of its own and is sent again when its
answer is lost: there is never a second reservation from it. Ctrl-C while waiting leaves the reservation as it is.

Examples:
  infra reserve --count 2 --vcpus 2 --for 3h --os \"ubuntu 24.04\" --wait
  infra reserve --name ci --vcpus 8 --memory 32 --for 45m --ssh-key ~/.ssh/id_ed25519.pub \\
      --allow-from 203.0.113.7/32 --yes --wait=5m --json
  infra reserve --template web --count 5
  infra reserve --file request.json")]
pub(in crate::cli) struct ReserveArgs {
    #[command(flatten)]
    template: TemplateArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Wait until it is ready, at most this long [default when no time is said: 10m]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, num_args = 0..=1, require_equals = true,
          default_missing_value = WAIT)]
    wait: Option<Duration>,
    /// A key of your own: the same key and request again answer the same reservation
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

pub(in crate::cli) async fn quote(session: &Session<'_>, args: &QuoteArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let request = whole(&client, args.template.which().as_ref(), args.request.fields()?).await?;
    if args.explain {
        let answer = client.explain(&request).await?;
        let items: Vec<Quote> = serde_json::from_value(answer.value["items"].clone())
            .map_err(|error| CliError::Local(format!("the answer is no list of quotes: {error}")))?;
        let now = session.out.now();
        let reasons = || super::money::reasons(&answer.value, now);
        return session.out.answer(&answer.raw, || show::quotes(&items, 0) + &reasons());
    }
    let page = client.quote(&request).await?;
    session.out.answer(&page.raw, || show::quotes(&page.items, 0))
}

/// Quotes a request, or a template with these fields said otherwise.
async fn ask(
    client: &Client,
    template: Option<&TemplateName>,
    fields: Map<String, Value>,
) -> Result<Page<Quote>, CliError> {
    Ok(client.quote(&whole(client, template, fields).await?).await?)
}

/// What is asked for: these fields, over those of the template if there is one.
async fn whole(
    client: &Client,
    template: Option<&TemplateName>,
    fields: Map<String, Value>,
) -> Result<Map<String, Value>, CliError> {
    Ok(match template {
        None => fields,
        Some(name) => {
            let mut whole = client.template(name).await?.value.request;
            // Shown as sealed; a price does not depend on it.
            whole.remove("setup");
            for (one, other) in [("duration_s", "ends_at"), ("ends_at", "duration_s")] {
                if fields.contains_key(one) {
                    whole.remove(other);
                }
            }
            whole.extend(fields);
            whole
        }
    })
}

pub(in crate::cli) async fn reserve(session: &Session<'_>, args: &ReserveArgs) -> Result<(), CliError> {
    let fields = args.request.fields()?;
    let client = session.own().await?;
    if !args.yes {
        let page = ask(&client, args.template.which().as_ref(), fields.clone()).await?;
        sure(args.yes, &offer(session, &page, &fields)).await?;
    }
    let key = args.idempotency_key.clone().unwrap_or_else(|| client.draw_key());
    let answer = send(&client, args.template.which().as_ref(), &fields, &key).await?;
    let Some(within) = args.wait else {
        session.out.answer(&answer.raw, || show::short(&answer.value))?;
        if !settled(&answer.value.state) {
            session.out.hint(&format!("`infra watch {}` follows it until it is ready", answer.value.id));
        }
        return not_failed(&answer.value);
    };
    let plan = Plan { within: Some(within), done: &|one| one.state == "ready", each: &|_| Ok(()) };
    let last = wait::follow(&client, &session.out, &answer.value.id, &plan).await;
    if let Err(CliError::TimedOut(_)) = &last {
        // A script needs the id, most of all when it was not waited for.
        session.out.answer(&answer.raw, String::new)?;
    }
    let last = last?;
    session.out.answer(&last.raw, || show::reservation(&last.value, &session.out))?;
    not_failed(&last.value)
}

/// The question, after the offer that would be taken.
fn offer(session: &Session<'_>, page: &Page<Quote>, fields: &Map<String, Value>) -> String {
    let Some(best) = page.items.first() else {
        return "Nothing is offered. Reserve all the same?".to_owned();
    };
    session.out.note(show::quotes(std::slice::from_ref(best), 0).trim_end());
    let price = best.per_hour.as_ref().map(|price| format!("{} per hour", money(price)));
    let total = best.total.as_ref().map(|total| format!(", {} in all", money(total)));
    let endless = !["duration_s", "ends_at"].iter().any(|name| fields.contains_key(*name)) && total.is_none();
    let end = if endless { ", without an end until it is released" } else { "" };
    let count = fields.get("count").and_then(Value::as_u64).map(show::machines);
    let count = count.map(|count| format!("{count}: ")).unwrap_or_default();
    let price = price.unwrap_or_else(|| "at an unknown price".to_owned());
    format!("{count}{price}{}{end}. Reserve?", total.unwrap_or_default())
}

/// What is different from a template. A new end clears the other kind of end, which the template may have.
fn overrides(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = fields.clone();
    for (said, other) in [("duration_s", "ends_at"), ("ends_at", "duration_s")] {
        if fields.contains_key(said) {
            fields.entry(other).or_insert(Value::Null);
        }
    }
    fields
}

/// Sends it under one key, and says the key when it is not known whether it arrived.
async fn send(
    client: &Client,
    template: Option<&TemplateName>,
    fields: &Map<String, Value>,
    key: &str,
) -> Result<Answer<Reservation>, CliError> {
    let sending = async {
        match template {
            None => client.reserve(fields, key).await,
            Some(name) => client.reserve_template(name, &overrides(fields), key).await,
        }
    };
    let hint = format!(
        "Say the same again with --idempotency-key {key}: it answers the reservation if there is one, and makes no \
         second one."
    );
    match wait::within(None, sending).await {
        Ended::Done(Err(error @ ClientError::Unreachable { maybe_done: true, .. })) => {
            Err(CliError::Unsure { error, hint })
        }
        Ended::Done(done) => Ok(done?),
        Ended::TimedOut(_) | Ended::Interrupted => {
            Err(CliError::Interrupted(format!("stopped; it may have been reserved all the same.\n{hint}")))
        }
    }
}
