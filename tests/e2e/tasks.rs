//! `POST /tasks/send`: every documented body becomes a chat body.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::denials::assert_refused;
use crate::h2c;
use crate::raw::{Raw, head};
use crate::stage::{MAX_REWRITE, chat, plain, tuned};
use crate::wait::{run, unique, until};

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn bodies_become_chat_bodies() {
    run(async {
        let stage = plain().await;
        let parts = json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]);
        let message = json!({"role": "user", "parts": parts});
        let whole = json!({"model": "big", "messages": user("hi"), "stream": false, "options": {}});
        for (body, expected) in [
            (whole.clone(), whole.clone()),
            (json!({"input": whole}), whole),
            (json!({"input": "hi"}), json!({"messages": user("hi")})),
            (
                json!({"prompt": "hi", "model": "big"}),
                json!({"messages": user("hi"), "model": "big"}),
            ),
            (json!({"input": {"prompt": "hi"}}), json!({"messages": user("hi")})),
            (json!({"message": message}), json!({"messages": user("one\ntwo")})),
            (json!({"id": "t1", "message": message}), json!({"messages": user("one\ntwo")})),
        ] {
            let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
            let answer = Answer::to(request.json(&body)).await;
            assert_eq!(answer.status, 200, "{body}");
            let task = answer.header("x-attach-task").expect("a task id");
            assert!(!task.is_empty(), "{body}");
            // The answer is the engine's own.
            assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
            assert!(String::from_utf8_lossy(&answer.body).contains("Hello"));
            let seen = stage.engine.request(&case).await;
            assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/api/chat"));
            assert_eq!(seen.json(), expected, "{body}");
            assert_eq!(seen.all("content-type"), ["application/json"]);
            assert_eq!(seen.all("x-attach-user"), ["alice"]);
        }
    });
}

#[test]
fn the_model_of_the_house_completes_what_names_none() {
    run(async {
        let stage = tuned().await;
        for (body, model) in [
            (json!({"prompt": "hi"}), "house-model"),
            (json!({"input": "hi"}), "house-model"),
            (json!({"messages": user("hi")}), "house-model"),
            (json!({"input": {"model": "big", "messages": user("hi")}}), "big"),
        ] {
            let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
            assert_eq!(Answer::to(request.json(&body)).await.status, 200, "{body}");
            let seen = stage.engine.request(&case).await;
            assert_eq!(seen.target, "/base/api/chat");
            assert_eq!(seen.json(), json!({"model": model, "messages": user("hi")}), "{body}");
        }
    });
}

#[test]
fn task_ids_differ() {
    run(async {
        let stage = plain().await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            let (_, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
            let answer = Answer::to(request.json(&json!({"prompt": "hi"}))).await;
            ids.push(answer.header("x-attach-task").unwrap().to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    });
}

#[test]
fn unusable_bodies_are_refused_and_make_no_task() {
    run(async {
        let stage = plain().await;
        let file = json!({"message": {"role": "user", "parts": [{"type": "file", "file": {}}]}});
        let file = file.to_string();
        for body in [
            "not json",
            "",
            "[]",
            "null",
            "\"text\"",
            "{}",
            r#"{"input":7}"#,
            r#"{"prompt":[]}"#,
            r#"{"prompt":"cut"#,
            "\u{feff}{}",
            r#"{"message":{"parts":[]}}"#,
            &file,
        ] {
            let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
            let answer = Answer::to(request.body(body.to_owned())).await;
            assert_refused(stage, body, "/tasks/send", &answer, (400, "invalid_body", &[]));
            assert_eq!(answer.header("x-attach-task"), None, "{body}");
            assert!(stage.engine.seen(&case).is_empty(), "{body} reached the engine");
        }
        stage.assert_unharmed().await;
    });
}

#[test]
fn a_body_above_the_limit_is_refused_with_and_without_a_length() {
    run(async {
        let stage = tuned().await;
        let body = chat(&"a".repeat(MAX_REWRITE)).to_string();
        let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
        let answer = Answer::to(request.body(body.clone())).await;
        assert_refused(stage, "by length", "/tasks/send", &answer, (413, "body_too_large", &[]));
        assert!(stage.engine.seen(&case).is_empty());

        let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
        let parts: Vec<_> = body.as_bytes().chunks(100).map(|part| Ok(part.to_vec())).collect();
        let stream = tokio_stream::iter(parts as Vec<Result<_, std::io::Error>>);
        let answer = Answer::to(request.body(reqwest::Body::wrap_stream(stream))).await;
        assert_refused(stage, "chunked", "/tasks/send", &answer, (413, "body_too_large", &[]));
        assert_eq!(answer.header("x-attach-task"), None);
        assert!(stage.engine.seen(&case).is_empty());

        let fits = chat(&"a".repeat(MAX_REWRITE / 2));
        let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
        assert_eq!(Answer::to(request.json(&fits)).await.status, 200);
        assert_eq!(stage.engine.request(&case).await.json(), fits);
    });
}

#[test]
fn a_mebibyte_is_the_limit_by_default() {
    run(async {
        let stage = plain().await;
        let fits = chat(&"a".repeat((1 << 20) - 1000));
        let (case, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
        assert_eq!(Answer::to(request.json(&fits)).await.status, 200);
        assert_eq!(stage.engine.request(&case).await.json(), fits);
        let case = unique("endless");
        let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
        let case_line = format!("x-case: {case}");
        let chunked = b"Transfer-Encoding: chunked";
        let lines: [&[u8]; 3] = [token.as_bytes(), case_line.as_bytes(), chunked];
        let mut raw = Raw::connect(stage.gateway.address()).await;
        raw.send(head("POST /tasks/send", &lines)).await;
        for _ in 0..20 {
            raw.send([b"10000\r\n".to_vec(), vec![b' '; 65536], b"\r\n".to_vec()].concat()).await;
        }
        let (status, _) = raw.head().await.expect("an answer before the end of the body");
        assert_eq!(status, 413);
        assert!(stage.engine.seen(&case).is_empty());
    });
}

#[test]
fn over_http_2_trailers_end_the_body() {
    run(async {
        let stage = plain().await;
        let token = format!("Bearer {}", stage.issuer.token("alice"));
        for trailers in [vec![], vec![("x-checksum", b"1".as_slice())]] {
            let case = unique("h2");
            let headers = vec![("authorization", token.as_bytes()), ("x-case", case.as_bytes())];
            let body = br#"{"prompt":"over h2"}"#.to_vec();
            let post = h2c::Post { path: "/tasks/send", headers, body, trailers };
            let (status, body) = h2c::post(stage.gateway.address(), post).await;
            assert_eq!(status, 200);
            assert!(String::from_utf8_lossy(&body).contains("Hello"));
            let seen = stage.engine.request(&case).await;
            assert_eq!(seen.json(), json!({"messages": user("over h2")}));
        }
        for trailers in [vec![], vec![("x-checksum", b"1".as_slice())]] {
            let case = unique("h2");
            let headers = vec![("authorization", token.as_bytes()), ("x-case", case.as_bytes())];
            let post = h2c::Post { path: "/tasks/send", headers, body: b"x".to_vec(), trailers };
            let (status, _) = h2c::post(stage.gateway.address(), post).await;
            assert_eq!(status, 400);
            assert!(stage.engine.seen(&case).is_empty());
        }
    });
}

#[test]
fn a_body_that_stays_unfinished_reaches_nobody() {
    run(async {
        let stage = plain().await;
        let case = unique("unfinished");
        let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
        let case_line = format!("x-case: {case}");
        let lines: [&[u8]; 3] = [token.as_bytes(), case_line.as_bytes(), b"Content-Length: 20"];
        for _ in 0..3 {
            let mut raw = Raw::connect(stage.gateway.address()).await;
            raw.send(head("POST /tasks/send", &lines)).await;
            raw.send(r#"{"prompt":"#).await;
            until("the gateway has it", async || {
                (stage.gateway.active_requests().await >= 1).then_some(())
            })
            .await;
        }
        stage.assert_unharmed().await;
        assert!(stage.engine.seen(&case).is_empty());
    });
}

#[test]
fn other_methods_go_to_the_engine_as_they_are() {
    run(async {
        let stage = plain().await;
        let (case, request) = stage.signed(stage.gateway.get("/tasks/send"), "alice");
        assert_eq!(Answer::to(request).await.status, 200);
        assert_eq!(stage.engine.request(&case).await.target, "/tasks/send");
    });
}
