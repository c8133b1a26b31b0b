//! Ollama's own interface: `/api/*`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::reply::{Reply, last_question, paced};
use super::{MODEL, State, is_ours};

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/api/version", get(|| async { Json(json!({"version": "0.0.0-demo"})) }))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(|| async { Json(json!({"models": []})) }))
        .route("/api/chat", post(chat))
        .route("/api/generate", post(generate))
}

async fn tags(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let name = format!("{MODEL}:latest");
    Json(json!({"models": [{
        "name": name,
        "model": name,
        "modified_at": timestamp(state.now()),
        "size": 0,
        "digest": "",
        "details": {"format": "demo", "family": "demo", "parameter_size": "0", "quantization_level": ""},
    }]}))
}

async fn chat(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let body = object(&body)?;
    let model = model_of(&body).ok_or(Fault::missing(StatusCode::BAD_REQUEST))?;
    known(model)?;
    let messages = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if messages.is_empty() {
        return Ok(loaded(&state, model, Kind::Chat));
    }
    let reply = state.reply(&headers, &last_question(messages));
    Ok(Exchange { state: &state, model, kind: Kind::Chat, reply }.answer(streams(&body)))
}

async fn generate(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let body = object(&body)?;
    let model = model_of(&body).ok_or(Fault::missing(StatusCode::NOT_FOUND))?;
    known(model)?;
    match body.get("prompt").and_then(Value::as_str) {
        None | Some("") => Ok(loaded(&state, model, Kind::Generate)),
        Some(prompt) => {
            let reply = state.reply(&headers, prompt);
            Ok(Exchange { state: &state, model, kind: Kind::Generate, reply }
                .answer(streams(&body)))
        }
    }
}

/// `{"error":"..."}`, as Ollama words it.
struct Fault(StatusCode, String);

impl Fault {
    fn missing(status: StatusCode) -> Self {
        Self(status, "model is required".to_owned())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    if body.is_empty() {
        return Err(Fault(StatusCode::BAD_REQUEST, "missing request body".to_owned()));
    }
    serde_json::from_slice(body).map_err(|e| Fault(StatusCode::BAD_REQUEST, e.to_string()))
}

fn model_of(body: &Map<String, Value>) -> Option<&str> {
    body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty())
}

fn known(model: &str) -> Result<(), Fault> {
    if is_ours(model) {
        return Ok(());
    }
    Err(Fault(StatusCode::NOT_FOUND, format!("model '{model}' not found")))
}

/// Ollama streams unless told otherwise.
fn streams(body: &Map<String, Value>) -> bool {
    body.get("stream").and_then(Value::as_bool).unwrap_or(true)
}

#[derive(Clone, Copy)]
enum Kind {
    Chat,
    Generate,
}

impl Kind {
    fn piece(self, text: &str) -> (&'static str, Value) {
        match self {
            Self::Chat => ("message", json!({"role": "assistant", "content": text})),
            Self::Generate => ("response", Value::from(text)),
        }
    }
}

/// An empty chat or prompt only loads the model.
fn loaded(state: &State, model: &str, kind: Kind) -> Response {
    let mut line = line(state, model, kind, "", true);
    line.insert("done_reason".to_owned(), Value::from("load"));
    Json(line).into_response()
}

fn line(state: &State, model: &str, kind: Kind, text: &str, done: bool) -> Map<String, Value> {
    let (name, piece) = kind.piece(text);
    Map::from_iter([
        ("model".to_owned(), Value::from(model)),
        ("created_at".to_owned(), Value::from(timestamp(state.now()))),
        (name.to_owned(), piece),
        ("done".to_owned(), Value::from(done)),
    ])
}

struct Exchange<'a> {
    state: &'a State,
    model: &'a str,
    kind: Kind,
    reply: Reply,
}

impl Exchange<'_> {
    fn answer(&self, stream: bool) -> Response {
        if !stream {
            return Json(self.last(&self.reply.text(), Duration::ZERO)).into_response();
        }
        let pause = self.state.pause;
        let words = self.reply.words().iter();
        let mut lines: Vec<String> = words
            .map(|word| Value::from(line(self.state, self.model, self.kind, word, false)))
            .chain([Value::from(self.last("", self.reply.duration(pause)))])
            .map(|line| line.to_string())
            .collect();
        for line in &mut lines {
            line.push('\n');
        }
        ([(header::CONTENT_TYPE, "application/x-ndjson")], paced(lines, pause)).into_response()
    }

    /// The line with the counts; times are in nanoseconds.
    fn last(&self, text: &str, took: Duration) -> Map<String, Value> {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mut line = line(self.state, self.model, self.kind, text, true);
        line.extend([
            ("done_reason".to_owned(), Value::from("stop")),
            ("total_duration".to_owned(), Value::from(nanoseconds)),
            ("prompt_eval_count".to_owned(), Value::from(self.reply.input_tokens())),
            ("eval_count".to_owned(), Value::from(self.reply.output_tokens())),
            ("eval_duration".to_owned(), Value::from(nanoseconds)),
        ]);
        line
    }
}

/// RFC 3339, as Ollama writes it.
fn timestamp(since_epoch: Duration) -> String {
    let nanoseconds = i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX);
    jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or_default().to_string()
}
