//! The simulator's control routes, behind the admin token.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::{is_admin, unauthenticated};
use super::{HttpOptions, Shared};

/// Puts control routes behind the admin token.
pub(super) fn guarded(sim: Router, shared: &Shared) -> Router<Shared> {
    let guard = axum::middleware::from_fn_with_state(Arc::clone(&shared.options), guard_bare);
    sim.layer(guard).with_state(())
}

/// Lets only the admin through.
pub(super) async fn guard_bare(
    State(options): State<Arc<HttpOptions>>,
    request: Request,
    next: Next,
) -> Response {
    if is_admin(request.headers(), &options) {
        next.run(request).await
    } else {
        unauthenticated().into_response()
    }
}
