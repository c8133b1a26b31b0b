//! What goes wrong with a request, and the one table of its status and body.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::outbox::Refusal;
use crate::store::StoreError;

/// A request that is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A parameter or the body is not as documented; says which.
    Invalid(String),
    /// So many records of a batch cannot be read.
    Malformed(usize),
    /// The shared token is missing or wrong.
    BadToken,
    /// The request says nobody's name.
    NoUser,
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// The path does not know the method.
    MethodNotAllowed,
    /// The body is of a type that is not known here.
    #[allow(dead_code, reason = "used by /v1/logs")]
    UnsupportedType,
    /// The body is too large.
    TooLarge,
    /// The body did not come in time.
    Slow,
    /// The body broke off.
    Broken,
    /// Too much waits.
    Busy,
    /// Outbox or store cannot be used now.
    Unavailable,
    /// The store cannot do this.
    Unsupported(&'static str),
}

// === impl Fault ===

impl Fault {
    /// Whether the same request may succeed later.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable)
    }

    fn parts(&self) -> (StatusCode, &'static str, String) {
        let fixed = |text: &str| text.to_owned();
        match self {
            Self::Invalid(what) => (StatusCode::BAD_REQUEST, "invalid_request", what.clone()),
            Self::Malformed(count) => {
                let what = format!("{count} of the records cannot be read");
                (StatusCode::BAD_REQUEST, "invalid_body", what)
            }
            Self::BadToken => {
                (StatusCode::UNAUTHORIZED, "invalid_token", fixed("the mirror token is wrong"))
            }
            Self::NoUser => {
                (StatusCode::UNAUTHORIZED, "missing_token", fixed("sign in to see your events"))
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", fixed("there is no such thing")),
            Self::MethodNotAllowed => {
                let what = fixed("the path does not know this method");
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", what)
            }
            Self::UnsupportedType => {
                let what = fixed("send application/json or application/x-protobuf, plain or gzip");
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", what)
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", fixed("the body is too large"))
            }
            Self::Slow => {
                (StatusCode::REQUEST_TIMEOUT, "timeout", fixed("the body did not come in time"))
            }
            Self::Broken => (StatusCode::BAD_REQUEST, "invalid_body", fixed("the body broke off")),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy", fixed("too much waits: come back"))
            }
            Self::Unavailable => {
                let what = fixed("memory cannot be used now: come back");
                (StatusCode::SERVICE_UNAVAILABLE, "memory_unavailable", what)
            }
            Self::Unsupported(what) => {
                (StatusCode::NOT_IMPLEMENTED, "not_implemented", fixed(what))
            }
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Busy,
            Refusal::Trouble(_) | Refusal::Stopped => Self::Unavailable,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadCursor => Self::Invalid("cursor is not one of ours".into()),
            StoreError::Unavailable(reason) => {
                tracing::warn!(reason, "a query failed");
                Self::Unavailable
            }
            StoreError::Unsupported(what) => Self::Unsupported(what),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let body = Json(json!({"error": message, "code": code}));
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if self.is_refusal() {
            let value = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
