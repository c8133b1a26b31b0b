//! The HTTP surface: routes, the shared token, health, metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use attach_filter::mirror::wire;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use serde_json::json;

use crate::clock::Clock;
use crate::deliver::Gate;
use crate::fault::Fault;
use crate::ingest::{IngestError, Intake, Place};
use crate::outbox::Outbox;
use crate::query;
use crate::secret::Secret;
use crate::settings::Limits;
use crate::stats::{self, Stats};
use crate::store::Store;

/// Longest time that a body may take to arrive, and a query to be answered.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the routes share.
#[derive(Debug)]
pub struct App {
    pub(crate) intake: Intake,
    /// Absent with the store `none`.
    pub(crate) outbox: Option<Outbox>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) token: Option<Secret>,
    pub(crate) limits: Limits,
    pub(crate) stopping: AtomicBool,
}

/// The routes of a mirror-service.
pub fn router(app: Arc<App>) -> Router {
    let guarded = Router::new()
        .route(wire::INGEST_PATH, post(ingest))
        .route("/metrics", get(metrics))
        .route("/mem/events", get(query::events))
        .route("/mem/search", get(query::search))
        .route("/mem/sessions", get(query::sessions))
        .route("/mem/sessions/{id}", delete(query::erase))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), check_token));
    Router::new()
        .route("/healthz", get(|| async { axum::Json(json!({"status": "ok"})) }))
        .route("/readyz", get(ready))
        .merge(guarded)
        .fallback(|| async { Fault::NotFound })
        .method_not_allowed_fallback(|| async { Fault::MethodNotAllowed })
        .with_state(app)
}

/// Only the gateway may speak to a service that anybody can reach.
async fn check_token(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if let Some(token) = &app.token {
        let offered = request.headers().get(header::AUTHORIZATION);
        let offered = offered.and_then(|value| bearer(value.as_bytes()));
        if !offered.is_some_and(|offered| token.is(offered)) {
            return Fault::BadToken.into_response();
        }
    }
    next.run(request).await
}

/// The token of `Bearer <token>`; the scheme has no case (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

async fn ingest(State(app): State<Arc<App>>, request: Request) -> Response {
    let taken = match app.intake.place() {
        Ok(place) => take(&app, request, place).await,
        Err(refusal) => Err(Fault::from(refusal)),
    };
    match taken {
        Ok(response) => response,
        Err(fault) => {
            if fault.is_refusal() {
                app.stats.ingest_refused.add(1);
            }
            fault.into_response()
        }
    }
}

async fn take(app: &App, request: Request, _place: Place) -> Result<Response, Fault> {
    let body = read_body(request.into_body(), app.limits.batch_bytes).await?;
    match app.intake.batch(body).await {
        Ok(kept) => {
            let body = json!({"new": kept.new, "duplicate": kept.duplicate, "erased": kept.erased});
            Ok((StatusCode::ACCEPTED, axum::Json(body)).into_response())
        }
        Err(IngestError::Malformed { rejected }) => Err(Fault::Malformed(rejected)),
        Err(IngestError::Refused(refusal)) => Err(refusal.into()),
    }
}

/// A body of at most `limit` bytes that arrives in reasonable time.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<axum::body::Bytes, Fault> {
    match tokio::time::timeout(PATIENCE, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            use std::error::Error as _;
            // The limit is the source of the error; anything else is a connection that broke.
            let too_large =
                error.source().is_some_and(|source| source.to_string().contains("length limit"));
            Err(if too_large { Fault::TooLarge } else { Fault::Broken })
        }
        Err(_) => Err(Fault::Slow),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, stats::MEDIA_TYPE)], app.stats.exposition()).into_response()
}

/// Ready as long as batches can be stored. A store that is down is said, but it is no reason to
/// send nothing: the outbox is there for that.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let outbox = match &app.outbox {
        None => "none",
        Some(_) if app.stopping.load(Relaxed) => "stopping",
        Some(_) if app.stats.outbox_bytes.get() >= app.limits.outbox_bytes => "full",
        Some(outbox) => match outbox.probe().await {
            Ok(()) => "ok",
            Err(_) => "unwritable",
        },
    };
    let store = if app.stats.store_up.get() == 1 { "ok" } else { "unreachable" };
    let ready = matches!(outbox, "ok" | "none");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"ready": ready, "outbox": outbox, "store": store});
    (status, axum::Json(body)).into_response()
}
