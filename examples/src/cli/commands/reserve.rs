//! `infra quote` and `infra reserve`.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::change::WAIT;
use super::watch::not_failed;
use super::{sure, templates};
use crate::cli::bound;
use crate::cli::error::CliError;
use crate::cli::quantity;
use crate::cli::request::RequestArgs;
use crate::cli::session::Session;
use crate::cli::show::{self, money};
use crate::cli::wait::{self, Ended, Plan};
use crate::client::{Answer, Client, ClientError, Page, Quote, Reservation, TemplateName, settled};

/// Quotes that are answered at once at most.
const QUOTES_MAX: u16 = 200;

/// Lines of a list that a person reads.
const LINES: usize = 20;

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
    /// Lines at most, each for all zones alike; with --json quotes, one for each zone [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(QUOTES_MAX)))]
    limit: Option<u16>,
    #[command(flatten)]
    request: RequestArgs,
}

/// What is wanted, and how to wait for it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It shows what it would cost and asks, unless --yes. Where clouds refuse the first offers it takes dearer ones, up to half
as much again as it showed: the question says how much, and --max-price-per-hour says otherwise. With --yes nothing was
shown, and nothing bounds the price but that flag. Every reserve carries a key of its own and is sent again when its
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
    /// A key of your own: the same key and request again answer the same reservation. Say --yes or
    /// --max-price-per-hour with it: else a price that moved makes it another request
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

pub(in crate::cli) async fn quote(session: &Session<'_>, args: &QuoteArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let request = whole(&client, args.template.which().as_ref(), args.request.fields()?).await?;
    let (limit, lines) = match session.out.is_json() {
        true => (args.limit, usize::MAX),
        // All that is answered at once: how many zones share a line is known only then.
        false => (Some(QUOTES_MAX), args.limit.map_or(LINES, usize::from)),
    };
    if args.explain {
        let mut answer = client.explain(&request, limit).await?;
        let mut items: Vec<Quote> = serde_json::from_value(answer.value["items"].clone())
            .map_err(|error| CliError::Local(format!("the answer is no list of quotes: {error}")))?;
        items.truncate(show::in_lines(&items, lines));
        if let Some(all) = answer.value["items"].as_array_mut() {
            all.truncate(items.len());
        }
        let now = session.out.now();
        let reasons = || super::money::reasons(&answer.value, now);
        session.out.answer(&answer.raw, || show::quotes(&items, 0) + &reasons())?;
        from_profile(session, &answer.raw);
        return Ok(());
    }
    let page = client.quote(&request, limit).await?;
    let listed = &page.items[..show::in_lines(&page.items, lines)];
    session.out.answer(&page.raw, || show::quotes(listed, 0))?;
    from_profile(session, &page.raw);
    Ok(())
}

/// Which fields nobody typed: they leave offers out as if somebody had.
fn from_profile(session: &Session<'_>, raw: &str) {
    let answer: Value = serde_json::from_str(raw).unwrap_or_default();
    let fields = answer["from_profile"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields: Vec<&str> = fields.collect();
    if !fields.is_empty() {
        let verb = if fields.len() == 1 { "comes" } else { "come" };
        session.out.note(&format!("{} {verb} from your profile", show::plain(&fields.join(", "))));
    }
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
    let mut fields = args.request.fields()?;
    let client = session.own().await?;
    if !args.yes {
        let mut request = whole(&client, args.template.which().as_ref(), fields.clone()).await?;
        let page = client.quote(&request, None).await?;
        if let Some(cap) = bound::for_request(&request, &page.items) {
            request.insert(bound::FIELD.to_owned(), cap.clone());
            fields.insert(bound::FIELD.to_owned(), cap);
        }
        sure(args.yes, &offer(session, &page, &request)).await?;
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
fn offer(session: &Session<'_>, page: &Page<Quote>, request: &Map<String, Value>) -> String {
    let Some(best) = page.items.first() else {
        return "Nothing is offered. Reserve all the same?".to_owned();
    };
    session.out.note(show::quotes(std::slice::from_ref(best), 0).trim_end());
    from_profile(session, &page.raw);
    let price = best.per_hour.as_ref().map(|price| format!("{} per hour", money(price)));
    let total = best.total.as_ref().map(|total| format!(", {} in all", money(total)));
    let endless =
        !["duration_s", "ends_at"].iter().any(|name| request.contains_key(*name)) && total.is_none();
    let end = if endless { ", without an end until it is released" } else { "" };
    let count = request.get("count").and_then(Value::as_u64);
    let most = bound::of_all(request, count.unwrap_or(1)).map(|most| format!("at most {most} per hour"));
    let most = most.unwrap_or_else(|| "at whatever price".to_owned());
    let count = count.map(|count| format!("{}: ", show::machines(count))).unwrap_or_default();
    let price = price.unwrap_or_else(|| "at an unknown price".to_owned());
    format!("{count}{price}{}{end}; {most} if the first are full. Reserve?", total.unwrap_or_default())
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

/// How to send just the same again: a cap that a price made would be another one once that has moved.
fn again(fields: &Map<String, Value>, key: &str) -> String {
    let cap = fields
        .get(bound::FIELD)
        .map(|cap| format!(" --{} {}", bound::FIELD.replace('_', "-"), cap_word(cap)));
    format!(
        "Say the same again with --idempotency-key {key}{}: it answers the reservation if there is one, and makes no \
         second one.",
        cap.unwrap_or_default()
    )
}

fn cap_word(cap: &Value) -> String {
    if cap.is_null() { "none".to_owned() } else { cap.to_string() }
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
    let hint = again(fields, key);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_sent_again_is_another_request_because_a_price_moved() {
        let fields = |value: Value| value.as_object().expect("an object").clone();
        let hint = again(&fields(json!({"vcpus": 1, "max_price_per_hour": 0.00762})), "k1");
        assert!(hint.contains("--idempotency-key k1 --max-price-per-hour 0.00762:"), "{hint}");
        let hint = again(&fields(json!({"max_price_per_hour": null})), "k1");
        assert!(hint.contains("--max-price-per-hour none:"), "{hint}");
        assert!(again(&Map::new(), "k1").contains("--idempotency-key k1:"));
    }
}
