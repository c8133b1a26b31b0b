//! Resuming, resetting and answering streams. All of it happens after the callback has returned.

use wasmtime::Linker;

use super::Host;
use crate::host::guest::{Status, host_call};
use crate::host::headers::Headers;
use crate::host::state::{Deferred, HostState};
use crate::host::stream::{Direction, LocalReply};

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_continue_stream", |host: Host<'_>, kind: u32| {
        host_call(host, |guest| resume(guest.state(), kind))
    })?;
    linker.func_wrap("env", "proxy_close_stream", |host: Host<'_>, kind: u32| {
        host_call(host, |guest| {
            direction(kind)?;
            let state = guest.state();
            let id = state.context();
            state.deferred.push(Deferred::Reset(id));
            Ok(())
        })
    })?;
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |host: Host<'_>,
         status: u32,
         _details: u32,
         _details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         _grpc: i32| {
            host_call(host, |guest| {
                let body = guest.read(body, body_size)?;
                let headers = Headers::decode(&guest.read(headers, headers_size)?);
                let state = guest.state();
                let id = state.context();
                state.stop_next = true;
                state.deferred.push(Deferred::Reply(id, LocalReply { status, headers, body }));
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn direction(kind: u32) -> Result<Direction, Status> {
    match kind {
        0 => Ok(Direction::Request),
        1 => Ok(Direction::Response),
        _ => Err(Status::BadArgument),
    }
}

fn resume(state: &mut HostState, kind: u32) -> Result<(), Status> {
    let direction = direction(kind)?;
    let id = state.context();
    state.deferred.push(Deferred::Continue(id, direction));
    // Envoy forgets the request's maps and body at once, whichever half is resumed.
    if let Ok(stream) = state.stream() {
        stream.request.headers_open = false;
        stream.request.trailers_open = false;
        stream.request.chunk = None;
    }
    Ok(())
}
