//! A whole mirror-service without a listener, for tests.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use attach_filter::mirror::wire::{self, Kind, Meta, Outcome};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::Settings;
use crate::app::{App, router};
use crate::clock::Clock;
use crate::redact::Redactor;
use crate::serve::assemble;

pub(crate) const ISSUER: &str = "https://id.example";

/// A service that works in a directory of its own.
pub(crate) struct Service {
    pub(crate) app: Arc<App>,
    pub(crate) routes: Router,
    stop: watch::Sender<bool>,
    courier: Option<tokio::task::JoinHandle<()>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A temporary directory.
pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Puts everything of a database into its main file, once its thread has let go of it.
pub(crate) async fn unlog(path: &std::path::Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    let mode = || db.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    while mode().ok().as_deref() != Some("delete") {
        tokio::task::yield_now().await;
    }
}

impl Service {
    pub(crate) fn start(settings: Settings) -> Self {
        Self::start_at(settings, Clock::system())
    }

    pub(crate) fn start_at(settings: Settings, clock: Clock) -> Self {
        let redactor = Arc::new(Redactor::new(&settings.redaction).unwrap());
        let (app, courier) = assemble(&settings, redactor, clock).unwrap();
        let (stop, stopped) = watch::channel(false);
        let courier = courier.map(|courier| tokio::spawn(courier.run(stopped)));
        Self { routes: router(Arc::clone(&app)), app, stop, courier }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn ingest(&self, batch: Vec<u8>) -> Answer {
        self.send(Request::post("/ingest").body(Body::from(batch)).unwrap()).await
    }

    /// Asks as `user` of [`ISSUER`].
    pub(crate) async fn get(&self, path: &str, user: &str) -> Answer {
        self.send(asked("GET", path, user, "").body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str, user: &str) -> Answer {
        self.send(asked("DELETE", path, user, "").body(Body::empty()).unwrap()).await
    }

    /// Waits until everything is in the store and indexed.
    pub(crate) async fn settled(&self) {
        let stats = &self.app.stats;
        while stats.outbox_waiting.get() > 0 || stats.store_unindexed.get() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Stops as a service does.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        if let Some(courier) = self.courier {
            courier.await.unwrap();
        }
    }
}

/// A request as the gateway would send it on.
pub(crate) fn asked(
    method: &str,
    path: &str,
    user: &str,
    scope: &str,
) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("x-attach-user", user)
        .header("x-attach-issuer", ISSUER)
        .header("x-attach-scope", scope)
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The list called `key`.
    pub(crate) fn list(&self, key: &str) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self.json()[key].as_array().unwrap().clone()
    }
}

/// A chat of `user`, at second `at`.
pub(crate) fn meta(user: &str, at: u64) -> Meta {
    let random = Uuid::now_v7();
    let id = uuid::Builder::from_unix_timestamp_millis(
        at * 1000,
        random.as_bytes()[6..].try_into().unwrap(),
    );
    Meta {
        v: wire::VERSION,
        id: id.into_uuid().to_string(),
        time_ms: at * 1000,
        kind: Kind::Chat,
        user: Some(user.into()),
        issuer: Some(ISSUER.into()),
        agent: None,
        session: Some(format!("session-of-{user}")),
        sid: "sid-1".into(),
        trace_id: None,
        task: None,
        method: "POST".into(),
        path: "/api/chat".into(),
        status: 200,
        outcome: Outcome::Complete,
        first_byte_ms: Some(10),
        duration_ms: 500,
        request_bytes: 0,
        response_bytes: 0,
        request_len: 0,
        response_len: 0,
        truncated: false,
        request_type: Some("application/json".into()),
        response_type: Some("application/json".into()),
        request_encoding: None,
        response_encoding: None,
        marks: Vec::new(),
    }
}

/// A record in which `prompt` was asked and `answer` said.
pub(crate) fn record(meta: &Meta, prompt: &str, answer: &str) -> Vec<u8> {
    let request =
        serde_json::json!({"model": "tiny", "messages": [{"role": "user", "content": prompt}]});
    let response = serde_json::json!({
        "model": "tiny", "message": {"role": "assistant", "content": answer}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4,
    });
    let mut batch = Vec::new();
    wire::encode(meta, request.to_string().as_bytes(), response.to_string().as_bytes(), &mut batch);
    batch
}

/// A chat of `user` at second `at`, as a batch.
pub(crate) fn chat(user: &str, at: u64, prompt: &str) -> Vec<u8> {
    record(&meta(user, at), prompt, "An answer.")
}
