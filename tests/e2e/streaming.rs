//! An answer reaches the client as it is made.

use crate::client::Answer;
use crate::engine::{Step, ndjson, sse};
use crate::raw::{Raw, head};
use crate::stage::{chat, plain, tuned};
use crate::wait::{run, soon, unique};

#[test]
fn each_part_arrives_while_the_engine_still_holds_the_next() {
    run(async {
        for (path, content, parts) in [
            ("/api/chat", "application/x-ndjson", ndjson(&["one", "two", "three"])),
            ("/v1/chat/completions", "text/event-stream", sse(&["one", "two", "three"])),
            ("/tasks/send", "application/x-ndjson", ndjson(&["one", "two", "three"])),
        ] {
            for stage in [plain().await, tuned().await] {
                let (case, request) = stage.signed(stage.gateway.post(path), "alice");
                let steps = stage.engine.plan_steps(&case, content);
                steps.send(Step::Chunk(parts[0].clone())).unwrap();
                let request = request.json(&chat("count")).send();
                let mut answer = soon("the head", request).await.unwrap();
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.headers()["content-type"], content);
                for (index, part) in parts.iter().enumerate() {
                    let mut received = Vec::new();
                    while received.len() < part.len() {
                        let next = soon("the part that was sent", answer.chunk()).await.unwrap();
                        received.extend(next.expect("more of the answer"));
                    }
                    assert_eq!(&received, part, "{path}");
                    // Only now is the next one made.
                    if let Some(next) = parts.get(index + 1) {
                        steps.send(Step::Chunk(next.clone())).unwrap();
                    }
                }
                drop(steps);
                assert_eq!(soon("the end", answer.chunk()).await.unwrap(), None);
            }
        }
    });
}

#[test]
fn parts_that_end_anywhere_pass_unchanged() {
    run(async {
        let stage = plain().await;
        let whole: Vec<u8> = ndjson(&["gr\u{fc}n", "\u{1f600}"]).concat();
        let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let steps = stage.engine.plan_steps(&case, "application/x-ndjson");
        for byte in &whole {
            steps.send(Step::Chunk(vec![*byte])).unwrap();
        }
        drop(steps);
        let answer = Answer::to(request.json(&chat("hi"))).await;
        assert_eq!((answer.status, answer.body), (200, whole));
    });
}

#[test]
fn a_cut_stream_is_visibly_cut() {
    run(async {
        let stage = plain().await;
        for path in ["/api/chat", "/v1/chat/completions", "/anything"] {
            let case = unique("cut");
            let steps = stage.engine.plan_steps(&case, "application/x-ndjson");
            steps.send(Step::Chunk(b"{\"half\":".to_vec())).unwrap();
            let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
            let case_line = format!("x-case: {case}");
            let lines: [&[u8]; 3] = [token.as_bytes(), case_line.as_bytes(), b"Content-Length: 2"];
            let mut raw = Raw::connect(stage.gateway.address()).await;
            raw.send([head(&format!("POST {path}"), &lines), b"{}".to_vec()].concat()).await;
            let (status, _) = raw.head().await.expect("a head");
            assert_eq!(status, 200);
            let first = soon("the first part", raw.reader.chunk()).await.unwrap();
            assert_eq!(first.as_deref(), Some(b"{\"half\":".as_slice()));
            steps.send(Step::Cut).unwrap();
            assert!(raw.rest().await.is_err(), "{path}: the end looks like a good one");
        }
    });
}

#[test]
fn a_request_streams_to_the_engine_too() {
    run(async {
        let stage = plain().await;
        let case = unique("upload");
        let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
        let case_line = format!("x-case: {case}");
        let lines: [&[u8]; 3] =
            [token.as_bytes(), case_line.as_bytes(), b"Transfer-Encoding: chunked"];
        let mut raw = Raw::connect(stage.gateway.address()).await;
        raw.send(head("POST /api/create", &lines)).await;
        for part in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
            raw.send(part).await;
        }
        assert_eq!(raw.answer().await.status, 200);
        assert_eq!(stage.engine.request(&case).await.body, b"onetwo");
    });
}
