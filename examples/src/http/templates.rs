//! `/users/{user}/templates`: requests kept under a name.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::Response;
use infra_core::infra::{NewTemplate, Relaunch, TemplateFrom, TemplateView, TemplatesAfter, UserHandle};
use infra_core::words::ids::{TemplateName, UserId};

use super::auth::{Reader, Writer};
use super::extract::{Json, JsonOrNothing, NoParams, Params, if_match};
use super::openapi::tag;
use super::problem::{Code, Problem};
use super::reservations::{Wait, accepted};
use super::users::segment;
use super::wire::{Overrides, Page, Template, TemplateSource};
use super::{Shared, page, wire};

/// A template with its tag, and where it is.
type Saved = (StatusCode, [(HeaderName, String); 2], Answer<Template>);
type Shown = ([(HeaderName, String); 1], Answer<Template>);

/// Save a template
///
/// Under a name of the user's own: the first version of a new name, or the next one of a name that is there. Versions
/// never change.
#[utoipa::path(
    post,
    path = "/users/{user}/templates",
    tag = tag::TEMPLATES,
    operation_id = "saveTemplate",
    params(wire::OfUser, wire::Idempotency, wire::Acting),
    request_body = wire::NewTemplate,
    responses((status = 201, body = Template, description = "Saved.", headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Of the name; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "idempotency-mismatch", "conflict"])))
)]
pub(super) async fn save(
    Writer(user): Writer,
    _: NoParams,
    Json(new): Json<wire::NewTemplate>,
) -> Result<Saved, Problem> {
    let source = TemplateSource { request: new.request, reservation: new.reservation };
    save_as(&user, new.name, source).await
}

/// Save a template under the name of the path
///
/// As `POST /users/{user}/templates` with that name in the body.
#[utoipa::path(
    post,
    path = "/users/{user}/templates/{name}",
    tag = tag::TEMPLATES,
    operation_id = "saveTemplateUnder",
    params(wire::OfTemplate, wire::Idempotency, wire::Acting),
    request_body = TemplateSource,
    responses((status = 201, body = Template, description = "Saved.", headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Of the name; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "idempotency-mismatch", "conflict"])))
)]
pub(super) async fn save_under(
    Writer(user): Writer,
    _: NoParams,
    Path((_, text)): Path<(String, String)>,
    Json(source): Json<TemplateSource>,
) -> Result<Saved, Problem> {
    save_as(&user, name(&text)?, source).await
}

async fn save_as(user: &UserHandle, name: TemplateName, source: TemplateSource) -> Result<Saved, Problem> {
    let from = match source {
        TemplateSource { request: Some(request), reservation: None } => {
            TemplateFrom::Request(Box::new(request))
        }
        TemplateSource { request: None, reservation: Some(id) } => TemplateFrom::Reservation(id),
        TemplateSource { request: None, reservation: None } => {
            let message = "one of request, reservation is required";
            return Err(Problem::field(Code::WrongType, "body", message, None));
        }
        TemplateSource { .. } => {
            let message = "only one of request, reservation is taken";
            return Err(Problem::field(Code::OutOfRange, "body", message, Some("1".to_owned())));
        }
    };
    let saved = user.save_template(&NewTemplate { name, from }, None).await?.view;
    let place = format!("/users/{}/templates/{}", segment(user.id().as_str()), saved.of.name);
    let place = format!("{place}?version={}", saved.of.version);
    let heads = [(header::LOCATION, place), (header::ETAG, etag(&saved))];
    Ok((StatusCode::CREATED, heads, Answer(Template::from(&saved))))
}

/// List templates
///
/// Those of the user and of its team, each with its newest version, by owner and name.
#[utoipa::path(
    get,
    path = "/users/{user}/templates",
    tag = tag::TEMPLATES,
    operation_id = "listTemplates",
    params(wire::OfUser, wire::PageOf, wire::TemplateOwner, wire::Acting),
    responses((status = 200, body = Page<Template>, description = "A page of templates."))
)]
pub(super) async fn list(Reader(user): Reader, uri: Uri) -> Result<Answer<Page<Template>>, Problem> {
    let params = Params::read(&uri, &["limit", "after", "owner"])?;
    let owner: Option<UserId> = params.read_as("owner")?;
    let after = page::after(&params)?.map(|text| cursor(&text)).transpose()?;
    let found = user.templates(owner.as_ref(), Some(params.limit()?), after.as_ref()).await?;
    let items = found.items.iter().map(Template::from).collect();
    let next = found.next.map(|(owner, name)| format!("{owner}/{name}"));
    Ok(page::answer(items, next.as_deref()))
}

/// Show a template
///
/// One version, the newest when none is named; of a team mate's with `?owner=`.
#[utoipa::path(
    get,
    path = "/users/{user}/templates/{name}",
    tag = tag::TEMPLATES,
    operation_id = "showTemplate",
    params(wire::OfTemplate, wire::TemplateOwner, wire::TemplateVersion, wire::Acting),
    responses((status = 200, body = Template, description = "The version.", headers(("ETag" = String, description = "Of the name; send it back in `If-Match`."))))
)]
pub(super) async fn show(
    Reader(user): Reader,
    Path((_, text)): Path<(String, String)>,
    uri: Uri,
) -> Result<Shown, Problem> {
    let params = Params::read(&uri, &["owner", "version"])?;
    let owner: Option<UserId> = params.read_as("owner")?;
    let view = user.template(owner.as_ref(), &name(&text)?, params.read_as("version")?).await?;
    Ok(([(header::ETAG, etag(&view))], Answer(Template::from(&view))))
}

/// Delete a template
///
/// With all its versions; only one's own. Saved again, the name goes on counting: a number is never given twice.
#[utoipa::path(
    delete,
    path = "/users/{user}/templates/{name}",
    tag = tag::TEMPLATES,
    operation_id = "removeTemplate",
    params(wire::OfTemplate, wire::IfMatch, wire::Acting),
    responses((status = 204, description = "Deleted.")),
    extensions(("x-codes" = json!(["busy", "paused", "suspended", "conflict"])))
)]
pub(super) async fn remove(
    Writer(user): Writer,
    _: NoParams,
    Path((_, text)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    user.remove_template(&name(&text)?, if_match(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reserve from a template
///
/// As `POST /users/{user}/reservations` for the template's request with the changes of the body, with the caller's own
/// keys, profile and limits. `?owner=` names a team mate's template; no body changes nothing.
#[utoipa::path(
    post,
    path = "/users/{user}/templates/{name}/reservations",
    tag = tag::TEMPLATES,
    operation_id = "reserveFromTemplate",
    params(wire::OfTemplate, wire::TemplateOwner, wire::TemplateVersion, wire::Wait, wire::Idempotency, wire::Acting),
    request_body = Overrides,
    responses((status = 202, body = wire::Reservation, description = "Accepted.", headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version; send it back in `If-Match`."))), (status = 200, body = wire::Reservation, description = "It is ready, or has failed: only with `?wait=`.", headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version; send it back in `If-Match`.")))),
    extensions(("x-codes" = json!(["over-budget", "paused", "suspended", "busy", "conflict", "released", "no-fit", "unknown-region", "unknown-image", "no-credentials", "invalid-credentials", "unfulfillable", "idempotency-mismatch", "provider-unavailable"])))
)]
pub(super) async fn relaunch(
    Writer(user): Writer,
    State(shared): State<Shared>,
    Path((_, text)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    JsonOrNothing(overrides): JsonOrNothing<Overrides>,
) -> Result<Response, Problem> {
    let params = Params::read(&uri, &["owner", "version", "wait"])?;
    let wait = Wait::read(&params, &headers, &shared)?;
    let relaunch = Relaunch {
        owner: params.read_as("owner")?,
        name: name(&text)?,
        version: params.read_as("version")?,
        overrides: overrides.0,
    };
    let reserved = user.relaunch(&relaunch, None).await?;
    accepted(&user, &shared, reserved.view, wait).await
}

fn etag(view: &TemplateView) -> String {
    format!("\"{}\"", view.version)
}

/// A name that no template can have is a template that is not there.
fn name(text: &str) -> Result<TemplateName, Problem> {
    TemplateName::new(text).map_err(|_| Problem::not_found())
}

/// Where a page of templates begins. A user's name may have `/` in it, a template's has none.
fn cursor(text: &str) -> Result<TemplatesAfter, Problem> {
    let parts = text
        .rsplit_once('/')
        .and_then(|(owner, name)| Some((UserId::new(owner).ok()?, TemplateName::new(name).ok()?)));
    parts.ok_or_else(|| {
        Problem::field(Code::OutOfRange, "?after", "must be the `next` of an earlier page", None)
    })
}
