#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use crate::Settings;
use crate::testing::{Answer, ISSUER, Service, asked, chat, dir, meta, record};

fn prompts(answer: &Answer) -> Vec<String> {
    answer.list("events").iter().map(|event| event["prompt"].as_str().unwrap().to_owned()).collect()
}

async fn all(service: &Service, path: &str, key: &str, field: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = service.get(&format!("{path}{cursor}"), "alice").await;
        found.extend(answer.list(key).iter().map(|item| item[field].as_str().unwrap().to_owned()));
        match &answer.json()["next"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_listed_and_found_with_all_its_keys() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let sent = meta("alice", 1_767_323_045);
    let batch = record(&sent, "What is the capital of France?", "It is Paris, of course.");
    assert_eq!(service.ingest(batch).await.status, StatusCode::ACCEPTED);
    service.settled().await;

    let answer = service.get("/mem/events", "alice").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let events = answer.list("events");
    assert_eq!(events.len(), 1);
    assert_eq!(answer.json()["next"], Value::Null);
    let event = &events[0];
    assert_eq!(event["id"], sent.id.as_str());
    assert_eq!(event["time"], "2026-01-02T03:04:05.000Z");
    assert_eq!(event["kind"], "chat");
    assert_eq!((&event["user"], &event["issuer"]), (&"alice".into(), &ISSUER.into()));
    assert_eq!(event["prompt"], "What is the capital of France?");
    assert_eq!(event["answer"], "It is Paris, of course.");
    assert_eq!((&event["input_tokens"], &event["output_tokens"]), (&3.into(), &4.into()));
    assert_eq!(event["agent"], Value::Null);

    let hits = service.get("/mem/search?q=paris", "alice").await.list("events");
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["id"], event["id"]);
    assert!(hits[0]["snippet"].as_str().unwrap().contains("Paris"));
    assert!(hits[0]["score"].as_f64().unwrap() > 0.0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_anothers_events_whatever_is_asked() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let mut other_issuer = meta("alice", 20);
    other_issuer.issuer = Some("https://other.example".into());
    other_issuer.session = Some("session-elsewhere".into());
    let sent = meta("alice", 10);
    service.ingest(record(&sent, "apple", "red")).await;
    service.ingest(record(&other_issuer, "apple elsewhere", "red")).await;
    let mut nobody = meta("", 30);
    nobody.user = None;
    nobody.issuer = None;
    service.ingest(record(&nobody, "apple of nobody", "red")).await;
    service.settled().await;

    for user in ["bob", "Alice", "alice%00", "*", "%"] {
        for path in [
            "/mem/events",
            "/mem/search?q=apple",
            "/mem/sessions",
            "/mem/events?session=session-of-alice",
            "/mem/search?q=apple&session=session-of-alice",
            "/mem/search?q=keys&sid=sid-1",
            "/mem/search?q=o1",
            "/mem/search?q=%22%20OR%20keys%3Ao1%20OR%20%22red",
            "/mem/events?sid=sid-1&user=alice",
            "/mem/sessions?session=session-of-alice",
        ] {
            let answer = service.get(path, user).await;
            let key = if path.starts_with("/mem/sessions") { "sessions" } else { "events" };
            assert_eq!(answer.list(key), Vec::<Value>::new(), "{user} {path}");
        }
        let erased = service.delete("/mem/sessions/session-of-alice", user).await;
        assert_eq!(erased.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(prompts(&service.get("/mem/events", "alice").await), ["apple"]);

    let admin =
        |path: &str, scope: &str| asked("GET", path, "root", scope).body(Body::empty()).unwrap();
    for scope in ["mem:admins", "xmem:admin", "MEM:ADMIN", "chat:run"] {
        assert_eq!(service.send(admin("/mem/events", scope)).await.list("events").len(), 0);
    }
    let scope = "chat:run mem:admin";
    assert_eq!(service.send(admin("/mem/events", scope)).await.list("events").len(), 3);
    assert_eq!(service.send(admin("/mem/search?q=apple", scope)).await.list("events").len(), 3);
    let one = admin("/mem/search?q=apple&session=session-elsewhere", scope);
    assert_eq!(service.send(one).await.list("events").len(), 1);
    assert_eq!(service.send(admin("/mem/sessions", scope)).await.list("sessions").len(), 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_name_or_two_is_nobody() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    for (name, values) in [
        ("x-attach-issuer", vec!["a"]),
        ("x-attach-user", vec![""]),
        ("x-attach-user", vec!["alice", "bob"]),
    ] {
        let mut request = Request::get("/mem/events");
        for value in values {
            request = request.header(name, value);
        }
        let answer = service.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["code"], "missing_token");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_complete_and_do_not_move_when_events_arrive() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let mut sent = Vec::new();
    for n in 0..25 {
        let mut meta = meta("alice", 1_000 + n / 5);
        meta.session = Some(format!("session-{}", n % 7));
        sent.extend(record(&meta, &format!("common word number{n}"), "common"));
    }
    service.ingest(sent).await;
    service.settled().await;

    let first = service.get("/mem/events?limit=10", "alice").await;
    let search = service.get("/mem/search?q=common&limit=10", "alice").await;
    let sessions = service.get("/mem/sessions?limit=3", "alice").await;
    let mut later = Vec::new();
    for n in 0..5 {
        later.extend(chat("alice", 9_000 + n, "common late"));
    }
    service.ingest(later).await;
    service.settled().await;

    for (path, first, key, field, total) in [
        ("/mem/events?limit=10", &first, "events", "prompt", 25),
        ("/mem/search?q=common&limit=10", &search, "events", "prompt", 25),
        ("/mem/sessions?limit=3", &sessions, "sessions", "id", 7),
    ] {
        let mut seen: Vec<String> =
            first.list(key).iter().map(|item| item[field].as_str().unwrap().to_owned()).collect();
        let next = first.json()["next"].as_str().unwrap().to_owned();
        let mut cursor = Some(next);
        while let Some(next) = cursor {
            let page = service.get(&format!("{path}&cursor={next}"), "alice").await;
            seen.extend(page.list(key).iter().map(|item| item[field].as_str().unwrap().to_owned()));
            cursor = page.json()["next"].as_str().map(str::to_owned);
        }
        let shown = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((shown, seen.len()), (total, total), "{path}");
        assert!(!seen.contains(&"common late".to_owned()));
    }
    assert_eq!(all(&service, "/mem/events?limit=7", "events", "prompt").await.len(), 30);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_by_session_sid_and_time() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    for (at, session, sid, prompt) in [
        (100, "s1", "run-1", "one fish"),
        (200, "s1", "run.2", "two fish"),
        (300, "s2", "run_2", "red fish"),
    ] {
        let mut meta = meta("alice", at);
        meta.session = Some(session.into());
        meta.sid = sid.into();
        service.ingest(record(&meta, prompt, "blue")).await;
    }
    service.settled().await;
    let cases: &[(&str, &[&str])] = &[
        ("", &["red fish", "two fish", "one fish"]),
        ("&session=s1", &["two fish", "one fish"]),
        ("&session=nope", &[]),
        ("&sid=run.2", &["two fish"]),
        ("&sid=run-2", &[]),
        ("&session=s2&sid=run_2", &["red fish"]),
        ("&since=200", &["red fish", "two fish"]),
        ("&until=200", &["one fish"]),
        ("&since=1970-01-01T00:03:20Z&until=1970-01-01T00:05:00.000Z", &["two fish"]),
        ("&since=1970-01-01T01:03:20+01:00&until=300", &["two fish"]),
        ("&limit=1", &["red fish"]),
    ];
    for (query, wanted) in cases {
        let listed = prompts(&service.get(&format!("/mem/events?{query}"), "alice").await);
        assert_eq!(&listed, wanted, "{query}");
        let answer = service.get(&format!("/mem/search?q=fish{query}"), "alice").await;
        let mut found = prompts(&answer);
        found.sort();
        if !query.contains("limit") {
            let mut wanted = wanted.to_vec();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{query}");
        }
    }
    let sessions = service.get("/mem/sessions", "alice").await.list("sessions");
    assert_eq!(sessions[1]["id"], "s1");
    assert_eq!(sessions[1]["first"], "1970-01-01T00:01:40.000Z");
    assert_eq!(sessions[1]["last"], "1970-01-01T00:03:20.000Z");
    assert_eq!(sessions[1]["events"], 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_parameters_are_refused_and_odd_words_are_only_words() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    service.ingest(chat("alice", 10, "x-ray vision; SELECT * FROM events")).await;
    service.settled().await;
    for bad in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=%2B5",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "limit=99999999999999999999",
        "cursor=junk",
        "cursor=",
        "since=yesterday",
        "until=",
        "since=99999999999999999999",
        "session=%zz",
        "sid=%ff",
    ] {
        for path in ["/mem/events?", "/mem/sessions?", "/mem/search?q=x&"] {
            let answer = service.get(&format!("{path}{bad}"), "alice").await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}{bad}");
            assert_eq!(answer.json()["code"], "invalid_request");
            assert!(answer.json()["error"].is_string());
        }
    }
    for bad in ["", "q=", "q=%20", &format!("q={}", "a".repeat(1001))] {
        let answer = service.get(&format!("/mem/search?{bad}"), "alice").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    for (words, hits) in [
        ("x-ray", 1),
        ("%22x-ray", 1),
        ("select%20*%20from", 1),
        ("vision%3B", 1),
        ("VISION", 1),
        ("vis%C3%ADon", 1),
        ("*", 0),
        ("AND", 0),
        ("NEAR(x", 0),
        ("%00", 0),
        ("-", 0),
        ("^x", 1),
        ("prompt%3Ax", 0),
        ("%22%22%22", 0),
        ("x+NOT+ray", 0),
        ("%E2%82%AC", 0),
    ] {
        let answer = service.get(&format!("/mem/search?q={words}"), "alice").await;
        assert_eq!(answer.list("events").len(), hits, "{words}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_session_is_gone_and_stays_gone() {
    let dir = dir();
    let service = Service::start(Settings::new(dir.path()));
    let old = record(&meta("alice", 100), "forget me", "gladly");
    service.ingest(old.clone()).await;
    service.ingest(chat("bob", 100, "keep me")).await;
    service.settled().await;

    let erased = service.delete("/mem/sessions/session-of-alice", "alice").await;
    assert_eq!(erased.status, StatusCode::NO_CONTENT);
    let again = service.delete("/mem/sessions/session-of-alice", "alice").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    // The filter never heard the acknowledgement and sends the record again.
    assert_eq!(service.ingest(old).await.status, StatusCode::ACCEPTED);
    service.settled().await;
    assert_eq!(service.get("/mem/events", "alice").await.list("events").len(), 0);
    assert_eq!(service.get("/mem/search?q=forget", "alice").await.list("events").len(), 0);
    assert_eq!(service.get("/mem/sessions", "alice").await.list("sessions").len(), 0);
    assert_eq!(service.get("/mem/events", "bob").await.list("events").len(), 1);

    // The session goes on: what is said from now on is remembered.
    let now = service.app.clock.now() / 1000 + 60;
    service.ingest(chat("alice", now, "a new start")).await;
    service.settled().await;
    assert_eq!(prompts(&service.get("/mem/events", "alice").await), ["a new start"]);
    service.stop().await;
}
