//! HTTP/1.1 to the byte, for both ends of the gateway: libraries hide what these tests are about.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Start line and headers, as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// How long a body is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    ToClose,
}

/// A buffered reader of messages.
pub(crate) struct Reader<R> {
    from: R,
    buffer: Vec<u8>,
}

/// The connection ended in the middle of something.
#[derive(Debug)]
pub(crate) struct Cut;

impl Head {
    /// Values of a header; its name in any case.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        all(&self.headers, name)
    }

    pub(crate) fn one(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    pub(crate) fn framing(&self, otherwise: Framing) -> Framing {
        if self.one("transfer-encoding").is_some() {
            return Framing::Chunked;
        }
        self.one("content-length")
            .map_or(otherwise, |length| Framing::Length(length.parse().expect("a length")))
    }

    fn parse(text: &[u8]) -> Self {
        let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
        let start = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let headers = lines.filter(|line| !line.is_empty()).map(pair).collect();
        Self { start, headers }
    }
}

fn pair(line: &[u8]) -> (String, Vec<u8>) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let name = String::from_utf8_lossy(&line[..colon]).into_owned();
    (name, line.get(colon + 1..).unwrap_or_default().trim_ascii().to_vec())
}

/// Values of a header in a list of pairs.
pub(crate) fn all(headers: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    headers
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, buffer: Vec::new() }
    }

    /// The next head; none at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.take(end + 4);
                return Some(Head::parse(&head));
            }
            self.more().await.ok()?;
        }
    }

    /// A whole body, and the trailers of a chunked one.
    pub(crate) async fn body(
        &mut self,
        framing: Framing,
    ) -> Result<(Vec<u8>, Vec<(String, Vec<u8>)>), Cut> {
        match framing {
            Framing::Length(length) => {
                while self.buffer.len() < length {
                    self.more().await?;
                }
                Ok((self.take(length), Vec::new()))
            }
            Framing::ToClose => {
                while self.more().await.is_ok() {}
                Ok((std::mem::take(&mut self.buffer), Vec::new()))
            }
            Framing::Chunked => {
                let mut body = Vec::new();
                while let Some(chunk) = self.chunk().await? {
                    body.extend(chunk);
                }
                Ok((body, self.trailers().await?))
            }
        }
    }

    /// One chunk; none after the last, when the trailers follow.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        let line = self.line().await?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| Cut)?;
        if size == 0 {
            return Ok(None);
        }
        while self.buffer.len() < size + 2 {
            self.more().await?;
        }
        let mut chunk = self.take(size + 2);
        chunk.truncate(size);
        Ok(Some(chunk))
    }

    async fn trailers(&mut self) -> Result<Vec<(String, Vec<u8>)>, Cut> {
        let mut trailers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(trailers);
            }
            trailers.push(pair(line.as_bytes()));
        }
    }

    async fn line(&mut self) -> Result<String, Cut> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.take(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn more(&mut self) -> Result<(), Cut> {
        match self.from.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Cut),
            Ok(_) => Ok(()),
        }
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}
