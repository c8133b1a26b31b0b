//! Callouts: they belong to the root context, whoever makes them.

use wasmtime::Linker;

use super::Host;
use crate::host::callout::{Call, CallState};
use crate::host::guest::{Guest, Status, host_call};
use crate::host::headers::{Headers, decode_pairs};
use crate::host::state::HostState;

/// Limits of a serialized map.
const MAX_PAIRS: usize = 1_024;
const MAX_PAIR_BYTES: usize = 1 << 20;

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |host: Host<'_>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout_ms: u32,
         token_at: u32| {
            host_call(host, |guest| {
                let cluster = guest.text(cluster, cluster_size)?;
                let headers = pairs(guest, headers, headers_size)?;
                pairs(guest, trailers, trailers_size)?;
                let body = guest.read(body, body_size)?;
                let token = dispatch(guest.state(), cluster, headers, body, timeout_ms)?;
                guest.write_u32(token_at, token)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_status",
        |host: Host<'_>, code_at: u32, at: u32, size_at: u32| {
            host_call(host, |guest| {
                guest.write_u32(code_at, 0)?;
                guest.give(at, size_at, b"")
            })
        },
    )?;
    Ok(())
}

fn pairs(guest: &mut Guest<'_>, at: u32, size: u32) -> Result<Vec<(String, Vec<u8>)>, Status> {
    if size as usize > MAX_PAIR_BYTES {
        return Err(Status::BadArgument);
    }
    let pairs = decode_pairs(&guest.read(at, size)?).unwrap_or_default();
    if pairs.len() > MAX_PAIRS { Err(Status::BadArgument) } else { Ok(pairs) }
}

fn dispatch(
    state: &mut HostState,
    cluster: String,
    pairs: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    timeout_ms: u32,
) -> Result<u32, Status> {
    let headers = Headers::new(pairs.into_iter().map(|(name, value)| {
        (if name.eq_ignore_ascii_case("host") { ":authority".to_owned() } else { name }, value)
    }));
    let mut world = state.world.borrow_mut();
    let complete = [":method", ":path", ":authority"].iter().all(|n| headers.get(n).is_some());
    if !world.clusters.contains(&cluster) || !complete {
        return Err(Status::BadArgument);
    }
    // The token is spent even when the call cannot be made.
    state.last_token += 1;
    if world.closed_clusters.contains(&cluster) {
        return Err(Status::InternalFailure);
    }
    // Envoy accepts a value with a line break, and the codec then never sends it.
    let breaks = |value: &[u8]| value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    let unsendable = headers.iter().any(|(_, value)| breaks(value));
    let now_ms = world.now_ms;
    world.open_call(Call {
        thread: state.thread,
        token: state.last_token,
        cluster,
        headers,
        body,
        timeout_ms,
        sent_ms: now_ms,
        state: if unsendable { CallState::Unsendable } else { CallState::Pending },
        offered: false,
        due: None,
    });
    Ok(state.last_token)
}
