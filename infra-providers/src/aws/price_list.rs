//! On-demand prices from AWS's Price List.
//!
//! # Why GetProducts and not the public offer files
//! The offer file of EC2 in one large region is hundreds of megabytes of JSON, of which a thousandth is wanted: every
//! tenancy, licence, reservation term and capacity status of every type. `GetProducts` answers exactly the rows that are
//! asked for, about ten pages of a hundred. It costs a permission (`pricing:GetProducts`) and a small SDK crate of seven
//! operations (seconds to build beside EC2's minutes), and it is the same call in every partition.
//!
//! # Guarantees
//! * Of a type, the one price that is paid for a machine that is simply launched: tenancy `Shared`, nothing installed,
//!   no licence, capacity `Used`, market option `OnDemand`, the operating system asked for, in the region asked for. The
//!   filters of the call say so, and every row is held to it again.
//! * One term in force, one dimension by the hour without a tier, one currency. Anything else is Unknown with the reason.
//! * A page that fails, ends early or comes round again fails the whole reading.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use infra_core::nouns::system::System;
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::ids::Region;
use serde::Deserialize;

use super::api::{Ec2Api, PriceListAsk};
use super::prices::{all_pages, malformed};
use crate::prices::{Amount, CurrencyCode, PriceError, PriceOf, PriceSource, PriceTable, Row};

/// Who says so.
const SOURCE: &str = "AWS Price List";

/// The permission that it needs.
const ACTION: &str = "pricing:GetProducts";

/// What a product must be, beside its region and operating system.
const WANTED: [(&str, &str); 4] = [
    ("tenancy", "Shared"),
    ("preInstalledSw", "NA"),
    ("capacitystatus", "Used"),
    ("marketoption", "OnDemand"),
];

/// AWS's word for a system in its list.
const fn word(system: System) -> Option<&'static str> {
    match system {
        System::Linux => Some("Linux"),
        System::Windows => Some("Windows"),
        System::Rhel => Some("RHEL"),
        System::Suse => Some("SUSE"),
        _ => None,
    }
}

/// The licence is in the price: without this, a row of who brings its own looks like one of who does not.
const LICENSED: (&str, &str) = ("licenseModel", "No License required");

/// What disks are made as.
const DISK: &str = "gp3";

/// A month of storage is charged by the hours of that month, 744 of them in one of 31 days (AWS, "Understand charges for
/// Amazon EBS volumes", read where others quote it); of a year's months the average is this, which no month is more than
/// a tenth away from.
const MONTH_H: i64 = 365 * 24 / 12;

/// The families of products that are machines.
const FAMILIES: [&str; 2] = ["Compute Instance", "Compute Instance (bare metal)"];

/// The list of one region, asked with one key.
pub(super) struct PriceListSource {
    pub(super) api: Arc<dyn Ec2Api>,
    pub(super) region: Region,
    pub(super) clock: Arc<dyn Clock>,
    /// What the images here boot; Linux always.
    pub(super) systems: BTreeSet<System>,
}

impl fmt::Debug for PriceListSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SOURCE} of {}", self.region)
    }
}

#[async_trait]
impl PriceSource for PriceListSource {
    async fn read(&self) -> Result<PriceTable, PriceError> {
        // Before the call: prices must not look fresher than they are.
        let before = self.clock.wall();
        let here = ("regionCode", self.region.to_string());
        let (mut machines, mut as_of) = (Vec::new(), None);
        for system in &self.systems {
            let Some(word) = word(*system) else { continue };
            let mut asked = WANTED.map(|(name, value)| (name, value.to_owned())).to_vec();
            asked.extend([("operatingSystem", word.to_owned()), here.clone()]);
            if !system.is_linux() {
                asked.push((LICENSED.0, LICENSED.1.to_owned()));
            }
            let (documents, at) = self.documents(asked).await?;
            machines.extend(documents);
            as_of = as_of.or(at);
        }
        let disks = vec![("productFamily", "Storage".to_owned()), ("volumeApiName", DISK.to_owned()), here];
        let (disks, _) = self.documents(disks).await?;
        let (region, as_of) = (self.region.as_str(), as_of.unwrap_or(before));
        Ok(table(&machines, region, &self.systems, as_of)?.with_disk(disk(&disks, region, as_of)))
    }
}

impl PriceListSource {
    /// The products with these attributes, all pages.
    async fn documents(
        &self,
        attributes: Vec<(&'static str, String)>,
    ) -> Result<(Vec<String>, Option<Timestamp>), PriceError> {
        let ask = PriceListAsk { attributes };
        all_pages(SOURCE, ACTION, |page| self.api.price_list(&ask, page)).await
    }
}

#[derive(Deserialize)]
struct Document {
    product: Product,
    #[serde(default)]
    terms: Terms,
}

#[derive(Deserialize)]
struct Product {
    #[serde(rename = "productFamily", default)]
    family: String,
    attributes: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize, Default)]
struct Terms {
    /// Reserved terms stand beside it and are not read.
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Term>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    effective_date: Timestamp,
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    unit: String,
    #[serde(default)]
    begin_range: Option<String>,
    #[serde(default)]
    end_range: Option<String>,
    price_per_unit: BTreeMap<String, serde_json::Value>,
}

/// Reads the documents of all pages. Pure: bytes in, table out.
pub(crate) fn table(
    documents: &[String],
    region: &str,
    systems: &BTreeSet<System>,
    as_of: Timestamp,
) -> Result<PriceTable, PriceError> {
    let mut table = PriceTable::new(SOURCE, as_of, true);
    let mut others = BTreeMap::new();
    for document in documents {
        // Half a document is half an answer; one of another shape is a row of which one thing is known, its type.
        let value: serde_json::Value =
            serde_json::from_str(document).map_err(|_| malformed(SOURCE, "a product is no JSON document"))?;
        let name = value.pointer("/product/attributes/instanceType").and_then(|name| name.as_str());
        let Some(name) = name.filter(|name| !name.is_empty()).map(str::to_owned) else { continue };
        match serde_json::from_value::<Document>(value) {
            Err(_) => table.add(PriceOf::on_demand(&name), Err("its product cannot be read".to_owned())),
            Ok(document) => match fit(&document.product, region, systems) {
                Err(why) => drop(others.insert(name, why)),
                Ok(system) => {
                    let of = PriceOf { os: system.word(), ..PriceOf::on_demand(&name) };
                    table.add(of, amount(&document.terms, as_of, "Hrs"));
                }
            },
        }
    }
    for (name, why) in others {
        // A type that is only sold in another way says so; one that is sold in both is not touched by the other.
        if !table.has(PriceOf::on_demand(&name)) {
            table.add(PriceOf::on_demand(&name), Err(format!("listed only with {why}")));
        }
    }
    Ok(table)
}

/// What an hour of a GiB of disk costs. It is sold by the GB and month, and the greatest of several rows counts.
fn disk(documents: &[String], region: &str, as_of: Timestamp) -> Row {
    let read = |document: &String| {
        let Document { product, terms } = serde_json::from_str(document).ok()?;
        let is = |name, wanted| product.attributes.get(name).and_then(|value| value.as_str()) == Some(wanted);
        let ours = product.family == "Storage" && is("volumeApiName", DISK) && is("regionCode", region);
        ours.then(|| amount(&terms, as_of, "GB-Mo"))
    };
    let rows: Vec<Row> = documents.iter().filter_map(read).collect();
    let per_month = rows.into_iter().max_by_key(|row| row.as_ref().ok().copied());
    let per_month = per_month.unwrap_or_else(|| Err(format!("no price of {DISK}")))?;
    Amount::of_nanos(per_month.nanos().div_euclid(MONTH_H) + 1, per_month.currency())
}

/// With which of these systems a product is, or what is not as it must be about it.
fn fit(product: &Product, region: &str, systems: &BTreeSet<System>) -> Result<System, String> {
    if !FAMILIES.contains(&product.family.as_str()) {
        return Err(format!("product family {:?}", product.family));
    }
    let is = |name: &str| product.attributes.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let os = is("operatingSystem");
    let system = systems.iter().copied().find(|system| word(*system) == Some(os));
    let system = system.ok_or_else(|| format!("operatingSystem={os}"))?;
    let licensed = Some(LICENSED).filter(|_| !system.is_linux());
    let mut wanted = WANTED.into_iter().chain([("regionCode", region)]).chain(licensed);
    match wanted.find(|(name, wanted)| is(name) != *wanted) {
        Some((name, _)) => Err(format!("{name}={}", is(name))),
        None => Ok(system),
    }
}

/// The price of the term in force.
fn amount(terms: &Terms, now: Timestamp, unit: &str) -> Row {
    let in_force = terms.on_demand.values().filter(|term| term.effective_date <= now);
    let newest = in_force.clone().map(|term| term.effective_date).max();
    let newest = newest.ok_or_else(|| {
        if terms.on_demand.is_empty() { "no on-demand term" } else { "no on-demand term in force yet" }
            .to_owned()
    })?;
    let mut dimensions =
        in_force.filter(|term| term.effective_date == newest).flat_map(|term| term.price_dimensions.values());
    let one = dimensions.next().ok_or("its on-demand term names no price")?;
    if dimensions.any(|other| other != one) {
        return Err("several prices in one term".to_owned());
    }
    if one.unit != unit {
        return Err(format!("priced by {:?}, not by {unit:?}", one.unit));
    }
    let whole = |range: &Option<String>, all: &str| range.as_deref().is_none_or(|range| range == all);
    if !whole(&one.begin_range, "0") || !whole(&one.end_range, "Inf") {
        return Err("its price depends on how much is used".to_owned());
    }
    let read = |code: &str, value: &serde_json::Value| {
        let currency: CurrencyCode = code.parse()?;
        let text = value.as_str().ok_or_else(|| format!("{value} is not a decimal in quotes"))?;
        Amount::read(text, currency)
    };
    // In two currencies it is the same price twice; the one that needs no rate is taken.
    let in_usd = one.price_per_unit.get_key_value("USD");
    match (in_usd, one.price_per_unit.len()) {
        (Some((code, value)), _) => read(code, value),
        (None, 1) => one
            .price_per_unit
            .iter()
            .next()
            .map_or_else(|| Err("no currency".to_owned()), |(code, value)| read(code, value)),
        (None, 0) => Err("no price in any currency".to_owned()),
        (None, _) => Err("priced in several currencies, none of them USD".to_owned()),
    }
}

#[cfg(test)]
mod tests;
