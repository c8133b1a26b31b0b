//! The record that travels from the filter to the mirror-service.
//!
//! A batch is the body of `POST /ingest` (`application/x-attach-records`). Per record: one line
//! of JSON ([`Meta`]) that ends in `\n`, then [`Meta::request_len`] raw bytes of the request
//! body, then [`Meta::response_len`] raw bytes of the response body. Raw bytes travel as they
//! were captured; nothing is escaped or encoded a second time.

use serde::{Deserialize, Serialize};

/// Version of the record; a reader refuses a higher one.
pub const VERSION: u32 = 1;

/// Media type of a batch.
pub const MEDIA_TYPE: &str = "application/x-attach-records";

/// Path of the mirror-service that takes batches.
pub const INGEST_PATH: &str = "/ingest";

/// One exchange, as the filter saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// [`VERSION`].
    pub v: u32,
    /// UUIDv7 of the event; a retried record keeps it.
    pub id: String,
    /// Start of the request, Unix milliseconds.
    pub time_ms: u64,
    /// What kind of exchange it was.
    pub kind: Kind,
    /// As stamped: `X-Attach-User`, `X-Attach-Issuer`, `X-Attach-Agent`, `X-Attach-Session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// See [`Meta::user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// See [`Meta::user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// See [`Meta::user`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// `X-Session-ID`.
    pub sid: String,
    /// Trace id of `traceparent`, 32 hex characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Task id, if the exchange is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Method, as received.
    pub method: String,
    /// Path as the client sent it (normalized), without its query.
    pub path: String,
    /// Status that the client saw; 0 if it left before there was one.
    pub status: u16,
    /// How the exchange ended.
    pub outcome: Outcome,
    /// Request start to first response byte (headers), milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// Request start to end, milliseconds.
    pub duration_ms: u64,
    /// Whole size of the request body as received from the client, bytes.
    pub request_bytes: u64,
    /// Whole size of the response body, bytes.
    pub response_bytes: u64,
    /// Captured bytes of the request body that follow the line. Fewer than
    /// [`Meta::request_bytes`] means truncated, unless the body was rewritten: then the
    /// rewritten body is captured.
    pub request_len: u32,
    /// Captured bytes of the response body that follow.
    pub response_len: u32,
    /// A body was longer than what is captured of it.
    #[serde(default)]
    pub truncated: bool,
    /// `content-type` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_type: Option<String>,
    /// `content-type` of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_type: Option<String>,
    /// `content-encoding` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_encoding: Option<String>,
    /// `content-encoding` of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_encoding: Option<String>,
    /// When response bytes arrived: `[offset of the chunk's first byte, milliseconds since the
    /// request's start]`, at most [`MAX_MARKS`], the first ones. Gives the time of the first token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<[u64; 2]>,
}

/// Most entries of [`Meta::marks`].
pub const MAX_MARKS: usize = 16;

/// What kind of exchange a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A chat or completion.
    Chat,
    /// Any other exchange with an upstream.
    Proxy,
    /// A task.
    Task,
    /// A log line; made by the mirror-service itself.
    Log,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The client got the whole answer.
    Complete,
    /// The engine broke off.
    Cut,
    /// The client left.
    Aborted,
}
