//! The mirror: what is captured, and that nothing is lost, doubled or miscounted when the
//! mirror-service misbehaves.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use attach_filter::mirror::wire::{Kind, Outcome};
use serde_json::json;

use crate::gateway::{Gateway, MIRROR, records};
use crate::host::{Answer, Call, Headers};

/// Longest time that a record may lie at rest.
const REST_MS: u64 = 2_000;

fn ids(batches: &[Call]) -> Vec<String> {
    batches.iter().flat_map(|call| records(&call.body)).map(|record| record.meta.id).collect()
}

#[test]
fn an_exchange_is_mirrored() {
    let gateway = Gateway::new();
    let body = r#"{"model":"m","messages":[]}"#;
    let stream = gateway.chat(body);
    gateway.proxy.advance(40);
    stream.respond_headers(200, Headers::new([("content-type", "application/x-ndjson")]), false);
    for (piece, end) in [("{\"a\":1}\n", false), ("{\"b\":2}\n", true)] {
        gateway.proxy.advance(10);
        stream.respond_body(piece, end);
        assert!(stream.client_side().body().ends_with(piece.as_bytes()), "passed on at once");
    }
    gateway.proxy.advance(100);
    let mirrored = gateway.mirrored();
    let [one] = mirrored.as_slice() else { panic!("{mirrored:?}") };
    let meta = &one.meta;
    assert_eq!((meta.kind, meta.outcome, meta.status), (Kind::Chat, Outcome::Complete, 200));
    assert_eq!((meta.method.as_str(), meta.path.as_str()), ("POST", "/api/chat"));
    assert_eq!(meta.user.as_deref(), Some("alice"));
    assert_eq!(meta.issuer.as_deref(), Some("https://id.test"));
    assert_eq!(meta.session, stream.forwarded_header("x-attach-session"));
    assert_eq!(Some(&meta.sid), stream.forwarded_header("x-session-id").as_ref());
    assert_eq!((meta.first_byte_ms, meta.duration_ms), (Some(40), 60));
    assert_eq!(meta.marks, [[0, 50], [8, 60]]);
    assert_eq!(meta.response_type.as_deref(), Some("application/x-ndjson"));
    assert_eq!((one.request.as_slice(), one.response.len()), (body.as_bytes(), 16));
    assert!(!meta.truncated);
    assert_eq!(gateway.counters(), [1, 1, 0, 0]);
}

#[test]
fn a_batch_carries_the_token_of_the_service_and_none_of_the_client() {
    let gateway = Gateway::with(1, |config| config["mirror"]["token"] = json!("mirror-token"));
    let token = gateway.token();
    gateway.exchange("hello");
    gateway.proxy.advance(100);
    let batches = gateway.proxy.history(MIRROR);
    let headers = &batches[0].headers;
    assert_eq!(headers.text("authorization").as_deref(), Some("Bearer mirror-token"));
    assert_eq!(headers.text("content-type").as_deref(), Some("application/x-attach-records"));
    assert!(batches[0].timeout_ms > 0);
    let text = String::from_utf8_lossy(&batches[0].body).into_owned();
    assert!(!text.contains(&token) && !text.contains("Bearer"));
    for secret in ["mirror-token", &token, "hello"] {
        gateway.proxy.assert_not_logged(secret);
    }
}

#[test]
fn copies_are_bounded_and_streams_are_not() {
    let gateway = Gateway::with(1, |config| config["mirror"]["capture_bytes"] = json!(1_000));
    let stream = gateway.chat(&"q".repeat(5_000));
    stream.respond_headers(200, Headers::default(), false);
    for _ in 0..100 {
        stream.respond_body("a".repeat(1_000), false);
    }
    stream.respond_body("", true);
    assert_eq!(stream.forwarded().body().len(), 5_000);
    assert_eq!(stream.client_side().body().len(), 100_000);
    gateway.proxy.advance(100);
    let one = &gateway.mirrored()[0];
    assert_eq!((one.request.len(), one.response.len()), (1_000, 1_000));
    assert_eq!((one.meta.request_bytes, one.meta.response_bytes), (5_000, 100_000));
    assert!(one.meta.truncated);
}

#[test]
fn a_rewritten_body_is_mirrored_as_the_engine_got_it() {
    let gateway = Gateway::with(1, |config| config["engine"]["model"] = json!("tiny"));
    let request = gateway.proxy.worker(0).post("/tasks/send", r#"{"prompt":"Hello"}"#);
    let stream = request.bearer(&gateway.token()).send();
    stream.respond(200, Headers::default(), &[b"{}"]);
    gateway.proxy.advance(100);
    let one = &gateway.mirrored()[0];
    assert_eq!(one.request, stream.forwarded().body());
    assert_eq!((one.meta.kind, one.meta.request_bytes), (Kind::Task, 18));
    assert_eq!(one.meta.task, stream.client_got().unwrap().headers.text("x-attach-task"));
}

#[test]
fn public_routes_and_memory_are_not_mirrored_but_engine_faults_are() {
    let gateway = Gateway::new();
    let token = gateway.token();
    for path in ["/healthz", "/auth/config"] {
        gateway.proxy.worker(0).get(path).send();
    }
    let memory = gateway.proxy.worker(0).get("/mem/events").bearer(&token).send();
    memory.respond(200, Headers::default(), &[b"{}"]);
    assert_eq!(gateway.counters(), [0; 4]);
    for (status, details) in [(503, "no_healthy_upstream"), (504, "response_timeout")] {
        gateway.chat("{}").router_error(status, details);
    }
    gateway.proxy.advance(100);
    let statuses: Vec<u16> = gateway.mirrored().iter().map(|one| one.meta.status).collect();
    assert_eq!(statuses, [503, 504]);
    assert!(gateway.mirrored().iter().all(|one| one.meta.outcome == Outcome::Complete));
}

#[test]
fn many_exchanges_travel_in_few_batches() {
    let gateway = Gateway::with(2, |_| {});
    for _ in 0..200 {
        gateway.exchange("x");
    }
    gateway.proxy.advance(REST_MS);
    assert_eq!(gateway.counters(), [200, 200, 0, 0]);
    let batches = gateway.proxy.history(MIRROR);
    assert!(batches.len() <= 20, "{} batches", batches.len());
    let unique: BTreeSet<String> = ids(&batches).into_iter().collect();
    assert_eq!(unique.len(), 200);
}

/// What a misbehaving mirror-service does, and whether it has stored the batch all the same.
type Fault = (&'static str, fn() -> Answer);

const FAULTS: &[Fault] = &[
    ("down", || Answer::Refuse),
    ("broken off", || Answer::Break),
    ("500", || Answer::status(500)),
    ("503", || Answer::status(503)),
    ("429", || Answer::Respond {
        status: 429,
        headers: Headers::new([("retry-after", "1")]),
        body: Vec::new(),
    }),
    ("429 for an hour", || Answer::Respond {
        status: 429,
        headers: Headers::new([("retry-after", "3600")]),
        body: Vec::new(),
    }),
    ("hanging", || Answer::Hang),
    ("slow", || Answer::After(3_000, Box::new(Answer::status(202)))),
    ("late failure", || Answer::After(4_000, Box::new(Answer::Break))),
    ("garbage", || Answer::Respond {
        status: 200,
        headers: Headers::new([("x", b"\xff\xfe")]),
        body: vec![0xff; 1_000],
    }),
];

#[test]
fn faults_lose_nothing_and_count_everything() {
    for (case, fault) in FAULTS {
        let gateway = Gateway::new();
        gateway.proxy.serve(MIRROR, move |_| fault());
        for round in 0..30 {
            gateway.exchange("x");
            gateway.proxy.advance(100);
            assert_eq!(gateway.counters()[0], round + 1, "{case}");
        }
        gateway.serve_mirror();
        gateway.proxy.advance(5_000 + REST_MS);
        let [captured, acknowledged, waiting, dropped] = gateway.counters();
        assert_eq!((captured, waiting, dropped), (30, 0, 0), "{case}");
        assert_eq!(acknowledged, 30, "{case}");
        let sent: BTreeSet<String> = ids(&gateway.proxy.history(MIRROR)).into_iter().collect();
        assert_eq!(sent.len(), 30, "{case}: each record was sent, under one id");
        gateway.proxy.assert_no_trap();
    }
}

#[test]
fn a_service_that_is_back_gets_everything_within_two_seconds() {
    let gateway = Gateway::new();
    gateway.proxy.serve(MIRROR, |_| Answer::Refuse);
    for minutes in [1, 5] {
        gateway.exchange("x");
        gateway.proxy.advance(minutes * 60_000);
        let before = gateway.mirrored().len();
        gateway.serve_mirror();
        gateway.proxy.advance(REST_MS);
        assert_eq!(gateway.mirrored().len(), before + 1, "after {minutes} min");
        assert_eq!(gateway.counters()[2], 0);
        gateway.proxy.serve(MIRROR, |_| Answer::Refuse);
    }
}

#[test]
fn retries_are_paced() {
    let gateway = Gateway::new();
    gateway.proxy.serve(MIRROR, |_| Answer::Refuse);
    gateway.exchange("x");
    gateway.proxy.advance(60_000);
    let calls = gateway.proxy.history(MIRROR).len();
    assert!((30..=700).contains(&calls), "{calls} calls in a minute");
}

#[test]
fn a_call_that_cannot_leave_is_tried_again() {
    let gateway = Gateway::new();
    gateway.proxy.set_cluster_open(MIRROR, false);
    gateway.exchange("x");
    gateway.proxy.advance(5_000);
    assert_eq!(gateway.counters(), [1, 0, 1, 0]);
    gateway.proxy.set_cluster_open(MIRROR, true);
    gateway.proxy.advance(REST_MS);
    assert_eq!(gateway.counters(), [1, 1, 0, 0]);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let gateway = Gateway::with(1, |config| config["mirror"]["queue_bytes"] = json!(20_000));
    gateway.proxy.serve(MIRROR, |_| Answer::Refuse);
    for _ in 0..50 {
        gateway.exchange(&"x".repeat(2_000));
        gateway.proxy.advance(50);
    }
    let [captured, acknowledged, waiting, dropped] = gateway.counters();
    assert_eq!((captured, acknowledged), (50, 0));
    assert!((5..=10).contains(&waiting) && dropped >= 40, "{waiting} wait, {dropped} dropped");
    gateway.serve_mirror();
    gateway.proxy.advance(REST_MS);
    // The newest are dropped: what was there first is kept.
    assert_eq!(gateway.mirrored().len() as u64, waiting);
    assert_eq!(gateway.counters(), [50, waiting, 0, dropped]);
}

#[test]
fn requests_never_wait_for_the_mirror() {
    let gateway = Gateway::new();
    gateway.proxy.serve(MIRROR, |_| Answer::Hang);
    for _ in 0..20 {
        let stream = gateway.chat("{}");
        assert!(stream.forwarded().complete);
        stream.respond(200, Headers::default(), &[b"a", b"b"]);
        assert_eq!(stream.client_got().unwrap().body, b"ab");
        assert!(stream.is_over());
    }
}

#[test]
fn an_answer_that_is_lost_makes_a_second_delivery_under_the_same_id() {
    let gateway = Gateway::new();
    let lost = Rc::new(Cell::new(0));
    let counter = Rc::clone(&lost);
    gateway.proxy.serve(MIRROR, move |_| {
        counter.set(counter.get() + 1);
        if counter.get() == 1 { Answer::Break } else { Answer::status(202) }
    });
    gateway.exchange("x");
    gateway.proxy.advance(REST_MS);
    let sent = ids(&gateway.proxy.history(MIRROR));
    assert_eq!((sent.len(), sent.first()), (2, sent.last()));
    assert_eq!(gateway.counters(), [1, 1, 0, 0]);
}

#[test]
fn without_a_mirror_nothing_is_captured_or_sent() {
    let gateway = Gateway::with(1, |config| {
        config.as_object_mut().unwrap().remove("mirror");
    });
    gateway.exchange("x");
    gateway.proxy.advance(REST_MS);
    assert_eq!(gateway.counters(), [0; 4]);
    assert!(gateway.proxy.history(MIRROR).is_empty());
}

#[test]
fn clock_jumps_do_not_hold_records_back() {
    let gateway = Gateway::new();
    for jump in [-86_400_000, 86_400_000, -3_600_000] {
        gateway.exchange("x");
        gateway.proxy.jump_wall_clock(jump);
        gateway.proxy.advance(REST_MS);
        assert_eq!(gateway.counters()[2], 0, "after a jump of {jump}");
        // The token was signed by the clock before the jump.
        gateway.proxy.advance(REST_MS);
    }
}
