//! How dear a machine may get when what was quoted first cannot be had.
//!
//! A reservation walks down its ranking while clouds refuse, and whoever says yes has seen its first price alone.

use infra_core::words::money::Money;
use serde_json::{Map, Value};

use super::show::money;
use crate::client::{MoneyText, Quote};

/// The field of a request.
pub(super) const FIELD: &str = "max_price_per_hour";

/// Amounts are rounded up to this: to what is shown.
const STEP_NANOS: i64 = 10_000;

/// The cap that a request gets which says none: one and a half times the first quote, for one machine and hour. Where one
/// market is tried before another it is the dearer one's, else the second could not be fallen back to.
///
/// `None` when the request says one, or says that it wants none (`null`), and when no price is known.
pub(super) fn for_request(request: &Map<String, Value>, quotes: &[Quote]) -> Option<Value> {
    if request.contains_key(FIELD) {
        return None;
    }
    let first = |market: &str| quotes.iter().find(|quote| quote.market == market);
    let each = ["on_demand", "spot"].into_iter().filter_map(first);
    let dearest = each.filter_map(|quote| nanos(quote.machine_per_hour.as_ref()?)).max()?;
    let cap = dearest.checked_mul(3)?.div_euclid(2).checked_add(STEP_NANOS - 1)? / STEP_NANOS * STEP_NANOS;
    let usd: f64 = Money::usd_nanos(cap).to_string().parse().ok()?;
    Some(Value::from(usd))
}

/// What all machines of a request cost per hour at most; `None` when it has no cap.
pub(super) fn of_all(request: &Map<String, Value>, count: u64) -> Option<String> {
    let each = Money::parse_usd(&format!("{:.9}", request.get(FIELD)?.as_f64()?))?;
    let all = each.times(i64::try_from(count).ok()?);
    Some(money(&MoneyText { amount: all.to_string(), currency: "USD".to_owned() }))
}

fn nanos(price: &MoneyText) -> Option<i64> {
    let usd = price.currency == "USD";
    Money::parse_usd(&price.amount).filter(|price| usd && price.nanos > 0).map(|price| price.nanos)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quote(market: &str, usd: &str) -> Quote {
        let price = json!({"amount": usd, "currency": "USD"});
        serde_json::from_value(json!({"market": market, "machine_per_hour": price})).expect("a quote")
    }

    fn request(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_cap_of_ones_own_is_replaced_or_the_second_market_is_shut_out() {
        let quotes = [quote("spot", "0.01"), quote("spot", "0.2"), quote("on_demand", "0.0357101")];
        let spot = &quotes[..2];
        assert_eq!(for_request(&request(&json!({})), spot), Some(json!(0.015)));
        assert_eq!(
            for_request(&request(&json!({})), &quotes),
            Some(json!(0.05357)),
            "to what is shown, and up"
        );
        for said in [json!({"max_price_per_hour": 9}), json!({"max_price_per_hour": null})] {
            assert_eq!(for_request(&request(&said), &quotes), None);
        }
        assert_eq!(for_request(&request(&json!({})), &[]), None);
        let capped = request(&json!({"max_price_per_hour": 0.05357}));
        assert_eq!(of_all(&capped, 3).as_deref(), Some("$0.16071"));
        assert_eq!(of_all(&request(&json!({"max_price_per_hour": null})), 3), None);
    }
}
