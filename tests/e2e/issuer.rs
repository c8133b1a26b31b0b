//! An identity provider: discovery, a key set, tokens with any claims, and faults on demand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jwt_simple::prelude::{JWTClaims, RS256KeyPair, RSAKeyPairLike};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The audience that the gateways of this suite accept.
pub(crate) const AUDIENCE: &str = "attach";

/// Making an RSA key takes long; these serve every issuer of the run.
static KEYS: LazyLock<[RS256KeyPair; 2]> =
    LazyLock::new(|| [(); 2].map(|()| RS256KeyPair::generate(2048).unwrap()));

pub(crate) struct Issuer {
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    url: String,
    fetches: AtomicUsize,
    answers: watch::Sender<Answers>,
    /// Which of [`KEYS`] signs, and the name it goes by.
    key: Mutex<(usize, String)>,
}

/// How the key set is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    Keys,
    /// 200 with a page.
    Html,
    /// Not before this changes.
    Later,
}

/// The claims of a token, to be bent before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Claims(Value);

// === impl Issuer ===

impl Issuer {
    pub(crate) async fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the issuer's port");
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            url: url(address),
            fetches: AtomicUsize::new(0),
            answers: watch::Sender::new(Answers::Keys),
            key: Mutex::new((0, "k0".to_owned())),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { state, server }
    }

    pub(crate) fn url(&self) -> String {
        self.state.url.clone()
    }

    pub(crate) fn answer(&self, answers: Answers) {
        self.state.answers.send_replace(answers);
    }

    /// How often the key set was asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// From now on the other key signs, under a new name, and is the only one published.
    pub(crate) fn rotate(&self) {
        let mut key = self.state.key.lock().unwrap();
        *key = (1 - key.0, format!("{}+", key.1));
    }

    pub(crate) fn claims(&self, user: &str) -> Claims {
        claims(&self.state.url, user)
    }

    /// An ordinary token.
    pub(crate) fn token(&self, user: &str) -> String {
        self.sign(&self.claims(user))
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let (key, kid) = self.state.key.lock().unwrap().clone();
        sign(key, Some(&kid), claims)
    }

    /// Signed with a key that was never published, under the name of the one that is.
    pub(crate) fn forge(&self, claims: &Claims) -> String {
        let (key, kid) = self.state.key.lock().unwrap().clone();
        sign(1 - key, Some(&kid), claims)
    }

    /// Signed with the published key under a name that is not.
    pub(crate) fn sign_as(&self, kid: &str, claims: &Claims) -> String {
        let key = self.state.key.lock().unwrap().0;
        sign(key, Some(kid), claims)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The name of an issuer at this address, up or not.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

// === impl Claims ===

/// What an ordinary token says.
pub(crate) fn claims(issuer: &str, user: &str) -> Claims {
    let now = now();
    Claims(json!({
        "iss": issuer, "aud": AUDIENCE, "sub": user, "scope": "chat:run",
        "iat": now, "exp": now + 3600,
    }))
}

/// Unix seconds.
#[expect(clippy::disallowed_methods, reason = "an issuer is an edge")]
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

impl Claims {
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(name);
        self
    }
}

fn sign(key: usize, kid: Option<&str>, claims: &Claims) -> String {
    let claims = JWTClaims {
        issued_at: None,
        expires_at: None,
        invalid_before: None,
        issuer: None,
        subject: None,
        audiences: None,
        jwt_id: None,
        nonce: None,
        custom: claims.0.clone(),
    };
    let key = KEYS[key].clone();
    match kid {
        Some(kid) => key.with_key_id(kid).sign(claims),
        None => key.sign(claims),
    }
    .expect("a token")
}

// === routes ===

async fn discovery(Shared(state): Shared<Arc<State>>) -> Response {
    let url = &state.url;
    axum::Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/keys"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["code"],
    }))
    .into_response()
}

async fn keys(Shared(state): Shared<Arc<State>>) -> Response {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let mut answers = state.answers.subscribe();
    let Ok(answer) = answers.wait_for(|answers| *answers != Answers::Later).await else {
        return ().into_response();
    };
    if *answer == Answers::Html {
        return ([(CONTENT_TYPE, "text/html")], "<html>maintenance</html>").into_response();
    }
    let (key, kid) = state.key.lock().unwrap().clone();
    let key: Value =
        serde_json::from_str(&KEYS[key].clone().with_key_id(&kid).public_key().to_jwk())
            .expect("a JWK");
    axum::Json(json!({"keys": [key]})).into_response()
}
