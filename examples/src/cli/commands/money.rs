//! `infra usage` and `infra budget`.

use clap::Args;
use infra_core::words::clock::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::cli::show::{self, Table};
use crate::client::{BudgetOf, MoneyText};

/// Which month.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
By list price less the team's discounts; it is no bill.

Examples:
  infra usage
  infra usage --month 2026-10 --csv > october.csv
  infra usage --json | jq -r .user.at_month_end.amount")]
pub(in crate::cli) struct UsageArgs {
    /// A calendar month of UTC, like 2026-11 [default: this one]
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
    /// A table for a spreadsheet, a row for each reservation
    #[arg(long)]
    csv: bool,
}

/// Whose budget, and how much.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Without --of it shows the budgets that count for you. With it, and the admin's token, it shows that one, or sets it:
what is not named then has no limit.

Examples:
  infra budget
  infra --profile admin budget --of user:ada --per-month 500 --machines 10
  infra --profile admin budget --of team:data --per-hour 20
  infra --profile admin budget --of user:ada --none")]
pub(in crate::cli) struct BudgetArgs {
    /// Whose (admin): user:NAME or team:NAME
    #[arg(long, value_name = "WHOSE", value_parser = whose)]
    of: Option<BudgetOf>,
    /// Machines at once
    #[arg(long, value_name = "N", requires = "of")]
    machines: Option<u32>,
    /// Virtual processors that run at once
    #[arg(long, value_name = "N", requires = "of")]
    vcpus: Option<u32>,
    /// US dollars per hour for everything that runs
    #[arg(long, value_name = "USD", requires = "of", value_parser = amount, allow_hyphen_values = true)]
    per_hour: Option<String>,
    /// US dollars per calendar month
    #[arg(long, value_name = "USD", requires = "of", value_parser = amount, allow_hyphen_values = true)]
    per_month: Option<String>,
    /// No limit at all
    #[arg(long, requires = "of", conflicts_with_all = ["machines", "vcpus", "per_hour", "per_month"])]
    none: bool,
}

pub(super) fn whose(text: &str) -> Result<BudgetOf, String> {
    match text.split_once(':') {
        Some(("user", name)) if !name.is_empty() => Ok(BudgetOf::User(name.to_owned())),
        Some(("team", name)) if !name.is_empty() => Ok(BudgetOf::Team(name.to_owned())),
        _ => Err("must be user:NAME or team:NAME".to_owned()),
    }
}

fn amount(text: &str) -> Result<String, String> {
    let money = infra_core::words::money::Money::parse_usd(text).filter(|money| money.nanos >= 0);
    money.map(|_| text.to_owned()).ok_or_else(|| {
        let most = i64::MAX / 1_000_000_000;
        format!("must be an amount from 0 to {most} like 12.50")
    })
}

impl BudgetArgs {
    /// The limits as the API wants them; `None` to look only.
    fn limits(&self) -> Option<Value> {
        let usd = |amount: &String| json!({ "amount": amount, "currency": "USD" });
        let all = [
            ("machines", self.machines.map(Value::from)),
            ("vcpus", self.vcpus.map(Value::from)),
            ("per_hour", self.per_hour.as_ref().map(usd)),
            ("per_month", self.per_month.as_ref().map(usd)),
        ];
        let said: Map<String, Value> =
            all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        (self.none || !said.is_empty()).then_some(Value::Object(said))
    }
}

pub(super) fn price(value: &Value) -> String {
    let money: Option<MoneyText> = serde_json::from_value(value.clone()).ok();
    money.map(|money| show::money(&money)).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(in crate::cli) async fn usage(session: &Session<'_>, args: &UsageArgs) -> Result<(), CliError> {
    if args.csv && session.out.is_json() {
        return Err(CliError::Usage("--csv and --json are two forms: say one".to_owned()));
    }
    let client = session.own().await?;
    if args.csv {
        return session.out.text(&client.usage_csv(args.month.as_deref()).await?);
    }
    let answer = client.usage(args.month.as_deref()).await?;
    session.out.answer(&answer.raw, || spent(&answer.value))
}

/// A line for each reservation, then the sums.
fn spent(usage: &Value) -> String {
    let mut table = Table::new(&[
        "WHAT",
        "NAME",
        "STATE",
        "SO FAR",
        "THIS MONTH",
        "PER HOUR",
        "AT ITS END",
        "AT MONTH'S END",
    ]);
    let mut row = |what: String, name: String, state: String, spending: &Value| {
        let sums =
            ["so_far", "in_month", "per_hour", "at_end", "at_month_end"].map(|sum| price(&spending[sum]));
        table.row([vec![what, name, state], sums.to_vec()].concat());
    };
    for one in usage["reservations"].as_array().into_iter().flatten() {
        row(text(&one["id"]), text(&one["name"]), text(&one["state"]), &one["spending"]);
    }
    row("all of yours".to_owned(), String::new(), String::new(), &usage["user"]);
    row("your team".to_owned(), String::new(), String::new(), &usage["team"]);
    format!("{} (UTC), by list price less discounts\n{}", text(&usage["month"]), table.render(0))
}

pub(in crate::cli) async fn budget(session: &Session<'_>, args: &BudgetArgs) -> Result<(), CliError> {
    let Some(of) = &args.of else {
        let answer = session.own().await?.budgets().await?;
        let all = answer.value["items"].as_array().cloned().unwrap_or_default();
        return session.out.answer(&answer.raw, || budgets(&all));
    };
    let client = session.client()?;
    let answer = match args.limits() {
        Some(limits) => client.set_budget(of, &limits).await?,
        None => client.budget(of).await?,
    };
    let one: Vec<Value> = Some(answer.value.clone()).filter(|value| !value.is_null()).into_iter().collect();
    session.out.answer(&answer.raw, || budgets(&one))
}

/// A line for each limit: what counts against it, and what is left.
fn budgets(all: &[Value]) -> String {
    let mut table = Table::new(&["WHOSE", "WHAT", "LIMIT", "COUNTED", "NOTE"]);
    for budget in all {
        let whose = format!("{}:{}", text(&budget["scope"]), text(&budget["name"]));
        for (kind, total) in [
            ("machines", "machines"),
            ("vcpus", "vcpus"),
            ("per_hour", "per_hour"),
            ("per_month", "in_month"),
        ] {
            let (limit, counted) = (&budget["limits"][kind], &budget["totals"][total]);
            if limit.is_null() {
                continue;
            }
            let shown = |value: &Value| if value.is_object() { price(value) } else { value.to_string() };
            let passed = budget["passed"].as_str() == Some(kind);
            let next = Some(price(&budget["totals"]["next_month"]))
                .filter(|next| kind == "per_month" && next != "$0.00");
            let note = match (passed, next) {
                (true, _) => "passed: what runs goes on, nothing new is made".to_owned(),
                (_, Some(next)) => format!("from next month on: {next}"),
                _ => String::new(),
            };
            table.row([whose.clone(), kind.to_owned(), shown(limit), shown(counted), note]);
        }
    }
    if all.is_empty() { "no budget is set\n".to_owned() } else { table.render(0) }
}

/// The same offer in another zone, at the same price.
fn same_but_zone(one: &Value, other: &Value) -> bool {
    let but = |quote: &Value| {
        let mut quote = quote.clone();
        for field in ["zone", "beats_next"] {
            quote[field] = Value::Null;
        }
        quote
    };
    but(one) == but(other)
}

/// What discounts take off, and the name of the one it is by.
fn saved(quote: &Value) -> String {
    match (price(&quote["saved_per_hour"]), quote["saved_by"].as_str()) {
        (saved, _) if saved == "$0.00" => String::new(),
        (saved, Some(by)) => format!("{saved} by {by}"),
        (saved, None) => saved,
    }
}

/// Why quotes stand as they do: parts and reasons, what rules cost, and what is skipped.
pub(in crate::cli) fn reasons(answer: &Value, now: Timestamp) -> String {
    let mut table = Table::new(&[
        "TYPE",
        "ZONE",
        "MACHINES",
        "DISK",
        "IPV4",
        "FEE",
        "SAVED",
        "PRICED",
        "BY",
        "WHY BEFORE THE NEXT",
    ]);
    let items: Vec<&Value> = answer["items"].as_array().into_iter().flatten().collect();
    for alike in items.chunk_by(|one, other| same_but_zone(one, other)) {
        let (quote, last) = (alike[0], alike[alike.len() - 1]);
        let zone = match alike.len() - 1 {
            0 => text(&quote["zone"]),
            more => format!("{} +{more}", text(&quote["zone"])),
        };
        let parts =
            if quote["parts_total"].is_null() { &quote["parts_per_hour"] } else { &quote["parts_total"] };
        let part = |name: &str| Some(price(&parts[name])).filter(|text| text != "$0.00").unwrap_or_default();
        table.row([
            text(&quote["type"]),
            zone,
            part("compute"),
            part("disk"),
            part("ipv4"),
            part("fee"),
            saved(quote),
            show::priced(&quote["price_as_of"], &quote["stale"], now),
            text(&quote["price_source"]),
            text(&last["beats_next"]),
        ]);
    }
    let mut said = format!("\nWhat it is made of, for the time asked or else an hour:\n{}", table.render(0));
    let lines = |name: &str, line: &dyn Fn(&Value) -> String| {
        answer[name].as_array().into_iter().flatten().map(line).collect::<String>()
    };
    let rules = lines("rules", &|rule| {
        format!(
            "  {} (else {})\n",
            show::plain(&text(&rule["says"])),
            show::plain(&text(&rule["offer_without"]))
        )
    });
    let skipped = lines("skipped", &|offer| {
        let zone = offer["zone"].as_str().unwrap_or("every zone");
        let what = format!("{} in {zone} of {}", text(&offer["type"]), text(&offer["lane"]));
        format!("  {} until {}\n", show::plain(&what), text(&offer["until"]))
    });
    for (heading, lines) in [("What rules cost", rules), ("Refused a moment ago, so skipped", skipped)] {
        if !lines.is_empty() {
            said.push_str(&format!("\n{heading}:\n{lines}"));
        }
    }
    said
}
