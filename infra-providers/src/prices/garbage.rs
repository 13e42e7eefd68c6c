//! Feeds full of zeros, NaN, negatives, gaps and swapped columns: through every source, no price comes out that was not
//! put in as one.
//!
//! Each world has a true price for some types, said well; beside them stands garbage about the others, and about those
//! too. A reader is right when every price that it knows is the true one. Readers with one planted fault each must be
//! caught by the same check.

use std::collections::BTreeMap;

use infra_core::nouns::system::System;
use infra_core::testing::SeededEntropy;
use infra_core::words::clock::Timestamp;
use infra_core::words::entropy::Entropy;
use serde_json::json;

use super::{Amount, CurrencyCode, Form, InventorySource, PriceOf, PriceTable};
use crate::aws::api::SpotPrice;
use crate::aws::{price_list, spot};

/// What stands where a price should.
const GARBAGE: [&str; 22] = [
    "0",
    "0.0",
    "-0",
    "-1",
    "-0.096",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "",
    " ",
    "null",
    "1e3",
    "0x1",
    "1,5",
    "$0.1",
    "m5.large",
    "USD",
    "8192000",
    "99999999999999999999",
    "us-east-1a",
];

const NOW_S: i64 = 1_790_000_000;

/// One thing that a feed says of a type.
#[derive(Debug, Clone)]
struct Line {
    name: String,
    price: String,
    /// Is it said as a price of a machine must be? Else the tenancy is another one, or the columns are swapped.
    well: bool,
}

type Truth = BTreeMap<String, i64>;
type Known = BTreeMap<String, i64>;
type Reader = fn(&[Line]) -> Known;

/// A world of so many types: what is true, and what is said.
fn world(seed: u64) -> (Truth, Vec<Line>) {
    let chance = SeededEntropy::new(seed);
    let pick =
        |bound: usize| usize::try_from(chance.below(u64::try_from(bound).expect("small"))).expect("small");
    let (mut truth, mut lines) = (Truth::new(), Vec::new());
    for at in 0..6 + pick(6) {
        let name = format!("t{at}.large");
        let nanos = 1 + i64::try_from(chance.below(9_000_000_000)).expect("small");
        let price = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        let garbage = || GARBAGE[pick(GARBAGE.len())].to_owned();
        match pick(5) {
            // Only garbage.
            0 => lines.push(Line { name, price: garbage(), well: true }),
            // The truth, and a cheaper price of something else.
            1 => {
                let cheaper = format!("0.{:09}", 1 + pick(999));
                lines.push(Line { name: name.clone(), price: cheaper, well: false });
                lines.push(Line { name: name.clone(), price, well: true });
                truth.insert(name, nanos);
            }
            // Swapped columns.
            2 => lines.push(Line { name: price, price: name, well: true }),
            // Only something else.
            3 => lines.push(Line { name, price, well: false }),
            _ => {
                lines.push(Line { name: name.clone(), price, well: true });
                truth.insert(name, nanos);
            }
        }
    }
    for at in (1..lines.len()).rev() {
        lines.swap(at, pick(at + 1));
    }
    (truth, lines)
}

/// What a table knows of every name that stands in a world.
fn known(table: &PriceTable, lines: &[Line], of: fn(&str) -> PriceOf<'_>) -> Known {
    let amount = |line: &Line| Some((line.name.clone(), table.amount(of(&line.name))?.nanos()));
    lines.iter().filter_map(amount).collect()
}

fn anywhere(name: &str) -> PriceOf<'_> {
    PriceOf::on_demand(name)
}

fn zone_a(name: &str) -> PriceOf<'_> {
    PriceOf::spot(name, "a")
}

fn aws_list(lines: &[Line]) -> Known {
    let document = |line: &Line| {
        let tenancy = if line.well { "Shared" } else { "Dedicated" };
        let attributes = json!({
            "instanceType": line.name, "tenancy": tenancy, "preInstalledSw": "NA", "capacitystatus": "Used",
            "marketoption": "OnDemand", "operatingSystem": "Linux", "regionCode": "us-east-1",
        });
        let price =
            json!({"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": line.price}});
        let term = json!({"effectiveDate": "2026-01-01T00:00:00Z", "priceDimensions": {"d": price}});
        let product = json!({"productFamily": "Compute Instance", "attributes": attributes});
        json!({"product": product, "terms": {"OnDemand": {"t": term}}}).to_string()
    };
    let documents: Vec<String> = lines.iter().map(document).collect();
    let now = Timestamp::from_second(NOW_S).expect("a moment");
    let table = price_list::table(&documents, "us-east-1", &[System::Linux].into(), now).expect("JSON");
    known(&table, lines, anywhere)
}

fn aws_spot(lines: &[Line]) -> Known {
    let row = |line: &Line| SpotPrice {
        type_name: line.name.clone(),
        zone: "a".into(),
        product: if line.well { "Linux/UNIX" } else { "Windows" }.into(),
        price: line.price.clone(),
        since: Timestamp::from_second(NOW_S - 60).ok(),
    };
    let rows: Vec<SpotPrice> = lines.iter().map(row).collect();
    let now = Timestamp::from_second(NOW_S).expect("a moment");
    known(&spot::table(&rows, "us-east-1", now), lines, zone_a)
}

/// Files say nothing of other tenancies: another system's price stands there instead.
fn csv_file(lines: &[Line]) -> Known {
    let row = |line: &Line| {
        let os = if line.well { "" } else { "windows" };
        format!("\"{}\",\"{}\",USD,2026-01-01,{os}\n", line.name, line.price)
    };
    let text: String = std::iter::once("type,price_per_hour,currency,as_of,os\n".to_owned())
        .chain(lines.iter().map(row))
        .collect();
    known(&Form::Csv.parse("p", text.as_bytes(), None).expect("its shape is right"), lines, anywhere)
}

fn json_file(lines: &[Line]) -> Known {
    let row = |line: &Line| {
        let os = if line.well { "linux" } else { "windows" };
        json!({"type": line.name, "price_per_hour": line.price, "os": os})
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    let text = json!({"as_of": "2026-01-01", "currency": "USD", "prices": rows}).to_string();
    known(&Form::Json.parse("p", text.as_bytes(), None).expect("its shape is right"), lines, anywhere)
}

fn toml_file(lines: &[Line]) -> Known {
    let row = |line: &Line| line.well.then(|| format!("{:?} = {:?}\n", line.name, line.price));
    let rows: String = lines.iter().filter_map(row).collect();
    let text = format!("as_of = \"2026-01-01\"\ncurrency = \"USD\"\n[per_hour]\n{rows}");
    known(&Form::Toml.parse("p", text.as_bytes(), None).expect("its shape is right"), lines, anywhere)
}

fn inventory(lines: &[Line]) -> Known {
    let row = |line: &Line| {
        line.well.then(|| format!("[[pools]]\nname = {:?}\nprice_per_hour = {:?}\n", line.name, line.price))
    };
    let rows: String = lines.iter().filter_map(row).collect();
    let text = format!("as_of = \"2026-01-01\"\ncurrency = \"USD\"\n{rows}");
    known(&InventorySource::parse("p", &text).expect("its shape is right"), lines, anywhere)
}

/// DigitalOcean sends numbers: what is none cannot stand there, and is left out as it would be in JSON. There `1e3` is a
/// thousand, and no garbage.
fn digitalocean(lines: &[Line]) -> Known {
    let said = lines.iter().filter(|line| line.well && line.price != "1e3");
    let price = |line: &Line| {
        let number = serde_json::from_str::<serde_json::Number>(&line.price).ok();
        let price = crate::digitalocean::catalogue::price(number.as_ref(), None, Timestamp::UNIX_EPOCH);
        Some((line.name.clone(), price.per_hour()?.nanos))
    };
    said.filter_map(price).collect()
}

/// Worlds in which a reader knows a price that is not the true one, of so many.
fn caught(reader: Reader, worlds: u64) -> u64 {
    let wrong = |seed: &u64| {
        let (truth, lines) = world(*seed);
        reader(&lines).iter().any(|(name, nanos)| truth.get(name) != Some(nanos))
    };
    u64::try_from((0..worlds).filter(wrong).count()).expect("it fits")
}

/// Worlds in which a reader misses a true price: a reader that knows nothing would be right about everything.
fn missed(reader: Reader, worlds: u64) -> u64 {
    let short = |seed: &u64| {
        let (truth, lines) = world(*seed);
        let known = reader(&lines);
        truth.iter().any(|(name, nanos)| known.get(name) != Some(nanos))
    };
    u64::try_from((0..worlds).filter(short).count()).expect("it fits")
}

const WORLDS: u64 = 500;

#[test]
fn no_source_makes_a_price_of_garbage() {
    for (name, reader) in [
        ("aws list", aws_list as Reader),
        ("aws spot", aws_spot),
        ("csv", csv_file),
        ("json", json_file),
        ("toml", toml_file),
        ("inventory", inventory),
        ("digitalocean", digitalocean),
    ] {
        assert_eq!((name, caught(reader, WORLDS), missed(reader, WORLDS)), (name, 0, 0));
    }
    println!("COUNT price_garbage sources=7 worlds={WORLDS} wrong=0 missed=0");
}

/// Readers with one fault each.
fn lenient(lines: &[Line], price: fn(&Line) -> Option<i64>) -> Known {
    lines.iter().filter_map(|line| Some((line.name.clone(), price(line)?))).collect()
}

fn nanos(text: &str) -> Option<i64> {
    Amount::read(text, CurrencyCode::USD).ok().map(Amount::nanos)
}

#[test]
fn a_reader_that_lets_one_through_is_caught() {
    let faults: [(&str, Reader); 5] = [
        ("zero is a price", |lines| {
            lenient(lines, |line| {
                let zero = line.price.parse::<f64>().is_ok_and(|price| price == 0.0);
                nanos(&line.price).filter(|_| line.well).or(zero.then_some(0))
            })
        }),
        ("a minus is dropped", |lines| {
            lenient(lines, |line| nanos(line.price.trim_start_matches('-')).filter(|_| line.well))
        }),
        ("an exponent is read", |lines| {
            lenient(lines, |line| {
                let exponent = line.price.contains('e').then(|| line.price.parse::<f64>().ok()).flatten();
                nanos(&line.price).filter(|_| line.well).or(exponent.filter(|price| *price > 0.0).map(|_| 1))
            })
        }),
        ("a size is a price", |lines| {
            lenient(lines, |line| {
                let whole = line.price.parse::<i64>().ok().filter(|whole| *whole > 10_000);
                nanos(&line.price).filter(|_| line.well).or(whole)
            })
        }),
        ("the tenancy is not looked at", |lines| lenient(lines, |line| nanos(&line.price))),
    ];
    for (name, reader) in faults {
        assert!(caught(reader, WORLDS) > WORLDS / 100, "{name} passes for right");
    }
    let blind: Reader = |_| Known::new();
    assert!(missed(blind, WORLDS) > WORLDS / 2, "who knows nothing passes for right");
}
