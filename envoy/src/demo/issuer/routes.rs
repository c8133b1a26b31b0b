//! The issuer's endpoints for programs.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::fields::Fields;
use super::grants::{Grant, Refusal, Request};
use super::{State, random_text, signin};

/// RFC 8628 section 3.4.
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628 section 6.1: no vowels, so no words; nothing that looks like something else.
const USER_CODE_LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/jwks", get(jwks))
        .route("/device/code", post(device_code))
        .route("/token", post(token))
        .merge(signin::router())
        .with_state(state)
}

async fn metadata(Shared(state): Shared<Arc<State>>) -> Response {
    let cache = [(header::CACHE_CONTROL, "public, max-age=300")];
    (cache, axum::Json(state.metadata())).into_response()
}

async fn jwks(Shared(state): Shared<Arc<State>>) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::CONTENT_TYPE, "application/jwk-set+json"),
    ];
    (headers, state.keys.jwks().to_string()).into_response()
}

/// An error of RFC 6749 section 5.2.
struct Problem(StatusCode, &'static str, &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, error, description) = self;
        answer(status, &json!({"error": error, "error_description": description}))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let description = match refusal {
            Refusal::AuthorizationPending => "nobody has decided yet",
            Refusal::SlowDown => "polled too fast, wait 5 seconds longer each time",
            Refusal::AccessDenied => "the user denied the request",
            Refusal::ExpiredToken => "the device code is too old, start again",
            Refusal::InvalidGrant => "unknown, used or foreign",
        };
        Self(StatusCode::BAD_REQUEST, refusal.code(), description)
    }
}

const FORM: Problem = Problem(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    "a form with each parameter once is expected",
);
const CLIENT: Problem =
    Problem(StatusCode::UNAUTHORIZED, "invalid_client", "unknown client or wrong secret");
const BROKEN: Problem = Problem(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "cannot sign");

fn answer(status: StatusCode, body: &Value) -> Response {
    // RFC 6749 section 5.1: nothing with credentials in it may be cached.
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

fn known_client(state: &State, fields: &Fields, headers: &HeaderMap) -> Result<String, Problem> {
    let (id, secret) = fields.client(headers).ok_or(CLIENT)?;
    match state.config.clients.get(&id) {
        Some(expected) if *expected == secret => Ok(id),
        _ => Err(CLIENT),
    }
}

fn requested(state: &State, client: String, fields: &Fields) -> Result<Request, Problem> {
    let config = &state.config;
    let scopes: Vec<String> = match fields.get("scope") {
        Some(scope) => scope.split_ascii_whitespace().map(str::to_owned).collect(),
        None => config.default_scopes.clone(),
    };
    if scopes.iter().any(|s| !config.scopes.contains(s)) {
        return Err(Problem(StatusCode::BAD_REQUEST, "invalid_scope", "unknown scope"));
    }
    let audience = fields.get("audience").or_else(|| fields.get("resource"));
    let audience = audience.unwrap_or(&config.audience).to_owned();
    Ok(Request { client, scopes, audience })
}

/// Device authorization (RFC 8628 section 3.1).
async fn device_code(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let fields = Fields::parse(&body).ok_or(FORM)?;
    let client = known_client(&state, &fields, &headers)?;
    let request = requested(&state, client, &fields)?;
    let (device, user) = (random_text(32), user_code());
    let (lifetime, interval) = (state.config.code_lifetime, state.config.interval);
    let times = (lifetime, interval);
    if !state.grants().begin(state.now(), (&device, &user), times, request) {
        let busy = "too many sign-ins are open";
        return Err(Problem(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", busy));
    }
    let uri = format!("{}/device", state.url);
    let body = json!({
        "device_code": device,
        "user_code": user,
        "verification_uri": uri,
        "verification_uri_complete": format!("{uri}?user_code={user}"),
        "expires_in": lifetime.as_secs(),
        "interval": interval.as_secs(),
    });
    Ok(answer(StatusCode::OK, &body))
}

/// Token endpoint: the device grant and rotating refresh tokens.
async fn token(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let fields = Fields::parse(&body).ok_or(FORM)?;
    let client = known_client(&state, &fields, &headers)?;
    let missing = |what| Problem(StatusCode::BAD_REQUEST, "invalid_request", what);
    let next = random_text(32);
    let grant = match fields.get("grant_type") {
        Some(DEVICE_GRANT) => {
            let code = fields.get("device_code").ok_or(missing("device_code is missing"))?;
            let grant = state.grants().poll(state.now(), code, &client)?;
            if grant.request.asks("offline_access") {
                state.grants().remember(&next, grant.clone());
            }
            grant
        }
        Some("refresh_token") => {
            let token = fields.get("refresh_token").ok_or(missing("refresh_token is missing"))?;
            state.grants().rotate(token, &next, &client)?
        }
        Some(_) => {
            let known = "device_code and refresh_token are supported";
            return Err(Problem(StatusCode::BAD_REQUEST, "unsupported_grant_type", known));
        }
        None => return Err(missing("grant_type is missing")),
    };
    granted(&state, &grant, &next)
}

fn granted(state: &State, grant: &Grant, refresh: &str) -> Result<Response, Problem> {
    let mut body = json!({
        "access_token": state.access_token(grant).map_err(|_| BROKEN)?,
        "token_type": "Bearer",
        "expires_in": state.config.token_lifetime.as_secs(),
        "scope": grant.request.scopes.join(" "),
    });
    if let Some(body) = body.as_object_mut() {
        if grant.request.asks("offline_access") {
            body.insert("refresh_token".to_owned(), Value::from(refresh));
        }
        if grant.request.asks("openid") {
            let token = state.id_token(grant).map_err(|_| BROKEN)?;
            body.insert("id_token".to_owned(), Value::from(token));
        }
    }
    Ok(answer(StatusCode::OK, &body))
}

fn user_code() -> String {
    let mut rng = rand::rng();
    let mut letters = || {
        let letter = |_| {
            let at = rng.random_range(0..USER_CODE_LETTERS.len());
            USER_CODE_LETTERS.get(at).copied().map_or('B', char::from)
        };
        (0..4).map(letter).collect::<String>()
    };
    let first = letters();
    format!("{first}-{}", letters())
}
