//! A client's request, while it is put together.

use super::exchange::headers;
use super::handle::Stream;
use super::headers::Headers;
use super::proxy::Proxy;
use super::reply::fail;
use super::state::ROOT;
use super::stream::Direction;

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
        stream.vm.call("proxy_on_context_create", id, &[id, ROOT]);
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
