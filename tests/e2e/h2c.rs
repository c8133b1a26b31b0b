//! HTTP/2 in the clear, with header bytes and trailers as a test wants them.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::net::TcpStream;

use crate::wait::soon;

/// A request over a connection of its own.
pub(crate) struct Post<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(&'a str, &'a [u8])>,
}

/// Sends it; gives the status and the body of the answer.
pub(crate) async fn post(to: SocketAddr, post: Post<'_>) -> (u16, Vec<u8>) {
    soon("an answer over HTTP/2", exchange(to, post)).await.expect("an exchange over HTTP/2")
}

async fn exchange(to: SocketAddr, post: Post<'_>) -> Result<(u16, Vec<u8>), h2::Error> {
    let stream = TcpStream::connect(to).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await?;
    let driver = tokio::spawn(connection);
    let mut client = client.ready().await?;
    let mut request = Request::post(format!("http://gateway.test{}", post.path)).body(()).unwrap();
    *request.headers_mut() = map(&post.headers);
    let (answer, mut body) = client.send_request(request, false)?;
    // A refusal may come before all of this is sent, and is what the test wants to see.
    let _ = body.send_data(Bytes::from(post.body), post.trailers.is_empty());
    if !post.trailers.is_empty() {
        let _ = body.send_trailers(map(&post.trailers));
    }
    let answer = answer.await?;
    let status = answer.status().as_u16();
    let mut received = Vec::new();
    let mut body = answer.into_body();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        received.extend_from_slice(&part);
    }
    driver.abort();
    Ok((status, received))
}

fn map(pairs: &[(&str, &[u8])]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value).unwrap())
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}
