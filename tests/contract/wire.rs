//! The record as it travels. Filters and mirror-services of different releases meet, so these
//! files only ever gain companions.

use attach_filter::mirror::wire::{Kind, Meta, Outcome, Record, Records, encode};

const CHAT: &[u8] = include_bytes!("wire/chat.record");
const LEAST: &[u8] = include_bytes!("wire/least.record");

/// Every field set; bodies that could be taken for lines.
fn chat() -> (Meta, &'static [u8], &'static [u8]) {
    let text = |value: &str| Some(value.to_owned());
    let meta = Meta {
        v: 1,
        id: "018bcfe5-6800-7001-8203-040506070809".to_owned(),
        time_ms: 1_700_000_000_000,
        kind: Kind::Chat,
        user: text("alice%20b"),
        issuer: text("https://id.example.com/"),
        agent: text("cli"),
        session: Some("a9".repeat(32)),
        sid: "s-1".to_owned(),
        trace_id: text("4bf92f3577b34da6a3ce929d0e0e4736"),
        task: text("t-1"),
        method: "POST".to_owned(),
        path: "/api/chat".to_owned(),
        status: 200,
        outcome: Outcome::Complete,
        first_byte_ms: Some(12),
        duration_ms: 345,
        request_bytes: 17,
        response_bytes: 300_000,
        request_len: 17,
        response_len: 8,
        truncated: true,
        request_type: text("application/json"),
        response_type: text("application/x-ndjson"),
        request_encoding: text("identity"),
        response_encoding: text("gzip"),
        marks: vec![[0, 12], [5, 40]],
    };
    (meta, b"{\"messages\":[ ]}\n", b"\x00\n\xff{\"v\":")
}

/// Only what every record has.
fn least() -> Meta {
    Meta {
        v: 1,
        id: "018bcfe5-6800-7001-8203-04050607080a".to_owned(),
        time_ms: 0,
        kind: Kind::Proxy,
        user: None,
        issuer: None,
        agent: None,
        session: None,
        sid: "0aff009c".to_owned(),
        trace_id: None,
        task: None,
        method: "GET".to_owned(),
        path: "/api/tags".to_owned(),
        status: 0,
        outcome: Outcome::Aborted,
        first_byte_ms: None,
        duration_ms: 0,
        request_bytes: 0,
        response_bytes: 0,
        request_len: 0,
        response_len: 0,
        truncated: false,
        request_type: None,
        response_type: None,
        request_encoding: None,
        response_encoding: None,
        marks: Vec::new(),
    }
}

#[test]
fn records_are_written_as_documented() {
    let (meta, request, response) = chat();
    let mut out = Vec::new();
    encode(&meta, request, response, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(CHAT));
    assert_eq!(out, CHAT);
    out.clear();
    encode(&least(), b"", b"", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(LEAST));
}

#[test]
fn documented_records_are_read() {
    let batch = [CHAT, LEAST, CHAT].concat();
    let (meta, request, response) = chat();
    let chat = Record { meta, request, response };
    let least = Record { meta: least(), request: b"", response: b"" };
    let read: Vec<_> = Records::new(&batch).collect();
    assert_eq!(read, [Ok(chat.clone()), Ok(least), Ok(chat)]);
}

#[test]
fn a_later_release_may_add_fields() {
    let line = String::from_utf8_lossy(LEAST).replace("{\"v\":1,", "{\"later\":[{}],\"v\":1,");
    let read: Vec<_> = Records::new(line.as_bytes()).collect();
    assert_eq!(read, [Ok(Record { meta: least(), request: b"", response: b"" })]);
}

#[test]
fn names_of_kinds_and_outcomes_are_fixed() {
    let kinds = [
        (Kind::Chat, "\"chat\""),
        (Kind::Proxy, "\"proxy\""),
        (Kind::Task, "\"task\""),
        (Kind::Log, "\"log\""),
    ];
    for (kind, name) in kinds {
        assert_eq!(serde_json::to_string(&kind).ok().as_deref(), Some(name));
    }
    let outcomes = [
        (Outcome::Complete, "\"complete\""),
        (Outcome::Cut, "\"cut\""),
        (Outcome::Aborted, "\"aborted\""),
    ];
    for (outcome, name) in outcomes {
        assert_eq!(serde_json::to_string(&outcome).ok().as_deref(), Some(name));
    }
}
