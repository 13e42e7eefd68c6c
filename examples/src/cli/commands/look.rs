//! `infra list`, `show`, `access`, `history`, `offerings`.

use clap::Args;
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::session::{Session, meant};
use crate::cli::show::{self, Table};
use crate::client::{ListQuery, Page};

/// Which ones.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra list                     what there is now
  infra list --all               also what is over
  infra list --tag team=red      those with this tag
  infra list --json | jq -r '.items[].id'")]
pub(in crate::cli) struct ListArgs {
    /// Also those that are over
    #[arg(short, long)]
    all: bool,
    /// Only those with this tag; repeat for more, all must fit
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<String>,
    /// One page of so many instead of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Begin after this: the `next` of an earlier page
    #[arg(long, value_name = "NEXT", requires = "limit")]
    after: Option<String>,
}

fn tag(text: &str) -> Result<String, String> {
    crate::cli::quantity::pair(text).map(|_| text.to_owned())
}

/// Which one.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct IdArgs {
    /// Its id, or its name
    id: String,
}

/// Which one.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra show web
  infra show rsv_... --json | jq -r '.units[].public_address'")]
pub(in crate::cli) struct ShowArgs {
    /// Its id, or its name
    id: String,
}

pub(in crate::cli) async fn list(session: &Session<'_>, args: &ListArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let query =
        ListQuery { all: args.all, limit: args.limit, after: args.after.clone(), tags: args.tags.clone() };
    let page = client.reservations(&query).await?;
    let now = session.out.now();
    session.out.answer(&page.raw, || show::reservations(&page.items, now))?;
    if let Some(next) = &page.next {
        session.out.hint(&format!("there are more: --limit N --after {next}"));
    }
    Ok(())
}

pub(in crate::cli) async fn show(session: &Session<'_>, args: &ShowArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let answer = client.reservation(&id).await?;
    session.out.answer(&answer.raw, || show::reservation(&answer.value, &session.out))
}

pub(in crate::cli) async fn access(session: &Session<'_>, args: &IdArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let answer = client.access(&id).await?;
    session.out.answer(&answer.raw, || tree(&answer.value, 0))
}

pub(in crate::cli) async fn history(session: &Session<'_>, args: &IdArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let page = client.history(&id).await?;
    session.out.answer(&page.raw, || events(&page))
}

/// A line each: when, who, what, and whatever else is said.
fn events(page: &Page<Value>) -> String {
    let mut table = Table::new(&["AT", "BY", "WHAT", "MORE"]);
    for event in &page.items {
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| event.get(*name)).filter(|value| !value.is_null());
            found.map(word).unwrap_or_default()
        };
        let shown = ["at", "by", "what", "kind", "event", "id", "seq"];
        let more = event.as_object().into_iter().flatten();
        let more: Vec<String> = more
            .filter(|(name, value)| !shown.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| format!("{name}={}", word(value)))
            .collect();
        table.row([text(&["at"]), text(&["by"]), text(&["what", "kind", "event"]), more.join(" ")]);
    }
    if page.items.is_empty() { "nothing happened yet\n".to_owned() } else { table.render(0) }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Any JSON, as indented lines.
fn tree(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => (map.iter())
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| match value {
                Value::Object(_) | Value::Array(_) => format!("{pad}{name}\n{}", tree(value, indent + 2)),
                plain => format!("{pad}{name}  {}\n", multiline(&word(plain), indent + 2)),
            })
            .collect(),
        Value::Array(list) => list.iter().map(|item| tree(item, indent)).collect(),
        plain => format!("{pad}{}\n", multiline(&word(plain), indent)),
    }
}

/// Keys have lines of their own; each of them made harmless.
fn multiline(text: &str, indent: usize) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(show::plain).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        many => many.iter().map(|line| format!("\n{}{line}", " ".repeat(indent))).collect(),
    }
}

pub(in crate::cli) async fn offerings(session: &Session<'_>) -> Result<(), CliError> {
    let client = session.own().await?;
    let page = client.offerings().await?;
    session.out.answer(&page.raw, || {
        let mut table = Table::new(&[
            "CLOUD", "REGION", "ZONES", "TYPE", "VCPUS", "MEMORY", "DISK", "GPUS", "ARCH", "MARKET",
            "PER HOUR",
        ]);
        for offer in &page.items {
            let text = |name: &str| offer.get(name).filter(|v| !v.is_null()).map(word).unwrap_or_default();
            let gib = |name: &str| offer[name].as_f64().filter(|n| *n > 0.0).map(|n| format!("{n} GiB"));
            let zones = offer["zones"].as_array().map(|zones| zones.iter().map(word).collect::<Vec<_>>());
            let price =
                serde_json::from_value(offer["per_hour"].clone()).ok().map(|price| show::money(&price));
            let gpus = if text("gpus") == "0" {
                String::new()
            } else {
                format!("{} {}", text("gpus"), text("gpu_model"))
            };
            table.row([
                text("provider"),
                text("region"),
                zones.unwrap_or_default().join(" "),
                text("type"),
                text("vcpus"),
                gib("memory_gib").unwrap_or_default(),
                gib("disk_gib").unwrap_or_default(),
                gpus.trim().to_owned(),
                text("arch"),
                text("market"),
                price.unwrap_or_else(|| "not known".to_owned()),
            ]);
        }
        if page.items.is_empty() {
            "nothing: save a key to a cloud first\n".to_owned()
        } else {
            table.render(0)
        }
    })
}
