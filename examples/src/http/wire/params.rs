//! Parameters of paths, queries and headers, as the document shows them.

use infra_core::words::ids::{CloudName, ReservationId, TenantId, UserId};
use utoipa::IntoParams;

/// Everything below a user.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfUser {
    /// The user's name; `/` in it is written `%2F`.
    #[param(example = "ada")]
    pub user: UserId,
}

/// One reservation of a user.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfReservation {
    /// The user's name; `/` in it is written `%2F`.
    #[param(example = "ada")]
    pub user: UserId,
    /// The reservation's id.
    pub id: ReservationId,
}

/// One reservation, whoever has it.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AnyReservation {
    /// The reservation's id.
    pub id: ReservationId,
}

/// One key of a user.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfKey {
    /// The user's name; `/` in it is written `%2F`.
    #[param(example = "ada")]
    pub user: UserId,
    /// The cloud's configured name.
    #[param(example = "sim")]
    pub provider: CloudName,
    /// The team's own name for the key.
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "default")]
    pub label: String,
}

/// One token of a user.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfToken {
    /// The user's name; `/` in it is written `%2F`.
    #[param(example = "ada")]
    pub user: UserId,
    /// The token's public id.
    #[param(min_length = 1, example = "tok_0123456789abcdef")]
    pub id: String,
}

/// Who a bot acts for.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Acting {
    /// A bot's token names here the user it acts for: the path's. Other tokens leave it out.
    #[param(rename = "Infra-On-Behalf-Of", value_type = UserId, required = false)]
    pub on_behalf_of: Option<UserId>,
}

/// Which page of a list.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageOf {
    /// Items of the page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    #[param(min_length = 2, pattern = "^([0-9a-f]{2})+$")]
    pub after: Option<String>,
}

/// Which reservations.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `all`: also those that are over.
    #[param(pattern = "^all$")]
    pub state: Option<String>,
    /// `true`: those that team mates share with the user, instead of the user's own.
    #[param(pattern = "^true$")]
    pub shared: Option<String>,
    /// Only those with this tag, as `name:value`, or `name` for whatever value. Several times: with all of them.
    #[param(required = false, max_items = 30, example = json!(["team:blue"]))]
    pub tag: Vec<String>,
}

/// One team mate of a reservation of a user.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfShare {
    /// The user's name; `/` in it is written `%2F`.
    #[param(example = "ada")]
    pub user: UserId,
    /// The reservation's id.
    pub id: ReservationId,
    /// The team mate's name; `/` in it is written `%2F`.
    #[param(example = "ben")]
    pub other: UserId,
}

/// One team.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfTeam {
    /// The team's name; `/` in it is written `%2F`.
    #[param(
        value_type = String, min_length = 1, max_length = 200,
        pattern = "^(?!user:)[A-Za-z0-9.:@/+-][A-Za-z0-9._:@/+-]*$", example = "data"
    )]
    pub team: TenantId,
}

/// One template of a user.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct OfTemplate {
    /// The user's name; `/` in it is written `%2F`.
    #[param(example = "ada")]
    pub user: UserId,
    /// The template's name.
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$", example = "web")]
    pub name: String,
}

/// Whose template.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TemplateOwner {
    /// A team mate's; the user's own when not said.
    pub owner: Option<UserId>,
}

/// Which version of a template.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TemplateVersion {
    /// Which; the newest when not said.
    #[param(minimum = 0, maximum = 4294967295_u32, format = Int64)]
    pub version: Option<u32>,
}

/// How long the answer may wait.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Waits until it is ready, stopped, failed or released, but not longer than this: `60`, `60s`, `2m`, `1m30s`,
    /// `500ms`; at most ten minutes.
    #[param(
        pattern = "^(([0-9]{1,2}|[1-5][0-9]{2}|600)s?|[0-9]m([0-9]|[1-5][0-9])s|[0-9]m|10m|[0-9]{1,5}ms)$",
        example = "60s"
    )]
    pub wait: Option<String>,
}

/// Which version a change is meant for.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatch {
    /// The `ETag` of the answer that the change was decided on; when it has changed since, nothing is changed: 409
    /// `conflict`. `*` means whatever version there is.
    #[param(rename = "If-Match", value_type = String, required = false, min_length = 1, pattern = "^(\\*|\"[0-9]{1,19}\")$", example = "\"42\"")]
    pub if_match: Option<String>,
}

/// A name for one attempt.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Idempotency {
    /// The caller's own name for this attempt: the same key and body again answers what the first made, another body
    /// 422 `idempotency-mismatch`. Kept for a day; of a reservation until a day after its end.
    #[param(
        rename = "Idempotency-Key", value_type = String,
        required = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[ -~]+$",
        example = "my-first"
    )]
    pub idempotency_key: Option<String>,
}

/// Where a reader of events goes on.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct LastEventId {
    /// The id of the last event that was seen; from the beginning when not said.
    #[param(
        rename = "Last-Event-ID",
        required = false,
        pattern = "^(0|[1-9][0-9]{0,18})\\.(0|[1-9][0-9]{0,8})(/[0-9a-f]{16})?$",
        example = "1042.0"
    )]
    pub last_event_id: Option<String>,
}

/// Which month, and in which form.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfMonth {
    /// A calendar month of UTC that has begun; this one when not said.
    #[param(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$", example = "2026-11")]
    pub month: Option<String>,
    /// `csv` or `json`; by the `Accept` header when not said.
    #[param(pattern = "^(csv|json)$")]
    pub format: Option<String>,
}

/// Whether a ranking explains itself.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Explain {
    /// `true`: also what each rule of the request costs, and what is skipped now.
    #[param(pattern = "^true$")]
    pub explain: Option<String>,
    /// Quotes at most; 20 when not said.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

/// Which offerings.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Offers {
    /// Only at this cloud.
    pub provider: Option<CloudName>,
    /// Only in this region.
    pub region: Option<String>,
    /// Only of this architecture: `x86_64` or `arm64`.
    #[param(pattern = "^(x86_64|arm64)$")]
    pub arch: Option<String>,
    /// Only bought so: `on_demand` or `spot`.
    #[param(pattern = "^(on_demand|spot)$")]
    pub market: Option<String>,
    /// Only this family, without regard to case.
    #[param(min_length = 1, max_length = 100)]
    pub family: Option<String>,
    /// Only with this accelerator, without regard to case.
    #[param(min_length = 1, max_length = 100)]
    pub gpu_model: Option<String>,
    /// Virtual processors at least.
    #[param(minimum = 0, maximum = 4096)]
    pub min_vcpus: Option<f64>,
    /// Memory at least, GiB.
    #[param(minimum = 0, maximum = 65536)]
    pub min_memory_gib: Option<f64>,
    /// Accelerators at least.
    #[param(minimum = 0, maximum = 64, format = Int64)]
    pub min_gpus: Option<u32>,
    /// US dollars per machine and hour at most; leaves out what has no known price.
    #[param(minimum = 0, maximum = 1000000)]
    pub max_per_hour: Option<f64>,
    /// `true`: only what has a known price.
    #[param(pattern = "^true$")]
    pub known_price: Option<String>,
}
