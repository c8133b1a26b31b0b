//! Bodies and configurations.

use wasmtime::Linker;

use super::Host;
use crate::host::guest::{Status, host_call};
use crate::host::state::HostState;
use crate::host::stream::Direction;

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALL_BODY: u32 = 4;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |host: Host<'_>, kind: u32, start: u32, length: u32, at: u32, size_at: u32| {
            host_call(host, |guest| {
                let window = window(guest.state(), kind, start as usize, length as usize)?;
                if window.is_empty() {
                    return Ok(());
                }
                guest.give(at, size_at, &window)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |host: Host<'_>, kind: u32, start: u32, length: u32, at: u32, size: u32| {
            host_call(host, |guest| {
                let bytes = guest.read(at, size)?;
                let direction = match kind {
                    REQUEST_BODY => Direction::Request,
                    RESPONSE_BODY => Direction::Response,
                    _ => return Err(Status::BadArgument),
                };
                let half = guest.state().stream()?.half(direction);
                let body = half.body().ok_or(Status::BadArgument)?;
                replace(body, start as usize, length as usize, bytes)
            })
        },
    )?;
    Ok(())
}

/// A part of a buffer. One that does not exist is `NotFound`; a body that was passed on is empty.
fn window(
    state: &mut HostState,
    kind: u32,
    start: usize,
    length: usize,
) -> Result<Vec<u8>, Status> {
    let buffer = match kind {
        REQUEST_BODY => body(state, Direction::Request)?,
        RESPONSE_BODY => body(state, Direction::Response)?,
        CALL_BODY => state.answer.as_ref().ok_or(Status::NotFound)?.body.clone(),
        VM_CONFIGURATION => Vec::new(),
        PLUGIN_CONFIGURATION if state.configuring => state.configuration.to_vec(),
        // The others that the ABI names are empty here.
        kind if kind <= 8 => return Err(Status::NotFound),
        _ => return Err(Status::BadArgument),
    };
    if start > buffer.len() {
        return Err(Status::InvalidMemoryAccess);
    }
    let end = start.saturating_add(length).min(buffer.len());
    Ok(buffer[start..end].to_vec())
}

fn body(state: &mut HostState, direction: Direction) -> Result<Vec<u8>, Status> {
    let half = state.stream().map_err(|_| Status::NotFound)?.half(direction);
    Ok(half.body().cloned().unwrap_or_default())
}

/// From the start: takes `length` bytes away and puts the new ones in front. From the end on:
/// appends. In the middle: refused.
fn replace(body: &mut Vec<u8>, start: usize, length: usize, bytes: Vec<u8>) -> Result<(), Status> {
    if start == 0 {
        body.splice(..length.min(body.len()), bytes);
        Ok(())
    } else if start >= body.len() {
        body.extend(bytes);
        Ok(())
    } else {
        Err(Status::BadArgument)
    }
}
