//! A client that sends exactly the bytes it is given.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::http1::{Cut, Framing, Head, Reader};
use crate::wait::soon;

/// One connection.
pub(crate) struct Raw {
    pub(crate) reader: Reader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let (read, writer) = TcpStream::connect(to).await.expect("connect").into_split();
        Self { reader: Reader::new(read), writer }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The gateway may have answered and closed before it read all of it.
        let _ = self.writer.write_all(bytes.as_ref()).await;
    }

    /// The head of the next answer; none if the connection was closed instead.
    pub(crate) async fn head(&mut self) -> Option<(u16, Head)> {
        loop {
            let head = soon("the head of an answer", self.reader.head()).await?;
            let status = head.start.split(' ').nth(1)?.parse().ok()?;
            // 100 (Continue) only says that the body may follow.
            if status >= 200 {
                return Some((status, head));
            }
        }
    }

    pub(crate) async fn answer(&mut self) -> RawAnswer {
        let (status, head) = self.head().await.expect("an answer, not the end of the connection");
        let (body, _) = soon("a body", self.reader.body(framing(status, &head))).await.unwrap();
        RawAnswer { status, body }
    }

    /// The rest of a chunked answer.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>, Cut> {
        soon("the rest of a body", self.reader.body(Framing::Chunked)).await.map(|(body, _)| body)
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn exchange(to: SocketAddr, request: impl AsRef<[u8]>) -> RawAnswer {
    let mut raw = Raw::connect(to).await;
    raw.send(request).await;
    raw.answer().await
}

/// A head: the request line, `Host` and these lines, each without its end.
pub(crate) fn head(line: &str, lines: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("{line} HTTP/1.1\r\nHost: gateway.test\r\n").into_bytes();
    for line in lines {
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn framing(status: u16, head: &Head) -> Framing {
    match status {
        204 | 304 => Framing::Length(0),
        _ => head.framing(Framing::ToClose),
    }
}
