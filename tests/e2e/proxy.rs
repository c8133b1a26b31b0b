//! Any method and path goes to the engine as it is, and its answer comes back as it is.

use sha2::{Digest, Sha256};

use crate::client::{Answer, http};
use crate::engine::{Plan, Step, whole};
use crate::raw::{Raw, head};
use crate::stage::plain;
use crate::wait::{run, unique};

/// Every byte value, in an order that no compression or text handling survives unnoticed.
fn binary(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

#[test]
fn three_mebibytes_pass_both_ways_unchanged() {
    run(async {
        let stage = plain().await;
        let body = binary(3 << 20);
        for chunked in [false, true] {
            let (case, request) = stage.signed(stage.gateway.post("/api/blobs/sha256:x"), "alice");
            stage.engine.plan(&case, Plan::Echo);
            let request = request.header("content-type", "application/octet-stream");
            let request = if chunked {
                let parts: Vec<_> = body.chunks(50_000).map(|part| Ok(part.to_vec())).collect();
                let stream = tokio_stream::iter(parts as Vec<Result<_, std::io::Error>>);
                request.body(reqwest::Body::wrap_stream(stream))
            } else {
                request.body(body.clone())
            };
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, 200);
            let seen = stage.engine.request(&case).await;
            assert_eq!(seen.chunked, chunked);
            assert_eq!(Sha256::digest(&seen.body), Sha256::digest(&body), "to the engine");
            assert_eq!(Sha256::digest(&answer.body), Sha256::digest(&body), "to the client");
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        }
    });
}

#[test]
fn every_method_passes() {
    run(async {
        let stage = plain().await;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY"] {
            let case = unique("method");
            let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
            let case_line = format!("x-case: {case}");
            let lines: [&[u8]; 3] = [token.as_bytes(), case_line.as_bytes(), b"Content-Length: 3"];
            let mut raw = Raw::connect(stage.gateway.address()).await;
            raw.send([head(&format!("{method} /any/path?q=1"), &lines), b"abc".to_vec()].concat())
                .await;
            let answer = raw.answer().await;
            // Envoy itself answers methods that it does not know; it must not crash on them.
            if answer.status != 200 {
                assert!(!matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS"));
                continue;
            }
            let seen = stage.engine.request(&case).await;
            assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, "/any/path?q=1"));
            assert_eq!(seen.body, b"abc");
        }
    });
}

#[test]
fn head_has_the_length_and_no_body() {
    run(async {
        let stage = plain().await;
        let (case, request) =
            stage.signed(http().head(stage.gateway.url("/api/blobs/sha256:x")), "alice");
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n";
        stage.engine.plan(&case, Plan::Bytes(answer.into()));
        let answer = Answer::to(request).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(answer.header("content-length"), Some("1234"));
        assert_eq!(answer.header("etag"), Some("\"x\""));
        assert_eq!(stage.engine.request(&case).await.method, "HEAD");
    });
}

#[test]
fn answers_pass_unchanged_whatever_their_status() {
    run(async {
        let stage = plain().await;
        for status in [200, 201, 206, 301, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504] {
            let (case, request) = stage.signed(stage.gateway.get("/v1/models"), "alice");
            let body = br#"{"error": "the engine says so"}"#;
            let mut bytes = whole(status, "application/vnd.engine+json", body);
            let headers = b"Retry-After: 7\r\nX-Engine: yes\r\nLocation: /elsewhere\r\n";
            let place = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
            bytes.splice(place..place, headers.iter().copied());
            stage.engine.plan(&case, Plan::Bytes(bytes));
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.body, body, "{status}");
            assert_eq!(answer.header("content-type"), Some("application/vnd.engine+json"));
            assert_eq!(answer.header("retry-after"), Some("7"), "{status}");
            assert_eq!(answer.header("x-engine"), Some("yes"), "{status}");
            assert_eq!(stage.engine.seen(&case).len(), 1, "{status} was asked for again");
        }
    });
}

#[test]
fn an_answer_without_content_passes() {
    run(async {
        let stage = plain().await;
        let (case, request) = stage.signed(http().delete(stage.gateway.url("/api/x")), "alice");
        stage.engine.plan(&case, Plan::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
        let answer = Answer::to(request).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    });
}

#[test]
fn bodies_that_only_look_like_shorthands_are_not_touched() {
    run(async {
        let stage = plain().await;
        // No ENGINE_MODEL here: the engine judges these itself.
        for path in ["/api/chat", "/v1/chat/completions", "/api/generate"] {
            let (case, request) = stage.signed(stage.gateway.post(path), "alice");
            let body = br#" { "prompt" : "Hello", "big": 123456789012345678901234567890 } "#;
            let form = "application/x-www-form-urlencoded";
            let request = request.header("content-type", form).body(body.to_vec());
            assert_eq!(Answer::to(request).await.status, 200);
            let seen = stage.engine.request(&case).await;
            assert_eq!(seen.body, body);
            assert_eq!(seen.one("content-type").as_deref(), Some(form));
            assert_eq!((seen.target.as_str(), seen.chunked), (path, false));
        }
    });
}

#[test]
fn headers_of_both_sides_pass() {
    run(async {
        let stage = plain().await;
        let (case, request) = stage.signed(stage.gateway.get("/api/tags"), "alice");
        let steps = stage.engine.plan_steps(&case, "text/plain");
        steps.send(Step::Chunk(b"x".to_vec())).unwrap();
        drop(steps);
        let request = request
            .header("accept", "text/plain;q=0.5")
            .header("cookie", "a=1; b=2")
            .header("x-api-key", "mine")
            .header("openai-organization", "org")
            .header("x_underscored", "kept");
        let answer = Answer::to(request).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"x".as_slice()));
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.all("accept"), ["text/plain;q=0.5"]);
        assert_eq!(seen.all("cookie"), ["a=1; b=2"]);
        assert_eq!(seen.all("x-api-key"), ["mine"]);
        assert_eq!(seen.all("openai-organization"), ["org"]);
        assert_eq!(seen.all("x_underscored"), ["kept"]);
    });
}
