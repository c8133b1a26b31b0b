//! HTTP callouts. All leave from the root context, because only then do their answers come back
//! whatever became of the stream that asked.

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use crate::auth::FetchId;
use crate::config::Mirror;
use crate::mirror::wire;

use super::readiness::Target;
use super::status::Undispatched;

/// What a callout was for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Keys(FetchId),
    Batch(u64),
    Probe(Target),
}

/// An answer to a callout; `None` where nothing but the end of it was reported.
pub(super) struct CallAnswer {
    pub(super) status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body_size: usize,
}

impl CallAnswer {
    /// Reads the answer that the host shows now. Without headers there is none, and asking for
    /// them would trap.
    pub(super) fn read(num_headers: usize, body_size: usize) -> Option<Self> {
        if num_headers == 0 {
            return None;
        }
        let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).ok()?;
        let status = headers.iter().find(|(name, _)| name == ":status")?;
        let status = std::str::from_utf8(&status.1).ok()?.parse().ok()?;
        Some(Self { status, headers, body_size })
    }

    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// At most `limit` bytes of the body, and whether that is all of it.
    pub(super) fn body(&self, limit: usize) -> Vec<u8> {
        let len = self.body_size.min(limit);
        if len == 0 {
            return Vec::new();
        }
        hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, len)
            .ok()
            .flatten()
            .unwrap_or_default()
    }
}

pub(super) fn get(
    cluster: &str,
    scheme: &str,
    authority: &str,
    path: &str,
    timeout: Duration,
) -> Result<u32, Undispatched> {
    let headers = vec![
        (":method", "GET"),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
        ("accept", "application/json"),
    ];
    hostcalls::dispatch_http_call(cluster, headers, None, Vec::new(), timeout).map_err(Into::into)
}

pub(super) fn post_batch(
    mirror: &Mirror,
    authorization: Option<&str>,
    body: &[u8],
) -> Result<u32, Undispatched> {
    let mut headers = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", mirror.authority.as_str()),
        (":path", wire::INGEST_PATH),
        ("content-type", wire::MEDIA_TYPE),
    ];
    if let Some(authorization) = authorization {
        headers.push(("authorization", authorization));
    }
    hostcalls::dispatch_http_call(&mirror.cluster, headers, Some(body), Vec::new(), BATCH_TIMEOUT)
        .map_err(Into::into)
}

/// A mirror-service that takes longer than this is as good as down; the batch is sent again.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);
