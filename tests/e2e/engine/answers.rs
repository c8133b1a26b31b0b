//! What engines answer.

use serde_json::{Value, json};

use super::{Plan, Seen};

/// An answer with a length.
pub(crate) fn whole(status: u16, content: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status} Test\r\nContent-Type: {content}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Ollama's stream: a line for each token, and one that says it is done.
pub(crate) fn ndjson(tokens: &[&str]) -> Vec<Vec<u8>> {
    let line = |value: Value| format!("{value}\n").into_bytes();
    let mut lines: Vec<Vec<u8>> = tokens
        .iter()
        .map(|token| {
            line(json!({
                "model": "tiny", "message": {"role": "assistant", "content": token}, "done": false,
            }))
        })
        .collect();
    lines.push(line(json!({
        "model": "tiny", "message": {"role": "assistant", "content": ""}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 3, "eval_count": tokens.len(),
    })));
    lines
}

/// OpenAI's stream: server-sent events, the last of them `[DONE]`.
pub(crate) fn sse(tokens: &[&str]) -> Vec<Vec<u8>> {
    let event = |delta: Value, finish: Value| {
        let chunk = json!({
            "id": "c1", "object": "chat.completion.chunk", "model": "tiny",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n").into_bytes()
    };
    let mut events: Vec<Vec<u8>> =
        tokens.iter().map(|token| event(json!({"content": token}), Value::Null)).collect();
    events.push(event(json!({}), json!("stop")));
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

/// Without a plan: chat routes stream, anything else says what it was asked.
pub(super) fn usual(seen: &Seen) -> Plan {
    let path = seen.target.split('?').next().unwrap_or_default();
    let (content, chunks) = if path.ends_with("/api/chat") {
        ("application/x-ndjson", ndjson(&["Hello", " from", " the engine"]))
    } else if path.ends_with("/v1/chat/completions") {
        ("text/event-stream", sse(&["Hello", " from", " the engine"]))
    } else {
        let said = format!("{} {}", seen.method, seen.target);
        let mut answer = whole(200, "text/plain", said.as_bytes());
        if seen.method == "HEAD" {
            answer.truncate(answer.len() - said.len());
        }
        return Plan::Bytes(answer);
    };
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for chunk in chunks {
        answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    Plan::Bytes(answer)
}
