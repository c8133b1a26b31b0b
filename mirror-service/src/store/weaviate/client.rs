//! Requests to the server and what their failures mean.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;

use crate::secret::Secret;
use crate::store::StoreError;

/// Longest time for one request, a batch included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// Largest answer that is read.
const MAX_ANSWER: usize = 64 << 20;

/// A connection pool to one server.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
}

/// Why a request did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server does not take this request: 4xx.
    Refused {
        status: u16,
        /// What the server says; may quote the request.
        reason: String,
    },
    /// No answer, 429 or 5xx, or the server does not take us at all: later.
    Later(String),
    /// 200 with a body that is no answer.
    Garbage,
}

// === impl Client ===

impl Client {
    pub(super) fn new(url: &str, api_key: Option<&Secret>) -> Result<Self, StoreError> {
        // Fails if the process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
                .map_err(|_| StoreError::Unsupported("WEAVIATE_API_KEY is no header value"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| StoreError::Unsupported("TLS cannot be set up"))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned() })
    }

    /// Sends a request and reads the JSON that comes back.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| Failure::Later(cause(&error)))?;
        let status = response.status();
        let bytes = read(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| Failure::Garbage);
        }
        let said = serde_json::from_slice::<Value>(&bytes).ok();
        let reason = said.as_ref().and_then(message).unwrap_or_else(|| status.to_string());
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Failure::Later(format!("the server answers {status}: check WEAVIATE_API_KEY"))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Failure::Later(format!("the server answers {status}"))
            }
            status if status.is_client_error() => {
                Failure::Refused { status: status.as_u16(), reason }
            }
            status => Failure::Later(format!("the server answers {status}")),
        })
    }
}

/// What went wrong, without the address, which may be private.
fn cause(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "the server does not answer in time"
    } else if error.is_connect() {
        "the server cannot be reached"
    } else {
        "the connection broke"
    };
    what.to_owned()
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Failure::Later(cause(&e)))? {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return Err(Failure::Garbage);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The first message of `{"error":[{"message"}]}`, or `{"message"}` as validation says it.
fn message(said: &Value) -> Option<String> {
    let first = said.pointer("/error/0/message").or_else(|| said.get("message"));
    first.and_then(Value::as_str).map(str::to_owned)
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(match failure {
            // What the server says may quote what was asked: a status is all that is repeated.
            Failure::Refused { status, .. } => {
                format!("Weaviate refused the request with {status}")
            }
            Failure::Later(reason) => format!("Weaviate: {reason}"),
            Failure::Garbage => "Weaviate answers what is no answer of its".to_owned(),
        })
    }
}
