//! A client's request, and the stream that it becomes.

use std::rc::Rc;

use serde_json::Value;

use super::exchange::{data, headers, trailers};
use super::headers::Headers;
use super::proxy::Proxy;
use super::reply::{fail, host_reply};
use super::stream::{Direction, Passed, StreamState};
use super::vm::Vm;

/// A request that is being put together.
#[must_use]
pub struct Request {
    proxy: Proxy,
    thread: usize,
    headers: Headers,
    chunks: Vec<Vec<u8>>,
    trailers: Option<Headers>,
    open: bool,
    end_with_last_chunk: bool,
}

impl Request {
    pub(super) fn new(proxy: Proxy, thread: usize, method: &str, path: &str) -> Self {
        let headers = Headers::new([
            (":method", method),
            (":path", path),
            (":authority", "gateway.test"),
            (":scheme", "http"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "00000000-0000-4000-8000-000000000001"),
        ]);
        Self {
            proxy,
            thread,
            headers,
            chunks: Vec::new(),
            trailers: None,
            open: false,
            end_with_last_chunk: false,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Adds `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The whole body in one piece, with its length announced.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.headers.set("content-length", body.len().to_string());
        self.chunks(vec![body])
    }

    /// The body in pieces, chunked.
    pub fn chunks(mut self, chunks: Vec<Vec<u8>>) -> Self {
        self.chunks = chunks;
        self
    }

    /// Trailers after the body: then no body callback says that the body has ended.
    pub fn trailers<N: AsRef<str>, V: AsRef<[u8]>>(
        mut self,
        trailers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.trailers = Some(Headers::new(trailers));
        self
    }

    /// More of the body follows, by [`Stream::send`].
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Ends with the last piece, as HTTP/2 may, not with an empty one after it.
    pub fn end_with_last_chunk(mut self) -> Self {
        self.end_with_last_chunk = true;
        self
    }

    /// Sends it.
    pub fn send(self) -> Stream {
        let vm = self.proxy.vm_for_request(self.thread);
        let id = vm.with(|state| state.open_stream());
        let stream = Stream { proxy: self.proxy, vm, id };
        if stream.vm.is_dead() {
            stream.vm.stream(id, |state| state.request.headers = self.headers);
            fail(&stream.vm, id);
            stream.proxy.settle();
            return stream;
        }
        invoke_create(&stream);
        let bodyless = self.chunks.is_empty() && self.trailers.is_none() && !self.open;
        headers(&stream.vm, id, Direction::Request, self.headers, bodyless);
        stream.proxy.settle();
        let last = self.chunks.len();
        let ends = !self.open && self.trailers.is_none();
        for (index, chunk) in self.chunks.into_iter().enumerate() {
            let end = ends && self.end_with_last_chunk && index + 1 == last;
            stream.send(chunk, end);
        }
        if let Some(map) = self.trailers {
            stream.send_trailers(map);
        } else if ends && !bodyless && !self.end_with_last_chunk {
            stream.send("", true);
        }
        stream
    }
}

fn invoke_create(stream: &Stream) {
    let root = super::state::ROOT;
    stream.vm.call("proxy_on_context_create", stream.id, &[stream.id, root]);
}

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
        self.step(|| headers(&self.vm, self.id, Direction::Response, all, end));
    }

    /// A piece of the upstream's answer.
    pub fn respond_body(&self, piece: impl Into<Vec<u8>>, end: bool) {
        self.step(|| data(&self.vm, self.id, Direction::Response, piece.into(), end));
    }

    /// The end of the upstream's answer, with trailers.
    pub fn respond_trailers(&self, map: Headers) {
        self.step(|| trailers(&self.vm, self.id, Direction::Response, map));
    }

    /// The upstream cannot be reached, or is silent for too long: Envoy answers.
    pub fn router_error(&self, status: u32, body: &str) {
        self.step(|| host_reply(&self.vm, self.id, status, body.as_bytes()));
    }

    /// The upstream breaks off after its headers.
    pub fn cut(&self) {
        self.step(|| self.vm.stream(self.id, |stream| stream.reset = true));
    }

    /// The client leaves.
    pub fn abort(&self) {
        self.step(|| self.vm.stream(self.id, |stream| stream.reset = true));
    }

    fn step(&self, event: impl FnOnce()) {
        event();
        self.proxy.settle();
    }

    fn look<R>(&self, look: impl FnOnce(&StreamState) -> R) -> R {
        self.vm.stream(self.id, |stream| look(stream))
    }
}
