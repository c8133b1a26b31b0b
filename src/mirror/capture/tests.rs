#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use super::super::wire::Records;
use super::*;

#[test]
fn paths_have_a_kind_and_some_are_not_mirrored() {
    let rows = [
        ("/api/chat", true, Kind::Chat),
        ("/api/generate", true, Kind::Chat),
        ("/v1/chat/completions", true, Kind::Chat),
        ("/v1/completions", true, Kind::Chat),
        ("/v1/responses", true, Kind::Chat),
        ("/v1/messages", true, Kind::Chat),
        ("/api/chat/", true, Kind::Proxy),
        ("/api/chats", true, Kind::Proxy),
        ("/API/CHAT", true, Kind::Proxy),
        ("/api/tags", true, Kind::Proxy),
        ("/v1/models", true, Kind::Proxy),
        ("/", true, Kind::Proxy),
        ("", true, Kind::Proxy),
        ("*", true, Kind::Proxy),
        ("/agents/planner", true, Kind::Proxy),
        ("/tasks/send", true, Kind::Task),
        ("/a2a", true, Kind::Task),
        ("/a2a/tasks/send", true, Kind::Task),
        ("/a2another", true, Kind::Proxy),
        ("/tasksend", true, Kind::Proxy),
        ("/tasks/status/1", false, Kind::Task),
        ("/a2a/tasks/status/1", false, Kind::Task),
        ("/healthz", false, Kind::Proxy),
        ("/readyz", false, Kind::Proxy),
        ("/healthzz", true, Kind::Proxy),
        ("/auth/config", false, Kind::Proxy),
        ("/auth", true, Kind::Proxy),
        ("/.well-known/oauth-protected-resource", false, Kind::Proxy),
        ("/.well-known/oauth-protected-resource/mcp/search", false, Kind::Proxy),
        ("/.well-known/agent-card.json", false, Kind::Proxy),
        ("/.well-known/agent.json", false, Kind::Proxy),
        ("/.well-known/other", true, Kind::Proxy),
        ("/mem", false, Kind::Proxy),
        ("/mem/events", false, Kind::Proxy),
        ("/memory", true, Kind::Proxy),
        ("/v1/logs", false, Kind::Proxy),
    ];
    for (path, mirrored, kind) in rows {
        assert_eq!((is_mirrored(path), kind_of(path)), (mirrored, kind), "{path}");
    }
}

/// As the host does it: copies what is wanted of each chunk, no more.
fn feed_request(capture: &mut Capture, chunk: &[u8]) {
    let copied = &chunk[..capture.request_room().min(chunk.len())];
    capture.request_chunk(chunk.len(), copied);
}

fn feed_response(capture: &mut Capture, elapsed_ms: u64, chunk: &[u8]) {
    let copied = &chunk[..capture.response_room().min(chunk.len())];
    capture.response_chunk(elapsed_ms, chunk.len(), copied);
}

#[test]
fn bodies_are_kept_up_to_the_cap_however_they_are_cut() {
    let body: Vec<u8> = (0..100_u8).collect();
    for cap in [0, 1, 50, 99, 100, 101] {
        for size in [1, 3, 50, 99, 100, 200] {
            let mut capture = Capture::new(cap);
            for chunk in body.chunks(size) {
                feed_request(&mut capture, chunk);
                feed_response(&mut capture, 1, chunk);
            }
            let (meta, request, response) = capture.finish(Exchange::default());
            let kept = cap.min(100);
            assert_eq!((request.as_slice(), response.as_slice()), (&body[..kept], &body[..kept]));
            assert_eq!((meta.request_bytes, meta.response_bytes), (100, 100));
            assert_eq!((meta.request_len as usize, meta.response_len as usize), (kept, kept));
            assert_eq!(meta.truncated, cap < 100, "cap {cap}, chunks of {size}");
        }
    }
}

#[test]
fn a_long_stream_is_counted_without_being_kept() {
    let mut capture = Capture::new(256 << 10);
    let chunk = vec![b'x'; 16 << 10];
    for _ in 0..1_000 {
        feed_response(&mut capture, 0, &chunk);
    }
    assert_eq!(capture.response_room(), 0);
    assert!(capture.response.bytes.capacity() <= 256 << 10);
    for _ in 0..1_000_000 {
        capture.response_chunk(0, 1 << 20, &[]);
    }
    let (meta, _, response) = capture.finish(Exchange::default());
    assert_eq!(response.len(), 256 << 10);
    assert_eq!(meta.response_bytes, (1_000 << 14) + (1_000_000 << 20));
    assert!(meta.truncated);
}

#[test]
fn memory_is_taken_as_bytes_come_and_never_past_the_cap() {
    let mut capture = Capture::new(100_000);
    assert_eq!(capture.request.bytes.capacity(), 0);
    for _ in 0..1_000 {
        feed_request(&mut capture, &[7; 333]);
        let bytes = &capture.request.bytes;
        assert!(bytes.capacity() <= (2 * bytes.len()).min(100_000));
    }
    assert_eq!(capture.request.bytes.len(), 100_000);
}

#[test]
fn the_cap_itself_is_capped() {
    assert_eq!(Capture::new(usize::MAX).request_room(), MAX_CAPTURE);
}

#[test]
fn a_chunk_that_could_not_be_copied_leaves_no_gap() {
    let mut capture = Capture::new(100);
    capture.request_chunk(4, b"abcd");
    capture.request_chunk(4, b"ef");
    assert_eq!(capture.request_room(), 0);
    capture.request_chunk(4, b"ijkl");
    capture.request_chunk(0, b"");
    let (meta, request, _) = capture.finish(Exchange::default());
    assert_eq!(request, b"abcdef");
    assert_eq!((meta.request_bytes, meta.truncated), (12, true));
}

#[test]
fn more_bytes_than_the_chunk_has_are_not_believed() {
    let mut capture = Capture::new(100);
    capture.request_chunk(2, b"abcd");
    let (meta, request, _) = capture.finish(Exchange::default());
    assert_eq!((request.as_slice(), meta.request_bytes, meta.truncated), (&b"ab"[..], 2, false));
}

#[test]
fn a_rewritten_request_is_kept_with_the_clients_length() {
    let rows: [(&[u8], usize, bool); 3] =
        [(b"{\"a\":1}", 7, false), (b"", 0, false), (b"12345678", 7, true)];
    for (rewritten, kept, truncated) in rows {
        let mut capture = Capture::new(7);
        capture.request_chunk(1_000, &[]);
        capture.replace_request(rewritten);
        let (meta, request, _) = capture.finish(Exchange::default());
        assert_eq!(request, &rewritten[..kept]);
        assert_eq!((meta.request_bytes, meta.truncated), (1_000, truncated));
    }
}

#[test]
fn the_first_marks_tell_when_bytes_came() {
    let mut capture = Capture::new(10);
    capture.response_chunk(5, 0, b"");
    for at in 0..40_u64 {
        feed_response(&mut capture, 10 + at, b"abc");
    }
    let (meta, _, _) = capture.finish(Exchange::default());
    let expected: Vec<[u64; 2]> = (0..16).map(|at| [3 * at, 10 + at]).collect();
    assert_eq!(meta.marks, expected);
}

#[test]
fn the_first_headers_tell_the_first_byte() {
    let mut capture = Capture::new(10);
    capture.response_headers(12);
    capture.response_headers(90);
    assert_eq!(capture.finish(Exchange::default()).0.first_byte_ms, Some(12));
    assert_eq!(Capture::new(10).finish(Exchange::default()).0.first_byte_ms, None);
}

#[test]
fn what_the_host_knows_reaches_the_record() {
    let text = |value: &str| Some(value.to_owned());
    let exchange = Exchange {
        id: "id".into(),
        time_ms: 1,
        kind: Kind::Chat,
        user: text("user"),
        issuer: text("issuer"),
        agent: text("agent"),
        session: text("session"),
        sid: "sid".into(),
        trace_id: text("trace"),
        task: text("task"),
        method: "POST".into(),
        path: "/api/chat".into(),
        status: 200,
        outcome: Outcome::Complete,
        duration_ms: 2,
        request_type: text("a/b"),
        response_type: text("c/d"),
        request_encoding: text("gzip"),
        response_encoding: text("br"),
    };
    let mut capture = Capture::new(10);
    feed_request(&mut capture, b"in");
    capture.response_headers(3);
    feed_response(&mut capture, 4, b"out");
    let expected = Meta {
        v: 1,
        id: "id".into(),
        time_ms: 1,
        kind: Kind::Chat,
        user: text("user"),
        issuer: text("issuer"),
        agent: text("agent"),
        session: text("session"),
        sid: "sid".into(),
        trace_id: text("trace"),
        task: text("task"),
        method: "POST".into(),
        path: "/api/chat".into(),
        status: 200,
        outcome: Outcome::Complete,
        first_byte_ms: Some(3),
        duration_ms: 2,
        request_bytes: 2,
        response_bytes: 3,
        request_len: 2,
        response_len: 3,
        truncated: false,
        request_type: text("a/b"),
        response_type: text("c/d"),
        request_encoding: text("gzip"),
        response_encoding: text("br"),
        marks: vec![[0, 4]],
    };
    let mut out = b"before".to_vec();
    capture.encode(exchange, &mut out);
    let record = Records::new(&out[6..]).next().unwrap().unwrap();
    assert_eq!((record.request, record.response), (&b"in"[..], &b"out"[..]));
    assert_eq!(record.meta, expected);
}
