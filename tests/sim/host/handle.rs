//! A request on its way: what the test does to it, and what became of it.

use std::rc::Rc;

use serde_json::Value;

use super::exchange::{data, headers, trailers};
use super::headers::Headers;
use super::proxy::Proxy;
use super::reply::host_reply;
use super::stream::{Direction, Passed, StreamState};
use super::vm::Vm;

/// An answer, as the client got it.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Where a request is.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The filter holds it.
    Paused,
    /// Its headers, at least, went on to the upstream.
    Forwarded(Passed),
    /// It was answered without an upstream.
    LocalReply(Reply),
}

/// A request on its way.
pub struct Stream {
    pub(super) proxy: Proxy,
    pub(super) vm: Rc<Vm>,
    pub(super) id: u32,
}

impl Stream {
    /// Where it is.
    pub fn outcome(&self) -> Outcome {
        let (local, passed) = self.look(|s| (s.local, s.request.passed.clone()));
        match self.client_got() {
            Some(reply) if local => Outcome::LocalReply(reply),
            _ if passed.headers.is_some() => Outcome::Forwarded(passed),
            _ => Outcome::Paused,
        }
    }

    /// Whether the filter holds it.
    pub fn is_paused(&self) -> bool {
        matches!(self.outcome(), Outcome::Paused)
    }

    /// What the upstream has got; fails if that is nothing.
    pub fn forwarded(&self) -> Passed {
        match self.outcome() {
            Outcome::Forwarded(passed) => passed,
            other => panic!("not forwarded: {other:?}"),
        }
    }

    /// A header that the upstream has got, as text.
    pub fn forwarded_header(&self, name: &str) -> Option<String> {
        self.forwarded().headers.expect("headers").text(name)
    }

    /// The request headers as they are now, passed on or not: what an access log would show.
    pub fn request_headers(&self) -> Headers {
        self.look(|stream| stream.request.headers.clone())
    }

    /// The answer that came from no upstream; fails if there is none.
    pub fn local_reply(&self) -> Reply {
        match self.outcome() {
            Outcome::LocalReply(reply) => reply,
            other => panic!("no local reply: {other:?}"),
        }
    }

    /// What the client has got so far.
    pub fn client_got(&self) -> Option<Reply> {
        let passed = self.look(|stream| stream.response.passed.clone());
        let headers = passed.headers.clone()?;
        let status = headers.text(":status")?.parse().ok()?;
        Some(Reply { status, headers, body: passed.body() })
    }

    /// What the filter let pass to the client, piece by piece.
    pub fn client_side(&self) -> Passed {
        self.look(|stream| stream.response.passed.clone())
    }

    /// Whether the client is done with it, for good or ill.
    pub fn is_over(&self) -> bool {
        self.look(|stream| stream.is_over())
    }

    /// Whether it was cut off instead of ended.
    pub fn is_reset(&self) -> bool {
        self.look(|stream| stream.reset)
    }

    /// More of the request body.
    pub fn send(&self, piece: impl Into<Vec<u8>>, end: bool) {
        self.step(|| data(&self.vm, self.id, Direction::Request, piece.into(), end));
    }

    /// The end of the request, with trailers.
    pub fn send_trailers(&self, map: Headers) {
        self.step(|| trailers(&self.vm, self.id, Direction::Request, map));
    }

    /// A whole answer of the upstream, in pieces.
    pub fn respond(&self, status: u16, map: Headers, chunks: &[&[u8]]) {
        self.respond_headers(status, map, chunks.is_empty());
        for (index, chunk) in chunks.iter().enumerate() {
            self.respond_body(*chunk, index + 1 == chunks.len());
        }
    }

    /// The head of the upstream's answer.
    pub fn respond_headers(&self, status: u16, map: Headers, end: bool) {
        let mut all = Headers::new([(":status", status.to_string())]);
        map.iter().for_each(|(name, value)| all.add(name, value));
        self.step(|| {
            self.vm.stream(self.id, |stream| stream.details = "via_upstream".into());
            headers(&self.vm, self.id, Direction::Response, all, end);
        });
    }

    /// A piece of the upstream's answer.
    pub fn respond_body(&self, piece: impl Into<Vec<u8>>, end: bool) {
        self.step(|| data(&self.vm, self.id, Direction::Response, piece.into(), end));
    }

    /// The end of the upstream's answer, with trailers.
    pub fn respond_trailers(&self, map: Headers) {
        self.step(|| trailers(&self.vm, self.id, Direction::Response, map));
    }

    /// The upstream cannot be reached, or is silent for too long: Envoy answers, and `details`
    /// is its word for the reason.
    pub fn router_error(&self, status: u32, details: &str) {
        self.step(|| host_reply(&self.vm, self.id, status, details));
    }

    /// The upstream breaks off after its headers.
    pub fn cut(&self) {
        self.end("upstream_reset_after_response_started{connection_termination}");
    }

    /// The client leaves.
    pub fn abort(&self) {
        self.end("downstream_remote_disconnect");
    }

    fn end(&self, details: &str) {
        self.step(|| {
            self.vm.stream(self.id, |stream| {
                if !stream.is_over() {
                    stream.reset = true;
                    details.clone_into(&mut stream.details);
                }
            });
        });
    }

    fn step(&self, event: impl FnOnce()) {
        event();
        self.proxy.settle();
    }

    fn look<R>(&self, look: impl FnOnce(&StreamState) -> R) -> R {
        self.vm.stream(self.id, |stream| look(stream))
    }
}
