//! One stream as the filter manager sees it: two halves of the same shape.

use super::headers::Headers;

/// Which half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// Whether the filter holds a half back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Iteration {
    #[default]
    Continue,
    /// Later callbacks still run, and any `Continue` of theirs releases everything.
    StopSingle,
    /// No callback runs until the filter resumes.
    StopAll,
}

/// What has gone past the filter.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Headers; absent while the filter holds them.
    pub headers: Option<Headers>,
    /// Body, in the pieces in which it was passed on.
    pub chunks: Vec<Vec<u8>>,
    /// Trailers.
    pub trailers: Option<Headers>,
    /// Nothing follows.
    pub complete: bool,
}

impl Passed {
    /// The whole body so far.
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// One half.
#[derive(Debug, Default)]
pub struct Half {
    pub headers: Headers,
    /// Headers were seen by the filter.
    pub started: bool,
    /// The filter may touch the headers.
    pub headers_open: bool,
    pub trailers: Option<Headers>,
    /// The filter may touch the trailers.
    pub trailers_open: bool,
    /// The piece of the present callback; `None` once it was passed on.
    pub chunk: Option<Vec<u8>>,
    /// What the filter manager holds.
    pub held: Option<Vec<u8>>,
    /// The last body callback paused: the filter sees all that is held.
    pub buffering: bool,
    /// The sender is done.
    pub ended: bool,
    pub iteration: Iteration,
    pub passed: Passed,
}

impl Half {
    /// The body that the filter may touch now.
    pub fn body(&mut self) -> Option<&mut Vec<u8>> {
        if self.buffering { self.held.as_mut() } else { self.chunk.as_mut() }
    }

    /// Passes a piece on.
    pub fn pass(&mut self, piece: Vec<u8>, end: bool) {
        if !piece.is_empty() {
            self.passed.chunks.push(piece);
        }
        self.passed.complete |= end;
    }

    /// Adds to what is held.
    pub fn hold(&mut self, piece: Vec<u8>) {
        self.held.get_or_insert_default().extend(piece);
    }
}

/// A reply that the filter, or the host, makes up.
#[derive(Clone, Debug)]
pub struct LocalReply {
    pub status: u32,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// One stream.
#[derive(Debug, Default)]
pub struct StreamState {
    pub request: Half,
    pub response: Half,
    /// The filter asked for a local reply; a second one is ignored.
    pub replied: bool,
    /// The answer is the filter's or the host's own, not the upstream's.
    pub local: bool,
    /// The client saw, or caused, an end without the end of the answer.
    pub reset: bool,
    /// `on_log` is running.
    pub logging: bool,
    /// The VM died under it, and it hangs or was answered 503 by the host.
    pub failed: bool,
    /// The VM no longer knows it.
    pub gone: bool,
    /// When the request arrived, Unix nanoseconds.
    pub arrived_ns: u64,
    /// Envoy's word for how the answer came about: `response.code_details`.
    pub details: String,
    /// Filter state that the filter set.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
}

impl StreamState {
    /// One half.
    pub fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// Whether the client is done with it.
    pub fn is_over(&self) -> bool {
        self.reset || self.response.passed.complete
    }

    /// The status that the client saw.
    pub fn status(&self) -> Option<u16> {
        self.response.passed.headers.as_ref()?.text(":status")?.parse().ok()
    }
}
