//! The simulator's control routes, behind the admin token.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::{is_admin, unauthenticated};
use super::{HttpOptions, Shared};

/// Puts control routes behind the admin token.
pub(super) fn guarded(sim: Router, shared: &Shared) -> Router<Shared> {
    let guard = axum::middleware::from_fn_with_state(Arc::clone(&shared.options), guard_bare);
    sim.layer(guard).with_state(())
}

/// Lets only the admin through, and takes a body for the JSON that it must be, as the other paths do.
pub(super) async fn guard_bare(
    State(options): State<Arc<HttpOptions>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !is_admin(request.headers(), &options) {
        return unauthenticated().into_response();
    }
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    next.run(request).await
}
