//! Serves the fake over a socket, for other processes and for what stands in between.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};

use crate::http::{HttpRequest, Method, Transport};

/// Longest request that is read, bytes: first-boot data of 64 KiB and its envelope.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The API under `/v2`, to be served on loopback: a call carries its key, and there is no other protection.
///
/// What the transport answers is answered; where it has no answer, the connection breaks in the middle of one.
pub fn router(fake: Arc<dyn Transport>) -> Router {
    Router::new().fallback(answer).with_state(fake)
}

async fn answer(State(fake): State<Arc<dyn Transport>>, request: Request) -> Response<Body> {
    let Ok(request) = taken(request).await else { return broken() };
    let Ok(answer) = fake.call(request).await else { return broken() };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap_or_else(|_| broken())
}

async fn taken(request: Request) -> Result<HttpRequest, StatusCode> {
    let (parts, body) = request.into_parts();
    let method = match parts.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let body =
        axum::body::to_bytes(body, REQUEST_BYTES_MAX).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let query = parts.uri.path_and_query().map_or("/", |both| both.as_str());
    Ok(HttpRequest {
        method,
        url: format!("http://{}{query}", host(&parts.headers)),
        headers: headers(&parts.headers),
        body: (!body.is_empty()).then(|| body.to_vec()),
        within: Duration::from_secs(30),
    })
}

fn host(headers: &HeaderMap) -> &str {
    headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost")
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// A body that ends in an error: whoever reads it knows that the answer is not whole.
fn broken() -> Response<Body> {
    let lost = futures_util::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("the answer was lost"))]);
    Response::new(Body::from_stream(lost))
}
