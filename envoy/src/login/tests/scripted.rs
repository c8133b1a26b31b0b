//! An issuer whose token endpoint reads its answers from a list.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::demo::server::Server;

/// What a client sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) form: String,
    pub(super) authorization: Option<String>,
}

struct Script {
    metadata: Value,
    refuses_audience: bool,
    answers: Mutex<Vec<(u16, Value)>>,
    sent: Mutex<Vec<Sent>>,
}

impl Script {
    fn record(&self, headers: &HeaderMap, body: &Bytes) -> String {
        let form = String::from_utf8(body.to_vec()).unwrap();
        let authorization = headers.get("authorization").map(|v| v.to_str().unwrap().to_owned());
        self.sent.lock().unwrap().push(Sent { form: form.clone(), authorization });
        form
    }
}

pub(super) struct Scripted {
    _server: Server,
    url: String,
    script: Arc<Script>,
}

impl Scripted {
    pub(super) async fn start(answers: Vec<(u16, Value)>, change: impl FnOnce(&mut Value)) -> Self {
        Self::serve(answers, false, change).await
    }

    pub(super) async fn refusing_audience(answers: Vec<(u16, Value)>) -> Self {
        Self::serve(answers, true, |_| ()).await
    }

    async fn serve(
        mut answers: Vec<(u16, Value)>,
        refuses_audience: bool,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        answers.reverse();
        let mut made = None;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(listen, |addr| {
            let url = format!("http://{addr}");
            let mut metadata = json!({
                "issuer": url,
                "token_endpoint": format!("{url}/token"),
                "device_authorization_endpoint": format!("{url}/device"),
            });
            change(&mut metadata);
            let (answers, sent) = (Mutex::new(answers), Mutex::default());
            let script = Arc::new(Script { metadata, refuses_audience, answers, sent });
            made = Some((url, Arc::clone(&script)));
            Router::new()
                .route("/.well-known/openid-configuration", get(metadata_of))
                .route("/device", post(device))
                .route("/token", post(token))
                .with_state(script)
        });
        let server = server.await.unwrap();
        let (url, script) = made.unwrap();
        Self { _server: server, url, script }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn requests(&self) -> Vec<Sent> {
        self.script.sent.lock().unwrap().clone()
    }
}

async fn metadata_of(State(script): State<Arc<Script>>) -> Json<Value> {
    Json(script.metadata.clone())
}

async fn device(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    if script.record(&headers, &body).contains("audience=") && script.refuses_audience {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_request"})))
            .into_response();
    }
    let started = json!({
        "device_code": "device",
        "user_code": "BCDF-GHJK",
        "verification_url": "https://id.example.com/device",
        "expires_in": 600,
    });
    Json(started).into_response()
}

async fn token(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    script.record(&headers, &body);
    let (status, body) = script.answers.lock().unwrap().pop().unwrap();
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}
