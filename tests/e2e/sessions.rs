//! `X-Session-ID`, `X-Request-Id` and trace context: passed on, made if absent.

use crate::client::Answer;
use crate::stage::plain;
use crate::wait::{run, unique};

#[test]
fn a_good_session_id_is_kept_and_anything_else_replaced() {
    run(async {
        let stage = plain().await;
        let longest = "a".repeat(64);
        let too_long = "a".repeat(65);
        for (sent, kept) in [
            (vec!["chain-7.B_x"], true),
            (vec![longest.as_str()], true),
            (vec!["x"], true),
            (vec![too_long.as_str()], false),
            (vec!["a b"], false),
            (vec!["a/b"], false),
            (vec!["a=b;c"], false),
            (vec![""], false),
            (vec!["one", "two"], false),
            (vec![], false),
        ] {
            let (case, mut request) = stage.signed(stage.gateway.get("/api/tags"), "alice");
            for value in &sent {
                request = request.header("x-session-id", *value);
            }
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, 200);
            let sid = answer.header("x-session-id").expect("a session id").to_owned();
            if kept {
                assert_eq!(sid, sent[0]);
            } else {
                assert_eq!(sid.len(), 8, "{sent:?} became {sid}");
                assert!(sid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{sid}");
            }
            assert_eq!(stage.engine.request(&case).await.all("x-session-id"), [sid]);
        }
    });
}

#[test]
fn made_session_ids_differ() {
    run(async {
        let stage = plain().await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            let answer = Answer::to(stage.gateway.get("/api/tags")).await;
            ids.push(answer.header("x-session-id").unwrap().to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20);
    });
}

#[test]
fn trace_context_and_request_id_pass_on_and_are_made() {
    run(async {
        let stage = plain().await;
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request_id = unique("request");
        let (case, request) = stage.signed(stage.gateway.get("/api/tags"), "alice");
        let request = request
            .header("traceparent", parent)
            .header("tracestate", "vendor=1")
            .header("x-request-id", &request_id);
        assert_eq!(Answer::to(request).await.status, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.all("traceparent"), [parent]);
        assert_eq!(seen.all("tracestate"), ["vendor=1"]);
        assert_eq!(seen.all("x-request-id"), [request_id]);

        for broken in [None, Some("00-0-0-00"), Some("ff-4BF92F3577B34DA6A3CE929D0E0E4736-x")] {
            let (case, mut request) = stage.signed(stage.gateway.get("/api/tags"), "alice");
            if let Some(broken) = broken {
                request = request.header("traceparent", broken).header("tracestate", "vendor=1");
            }
            assert_eq!(Answer::to(request).await.status, 200);
            let seen = stage.engine.request(&case).await;
            let made = seen.all("traceparent");
            assert_eq!(made.len(), 1);
            let parts: Vec<&str> = made[0].split('-').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            assert_eq!((parts[0], lengths), ("00", vec![2, 32, 16, 2]), "{made:?}");
            assert!(seen.all("tracestate").is_empty());
            assert_eq!(seen.all("x-request-id").len(), 1);
        }
    });
}
