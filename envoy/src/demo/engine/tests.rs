#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::*;
use crate::demo::testing;

const ASKED: &str = "Is it dawn?";

async fn quick() -> Engine {
    Engine::start(Config { pause: Duration::ZERO, ..Config::default() }).await.unwrap()
}

fn request(engine: &Engine, method: Method, path: &str, body: &Value) -> RequestBuilder {
    let request = testing::client().request(method, format!("{}{path}", engine.url()));
    if body.is_null() { request } else { request.json(body) }
}

fn is_honest(text: &str) {
    assert!(text.contains("demo engine") && text.contains(ASKED), "{text}");
}

#[tokio::test]
async fn it_answers_and_refuses_as_ollama_and_openai_do() {
    let engine = quick().await;
    let (get, post) = (Method::GET, Method::POST);
    let user = json!([{"role": "user", "content": "x"}]);
    let rows = [
        (&get, "/", Value::Null, 200, "running"),
        (&get, "/api/version", Value::Null, 200, "demo"),
        (&get, "/api/tags", Value::Null, 200, "demo:latest"),
        (&get, "/v1/models", Value::Null, 200, "\"demo\""),
        (&get, "/v1/models/demo", Value::Null, 200, "\"demo\""),
        (&get, "/v1/models/nope", Value::Null, 404, "'nope' not found"),
        (&get, "/nothing", Value::Null, 404, "404 page not found"),
        (&get, "/api/chat", Value::Null, 405, "405 method not allowed"),
        (&post, "/api/chat", Value::Null, 400, "{\"error\":\"missing request body\"}"),
        (&post, "/api/chat", json!([]), 400, "{\"error\":"),
        (&post, "/api/chat", json!({"prompt": "x"}), 400, "{\"error\":\"model is required\"}"),
        (
            &post,
            "/api/chat",
            json!({"model": "nope"}),
            404,
            "{\"error\":\"model 'nope' not found\"}",
        ),
        (
            &post,
            "/api/chat",
            json!({"model": "demo", "messages": []}),
            200,
            "\"done_reason\":\"load\"",
        ),
        (&post, "/api/generate", json!({}), 404, "model is required"),
        (&post, "/api/generate", json!({"model": "demo"}), 200, "\"done_reason\":\"load\""),
        (&post, "/v1/chat/completions", json!({"messages": user}), 400, "invalid_request_error"),
        (
            &post,
            "/v1/chat/completions",
            json!({"model": "x", "messages": user}),
            404,
            "'x' not found",
        ),
        (&post, "/v1/chat/completions", json!({"model": "demo"}), 400, "invalid_request_error"),
    ];
    for (method, path, body, status, text) in rows {
        let response = request(&engine, method.clone(), path, &body).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path} {body}");
        let answer = response.text().await.unwrap();
        assert!(answer.contains(text), "{method} {path} {body}: {answer}");
    }
}

#[tokio::test]
async fn an_ollama_chat_streams_lines_unless_told_not_to() {
    let engine = quick().await;
    let messages = json!([
        {"role": "user", "content": "before"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": ASKED},
    ]);
    let rows = [
        ("/api/chat", json!({"model": "demo", "messages": messages})),
        ("/api/generate", json!({"model": "demo:latest", "prompt": ASKED})),
    ];
    for (path, mut body) in rows {
        let piece = |line: &Value| match path {
            "/api/chat" => line["message"]["content"].as_str().unwrap().to_owned(),
            _ => line["response"].as_str().unwrap().to_owned(),
        };
        let response = request(&engine, Method::POST, path, &body).send().await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/x-ndjson");
        let text = response.text().await.unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (last, others) = lines.split_last().unwrap();
        assert!(others.len() > 10 && others.iter().all(|line| line["done"] == false));
        assert_eq!(last["done"], true);
        assert_eq!(last["eval_count"], others.len());
        let made: Vec<_> = lines.iter().map(|line| line["created_at"].as_str().unwrap()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]), "each line is made in its turn");
        let streamed: String = others.iter().map(piece).collect();
        is_honest(&streamed);

        body["stream"] = json!(false);
        let whole = request(&engine, Method::POST, path, &body).send().await.unwrap();
        let whole: Value = whole.json().await.unwrap();
        assert_eq!(piece(&whole), streamed);
        assert_eq!(whole["done_reason"], "stop");
    }
}

#[tokio::test]
async fn an_openai_chat_comes_whole_or_as_events() {
    let engine = quick().await;
    let path = "/v1/chat/completions";
    let content = json!([{"type": "text", "text": ASKED}]);
    let mut body = json!({"model": "demo", "messages": [{"role": "user", "content": content}]});
    let whole = request(&engine, Method::POST, path, &body).send().await.unwrap();
    let whole: Value = whole.json().await.unwrap();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    is_honest(text);

    for usage in [false, true] {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": usage});
        let response = request(&engine, Method::POST, path, &body).send().await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        let events = response.text().await.unwrap();
        let mut events: Vec<_> = events.split_terminator("\n\n").collect();
        assert_eq!(events.pop(), Some("data: [DONE]"));
        let chunks: Vec<Value> = events
            .iter()
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        let deltas = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str());
        assert_eq!(deltas.collect::<String>(), text);
        let last = chunks.last().unwrap();
        let expected = if usage { whole["usage"].clone() } else { Value::Null };
        assert_eq!(last["usage"], expected);
        assert_eq!(last["choices"].as_array().unwrap().is_empty(), usage);
    }
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused() {
    let engine = quick().await;
    let own = engine.url();
    let authority = own.strip_prefix("http://").unwrap();
    let rows = [
        (authority, None, 200),
        (authority, Some(own.as_str()), 200),
        ("127.0.0.1:8080", None, 403),
        ("gateway.example", None, 403),
        (authority, Some("https://gateway.example"), 403),
        (authority, Some("null"), 403),
    ];
    for (host, origin, status) in rows {
        let mut request = request(&engine, Method::GET, "/api/tags", &Value::Null);
        request = request.header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host} {origin:?}");
    }
}

#[tokio::test]
async fn it_says_which_user_the_gateway_named() {
    let engine = quick().await;
    let body = json!({"model": "demo", "messages": [{"role": "user", "content": "hi"}]});
    for user in [None, Some("alice")] {
        let mut request = request(&engine, Method::POST, "/api/chat", &body);
        if let Some(user) = user {
            request = request.header("x-attach-user", user);
        }
        let response = request.send().await.unwrap();
        let named = response.headers().get(USER_HEADER).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(named.as_deref(), user);
    }
}

#[tokio::test]
async fn a_streamed_answer_comes_word_by_word() {
    let engine = Engine::start(Config { pause: Duration::from_millis(2), ..Config::default() });
    let engine = engine.await.unwrap();
    let body = json!({"model": "demo", "messages": [{"role": "user", "content": "hi"}]});
    let mut response = request(&engine, Method::POST, "/api/chat", &body).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first.iter().filter(|&&b| b == b'\n').count(), 1, "one line, while more is to come");
}
