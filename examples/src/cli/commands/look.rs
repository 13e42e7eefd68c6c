//! `infra list`, `show`, `access`, `history`, `offerings`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

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
    /// Only those with this tag: team=red, or team for whatever value; repeat for more, all must fit
    #[arg(long = "tag", value_name = "NAME[=VALUE]")]
    tags: Vec<String>,
    /// Those that team mates share with you, instead of your own
    #[arg(long)]
    shared: bool,
    /// One page of so many instead of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: Option<u32>,
    /// Begin after this: the `next` of an earlier page
    #[arg(long, value_name = "NEXT", requires = "limit")]
    after: Option<String>,
}

/// Which one.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct IdArgs {
    /// Its id, or its name
    id: String,
}

/// Which one, and where its key goes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Every look is written into the reservation's history.

Examples:
  infra access web
  infra access web --key-file web.key && ssh -i web.key ubuntu@203.0.113.7")]
pub(in crate::cli) struct AccessArgs {
    /// Its id, or its name
    id: String,
    /// Write the key that was made for it into this new file, for you alone to read
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
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
    let query = ListQuery {
        all: args.all,
        limit: args.limit,
        after: args.after.clone(),
        tags: args.tags.iter().map(|tag| tag.replacen('=', ":", 1)).collect(),
        shared: args.shared,
    };
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

pub(in crate::cli) async fn access(session: &Session<'_>, args: &AccessArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let answer = client.access(&id).await?;
    let key = answer.value["private_key"].as_str();
    if let (Some(file), Some(key)) = (&args.key_file, key) {
        write_key(file, key).map_err(|error| CliError::Local(format!("{file}: {error}")))?;
    }
    session.out.answer(&answer.raw, || doors(&answer.value, args.key_file.as_deref()))?;
    match (&args.key_file, key) {
        (Some(_), None) => {
            session.out.note("no key was made for it: its request named those that may log in");
        }
        (None, Some(_)) => {
            session.out.note("a key was made for it: --key-file FILE writes it, for you alone to read");
        }
        _ => {}
    }
    Ok(())
}

/// A new file that only its owner reads. One that is there already is never written over.
fn write_key(file: &str, key: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?;
    file.write_all(key.trim_end().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// How to get in, one machine a line.
fn doors(access: &Value, key_file: Option<&str>) -> String {
    let key = key_file.map(|file| format!(" -i {file}")).unwrap_or_default();
    let machines = access["machines"].as_array().map_or(&[][..], Vec::as_slice);
    let line = |machine: &Value| {
        let host = machine["host"].as_str().unwrap_or_default();
        let user = machine["user"].as_str().map(|user| format!("{user}@")).unwrap_or_default();
        let port = machine["port"].as_u64().filter(|port| *port != 22);
        let port = port.map(|port| format!(" -p {port}")).unwrap_or_default();
        format!("ssh{key}{port} {}\n", show::plain(&format!("{user}{host}")))
    };
    let lines: String = machines.iter().map(line).collect();
    if lines.is_empty() { "none of its machines has an address\n".to_owned() } else { lines }
}

pub(in crate::cli) async fn history(session: &Session<'_>, args: &IdArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let id = meant(&client, &args.id).await?;
    let page = client.history(&id).await?;
    session.out.answer(&page.raw, || events(&page))
}

/// A line each: when, who, what, and whatever else is said.
fn events(page: &Page<Value>) -> String {
    let mut table = Table::new(&["AT", "BY", "WHAT", "COST", "MORE"]);
    for event in &page.items {
        let text =
            |name: &str| event.get(name).filter(|value| !value.is_null()).map(word).unwrap_or_default();
        let at = text("at").parse().map_or_else(|_| text("at"), show::moment);
        let cost = event.get("cost").and_then(|cost| serde_json::from_value(cost.clone()).ok());
        let more = event["details"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let more: Vec<String> = more.map(|(name, value)| format!("{name}={}", word(value))).collect();
        let cost = cost.map(|cost| show::money(&cost)).unwrap_or_default();
        table.row([at, text("by"), text("event"), cost, more.join(" ")]);
    }
    if page.items.is_empty() { "nothing happened yet\n".to_owned() } else { table.render(0) }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Which offers.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  infra offerings --region eu-west-1 --min-vcpus 8 --known-price
  infra offerings --wide --family m5
  infra offerings --min-gpus 1 --max-per-hour 3 --json | jq -r '.items[].type'")]
pub(in crate::cli) struct OfferingsArgs {
    /// Only at this cloud
    #[arg(long, value_name = "CLOUD")]
    provider: Option<String>,
    /// Only in this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Only of this architecture
    #[arg(long, value_name = "ARCH", value_parser = ["x86_64", "arm64"])]
    arch: Option<String>,
    /// Only bought so
    #[arg(long, value_name = "MARKET", value_parser = ["on_demand", "spot"])]
    market: Option<String>,
    /// Only this family
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
    /// Only with this accelerator
    #[arg(long, value_name = "MODEL")]
    gpu_model: Option<String>,
    /// Virtual processors at least
    #[arg(long, value_name = "N")]
    min_vcpus: Option<f64>,
    /// Memory at least, GiB
    #[arg(long, value_name = "GIB")]
    min_memory: Option<f64>,
    /// Accelerators at least
    #[arg(long, value_name = "N")]
    min_gpus: Option<u32>,
    /// US dollars per machine and hour at most
    #[arg(long, value_name = "USD")]
    max_per_hour: Option<f64>,
    /// Only what has a known price
    #[arg(long)]
    known_price: bool,
    /// Also what policies and bills go by: family, generation, bursting, disks, addresses, how time is charged
    #[arg(long)]
    wide: bool,
}

impl OfferingsArgs {
    fn filters(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let all = [
            ("provider", self.provider.clone()),
            ("region", self.region.clone()),
            ("arch", self.arch.clone()),
            ("market", self.market.clone()),
            ("family", self.family.clone()),
            ("gpu_model", self.gpu_model.clone()),
            ("min_vcpus", number(self.min_vcpus)),
            ("min_memory_gib", number(self.min_memory)),
            ("min_gpus", self.min_gpus.map(|gpus| gpus.to_string())),
            ("max_per_hour", number(self.max_per_hour)),
            ("known_price", self.known_price.then(|| "true".to_owned())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

pub(in crate::cli) async fn offerings(session: &Session<'_>, args: &OfferingsArgs) -> Result<(), CliError> {
    let client = session.own().await?;
    let page = client.offerings_by(&args.filters()).await?;
    let now = session.out.now();
    session.out.answer(&page.raw, || {
        let wide = if args.wide { &WIDE[..] } else { &[] };
        let mut table = Table::new(&[&NARROW[..], wide].concat());
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
            let mut row = vec![
                text("provider"),
                text("region"),
                zones.unwrap_or_default().join(" "),
                with_system(text("type"), &offer["system"]),
                text("vcpus"),
                gib("memory_gib").unwrap_or_default(),
                gib("disk_gib").unwrap_or_default(),
                gpus.trim().to_owned(),
                text("arch"),
                text("market"),
                price.unwrap_or_else(|| "not known".to_owned()),
                show::priced(&offer["price_as_of"], &offer["stale"], now),
                said_by(offer),
            ];
            if args.wide {
                row.extend(fine_print(offer));
            }
            table.row(row);
        }
        if page.items.is_empty() {
            "nothing that your keys reach is like that\n".to_owned()
        } else {
            table.render(0)
        }
    })
}

const NARROW: [&str; 13] = [
    "CLOUD", "REGION", "ZONES", "TYPE", "VCPUS", "MEMORY", "DISK", "GPUS", "ARCH", "MARKET", "PER HOUR",
    "PRICED", "BY",
];

const WIDE: [&str; 7] = ["FAMILY", "GEN", "BURSTS", "OWN DISK", "DISK GIB/H", "IPV4/H", "BILLED"];

/// What policies and bills go by.
fn fine_print(offer: &Value) -> [String; 7] {
    let text = |name: &str| offer.get(name).filter(|v| !v.is_null()).map(word).unwrap_or_default();
    let local = offer["local_disk_gib"].as_u64().filter(|gib| *gib > 0).map(|gib| format!("{gib} GiB"));
    // To the billionth: a GiB costs so little that cents would all be zero.
    let exact =
        |name: &str| offer[name]["amount"].as_str().filter(|usd| *usd != "0.00").map(|usd| format!("${usd}"));
    [
        text("family"),
        text("generation"),
        if offer["burstable"] == true { "yes".to_owned() } else { String::new() },
        local.unwrap_or_default(),
        exact("disk_gib_hour").unwrap_or_default(),
        exact("ipv4_hour").unwrap_or_default(),
        billed(&offer["billing"]),
    ]
}

/// "by the second, 60 s at least, $0.01 at least, 672 h a month at most".
fn billed(rule: &Value) -> String {
    let mut parts = match rule["unit_s"].as_u64() {
        Some(1) => vec!["by the second".to_owned()],
        Some(3600) => return "by the hour".to_owned(),
        Some(unit) => vec![format!("by {unit} s")],
        None => return String::new(),
    };
    parts.extend(rule["min_s"].as_u64().filter(|s| *s > 1).map(|s| format!("{s} s at least")));
    let least = rule["min_charge"]["amount"].as_str().filter(|usd| *usd != "0.00");
    parts.extend(least.map(|usd| format!("${usd} at least")));
    parts.extend(rule["month_hours_max"].as_u64().map(|hours| format!("{hours} h a month at most")));
    show::plain(&parts.join(", "))
}

/// Who named the price, or why there is none.
fn said_by(offer: &Value) -> String {
    let said = offer["price_source"].as_str().or_else(|| offer["price_unknown"].as_str());
    show::plain(said.unwrap_or_default())
}

/// A type, and what it boots where that is paid for.
fn with_system(type_name: String, system: &Value) -> String {
    match system.as_str() {
        None | Some("linux") => type_name,
        Some(system) => format!("{type_name} with {system}"),
    }
}
