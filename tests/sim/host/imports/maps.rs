//! Header maps: each exists only in its phase, elsewhere the answer is `BadArgument`.

use wasmtime::Linker;

use super::Host;
use crate::host::guest::{Guest, Status, host_call};
use crate::host::headers::Headers;
use crate::host::state::HostState;

const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const CALL_HEADERS: u32 = 6;
const CALL_TRAILERS: u32 = 7;

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |host: Host<'_>, kind: u32, at: u32, size_at: u32| {
            host_call(host, |guest| {
                // Unlike the single getter, Envoy answers with no pairs for a map that is not there.
                let pairs = read(guest, kind)?.unwrap_or_default().encode();
                guest.give(at, size_at, &pairs)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |host: Host<'_>, kind: u32, name: u32, name_size: u32, at: u32, size_at: u32| {
            host_call(host, |guest| {
                let name = guest.text(name, name_size)?;
                let logging = guest.state().stream().is_ok_and(|stream| stream.logging);
                let missing = if logging { Status::NotFound } else { Status::BadArgument };
                let map = read(guest, kind)?.ok_or(missing)?;
                let value = map.get(&name).ok_or(Status::NotFound)?;
                guest.give(at, size_at, value)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_header_map_pairs",
        |host: Host<'_>, kind: u32, at: u32, size: u32| {
            host_call(host, |guest| {
                let pairs = Headers::decode(&guest.read(at, size)?);
                *write(guest.state(), kind)? = pairs;
                Ok(())
            })
        },
    )?;
    edits(linker)
}

fn edits(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_add_header_map_value",
        |host: Host<'_>, kind: u32, name: u32, name_size: u32, value: u32, size: u32| {
            host_call(host, |guest| {
                let (name, value) = (guest.text(name, name_size)?, guest.read(value, size)?);
                write(guest.state(), kind)?.add(&name, value);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |host: Host<'_>, kind: u32, name: u32, name_size: u32, value: u32, size: u32| {
            host_call(host, |guest| {
                let (name, value) = (guest.text(name, name_size)?, guest.read(value, size)?);
                write(guest.state(), kind)?.set(&name, value);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |host: Host<'_>, kind: u32, name: u32, name_size: u32| {
            host_call(host, |guest| {
                let name = guest.text(name, name_size)?;
                write(guest.state(), kind)?.remove(&name);
                Ok(())
            })
        },
    )?;
    Ok(())
}

/// A map to read; `None` outside its phase.
fn read(guest: &mut Guest<'_>, kind: u32) -> Result<Option<Headers>, Status> {
    let state = guest.state();
    match kind {
        CALL_HEADERS => return Ok(state.answer.as_ref().and_then(|a| a.headers.clone())),
        CALL_TRAILERS => return Ok(state.answer.as_ref().and_then(|a| a.trailers.clone())),
        0..=5 => {}
        _ => return Err(Status::BadArgument),
    }
    let Ok(stream) = state.stream() else { return Ok(None) };
    let logging = stream.logging;
    let (request, response) = (&stream.request, &stream.response);
    Ok(match kind {
        REQUEST_HEADERS => (logging || request.headers_open).then(|| request.headers.clone()),
        REQUEST_TRAILERS if request.trailers_open && !logging => request.trailers.clone(),
        RESPONSE_HEADERS if logging => response.passed.headers.clone(),
        RESPONSE_HEADERS => response.headers_open.then(|| response.headers.clone()),
        RESPONSE_TRAILERS if response.trailers_open || logging => response.trailers.clone(),
        _ => None,
    })
}

/// A map to edit.
fn write(state: &mut HostState, kind: u32) -> Result<&mut Headers, Status> {
    let stream = state.stream()?;
    let (request, response) = (&mut stream.request, &mut stream.response);
    match kind {
        REQUEST_HEADERS if request.headers_open => Ok(&mut request.headers),
        REQUEST_TRAILERS if request.trailers_open => {
            request.trailers.as_mut().ok_or(Status::BadArgument)
        }
        RESPONSE_HEADERS if response.headers_open => Ok(&mut response.headers),
        RESPONSE_TRAILERS if response.trailers_open => {
            response.trailers.as_mut().ok_or(Status::BadArgument)
        }
        _ => Err(Status::BadArgument),
    }
}
