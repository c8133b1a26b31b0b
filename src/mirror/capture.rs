//! A bounded copy of one exchange, taken while it passes.
//!
//! The host asks how much is still wanted before it copies anything out of Envoy's buffers, so a
//! stream of an hour costs no more than its first bytes.

use super::wire::{self, Kind, MAX_CAPTURE, MAX_MARKS, Meta, Outcome};

/// Routes of chats and completions, of Ollama, OpenAI and Anthropic.
const CHATS: [&str; 6] = [
    "/api/chat",
    "/api/generate",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
];

/// Roots of what is not mirrored: public routes, memory itself, logs (the mirror-service makes
/// their events), and asking how a task is getting on.
const SILENT: [&str; 10] = [
    "/healthz",
    "/readyz",
    "/auth/config",
    "/.well-known/oauth-protected-resource",
    "/.well-known/agent-card.json",
    "/.well-known/agent.json",
    "/mem",
    "/v1/logs",
    "/tasks/status",
    "/a2a/tasks/status",
];

/// Whether exchanges at a normalized path (without query) are mirrored, whatever the method.
#[must_use]
pub fn is_mirrored(path: &str) -> bool {
    !SILENT.iter().any(|root| under(path, root))
}

/// The kind of an exchange at a normalized path (without query).
#[must_use]
pub fn kind_of(path: &str) -> Kind {
    if CHATS.contains(&path) {
        Kind::Chat
    } else if under(path, "/tasks") || under(path, "/a2a") {
        Kind::Task
    } else {
        Kind::Proxy
    }
}

/// `root` itself or something below it.
fn under(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the host knows of an exchange besides its bodies; the fields are those of [`Meta`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // documented where they end up
pub struct Exchange {
    pub id: String,
    pub time_ms: u64,
    pub kind: Kind,
    pub user: Option<String>,
    pub issuer: Option<String>,
    pub agent: Option<String>,
    pub session: Option<String>,
    pub sid: String,
    pub trace_id: Option<String>,
    pub task: Option<String>,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub outcome: Outcome,
    pub duration_ms: u64,
    pub request_type: Option<String>,
    pub response_type: Option<String>,
    pub request_encoding: Option<String>,
    pub response_encoding: Option<String>,
}

impl Default for Exchange {
    /// Nothing known: an exchange that broke off before there was a status.
    fn default() -> Self {
        Self {
            id: String::new(),
            time_ms: 0,
            kind: Kind::Proxy,
            user: None,
            issuer: None,
            agent: None,
            session: None,
            sid: String::new(),
            trace_id: None,
            task: None,
            method: String::new(),
            path: String::new(),
            status: 0,
            outcome: Outcome::Aborted,
            duration_ms: 0,
            request_type: None,
            response_type: None,
            request_encoding: None,
            response_encoding: None,
        }
    }
}

/// The copy of one exchange.
#[derive(Clone, Debug)]
pub struct Capture {
    request: Side,
    response: Side,
    first_byte_ms: Option<u64>,
    marks: Vec<[u64; 2]>,
}

/// The copy of one body: always a prefix of it, never with a gap.
#[derive(Clone, Debug)]
struct Side {
    bytes: Vec<u8>,
    cap: usize,
    total: u64,
    /// A byte was left out, so no later one may follow.
    cut: bool,
}

// === impl Capture ===

impl Capture {
    /// A capture of at most `capture_bytes` of each body, [`MAX_CAPTURE`] at most. Takes memory
    /// only as bytes come.
    #[must_use]
    pub fn new(capture_bytes: usize) -> Self {
        let cap = capture_bytes.min(MAX_CAPTURE);
        Self {
            request: Side::new(cap),
            response: Side::new(cap),
            first_byte_ms: None,
            marks: Vec::new(),
        }
    }

    /// How many bytes of the next request chunk are wanted.
    #[must_use]
    pub fn request_room(&self) -> usize {
        self.request.room()
    }

    /// How many bytes of the next response chunk are wanted.
    #[must_use]
    pub fn response_room(&self) -> usize {
        self.response.room()
    }

    /// Takes a chunk of the request body: its whole length, and its first bytes, as many as
    /// [`Capture::request_room`] asked for. Fewer end the copy, not the count.
    pub fn request_chunk(&mut self, chunk_len: usize, copied: &[u8]) {
        self.request.chunk(chunk_len, copied);
    }

    /// The response's headers arrived, `elapsed_ms` after the request began. Only the first call
    /// counts.
    pub fn response_headers(&mut self, elapsed_ms: u64) {
        self.first_byte_ms.get_or_insert(elapsed_ms);
    }

    /// Takes a chunk of the response body; see [`Capture::request_chunk`].
    pub fn response_chunk(&mut self, elapsed_ms: u64, chunk_len: usize, copied: &[u8]) {
        if chunk_len > 0 && self.marks.len() < MAX_MARKS {
            self.marks.push([self.response.total, elapsed_ms]);
        }
        self.response.chunk(chunk_len, copied);
    }

    /// The request was rewritten: what the engine was sent is kept in place of what the client
    /// sent, whose length stays the one told.
    pub fn replace_request(&mut self, rewritten: &[u8]) {
        self.request.replace(rewritten);
    }

    /// The record's line and its two bodies.
    #[must_use]
    pub fn finish(self, exchange: Exchange) -> (Meta, Vec<u8>, Vec<u8>) {
        let Self { request, response, first_byte_ms, marks } = self;
        let meta = Meta {
            v: wire::VERSION,
            id: exchange.id,
            time_ms: exchange.time_ms,
            kind: exchange.kind,
            user: exchange.user,
            issuer: exchange.issuer,
            agent: exchange.agent,
            session: exchange.session,
            sid: exchange.sid,
            trace_id: exchange.trace_id,
            task: exchange.task,
            method: exchange.method,
            path: exchange.path,
            status: exchange.status,
            outcome: exchange.outcome,
            first_byte_ms,
            duration_ms: exchange.duration_ms,
            request_bytes: request.total,
            response_bytes: response.total,
            request_len: request.len(),
            response_len: response.len(),
            truncated: request.cut || response.cut,
            request_type: exchange.request_type,
            response_type: exchange.response_type,
            request_encoding: exchange.request_encoding,
            response_encoding: exchange.response_encoding,
            marks,
        };
        (meta, request.bytes, response.bytes)
    }

    /// [`Capture::finish`], appended to `out` as a record.
    pub fn encode(self, exchange: Exchange, out: &mut Vec<u8>) {
        let (meta, request, response) = self.finish(exchange);
        wire::encode(&meta, &request, &response, out);
    }
}

// === impl Side ===

impl Side {
    const fn new(cap: usize) -> Self {
        Self { bytes: Vec::new(), cap, total: 0, cut: false }
    }

    fn room(&self) -> usize {
        if self.cut { 0 } else { self.cap.saturating_sub(self.bytes.len()) }
    }

    fn chunk(&mut self, chunk_len: usize, copied: &[u8]) {
        self.total = self.total.saturating_add(u64::try_from(chunk_len).unwrap_or(u64::MAX));
        let kept = copied.get(..self.room().min(chunk_len)).unwrap_or(copied);
        self.grow(kept.len());
        self.bytes.extend_from_slice(kept);
        self.cut |= kept.len() < chunk_len;
    }

    /// Makes room by doubling, but never past the cap: a plain `Vec` would take up to twice that.
    fn grow(&mut self, more: usize) {
        let len = self.bytes.len();
        let needed = len.saturating_add(more);
        if needed > self.bytes.capacity() {
            let wanted = self.bytes.capacity().saturating_mul(2).min(self.cap).max(needed);
            self.bytes.reserve_exact(wanted.saturating_sub(len));
        }
    }

    fn replace(&mut self, body: &[u8]) {
        let kept = body.get(..self.cap).unwrap_or(body);
        self.bytes.clear();
        self.bytes.extend_from_slice(kept);
        self.cut = kept.len() < body.len();
    }

    /// Fits: the cap is at most [`MAX_CAPTURE`].
    fn len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
