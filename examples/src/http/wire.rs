//! What leaves the server: JSON shapes and nothing else.

use infra_core::contracts::pricing::Quote;
use infra_core::infra::{KeyView, LaneOfferings, ReservationView};
use infra_core::nouns::account::{AccessToken, User};
use infra_core::nouns::offering::{Offering, Price};
use infra_core::nouns::request::Request;
use infra_core::nouns::switch::Switch;
use serde_json::{Value, json};

/// A reservation.
pub(super) fn reservation(view: &ReservationView) -> Value {
    json!({
        "id": view.id,
        "user": view.user,
        "state": view.state,
        "version": view.version,
        "simulated": view.simulated,
        "request": request(&view.request, view.has_setup),
        "count": view.desired.count,
        "power": view.desired.power,
        "units": view.units,
        "price": view.price_per_hour,
        "cost_so_far": view.cost_so_far,
        "created_at": view.created_at,
        "ready_at": view.ready_at,
        "ends_at": view.ends_at,
        "over_at": view.over_at,
        "reason": view.reason,
        "hold": view.hold,
        "tries": view.tries,
        // Clusters bring notebooks; machines have none.
        "notebook_url": null,
    })
}

/// What was asked: only what was said. The first-boot script may hold secrets and stays inside.
fn request(request: &Request, has_setup: bool) -> Value {
    let mut said = json!(request);
    if let Some(fields) = said.as_object_mut() {
        fields.retain(|_, value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        });
        fields.remove("setup");
        if has_setup {
            fields.insert("setup".to_owned(), json!("[sealed]"));
        }
    }
    said
}

/// A quote: one way to fulfil a whole request.
pub(super) fn quote(quote: &Quote) -> Value {
    let choice = &quote.choice;
    let mut shown = offer(&choice.offering);
    merge(
        &mut shown,
        json!({
            "provider": choice.lane.cloud,
            "account": choice.lane.account,
            "region": choice.lane.region,
            "zone": choice.zone,
            "image": choice.image,
            "disk_gib": choice.disk_gib.max(choice.offering.disk_gib),
            "machine_per_hour": choice.per_hour,
            "per_hour": quote.per_hour,
            "total": quote.total,
            "stale": quote.stale,
        }),
    );
    shown
}

/// One type in one lane, with its price.
pub(super) fn offering(lane: &LaneOfferings, offering: &Offering) -> Value {
    let mut shown = offer(offering);
    let (price, unknown) = match &offering.price {
        Price::Known { per_hour, .. } => (json!(per_hour), Value::Null),
        Price::Unknown { reason } => (Value::Null, json!(reason)),
        _ => (Value::Null, json!("not known")),
    };
    merge(
        &mut shown,
        json!({
            "provider": lane.lane.cloud,
            "account": lane.lane.account,
            "region": lane.lane.region,
            "zones": offering.zones,
            "disk_gib": offering.disk_gib,
            "per_hour": price,
            "price_unknown": unknown,
            "as_of": lane.catalogue.as_of,
        }),
    );
    shown
}

fn offer(offering: &Offering) -> Value {
    json!({
        "type": offering.type_name,
        "vcpus": number(f64::from(offering.vcpus_milli) / 1000.0),
        "memory_gib": number(mib_as_gib(offering.memory_mib)),
        "gpus": offering.gpus,
        "gpu_model": offering.gpu_model,
        "arch": offering.arch,
        "market": offering.market,
    })
}

/// Exact below 8 EiB of memory, which no machine has.
#[allow(clippy::cast_precision_loss, reason = "a machine's memory in MiB is far below 2^52")]
fn mib_as_gib(mib: u64) -> f64 {
    mib as f64 / 1024.0
}

/// Whole numbers without a decimal point: `2`, not `2.0`.
#[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small just before")]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

/// A key, without its secret.
pub(super) fn key(key: &KeyView) -> Value {
    json!({
        "provider": key.provider,
        "label": key.label,
        "kind": key.kind,
        "fingerprint": key.fingerprint,
        "status": key.status,
        "identity": key.identity,
        "account": key.account,
        "checked_at": key.checked_at,
        "retired": key.retired,
    })
}

/// A user. A lone user's tenant is its own business.
pub(super) fn user(user: &User) -> Value {
    let team = (!user.tenant.as_str().starts_with("user:")).then_some(&user.tenant);
    json!({
        "name": user.id,
        "team": team,
        "created_at": user.created_at,
        "machines_max": user.machines_max,
        "machines_held": user.machines_held,
        "suspended": user.suspended,
    })
}

/// An access token, without its secret.
pub(super) fn token(token: &AccessToken) -> Value {
    json!({
        "id": token.id,
        "label": token.label,
        "role": token.role,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    })
}

/// A brake.
pub(super) fn brake(switch: &Switch) -> Value {
    json!({
        "scope": switch.scope.id(),
        "value": switch.value,
        "by": switch.by,
        "why": switch.why,
        "at": switch.at,
        "until": switch.until,
    })
}
