//! One request in, one request out, whatever the framing says.

use serde_json::json;

use crate::raw::{Raw, head};
use crate::stage::{Stage, plain, tuned};
use crate::wait::{run, unique};

fn post(stage: &Stage, case: &str, path: &str, body: &str) -> Vec<u8> {
    let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
    let case = format!("x-case: {case}");
    let length = format!("Content-Length: {}", body.len());
    let lines =
        [token.as_bytes(), case.as_bytes(), length.as_bytes(), b"Content-Type: application/json"];
    [head(&format!("POST {path}"), &lines), body.as_bytes().to_vec()].concat()
}

/// Asserts that the engine saw these cases once each, and nothing else on their connections that
/// is not a request of some test.
fn assert_only(stage: &Stage, cases: &[String]) {
    for case in cases {
        let seen = stage.engine.seen(case);
        assert_eq!(seen.len(), 1, "{seen:?}");
        for other in stage.engine.seen_on(seen[0].connection) {
            let whole = other.method.bytes().all(|byte| byte.is_ascii_uppercase());
            assert!(whole && other.target.starts_with('/'), "{other:?}");
            assert!(!other.target.contains("evil"), "{other:?}");
        }
    }
}

#[test]
fn a_body_that_shrinks_or_grows_leaves_nothing_behind() {
    run(async {
        let hidden = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
        let message = json!({"role": "user", "parts": [{"type": "text", "text": "hi"}]});
        let shrinks = json!({"id": "1", "message": message, "metadata": {"x": hidden}}).to_string();
        let padded = format!("{{\"prompt\": \"hi\"{}}}", " ".repeat(2000));
        for stage in [plain().await, tuned().await] {
            for first in [shrinks.as_str(), padded.as_str(), r#"{"input":"x"}"#] {
                let cases = [unique("first"), unique("second"), unique("third")];
                let mut raw = Raw::connect(stage.gateway.address()).await;
                raw.send(post(stage, &cases[0], "/tasks/send", first)).await;
                assert_eq!(raw.answer().await.status, 200, "{first}");
                raw.send(post(stage, &cases[1], "/tasks/send", r#"{"prompt":"two"}"#)).await;
                assert_eq!(raw.answer().await.status, 200);
                raw.send(post(stage, &cases[2], "/api/show", "three")).await;
                assert_eq!(raw.answer().await.status, 200);
                assert_only(stage, &cases);
                let content = |case: &String| {
                    let seen = stage.engine.seen(case).remove(0).json();
                    seen["messages"][0]["content"].as_str().unwrap().to_owned()
                };
                assert_eq!(content(&cases[1]), "two");
                assert_eq!(stage.engine.seen(&cases[2])[0].body, b"three");
            }
        }
    });
}

#[test]
fn requests_that_were_sent_at_once_stay_apart() {
    run(async {
        let stage = plain().await;
        let cases = [unique("pipelined"), unique("pipelined")];
        let mut raw = Raw::connect(stage.gateway.address()).await;
        let both = [
            post(stage, &cases[0], "/tasks/send", r#"{"prompt":"one"}"#),
            post(stage, &cases[1], "/api/show", "two"),
        ];
        raw.send(both.concat()).await;
        assert_eq!(raw.answer().await.status, 200);
        assert_eq!(raw.answer().await.status, 200);
        assert_only(stage, &cases);
    });
}

#[test]
fn framing_with_two_readings_is_refused() {
    run(async {
        let stage = plain().await;
        let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
        for (framing, body) in [
            (
                "Content-Length: 4\r\nTransfer-Encoding: chunked",
                "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 4",
                "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
            ),
            ("Content-Length: 1\r\nContent-Length: 2", "ab"),
            ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
            ("Content-Length: +2", "ab"),
            ("Content-Length: -1", ""),
            ("Content-Length : 2", "ab"),
            ("Transfer-Encoding: chunked", "zz\r\nab\r\n0\r\n\r\n"),
        ] {
            let case = unique("framing");
            let case_line = format!("x-case: {case}");
            let lines = [token.as_bytes(), case_line.as_bytes(), framing.as_bytes()];
            let mut raw = Raw::connect(stage.gateway.address()).await;
            raw.send([head("POST /api/show", &lines), body.as_bytes().to_vec()].concat()).await;
            let status = raw.head().await.map(|(status, _)| status);
            assert!(matches!(status, None | Some(400 | 501)), "{framing}: {status:?}");
            assert!(stage.engine.seen(&case).is_empty(), "{framing} got through");
        }
        stage.assert_unharmed().await;
    });
}
