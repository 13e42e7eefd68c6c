//! Reservations and quotes for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use infra_core::words::clock::Timestamp;
use serde_json::{Map, Value};

use super::table::{Table, plain};
use super::words::{length, machines, moment, money, relative};
use super::{Out, tone};
use crate::cli::bound;
use crate::client::{MoneyText, Quote, Reservation};

/// Where its machines are, in one cell: `sim sim-east sim.small`.
fn place(reservation: &Reservation) -> String {
    let places: BTreeSet<String> = (reservation.units.iter())
        .map(|unit| {
            let parts = [&unit.provider, &unit.region, &unit.type_];
            parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
        })
        .filter(|place| !place.is_empty())
        .collect();
    let mut places = places.into_iter();
    match (places.next(), places.count()) {
        (None, _) => String::new(),
        (Some(place), 0) => place,
        (Some(place), more) => format!("{place} +{more}"),
    }
}

/// Why it is where it is.
fn why(reservation: &Reservation) -> Option<String> {
    let held = reservation.hold.as_ref().and_then(|hold| hold.get("detail")).and_then(Value::as_str);
    let held = held.map(|detail| format!("held: {detail}"));
    held.or_else(|| reservation.reason.clone())
}

fn end(reservation: &Reservation, now: Timestamp) -> String {
    if let Some(over) = reservation.over_at {
        return format!("over {}", relative(over, now));
    }
    match (reservation.ends_at, reservation.request.get("duration_s").and_then(Value::as_i64)) {
        (Some(at), _) => relative(at, now),
        (None, Some(seconds)) => format!("{} once ready", length(jiff::SignedDuration::from_secs(seconds))),
        (None, None) => "never".to_owned(),
    }
}

/// A table, one line each.
pub(in crate::cli) fn reservations(items: &[Reservation], now: Timestamp) -> String {
    if items.is_empty() {
        return "nothing is reserved\n".to_owned();
    }
    let mut table = Table::new(&["ID", "NAME", "STATE", "READY", "WHERE", "PER HOUR", "ENDS", "WHY"]);
    for one in items {
        let price = one.price.as_ref().map(money).unwrap_or_default();
        table.row([
            one.id.clone(),
            one.name().unwrap_or_default().to_owned(),
            one.state.clone(),
            format!("{}/{}", one.ready(), one.count),
            place(one),
            price,
            end(one, now),
            why(one).unwrap_or_default(),
        ]);
    }
    table.render(0)
}

/// One line: what it is and how far.
pub(in crate::cli) fn short(one: &Reservation) -> String {
    let name = one.name().map(|name| format!(" \"{}\"", plain(name))).unwrap_or_default();
    let mut line = format!("{}{name} is {}", one.id, one.state);
    if ["pending", "creating", "ready", "starting"].contains(&one.state.as_str()) {
        write!(line, ", {} of {} ready", one.ready(), machines(one.count.into()))
            .expect("writing to a string cannot fail");
    }
    if let Some(why) = why(one) {
        write!(line, ": {}", plain(&why)).expect("writing to a string cannot fail");
    }
    line
}

/// Everything about one.
pub(in crate::cli) fn reservation(one: &Reservation, out: &Out) -> String {
    let now = out.now();
    let when = |at: Timestamp| format!("{} ({})", relative(at, now), moment(at));
    let name = one.name().map(|name| format!(" \"{}\"", plain(name))).unwrap_or_default();
    let mut text = format!("{}{name}: {}\n", one.id, out.paint(tone(&one.state), &one.state));
    let most = bound::of_all(&one.request, one.count.into());
    let most = most.map(|most| format!(" (at most {most})")).unwrap_or_default();
    let price = one.price.as_ref().map(|price| format!("{} per hour{most}", money(price)));
    let cost = one.cost_so_far.as_ref().map(|cost| format!("{} so far", money(cost)));
    let price: Vec<String> = price.into_iter().chain(cost).collect();
    let price = price.join(", ") + if one.simulated { " (simulated: nothing costs money)" } else { "" };
    let ends = match one.ends_at {
        Some(at) if one.over_at.is_none() => when(at),
        _ => end(one, now),
    };
    let rows = [
        ("user", Some(one.user.clone())),
        ("machines", Some(format!("{} of {} ready", one.ready(), one.count))),
        ("asked for", Some(asked(&one.request))),
        ("price", Some(price).filter(|price| !price.is_empty())),
        ("created", Some(when(one.created_at))),
        ("ready", one.ready_at.map(when)),
        ("ends", Some(ends)),
        ("why", why(one)),
        ("notebook", one.notebook_url.clone()),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            writeln!(text, "  {name:<10} {}", plain(&value)).expect("writing to a string cannot fail");
        }
    }
    units(&mut text, one);
    if !one.tries.is_empty() {
        text.push_str("\n  tried\n");
        for tried in &one.tries {
            let line = format!("{}  {}: {}", moment(tried.at), tried.offer, tried.said);
            writeln!(text, "    {}", plain(&line)).expect("writing to a string cannot fail");
        }
    }
    text
}

fn units(text: &mut String, one: &Reservation) {
    if one.units.is_empty() {
        return;
    }
    let mut table =
        Table::new(&["SLOT", "STATE", "CLOUD", "REGION", "ZONE", "TYPE", "PUBLIC", "PRIVATE", "CLOUD'S ID"]);
    for unit in &one.units {
        let optional = [
            &unit.provider,
            &unit.region,
            &unit.zone,
            &unit.type_,
            &unit.public_address,
            &unit.private_address,
            &unit.provider_id,
        ];
        let fixed = [unit.slot.to_string(), unit.state.clone()];
        table.row(fixed.into_iter().chain(optional.map(|cell| cell.clone().unwrap_or_default())));
    }
    text.push('\n');
    text.push_str(&table.render(2));
}

/// The order in which people think of a request.
const ORDER: [&str; 10] =
    ["count", "vcpus", "memory_gib", "disk_gib", "gpus", "gpu_model", "arch", "os", "provider", "region"];

/// A request in a line: what was said.
pub(in crate::cli) fn asked(request: &Map<String, Value>) -> String {
    let rank = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    let mut fields: Vec<(&String, &Value)> = (request.iter())
        .filter(|(name, value)| {
            name.as_str() != "name" && !(name.as_str() == "resource" && **value == "vm") && !value.is_null()
        })
        .collect();
    fields.sort_by_key(|(name, _)| rank(name));
    let said: Vec<String> = fields.into_iter().map(|(name, value)| wish(name, value)).collect();
    if said.is_empty() { "anything".to_owned() } else { said.join(", ") }
}

/// One field of a request.
fn wish(name: &str, value: &Value) -> String {
    let time = || length(jiff::SignedDuration::from_secs(value.as_i64().unwrap_or_default()));
    // `2`, not `2.0`.
    let number = || value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string());
    match (name, value) {
        ("count", _) => machines(value.as_u64().unwrap_or_default()),
        ("vcpus" | "gpus", _) if value.as_f64() == Some(1.0) => format!("1 {}", name.trim_end_matches('s')),
        ("vcpus" | "gpus", _) => format!("{} {name}", number()),
        ("memory_gib", _) => format!("{} GiB", number()),
        ("disk_gib", _) => format!("{} GiB of disk", number()),
        ("duration_s", _) => format!("for {}", time()),
        ("max_price_per_hour", _) => format!("at most ${} per machine and hour", number()),
        ("idle_timeout_s", _) => format!("idle at most {}", time()),
        ("os", Value::String(text)) => text.clone(),
        (_, Value::String(text)) => format!("{name} {text}"),
        (_, Value::Bool(true)) => name.to_owned(),
        (_, Value::Array(list)) => {
            let word = |item: &Value| item.as_str().map_or_else(|| item.to_string(), short_text);
            format!("{name} {}", list.iter().map(word).collect::<Vec<_>>().join(" "))
        }
        (_, Value::Object(map)) => {
            let pair = |(key, value): (&String, &Value)| {
                format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            format!("{name} {}", map.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
        _ => format!("{name} {}", number()),
    }
}

/// A key of 400 characters says no more than its end, where its owner is named.
fn short_text(text: &str) -> String {
    const MOST: usize = 40;
    let length = text.chars().count();
    if length <= MOST {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length - (MOST - 3)).collect();
    format!("...{end}")
}

/// Zones that make no difference share a line.
fn alike(one: &Quote, other: &Quote) -> bool {
    let but_zone = |quote: &Quote| Quote { zone: None, ..quote.clone() };
    but_zone(one) == but_zone(other)
}

/// How many of these quotes the first so many lines are made of.
pub(in crate::cli) fn in_lines(items: &[Quote], lines: usize) -> usize {
    items.chunk_by(alike).take(lines).map(<[Quote]>::len).sum()
}

/// The ways to get something, cheapest first. Zones that make no difference share a line.
///
/// When all of them were refused a moment ago, a line below says until when nobody asks for them.
pub(in crate::cli) fn quotes(items: &[Quote], indent: usize) -> String {
    let mut table = Table::new(&[
        "CLOUD",
        "REGION",
        "ZONE",
        "TYPE",
        "VCPUS",
        "MEMORY",
        "DISK",
        "GPUS",
        "ARCH",
        "MARKET",
        "EACH/HOUR",
        "ALL/HOUR",
        "TOTAL",
        "NOTE",
    ]);
    for alike in items.chunk_by(alike) {
        table.row(quote_row(&alike[0], alike.len() - 1));
    }
    let first = items.iter().map(|quote| quote.refused_until).min().flatten();
    let refused = first.map(|until| {
        format!(
            "{:indent$}All were refused a moment ago; the first is tried again at {}.\n",
            "",
            moment(until)
        )
    });
    table.render(indent) + &refused.unwrap_or_default()
}

fn quote_row(quote: &Quote, more_zones: usize) -> Vec<String> {
    let gpus = match (&quote.gpu_model, quote.gpus) {
        (_, 0) => String::new(),
        (Some(model), gpus) => format!("{gpus} {model}"),
        (None, gpus) => gpus.to_string(),
    };
    let price = |price: &Option<MoneyText>| price.as_ref().map(money).unwrap_or_default();
    let market = if quote.market == "on_demand" { "" } else { &quote.market };
    vec![
        quote.provider.clone(),
        quote.region.clone(),
        super::words::zone(quote.zone.as_deref().unwrap_or_default(), more_zones),
        quote.type_.clone(),
        quote.vcpus.to_string(),
        format!("{} GiB", quote.memory_gib),
        if quote.disk_gib == 0 { String::new() } else { format!("{} GiB", quote.disk_gib) },
        gpus,
        quote.arch.clone(),
        market.to_owned(),
        price(&quote.machine_per_hour),
        price(&quote.per_hour),
        price(&quote.total),
        if quote.stale { "old price".to_owned() } else { String::new() },
    ]
}
