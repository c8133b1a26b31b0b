//! Faults, played by a server that is none. What works is tested against the real one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex as Lock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::*;
use crate::Settings;
use crate::event::tests::chat as event;
use crate::secret::Secret;
use crate::settings::Backend;
use crate::testing::{Service, chat, dir};

/// What the server does wrong once.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Status(u16),
    Empty,
    Html,
    HangUp,
}

#[derive(Debug, Default)]
struct Fake {
    class: Option<Value>,
    objects: BTreeMap<String, Value>,
    wrong: VecDeque<Wrong>,
    batches: usize,
    key: Option<&'static str>,
}

type Shared = Arc<Lock<Fake>>;

async fn start(fake: Fake) -> (Shared, settings::Weaviate) {
    let fake: Shared = Arc::new(Lock::new(fake));
    let routes = Router::new()
        .route("/v1/meta", get(|| async { axum::Json(json!({"version": "0"})) }))
        .route("/v1/schema/{class}", get(class))
        .route("/v1/schema", post(make_class))
        .route("/v1/batch/objects", post(batch))
        .with_state(Arc::clone(&fake));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (fake, settings::Weaviate { url, api_key: None, multi_tenancy: false })
}

async fn class(State(fake): State<Shared>, headers: HeaderMap) -> Response {
    let fake = fake.lock().unwrap();
    if let Some(key) = fake.key
        && headers.get("authorization").is_none_or(|given| *given != format!("Bearer {key}"))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match &fake.class {
        Some(class) => axum::Json(class.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn make_class(State(fake): State<Shared>, class: axum::Json<Value>) -> Response {
    fake.lock().unwrap().class = Some(class.0.clone());
    class.into_response()
}

async fn batch(State(fake): State<Shared>, body: Bytes) -> Response {
    let mut fake = fake.lock().unwrap();
    fake.batches += 1;
    match fake.wrong.pop_front() {
        Some(Wrong::Status(status)) => {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Some(Wrong::Empty) => return StatusCode::OK.into_response(),
        Some(Wrong::Html) => return "<html>Welcome to the proxy</html>".into_response(),
        Some(Wrong::HangUp) => {
            drop(fake);
            panic!("the connection breaks");
        }
        None => {}
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let objects = body["objects"].as_array().unwrap();
    let prompt = |object: &Value| object["properties"]["prompt"].as_str().unwrap_or("").to_owned();
    if objects.iter().any(|object| prompt(object).contains("422")) {
        let body = json!({"code": 601, "message": "objects.0.id must be of type uuid"});
        return (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response();
    }
    if objects.iter().any(|object| prompt(object).contains("panic")) {
        return StatusCode::OK.into_response();
    }
    let failed = |reason: &str| json!({"result": {"status": "FAILED", "errors": {"error": [{"message": reason}]}}});
    let results: Vec<Value> = objects
        .iter()
        .map(|object| match prompt(object) {
            prompt if prompt.contains("poison") => failed("invalid date property 'time'"),
            prompt if prompt.contains("odd") => failed("something went wrong"),
            _ => {
                fake.objects.insert(object["id"].as_str().unwrap().to_owned(), object.clone());
                json!({"result": {"status": "SUCCESS"}})
            }
        })
        .collect();
    axum::Json(results).into_response()
}

fn store(server: &settings::Weaviate) -> Weaviate {
    Weaviate::new(server, Clock::system()).unwrap()
}

fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(_))
}

#[tokio::test]
async fn a_half_bad_batch_is_half_stored() {
    let (fake, server) = start(Fake::default()).await;
    let store = store(&server);
    let events: Vec<Event> = (0..1_000)
        .map(|n| {
            let word = match n {
                17 => "poison",
                300 => "a 422",
                301 => "another 422",
                555 => "panic",
                _ => "fine",
            };
            event("a", "s", n, word)
        })
        .collect();
    let outcomes = store.put(&events).await.unwrap();
    for (n, outcome) in outcomes.iter().enumerate() {
        match n {
            17 | 300 | 301 => assert!(is_refused(outcome), "{n}"),
            555 => assert_eq!(*outcome, Outcome::Later),
            _ => assert_eq!(*outcome, Outcome::Stored, "{n}"),
        }
    }
    assert_eq!(fake.lock().unwrap().objects.len(), 996);
    // The same again replaces itself.
    store.put(&events[..10]).await.unwrap();
    assert_eq!(fake.lock().unwrap().objects.len(), 996);
}

#[tokio::test]
async fn what_fails_alone_again_and_again_is_given_up_and_what_fails_with_all_is_not() {
    let (_fake, server) = start(Fake::default()).await;
    let store = store(&server);
    let some = [event("a", "s", 1, "odd"), event("a", "s", 2, "fine"), event("a", "s", 3, "panic")];
    for _ in 0..4 {
        let outcomes = store.put(&some).await.unwrap();
        assert_eq!(outcomes, [Outcome::Later, Outcome::Stored, Outcome::Later]);
    }
    let outcomes = store.put(&some).await.unwrap();
    assert!(is_refused(&outcomes[0]) && is_refused(&outcomes[2]));
    for _ in 0..20 {
        assert_eq!(store.put(&some[..1]).await.unwrap(), [Outcome::Later]);
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_later() {
    let (fake, server) = start(Fake::default()).await;
    let store = store(&server);
    let events = [event("a", "s", 1, "fine")];
    for wrong in [
        Wrong::Status(503),
        Wrong::Status(500),
        Wrong::Status(429),
        Wrong::HangUp,
        Wrong::Status(401),
    ] {
        fake.lock().unwrap().wrong = [wrong].into();
        assert!(matches!(store.put(&events).await, Err(StoreError::Unavailable(_))), "{wrong:?}");
    }
    for wrong in [Wrong::Empty, Wrong::Html, Wrong::Status(404)] {
        fake.lock().unwrap().wrong = [wrong].into();
        assert_eq!(store.put(&events).await.unwrap(), [Outcome::Later], "{wrong:?}");
    }
    assert_eq!(store.put(&events).await.unwrap(), [Outcome::Stored]);
}

#[tokio::test]
async fn the_key_is_sent_and_a_wrong_one_is_said() {
    let (_fake, mut server) = start(Fake { key: Some("k1"), ..Fake::default() }).await;
    let events = [event("a", "s", 1, "fine")];
    let fault = store(&server).put(&events).await.unwrap_err();
    assert!(fault.to_string().contains("WEAVIATE_API_KEY"), "{fault}");
    server.api_key = Some(Secret::new("k1"));
    assert_eq!(store(&server).put(&events).await.unwrap(), [Outcome::Stored]);
}

#[tokio::test]
async fn a_class_that_is_another_is_not_written_to() {
    for (class, said) in [
        (json!({"properties": [{"name": "time", "dataType": ["text"]}]}), "time"),
        (json!({"properties": [], "multiTenancyConfig": {"enabled": true}}), "MULTI_TENANCY"),
    ] {
        let (fake, server) = start(Fake { class: Some(class), ..Fake::default() }).await;
        let fault = store(&server).put(&[event("a", "s", 1, "fine")]).await.unwrap_err();
        assert!(fault.to_string().contains(said), "{fault}");
        assert_eq!(fake.lock().unwrap().batches, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_a_store_that_is_down_and_arrive_once() {
    // A port that nobody listens on any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let dir = dir();
    let mut settings = Settings::new(dir.path());
    settings.backend = Backend::Weaviate(settings::Weaviate {
        url: format!("http://{address}"),
        api_key: None,
        multi_tenancy: false,
    });
    let service = Service::start(settings.clone());
    for n in 0..10 {
        assert_eq!(service.ingest(chat("alice", n, "fine")).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(service.ingest(chat("alice", 99, "poison")).await.status, StatusCode::ACCEPTED);
    while service.app.stats.store_retries.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.app.stats.outbox_waiting.get(), 11);
    let answer = service.get("/mem/events", "alice").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(service.get("/readyz", "").await.json()["ready"], true);
    drop(service);

    let (fake, server) = start(Fake::default()).await;
    fake.lock().unwrap().wrong = [Wrong::Status(503), Wrong::HangUp].into();
    settings.backend = Backend::Weaviate(server);
    let service = Service::start(settings);
    service.settled().await;
    assert_eq!(fake.lock().unwrap().objects.len(), 10);
    assert_eq!(service.app.stats.store_stored.get(), 10);
    assert_eq!(service.app.stats.store_failed.get(), 1);
    service.stop().await;
}
