//! `/users/{user}/offerings`: every type in every lane that the user's keys reach.

use axum::Json as Answer;
use axum::http::Uri;
use infra_core::infra::LaneOfferings;
use infra_core::nouns::offering::Offering;

use super::auth::Reader;
use super::extract::Params;
use super::openapi::tag;
use super::problem::Problem;
use super::wire::Page;
use super::{page, wire};

/// List what the user's keys reach
///
/// Every machine type in every region, with its price.
#[utoipa::path(
    get,
    path = "/users/{user}/offerings",
    tag = tag::OFFERS,
    operation_id = "listOfferings",
    params(wire::OfUser, wire::PageOf, wire::Acting),
    responses((status = 200, body = Page<wire::Offering>, description = "A page of offerings.")),
    extensions(("x-codes" = json!(["provider-unavailable", "no-credentials", "invalid-credentials"])))
)]
pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Page<wire::Offering>>, Problem> {
    let params = Params::read(&uri, &["limit", "after"])?;
    let lanes = user.offerings().await?;
    let all = lanes.iter().flat_map(|lane| lane.catalogue.offerings.iter().map(move |offer| (lane, offer)));
    let key = |(lane, offer): &(&LaneOfferings, &Offering)| {
        // Zones tell apart the same type listed once per zone.
        let zones: Vec<&str> = offer.zones.iter().map(|zone| zone.as_str()).collect();
        format!("{}|{}|{:?}|{}", lane.lane.id(), offer.type_name, offer.market, zones.join(","))
    };
    page::cut(all, key, &params, |(lane, offer)| wire::Offering::new(lane, offer))
}
