//! `/users/{user}/offerings`: every type in every lane that the user's keys reach.

use axum::Json as Answer;
use axum::http::Uri;
use infra_core::infra::LaneOfferings;
use infra_core::nouns::offering::Offering;
use serde_json::Value;

use super::auth::Reader;
use super::extract::Params;
use super::problem::Problem;
use super::{page, wire};

pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Value>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    let lanes = user.offerings().await?;
    let all = lanes.iter().flat_map(|lane| lane.catalogue.offerings.iter().map(move |offer| (lane, offer)));
    let key = |(lane, offer): &(&LaneOfferings, &Offering)| {
        // Zones tell apart the same type listed once per zone.
        let zones: Vec<&str> = offer.zones.iter().map(|zone| zone.as_str()).collect();
        format!("{}|{}|{:?}|{}", lane.lane.id(), offer.type_name, offer.market, zones.join(","))
    };
    page::cut(all, key, &params, |(lane, offer)| wire::offering(lane, offer))
}
