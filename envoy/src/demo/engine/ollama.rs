//! Ollama's own interface: `/api/*`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
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
    known(&model)?;
    let messages = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let reply = state.reply(&headers, &last_question(messages));
    let exchange = Exchange { state, model, kind: Kind::Chat };
    if messages.is_empty() {
        return Ok(exchange.loaded());
    }
    Ok(exchange.answer(reply, streams(&body)))
}

async fn generate(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let body = object(&body)?;
    let model = model_of(&body).ok_or(Fault::missing(StatusCode::NOT_FOUND))?;
    known(&model)?;
    let prompt = body.get("prompt").and_then(Value::as_str).unwrap_or_default();
    let reply = state.reply(&headers, prompt);
    let exchange = Exchange { state, model, kind: Kind::Generate };
    if prompt.is_empty() {
        return Ok(exchange.loaded());
    }
    Ok(exchange.answer(reply, streams(&body)))
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

fn model_of(body: &Map<String, Value>) -> Option<String> {
    body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()).map(str::to_owned)
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

/// One line of a stream, or a whole answer. Members are in Ollama's order.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(flatten)]
    counts: Option<Counts>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// Times are in nanoseconds.
#[derive(Serialize)]
struct Counts {
    total_duration: u64,
    prompt_eval_count: usize,
    eval_count: usize,
    eval_duration: u64,
}

/// Makes the lines of one exchange, each with the time at which it is made.
struct Exchange {
    state: Arc<State>,
    model: String,
    kind: Kind,
}

impl Exchange {
    fn line<'a>(&'a self, text: &'a str, reason: Option<&'static str>) -> Line<'a> {
        let (message, response) = match self.kind {
            Kind::Chat => (Some(Message { role: "assistant", content: text }), None),
            Kind::Generate => (None, Some(text)),
        };
        Line {
            model: &self.model,
            created_at: timestamp(self.state.now()),
            message,
            response,
            done: reason.is_some(),
            done_reason: reason,
            counts: None,
        }
    }

    fn last<'a>(&'a self, text: &'a str, reply: &Reply, started: Duration) -> Line<'a> {
        let took = self.state.now().saturating_sub(started);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let counts = Counts {
            total_duration: nanoseconds,
            prompt_eval_count: reply.input_tokens(),
            eval_count: reply.output_tokens(),
            eval_duration: nanoseconds,
        };
        Line { counts: Some(counts), ..self.line(text, Some("stop")) }
    }

    /// An empty chat or prompt only loads the model.
    fn loaded(&self) -> Response {
        Json(self.line("", Some("load"))).into_response()
    }

    fn answer(self, reply: Reply, stream: bool) -> Response {
        let started = self.state.now();
        if !stream {
            return Json(self.last(&reply.text(), &reply, started)).into_response();
        }
        let pause = self.state.pause;
        let words = reply.words().into_iter().map(Some).chain([None]);
        let lines = words.map(move |word| match word {
            Some(word) => text(&self.line(&word, None)),
            None => text(&self.last("", &reply, started)),
        });
        ([(header::CONTENT_TYPE, "application/x-ndjson")], paced(lines, pause)).into_response()
    }
}

fn text(line: &Line<'_>) -> String {
    // Strings and numbers always serialize.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

/// RFC 3339, as Ollama writes it.
fn timestamp(since_epoch: Duration) -> String {
    let nanoseconds = i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX);
    jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or_default().to_string()
}
