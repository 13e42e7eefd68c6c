//! Who asks; what there is and what it costs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use infra_core::nouns::offering::Offering;
use infra_core::words::ids::{Region, TypeName};
use serde_json::{Value, json};

use super::DigitalOceanFake;
use super::reply::{Outcome, Refusal, Reply};
use super::request::Asking;
use crate::sim::skin::{Answer, Call};

/// The same table that the sim's shelf is made of: a droplet shows its whole size.
const TABLE: &str = include_str!("../../../data/do_sizes_2025-08.tsv");

#[derive(Debug, serde::Deserialize)]
struct Row {
    slug: String,
    memory_mib: u64,
    vcpus: u32,
    disk_gib: u32,
    price_hourly_usd: f64,
}

fn table() -> &'static BTreeMap<String, Row> {
    static ROWS: OnceLock<BTreeMap<String, Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_reader(TABLE.as_bytes());
        let rows =
            reader.deserialize().map(|row: Result<Row, _>| row.expect("the shipped table is well formed"));
        rows.map(|row| (row.slug.clone(), row)).collect()
    })
}

pub(super) async fn account(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    let Answer::Identity { account, .. } = fake.ask(asking, &fake.home(), Call::Identify).await? else {
        return Err(Refusal::another_call());
    };
    let body = json!({ "account": {
        "droplet_limit": fake.world().config().machines_max,
        "floating_ip_limit": 3,
        "email": format!("{account}@example.org"),
        "name": account,
        "uuid": format!("account-of-{account}"),
        "email_verified": true,
        "status": "active",
        "status_message": "",
        "team": { "uuid": account, "name": account },
    } });
    Ok(Reply::of(200, &body))
}

pub(super) async fn sizes(fake: &DigitalOceanFake, asking: &Asking) -> Outcome {
    let mut regions: BTreeMap<TypeName, (Offering, Vec<Region>)> = BTreeMap::new();
    for region in fake.regions().cloned().collect::<Vec<_>>() {
        let Answer::Catalogue(shelf) = fake.ask(asking, &region, Call::Catalogue).await? else {
            return Err(Refusal::another_call());
        };
        for offering in shelf.offerings {
            let entry = regions.entry(offering.type_name.clone()).or_insert((offering, Vec::new()));
            entry.1.push(region.clone());
        }
    }
    let sizes = regions.values().map(|(offering, regions)| size_of(offering, regions)).collect();
    Ok(Reply::of(200, &asking.page("sizes", sizes)))
}

fn size_of(offering: &Offering, regions: &[Region]) -> Value {
    let mut size = size(offering.type_name.as_str(), regions);
    if let Some(model) = &offering.gpu_model {
        size["gpu_info"] = json!({
            "count": offering.gpus,
            "model": format!("nvidia_{model}"),
            "vram": { "amount": offering.gpu_memory_mib / 1024, "unit": "gib" },
        });
    }
    size
}

/// A size as it stands in droplets and listings.
pub(super) fn size(slug: &str, regions: &[Region]) -> Value {
    let Some(row) = table().get(slug) else { return json!({ "slug": slug }) };
    json!({
        "slug": row.slug,
        "memory": row.memory_mib,
        "vcpus": row.vcpus,
        "disk": row.disk_gib,
        "transfer": 1.0,
        "price_monthly": row.price_hourly_usd * 672.0,
        "price_hourly": row.price_hourly_usd,
        "regions": regions,
        "available": true,
        "description": "Basic",
        "disk_info": [{ "type": "local", "size": { "amount": row.disk_gib, "unit": "gib" } }],
    })
}

/// A region as it stands in droplets and actions.
pub(super) fn region(region: &Region) -> Value {
    json!({
        "name": region.as_str().to_uppercase(),
        "slug": region,
        "features": ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"],
        "available": true,
        "sizes": table().keys().take(3).collect::<Vec<_>>(),
    })
}
