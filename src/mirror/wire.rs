//! The record that travels from the filter to the mirror-service.
//!
//! A batch is the body of `POST /ingest` (`application/x-attach-records`). Per record: one line
//! of JSON ([`Meta`]) that ends in `\n`, then [`Meta::request_len`] raw bytes of the request
//! body, then [`Meta::response_len`] raw bytes of the response body. Raw bytes travel as they
//! were captured; nothing is escaped or encoded a second time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Version of the record; a reader refuses a higher one.
pub const VERSION: u32 = 1;

/// Media type of a batch.
pub const MEDIA_TYPE: &str = "application/x-attach-records";

/// Path of the mirror-service that takes batches.
pub const INGEST_PATH: &str = "/ingest";

/// Longest JSON line, bytes without its `\n`. Twice what Envoy's header limits and the token's
/// size let into a record, so that only a foreign line is ever longer.
pub const MAX_LINE: usize = 256 << 10;

/// Most bytes captured of one body, whatever the configuration asks for.
pub const MAX_CAPTURE: usize = 1 << 20;

/// Most bytes of a batch. The filter never sends more, so a reader may refuse more.
pub const MAX_BATCH: usize = 4 << 20;

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

/// Appends one record to `out`.
///
/// The line tells the lengths of the slices given here, whatever `meta` says: a record whose line
/// and bytes disagree would make the rest of its batch unreadable.
pub fn encode(meta: &Meta, request: &[u8], response: &[u8], out: &mut Vec<u8>) {
    let (request, request_len) = counted(request);
    let (response, response_len) = counted(response);
    let start = out.len();
    let written = if meta.request_len == request_len && meta.response_len == response_len {
        serde_json::to_writer(&mut *out, meta)
    } else {
        serde_json::to_writer(&mut *out, &Meta { request_len, response_len, ..meta.clone() })
    };
    // A struct of strings and numbers always serializes, and a Vec takes every byte; should that
    // ever change, no record is better than half of one.
    if written.is_err() {
        out.truncate(start);
        return;
    }
    out.push(b'\n');
    out.extend_from_slice(request);
    out.extend_from_slice(response);
}

/// A body and its length, cut to what the line can tell.
fn counted(body: &[u8]) -> (&[u8], u32) {
    match u32::try_from(body.len()) {
        Ok(len) => (body, len),
        Err(_) => (&[], 0),
    }
}

/// One record of a batch; the bodies are slices of the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<'a> {
    /// The line.
    pub meta: Meta,
    /// Captured bytes of the request body.
    pub request: &'a [u8],
    /// Captured bytes of the response body.
    pub response: &'a [u8],
}

/// Why a batch cannot be read. The texts say nothing of what the batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// A line longer than [`MAX_LINE`].
    LineTooLong,
    /// Bytes after the last record that no `\n` ends.
    Unterminated,
    /// A line that is not the JSON of [`Meta`].
    NotMeta,
    /// A version that this reader does not know.
    Version(u32),
    /// A record whose bodies reach past the end of the batch.
    Overrun,
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong => write!(f, "a record's line is longer than {MAX_LINE} bytes"),
            Self::Unterminated => f.write_str("the last line has no end"),
            Self::NotMeta => f.write_str("a record's line is not the JSON of a record"),
            Self::Version(v) => write!(f, "record version {v} is not between 1 and {VERSION}"),
            Self::Overrun => f.write_str("a record's bodies reach past the end of the batch"),
        }
    }
}

impl std::error::Error for WireFault {}

/// The records of a batch, in order. Nothing follows the first fault, because nobody knows where
/// the next record would begin.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Reads a whole batch; an empty one has no records.
    #[must_use]
    pub fn new(batch: &'a [u8]) -> Self {
        Self { rest: batch }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, WireFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (record, rest) = match first(self.rest) {
            Ok((record, rest)) => (Ok(record), rest),
            Err(fault) => (Err(fault), &[][..]),
        };
        self.rest = rest;
        Some(record)
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// The first record of a batch that is not empty, and what follows it.
fn first(batch: &[u8]) -> Result<(Record<'_>, &[u8]), WireFault> {
    let within = batch.get(..=MAX_LINE).unwrap_or(batch);
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        let fault =
            if within.len() > MAX_LINE { WireFault::LineTooLong } else { WireFault::Unterminated };
        return Err(fault);
    };
    let (line, bodies) = batch.split_at_checked(end).ok_or(WireFault::Unterminated)?;
    let (_, bodies) = bodies.split_at_checked(1).ok_or(WireFault::Unterminated)?;
    let meta = read_line(line)?;
    let (request, rest) = take(bodies, meta.request_len)?;
    let (response, rest) = take(rest, meta.response_len)?;
    Ok((Record { meta, request, response }, rest))
}

fn take(bytes: &[u8], len: u32) -> Result<(&[u8], &[u8]), WireFault> {
    let len = usize::try_from(len).map_err(|_| WireFault::Overrun)?;
    bytes.split_at_checked(len).ok_or(WireFault::Overrun)
}

fn read_line(line: &[u8]) -> Result<Meta, WireFault> {
    /// What every version has, for a line whose other fields this one does not know.
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let known = |v: u32| (1..=VERSION).contains(&v);
    match serde_json::from_slice::<Meta>(line) {
        Ok(meta) if !known(meta.v) => Err(WireFault::Version(meta.v)),
        Ok(meta) if meta.marks.len() > MAX_MARKS => Err(WireFault::NotMeta),
        Ok(meta) => Ok(meta),
        Err(_) => match serde_json::from_slice::<Versioned>(line) {
            Ok(Versioned { v }) if !known(v) => Err(WireFault::Version(v)),
            _ => Err(WireFault::NotMeta),
        },
    }
}

#[cfg(test)]
mod tests;
