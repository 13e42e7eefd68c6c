//! `/users/{user}/offerings`: every type in every lane that the user's keys reach.

use axum::Json as Answer;
use axum::http::Uri;
use infra_core::infra::LaneOfferings;
use infra_core::nouns::offering::Offering;
use infra_core::nouns::request::{Arch, Market};
use infra_core::words::money::Money;
use serde::de::DeserializeOwned;

use super::auth::Reader;
use super::extract::Params;
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::wire::Page;
use super::{page, wire};

/// List what the user's keys reach
///
/// Every machine type in every region, with its price, who said it and when: anybody can check a choice by hand.
#[utoipa::path(
    get,
    path = "/users/{user}/offerings",
    tag = tag::OFFERS,
    operation_id = "listOfferings",
    params(wire::OfUser, wire::Offers, wire::PageOf, wire::Acting),
    responses((status = 200, body = Page<wire::Offering>, description = "A page of offerings.")),
    extensions(("x-codes" = json!(["provider-unavailable", "no-credentials", "invalid-credentials"])))
)]
pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Page<wire::Offering>>, Problem> {
    let params = Params::read(&uri, &[&["limit", "after"][..], &FILTERS].concat())?;
    let wanted = Wanted::read(&params)?;
    let lanes = user.offerings().await?;
    let all = lanes.iter().flat_map(|lane| lane.catalogue.offerings.iter().map(move |offer| (lane, offer)));
    let all = all.filter(|(lane, offer)| wanted.takes(lane, offer));
    let key = |(lane, offer): &(&LaneOfferings, &Offering)| {
        // Zones and systems tell apart the same type listed once for each of them.
        let zones: Vec<&str> = offer.zones.iter().map(|zone| zone.as_str()).collect();
        let zones = zones.join(",");
        format!("{}|{}|{:?}|{zones}|{}", lane.lane.id(), offer.type_name, offer.market, offer.system)
    };
    page::cut(all, key, &params, |(lane, offer)| wire::Offering::new(lane, offer))
}

/// Parameters that leave offers out.
const FILTERS: [&str; 11] = [
    "provider",
    "region",
    "arch",
    "market",
    "family",
    "gpu_model",
    "min_vcpus",
    "min_memory_gib",
    "min_gpus",
    "max_per_hour",
    "known_price",
];

/// Which offers are wanted; what is not said takes all.
#[derive(Debug, Default)]
struct Wanted {
    provider: Option<String>,
    region: Option<String>,
    arch: Option<Arch>,
    market: Option<Market>,
    family: Option<String>,
    gpu_model: Option<String>,
    vcpus_milli: f64,
    memory_mib: f64,
    gpus: u32,
    per_hour: Option<Money>,
    known_price: bool,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Problem> {
        let text = |name: &str| params.get(name).map(str::to_owned);
        let usd = |max: f64| Money::parse_usd(&format!("{max:.9}")).ok_or_else(|| no_number("max_per_hour"));
        let per_hour = number(params, "max_per_hour")?.map(usd);
        Ok(Self {
            provider: text("provider"),
            region: text("region"),
            arch: word(params, "arch")?,
            market: word(params, "market")?,
            family: text("family"),
            gpu_model: text("gpu_model"),
            vcpus_milli: least(params, "min_vcpus")? * 1000.0,
            memory_mib: least(params, "min_memory_gib")? * 1024.0,
            gpus: whole(params, "min_gpus")?,
            per_hour: per_hour.transpose()?,
            known_price: params.flag("known_price")?,
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "a machine's memory in MiB is far below 2^52")]
    fn takes(&self, lane: &LaneOfferings, offer: &Offering) -> bool {
        let same = |wanted: &Option<String>, is: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(is))
        };
        let price = offer.price.per_hour();
        same(&self.provider, lane.lane.cloud.as_str())
            && same(&self.region, lane.lane.region.as_str())
            && self.arch.is_none_or(|arch| arch == offer.arch)
            && self.market.is_none_or(|market| market == offer.market)
            && same(&self.family, &offer.family)
            && same(&self.gpu_model, offer.gpu_model.as_deref().unwrap_or_default())
            && f64::from(offer.vcpus_milli) >= self.vcpus_milli
            && offer.memory_mib as f64 >= self.memory_mib
            && offer.gpus >= self.gpus
            && (!self.known_price || price.is_some())
            && self.per_hour.is_none_or(|max| price.is_some_and(|price| price <= max))
    }
}

fn no_number(name: &str) -> Problem {
    Problem::field(Code::WrongType, &format!("?{name}"), "must be a number from 0 up", None)
}

/// A number from 0 up.
fn number(params: &Params, name: &str) -> Result<Option<f64>, Problem> {
    let read = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    params.get(name).map(|text| read(text).ok_or_else(|| no_number(name))).transpose()
}

/// A number from 0 up; 0 when not said.
fn least(params: &Params, name: &str) -> Result<f64, Problem> {
    Ok(number(params, name)?.unwrap_or(0.0))
}

/// A whole number from 0 up; 0 when not said.
fn whole(params: &Params, name: &str) -> Result<u32, Problem> {
    let wrong =
        |_| Problem::field(Code::WrongType, &format!("?{name}"), "must be a whole number from 0 up", None);
    params.get(name).map_or(Ok(0), |text| text.parse().map_err(wrong))
}

/// A word of the wire.
fn word<T: DeserializeOwned>(params: &Params, name: &str) -> Result<Option<T>, Problem> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let read = serde_json::from_value(serde_json::Value::from(text)).map(Some);
    read.map_err(|error| {
        // The words there are stand at the end of what serde says.
        let said = error.to_string();
        let words = said.split_once("expected ").map_or("another word", |(_, words)| words).replace('`', "");
        Problem::field(Code::WrongType, &format!("?{name}"), format!("must be {words}"), Some(words))
    })
}
