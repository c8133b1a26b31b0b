//! `/tasks/send` and the `prompt` shorthand: bodies become chat bodies, whatever their framing.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::host::{Request, Stream};

fn gateway() -> Gateway {
    Gateway::with(1, |config| config["engine"]["model"] = json!("tiny"))
}

fn task(gateway: &Gateway) -> Request {
    gateway.proxy.worker(0).request("POST", "/tasks/send").bearer(&gateway.token())
}

fn body(stream: &Stream) -> Value {
    let forwarded = stream.forwarded();
    assert!(forwarded.complete, "the request ended");
    let headers = forwarded.headers.as_ref().unwrap();
    // A body of another length under the client's content-length is request smuggling.
    let length = headers.text("content-length");
    assert!(length.is_none_or(|length| length == forwarded.body().len().to_string()));
    serde_json::from_slice(&forwarded.body()).expect("JSON")
}

fn pieces(text: &str, size: usize) -> Vec<Vec<u8>> {
    text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect()
}

#[test]
fn every_form_becomes_a_chat_body() {
    let gateway = gateway();
    let hello = json!([{"role": "user", "content": "Hello"}]);
    let chat = json!({"model": "big", "messages": [{"role": "user", "content": "Hi"}], "n": 1.50});
    let cases = [
        (chat.clone(), chat["model"].clone(), chat["messages"].clone()),
        (json!({"input": chat}), chat["model"].clone(), chat["messages"].clone()),
        (json!({"input": "Hello"}), json!("tiny"), hello.clone()),
        (json!({"prompt": "Hello"}), json!("tiny"), hello.clone()),
        (
            json!({"message": {"role": "user", "parts": [{"type": "text", "text": "Hello"}]}}),
            json!("tiny"),
            hello,
        ),
    ];
    for (sent, model, messages) in cases {
        let stream = task(&gateway).body(sent.to_string()).send();
        let got = body(&stream);
        assert_eq!((&got["model"], &got["messages"]), (&model, &messages), "{sent}");
        assert_eq!(stream.forwarded_header("content-type").as_deref(), Some("application/json"));
    }
    gateway.proxy.assert_no_trap();
}

#[test]
fn framing_makes_no_difference() {
    let gateway = gateway();
    let text = json!({"prompt": "Grüße 🐸", "stream": false}).to_string();
    let whole = body(&task(&gateway).body(text.clone()).send());
    assert_eq!(whole["messages"][0]["content"], "Grüße 🐸");
    for size in 1..=text.len() {
        let request = || task(&gateway).chunks(pieces(&text, size));
        assert_eq!(body(&request().send()), whole, "chunked by {size}");
        assert_eq!(body(&request().end_with_last_chunk().send()), whole, "HTTP/2 by {size}");
        let stream = request().trailers([("x-checksum", "1"), ("x-attach-user", "root")]).send();
        assert_eq!(body(&stream), whole, "with trailers, by {size}");
        assert_eq!(stream.forwarded().trailers.unwrap().names(), ["x-checksum"]);
    }
    gateway.proxy.assert_no_trap();
}

#[test]
fn a_lying_content_length_does_not_reach_the_upstream() {
    let gateway = gateway();
    for length in ["5", "500000", "abc", ""] {
        let request = task(&gateway).chunks(pieces(r#"{"prompt":"Hello"}"#, 7));
        let stream = request.header("content-length", length).send();
        body(&stream);
    }
}

#[test]
fn bodies_that_cannot_be_used() {
    let gateway = gateway();
    let refused = |request: Request| request.send().local_reply();
    for text in ["", " ", "not json", "[]", "{}", r#"{"prompt":1}"#, r#"{"input":"#, "\u{feff}{}"] {
        let reply = refused(task(&gateway).body(text));
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("invalid_body")), "{text}");
        let trailers = [("x-checksum", "1")];
        let reply = refused(task(&gateway).chunks(pieces(text, 3)).trailers(trailers));
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("invalid_body")), "{text}");
    }
    let reply = refused(task(&gateway).chunks(vec![b"\xff\xfe{}".to_vec()]));
    assert_eq!(reply.status, 400);
    let none = refused(gateway.proxy.worker(0).request("POST", "/tasks/send"));
    assert_eq!(none.status, 401);
    gateway.proxy.assert_no_trap();
}

#[test]
fn bodies_that_are_too_large() {
    let gateway = Gateway::with(1, |config| config["max_rewrite_body"] = json!(1_000));
    let large = json!({"prompt": "x".repeat(2_000)}).to_string();
    let check = |request: Request| {
        let reply = request.send().local_reply();
        assert_eq!((reply.status, &reply.json()["code"]), (413, &json!("body_too_large")));
    };
    check(task(&gateway).body(large.clone()));
    check(task(&gateway).chunks(pieces(&large, 100)));
    check(task(&gateway).chunks(pieces(&large, 100)).trailers([("a", "b")]));
    let fits = json!({"prompt": "x".repeat(900), "model": "m"}).to_string();
    body(&task(&gateway).body(fits).send());
    // Raw proxying has no limit.
    let raw = gateway.proxy.worker(0).post("/api/chat", large.clone()).bearer(&gateway.token());
    assert_eq!(raw.send().forwarded().body(), large.as_bytes());
}

#[test]
fn the_host_gives_up_on_a_body_before_the_filter_does() {
    // The listener's buffer is smaller than `max_rewrite_body`.
    let options = crate::host::Options { buffer_limit: 10_000, ..Default::default() };
    let gateway = Gateway::cold(options, 1, |_| {});
    gateway.serve();
    gateway.proxy.advance(1_000);
    let large = json!({"prompt": "x".repeat(20_000)}).to_string();
    let reply = task(&gateway).chunks(pieces(&large, 4_000)).send().local_reply();
    assert_eq!((reply.status, &reply.json()["code"]), (413, &json!("body_too_large")));
    gateway.proxy.assert_no_trap();
}

#[test]
fn the_answer_names_the_task() {
    let gateway = gateway();
    let stream = task(&gateway).body(r#"{"prompt":"Hello"}"#).send();
    stream.respond(200, crate::host::Headers::default(), &[b"{}"]);
    let answer = stream.client_got().unwrap();
    let id = answer.headers.text("x-attach-task").unwrap();
    assert!(id.len() >= 16, "{id}");
    assert_eq!(answer.body, b"{}");
    let other = task(&gateway).body(r#"{"prompt":"Hello"}"#).header("x-attach-task", &id).send();
    other.respond(200, crate::host::Headers::default(), &[]);
    assert_ne!(other.client_got().unwrap().headers.text("x-attach-task"), Some(id));
}

#[test]
fn the_shorthand_is_completed_and_nothing_else_is_touched() {
    let gateway = gateway();
    let chat = |path: &str, text: &str, size: usize| {
        let request = gateway.proxy.worker(0).request("POST", path).bearer(&gateway.token());
        request.chunks(pieces(text, size)).send()
    };
    for path in ["/api/chat", "/v1/chat/completions"] {
        for size in [1, 7, 1_000] {
            let got = body(&chat(path, r#"{"prompt":"Hello","stream":false}"#, size));
            assert_eq!(got["messages"], json!([{"role": "user", "content": "Hello"}]));
            assert_eq!((&got["model"], &got["stream"]), (&json!("tiny"), &json!(false)));
            for text in [
                r#"{ "messages" : [] , "prompt":"Hello" }"#,
                r#"{"model":"m","messages":[{"role":"user","content":"\u00e9"}],"x":1.0e5}"#,
                "not json at all",
                r#"{"prompt":["a"]}"#,
                "[1,2]",
            ] {
                let forwarded = chat(path, text, size).forwarded();
                assert_eq!(forwarded.body(), text.as_bytes(), "{path} by {size}");
                assert!(forwarded.complete);
            }
        }
    }
    let big = format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "x".repeat(3 << 20));
    assert_eq!(chat("/api/chat", &big, 64 << 10).forwarded().body(), big.as_bytes());
    gateway.proxy.assert_no_trap();
}

#[test]
fn without_a_default_model_nothing_is_held() {
    let gateway = Gateway::new();
    let request = gateway.proxy.worker(0).request("POST", "/api/chat").bearer(&gateway.token());
    let stream = request.chunks(vec![br#"{"prompt":"#.to_vec()]).open().send();
    assert_eq!(stream.forwarded().chunks, [br#"{"prompt":"#]);
    assert!(!stream.forwarded().complete);
}
