//! The part of OpenAI's interface that chat clients use: `/v1/models` and
//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::reply::{Reply, last_question, paced};
use super::{MODEL, State, is_ours};

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/models", get(|| async { Json(json!({"object": "list", "data": [card()]})) }))
        .route("/v1/models/{id}", get(model))
        .route("/v1/chat/completions", post(chat))
}

fn card() -> Value {
    json!({"id": MODEL, "object": "model", "created": 0, "owned_by": "attach-gateway-demo"})
}

async fn model(Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    if is_ours(&id) { Ok(Json(card())) } else { Err(Fault::unknown(&id)) }
}

/// OpenAI's error object.
struct Fault {
    status: StatusCode,
    message: String,
    kind: &'static str,
}

impl Fault {
    fn invalid(message: impl Into<String>) -> Self {
        let kind = "invalid_request_error";
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), kind }
    }

    fn unknown(model: &str) -> Self {
        let message = format!("model '{model}' not found");
        Self { status: StatusCode::NOT_FOUND, message, kind: "not_found_error" }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let error =
            json!({"message": self.message, "type": self.kind, "param": null, "code": null});
        (self.status, Json(json!({"error": error}))).into_response()
    }
}

async fn chat(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let body: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|e| Fault::invalid(e.to_string()))?;
    let model = body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty());
    let model = model.ok_or_else(|| Fault::invalid("model is required"))?;
    if !is_ours(model) {
        return Err(Fault::unknown(model));
    }
    let messages = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if messages.is_empty() {
        return Err(Fault::invalid("[] is too short - 'messages'"));
    }
    let completion = Completion {
        id: format!("chatcmpl-demo{}", state.now().as_micros()),
        created: state.now().as_secs(),
        model,
        reply: state.reply(&headers, &last_question(messages)),
    };
    if !body.get("stream").and_then(Value::as_bool).unwrap_or(false) {
        return Ok(Json(completion.whole()).into_response());
    }
    let options = body.get("stream_options").and_then(|o| o.get("include_usage"));
    let usage = options.and_then(Value::as_bool).unwrap_or(false);
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, paced(completion.events(usage).into_iter(), state.pause)).into_response())
}

struct Completion<'a> {
    id: String,
    created: u64,
    model: &'a str,
    reply: Reply,
}

impl Completion<'_> {
    fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.reply.text()},
                "finish_reason": "stop",
            }],
            "usage": self.usage(),
        })
    }

    fn usage(&self) -> Value {
        let (input, output) = (self.reply.input_tokens(), self.reply.output_tokens());
        let total = input.saturating_add(output);
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": total})
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn events(&self, usage: bool) -> Vec<String> {
        let choice = |delta: Value, reason: Option<&str>| {
            self.chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]))
        };
        let mut chunks = vec![choice(json!({"role": "assistant", "content": ""}), None)];
        let words = self.reply.words().into_iter();
        chunks.extend(words.map(|word| choice(json!({"content": word}), None)));
        chunks.push(choice(json!({}), Some("stop")));
        if usage {
            // OpenAI: the other chunks then say `usage: null`.
            for chunk in &mut chunks {
                if let Some(chunk) = chunk.as_object_mut() {
                    chunk.insert("usage".to_owned(), Value::Null);
                }
            }
            let mut last = self.chunk(json!([]));
            if let Some(last) = last.as_object_mut() {
                last.insert("usage".to_owned(), self.usage());
            }
            chunks.push(last);
        }
        let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
        events.chain(["data: [DONE]\n\n".to_owned()]).collect()
    }
}
