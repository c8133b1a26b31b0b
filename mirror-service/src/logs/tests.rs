#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write as _;

use axum::body::Body;
use serde_json::{Value, json};

use super::otlp::tests::{protobuf, rejected};
use super::*;
use crate::Settings;
use crate::testing::{Answer, Service, asked, dir};

async fn post(service: &Service, kind: &str, coding: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = asked("POST", "/v1/logs", "alice", "")
        .header("content-type", kind)
        .header("x-attach-session", "the-session")
        .header("x-session-id", "the-sid")
        .header("x-attach-agent", "the-agent")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    if let Some(coding) = coding {
        request = request.header("content-encoding", coding);
    }
    service.send(request.body(Body::from(body)).unwrap()).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simple_shape_becomes_the_callers_redacted_event() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let body = json!({
        "run_id": "run-7", "level": "error", "message": "login failed, password=hunter2",
        "timestamp": "2026-01-02T03:04:05.678Z", "agent": "claims to be root", "user": "root",
    });
    let answer = post(&service, "application/json", None, body.to_string().into()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    service.settled().await;
    let events = service.get("/mem/events?sid=run-7", "alice").await.list("events");
    let event = &events[0];
    assert_eq!(event["kind"], "log");
    assert_eq!(
        event["prompt"],
        "login failed, password=[redacted:password]\nlevel: error\nrun_id: run-7"
    );
    assert_eq!(event["redactions"]["password"], 1);
    assert_eq!(event["time"], "2026-01-02T03:04:05.678Z");
    assert_eq!((&event["user"], &event["session"]), (&"alice".into(), &"the-session".into()));
    assert_eq!(event["agent"], "the-agent");
    assert_eq!(event["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(service.get("/mem/events", "root").await.list("events").len(), 0);
    assert_eq!(service.get("/mem/search?q=login", "alice").await.list("events").len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_is_taken_in_both_encodings_plain_and_gzip() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [
            {"timeUnixNano": "1767323045678000000", "severityNumber": 17, "severityText": "ERROR",
             "body": {"stringValue": "json otter"}, "traceId": "5B8EFFF798038103D269B633813FC60C",
             "attributes": [{"key": "n", "value": {"intValue": "5"}},
                {"key": "m", "value": {"kvlistValue": {"values": [{"key": "d", "value": {"doubleValue": 1.5}}]}}},
                {"key": "run_id", "value": {"stringValue": "run-9"}}]},
            {"observedTimeUnixNano": 1767323045678000000u64, "attributes": null},
        ]}],
    }]}).to_string();
    for coding in [None, Some("gzip")] {
        let bytes = if coding.is_some() { gzip(body.as_bytes()) } else { body.clone().into() };
        let answer = post(&service, "application/json; charset=utf-8", coding, bytes).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["partialSuccess"]["rejectedLogRecords"], "1");
        let bytes = protobuf(&["protobuf otter", ""]);
        let bytes = if coding.is_some() { gzip(&bytes) } else { bytes };
        let answer = post(&service, "application/x-protobuf", coding, bytes).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "application/x-protobuf");
        assert_eq!(rejected(&answer.body), Some(1));
    }
    let answer = post(&service, "application/x-protobuf", None, protobuf(&["only otter"])).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    service.settled().await;
    let hits = service.get("/mem/search?q=otter", "alice").await.list("events");
    assert_eq!(hits.len(), 5);
    let find =
        |word: &str| hits.iter().find(|hit| hit["prompt"].as_str().unwrap().starts_with(word));
    let event = find("json").unwrap();
    assert_eq!(
        event["prompt"],
        "json otter\nn: 5\nm: {\"d\":1.5}\nrun_id: run-9\nlevel: ERROR\nservice.name: shop"
    );
    assert_eq!(event["sid"], "run-9");
    assert_eq!(event["trace_id"], "5b8efff798038103d269b633813fc60c");
    let event = find("protobuf").unwrap();
    assert_eq!(event["prompt"], "protobuf otter\nlevel: ERROR\nservice.name: shop");
    assert_eq!(
        (&event["sid"], &event["time"]),
        (&"the-sid".into(), &"2026-01-02T03:04:05.678Z".into())
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_log_is_refused_by_name() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let json = "application/json";
    let cases: &[(&str, Option<&str>, Vec<u8>, u16)] = &[
        (json, None, b"{".to_vec(), 400),
        (json, None, b"[]".to_vec(), 400),
        (json, None, br#"{"level":"info","message":"x"}"#.to_vec(), 400),
        (json, None, br#"{"run_id":"r","message":"x"}"#.to_vec(), 400),
        (json, None, br#"{"run_id":"r","level":"info","message":{}}"#.to_vec(), 400),
        (
            json,
            None,
            br#"{"run_id":"r","level":"info","message":"x","timestamp":"noon"}"#.to_vec(),
            400,
        ),
        (json, None, br#"{"resourceLogs":5}"#.to_vec(), 400),
        ("application/x-protobuf", None, b"\xff\xff\xff".to_vec(), 400),
        (json, Some("gzip"), b"not gzip".to_vec(), 400),
        (json, Some("br"), b"x".to_vec(), 415),
        ("text/plain", None, b"x".to_vec(), 415),
        (json, None, vec![b' '; 5 << 20], 413),
        (json, Some("gzip"), gzip(&vec![b' '; 20 << 20]), 413),
    ];
    for (kind, coding, body, status) in cases {
        let answer = post(&service, kind, *coding, body.clone()).await;
        assert_eq!(answer.status.as_u16(), *status, "{kind} {coding:?} {}", body.len());
        assert!(answer.json()["code"].is_string());
    }
    for body in [&br#"{"run_id":7,"level":"info","message":"x","timestamp":1767323045.5}"#[..], br#"{"run_id":"spaces in it","level":"info","message":"x","timestamp":"2026-01-02T03:04:05"}"#] {
        assert_eq!(post(&service, json, None, body.to_vec()).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(post(&service, json, None, b"{}".to_vec()).await.status, StatusCode::OK);
    service.settled().await;
    let events = service.get("/mem/events", "alice").await.list("events");
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["sid"], Value::from("the-sid"));
    let nobody = axum::http::Request::post("/v1/logs").body(Body::from("{}")).unwrap();
    assert_eq!(service.send(nobody).await.status, StatusCode::UNAUTHORIZED);
    service.stop().await;
}
