//! What was said is found again: by whoever said it, redacted, and by nobody else.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Answer, http};
use crate::engine::{Plan, Step, ndjson, sse, whole};
use crate::memory::{event, events, search, settled};
use crate::stage::{Stage, chat, plain, tuned};
use crate::wait::{run, soon, unique};

/// Sends a body with a session id of its own; gives that id and the answer.
async fn said(stage: &Stage, user: &str, path: &str, body: &Value) -> (String, Answer) {
    let (sid, request) = stage.signed(stage.gateway.post(path), user);
    let answer = Answer::to(request.header("x-session-id", &sid).json(body)).await;
    (sid, answer)
}

#[test]
fn an_exchange_is_an_event_of_its_owner() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("alice");
        let (sid, answer) = said(stage, "alice", "/api/chat", &chat("What is a lighthouse?")).await;
        assert_eq!(answer.status, 200);
        let event = event(&stage.gateway, &token, &sid).await;
        for (name, value) in [
            ("kind", json!("chat")),
            ("user", json!("alice")),
            ("issuer", json!(stage.issuer.url())),
            ("agent", Value::Null),
            ("sid", json!(sid)),
            ("method", json!("POST")),
            ("path", json!("/api/chat")),
            ("model", json!("tiny")),
            ("status", json!(200)),
            ("outcome", json!("complete")),
            ("answer", json!("Hello from the engine")),
            ("finish_reason", json!("stop")),
            ("input_tokens", json!(3)),
            ("output_tokens", json!(3)),
            ("response_bytes", json!(answer.body.len())),
            ("truncated", json!(false)),
        ] {
            assert_eq!(event.get(name), Some(&value), "{name} of {event}");
        }
        assert!(event["prompt"].as_str().unwrap().contains("What is a lighthouse?"), "{event}");
        let session = stage.engine.request(&sid).await.one("x-attach-session").unwrap();
        assert_eq!(event["session"], session);
        let parent = stage.engine.request(&sid).await.one("traceparent").unwrap();
        assert_eq!(event["trace_id"], parent.split('-').nth(1).unwrap());
        for name in ["id", "time", "duration_ms", "first_byte_ms", "request_bytes", "redactions"] {
            assert!(!event[name].is_null(), "{name} of {event}");
        }
    });
}

#[test]
fn only_its_owner_and_an_administrator_find_it() {
    run(async {
        let stage = plain().await;
        let word = unique("xylophone").replace('-', "");
        let (sid, _) =
            said(stage, "alice", "/api/chat", &chat(&format!("the {word} sounds"))).await;
        let alice = stage.issuer.token("alice");
        event(&stage.gateway, &alice, &sid).await;
        let found = search(&stage.gateway, &alice, &word).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["sid"], sid);
        assert!(found[0]["snippet"].is_string() && found[0]["score"].is_number(), "{}", found[0]);

        let claims = stage.issuer.claims("root").with("scope", "chat:run mem:admin");
        let admin = stage.issuer.sign(&claims);
        let shifted = stage.issuer.claims("root").with("scope", "chat:run mem:admin2");
        let bob = stage.issuer.token("bob");
        for (token, count) in [(&bob, 0), (&stage.issuer.sign(&shifted), 0), (&admin, 1)] {
            assert_eq!(search(&stage.gateway, token, &word).await.len(), count);
            let query = format!("sid={sid}");
            assert_eq!(events(&stage.gateway, token, &query).await.len(), count);
        }
        let spoof = stage.gateway.get(&format!("/mem/search?q={word}")).bearer_auth(&bob);
        let spoof = spoof.header("x-attach-user", "alice").header("x-attach-scope", "mem:admin");
        assert_eq!(Answer::to(spoof).await.json()["events"], json!([]));
        assert_eq!(Answer::to(stage.gateway.get("/mem/events")).await.status, 401);
    });
}

#[test]
fn every_dialect_is_joined_into_one_text() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("alice");
        let json = json!({"message": {"content": "all at once"}, "done": true}).to_string();
        for (path, kind, plan, answer) in [
            ("/tasks/send", "task", None, "Hello from the engine"),
            ("/v1/chat/completions", "chat", None, "Hello from the engine"),
            (
                "/api/chat",
                "chat",
                Some(whole(200, "application/json", json.as_bytes())),
                "all at once",
            ),
        ] {
            let (sid, request) = stage.signed(stage.gateway.post(path), "alice");
            if let Some(bytes) = plan {
                stage.engine.plan(&sid, Plan::Bytes(bytes));
            }
            let request = request.header("x-session-id", &sid).json(&chat("join"));
            assert_eq!(Answer::to(request).await.status, 200);
            let event = event(&stage.gateway, &token, &sid).await;
            assert_eq!((&event["kind"], &event["answer"]), (&json!(kind), &json!(answer)));
        }
    });
}

#[test]
fn secrets_are_redacted_even_when_they_come_a_piece_at_a_time() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("alice");
        // Put together here, so that nothing that looks like a key stands in a file.
        let secret = format!("sk-{}", "abc123XYZ".repeat(5));
        let pieces: Vec<&str> = secret.split_inclusive(|_: char| true).collect();
        for (path, content, parts) in [
            ("/api/chat", "application/x-ndjson", ndjson(&pieces)),
            ("/v1/chat/completions", "text/event-stream", sse(&pieces)),
        ] {
            let (sid, request) = stage.signed(stage.gateway.post(path), "alice");
            let steps = stage.engine.plan_steps(&sid, content);
            for part in parts {
                steps.send(Step::Chunk(part)).unwrap();
            }
            drop(steps);
            let body = chat(&format!("my key is {secret} and my token {token}"));
            let answer = Answer::to(request.header("x-session-id", &sid).json(&body)).await;
            assert_eq!(answer.status, 200);
            let event = event(&stage.gateway, &token, &sid).await;
            let text = event.to_string();
            assert!(!text.contains("abc123XYZ"), "{text}");
            assert!(!text.contains(&token), "{text}");
            assert!(event["redactions"] != json!(0) && event["redactions"] != json!({}), "{text}");
        }
    });
}

#[test]
fn what_goes_wrong_is_remembered_as_it_went() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("alice");
        let (sid, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let body = br#"{"error":"no such model"}"#;
        stage.engine.plan(&sid, Plan::Bytes(whole(500, "application/json", body)));
        Answer::to(request.header("x-session-id", &sid).json(&chat("hi"))).await;
        let failed = event(&stage.gateway, &token, &sid).await;
        assert_eq!((&failed["status"], &failed["outcome"]), (&json!(500), &json!("complete")));

        for (step, outcome) in [(Some(Step::Cut), "cut"), (None, "aborted")] {
            let (sid, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
            let steps = stage.engine.plan_steps(&sid, "application/x-ndjson");
            steps.send(Step::Chunk(ndjson(&["half"])[0].clone())).unwrap();
            let request = request.header("x-session-id", &sid).json(&chat("hi")).send();
            let mut answer = soon("the head", request).await.unwrap();
            soon("the first part", answer.chunk()).await.unwrap();
            if let Some(step) = step {
                steps.send(step).unwrap();
                assert!(soon("the cut", answer.chunk()).await.is_err());
            }
            drop(answer);
            let event = event(&stage.gateway, &token, &sid).await;
            assert_eq!(event["outcome"], outcome, "{event}");
            assert_eq!(event["answer"], "half");
        }
    });
}

#[test]
fn what_is_long_is_truncated_and_passes_whole() {
    run(async {
        let stage = tuned().await;
        let token = stage.issuer.token("alice");
        let long = "word ".repeat(100_000);
        let (sid, answer) = said(stage, "alice", "/api/chat", &chat(&long)).await;
        assert_eq!(answer.status, 200);
        let event = event(&stage.gateway, &token, &sid).await;
        assert_eq!(event["truncated"], true);
        assert!(event["request_bytes"].as_u64().unwrap() > 500_000);
        assert!(event["prompt"].as_str().unwrap_or_default().len() <= 256 << 10);
    });
}

#[test]
fn every_exchange_is_counted_once_and_stored_within_seconds() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        for index in 0..20 {
            stage.chat("alice", &format!("number {index}")).await;
        }
        // None of these is an exchange with the engine.
        for path in ["/healthz", "/readyz", "/auth/config", "/api/tags"] {
            Answer::to(stage.gateway.get(path)).await;
        }
        let token = stage.issuer.token("alice");
        events(&stage.gateway, &token, "").await;
        let start = Instant::now();
        let counters = settled(&stage.gateway, 20).await;
        println!("settled after {:?}: {counters:?}", start.elapsed());
        assert_eq!((counters.captured, counters.dropped), (20, 0));
        crate::wait::until("all are in memory", async || {
            (events(&stage.gateway, &token, "").await.len() == 20).then_some(())
        })
        .await;
        let own = stage.gateway.metrics("/metrics/mirror").await;
        assert!(own.contains("attach_store_stored"), "{own}");
    });
}

#[test]
fn pages_follow_one_another() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("pager");
        let mut sids = Vec::new();
        for index in 0..5 {
            sids.push(said(stage, "pager", "/api/chat", &chat(&format!("page {index}"))).await.0);
        }
        for sid in &sids {
            event(&stage.gateway, &token, sid).await;
        }
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/mem/events?limit=2{cursor}");
            let page = Answer::to(stage.gateway.get(&path).bearer_auth(&token)).await.json();
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= 2);
            found.extend(events.iter().map(|event| event["sid"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        found.sort();
        sids.sort();
        assert_eq!(found, sids);
    });
}

#[test]
fn a_session_is_erased_by_its_owner_only() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("forgetful");
        let (sid, _) = said(stage, "forgetful", "/api/chat", &chat("forget me")).await;
        let session = event(&stage.gateway, &token, &sid).await["session"].clone();
        let path = format!("/mem/sessions/{}", session.as_str().unwrap());
        let erase = async |token: &str| {
            Answer::to(http().delete(stage.gateway.url(&path)).bearer_auth(token)).await.status
        };
        assert_eq!(erase(&stage.issuer.token("bob")).await, 404);
        assert_eq!(events(&stage.gateway, &token, "").await.len(), 1);
        assert_eq!(erase(&token).await, 204);
        assert!(events(&stage.gateway, &token, "").await.is_empty());
    });
}
