//! `{"prompt": …}` in place of a chat body, where the gateway has a model to offer.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Answer;
use crate::denials::assert_refused;
use crate::h2c;
use crate::stage::{MAX_REWRITE, chat, tuned};
use crate::wait::{run, unique};

const CURL: &str = "application/x-www-form-urlencoded";

#[test]
fn a_prompt_becomes_a_chat_body_even_as_curl_sends_it() {
    run(async {
        let stage = tuned().await;
        for path in ["/api/chat", "/v1/chat/completions"] {
            for content in [Some(CURL), Some("application/json"), None] {
                let (case, mut request) = stage.signed(stage.gateway.post(path), "alice");
                if let Some(content) = content {
                    request = request.header("content-type", content);
                }
                let answer = Answer::to(request.body(r#"{"prompt":"Hello"}"#)).await;
                assert_eq!(answer.status, 200, "{path} {content:?}");
                assert_eq!(answer.header("x-attach-task"), None);
                let seen = stage.engine.request(&case).await;
                assert_eq!(seen.target, format!("/base{path}"));
                assert_eq!(seen.all("content-type"), ["application/json"]);
                let expected = json!({
                    "model": "house-model", "messages": [{"role": "user", "content": "Hello"}],
                });
                assert_eq!(seen.json(), expected);
            }
        }
    });
}

#[test]
fn other_members_of_a_shorthand_stay() {
    run(async {
        let stage = tuned().await;
        let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let body = r#"{"model":"big","prompt":"Hi","stream":false,"seed":12345678901234567890123}"#;
        assert_eq!(Answer::to(request.body(body)).await.status, 200);
        let seen = stage.engine.request(&case).await;
        let value: Value = seen.json();
        assert_eq!((&value["model"], &value["stream"]), (&json!("big"), &json!(false)));
        assert!(value.get("prompt").is_none());
        let text = String::from_utf8(seen.body).unwrap();
        assert!(text.contains("12345678901234567890123"), "a number was rounded: {text}");
    });
}

#[test]
fn what_is_no_shorthand_is_the_engines_to_judge() {
    run(async {
        let stage = tuned().await;
        for body in [
            r#" {"messages": [], "prompt": "both"} "#,
            r#"{"prompt": 7}"#,
            r#"{"prompt": "cut"#,
            "not json",
            "[1, 2]",
        ] {
            let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
            assert_eq!(Answer::to(request.body(body)).await.status, 200, "{body}");
            let seen = stage.engine.request(&case).await;
            assert_eq!(String::from_utf8_lossy(&seen.body), body);
        }
        let (case, request) = stage.signed(stage.gateway.post("/api/generate"), "alice");
        let request = request.header("content-type", CURL).body(r#"{"prompt":"Hello"}"#);
        assert_eq!(Answer::to(request).await.status, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.body, br#"{"prompt":"Hello"}"#);
        assert_eq!(seen.all("content-type"), [CURL]);
    });
}

#[test]
fn chat_bodies_have_no_limit_but_shorthands_do() {
    run(async {
        let stage = tuned().await;
        let body = chat(&"words ".repeat(500_000)).to_string();
        let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let request = request.header("content-type", "application/json").body(body.clone());
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let seen = stage.engine.request(&case).await;
        assert_eq!(Sha256::digest(&seen.body), Sha256::digest(&body));

        for path in ["/api/chat", "/v1/chat/completions"] {
            let (case, request) = stage.signed(stage.gateway.post(path), "alice");
            let body = json!({"prompt": "a".repeat(2 * MAX_REWRITE)});
            let answer = Answer::to(request.json(&body)).await;
            assert_refused(stage, "a long prompt", path, &answer, (413, "body_too_large", &[]));
            assert!(stage.engine.seen(&case).is_empty());
        }
    });
}

#[test]
fn over_http_2_trailers_end_the_body() {
    run(async {
        let stage = tuned().await;
        let token = format!("Bearer {}", stage.issuer.token("alice"));
        let case = unique("h2");
        let headers = vec![("authorization", token.as_bytes()), ("x-case", case.as_bytes())];
        let trailers = vec![("x-checksum", b"1".as_slice())];
        let body = br#"{"prompt":"Hello"}"#.to_vec();
        let post = h2c::Post { path: "/api/chat", headers, body, trailers };
        assert_eq!(h2c::post(stage.gateway.address(), post).await.0, 200);
        let seen = stage.engine.request(&case).await.json();
        assert_eq!(seen["messages"][0]["content"], "Hello");
    });
}
