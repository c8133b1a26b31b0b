//! `get_property` and `set_property`.

use super::guest::Status;
use super::state::HostState;
use super::stream::StreamState;

/// A property by its path, whose parts NUL bytes part.
pub fn get(state: &mut HostState, path: &[u8]) -> Result<Vec<u8>, Status> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    match parts.as_slice() {
        [b"plugin_name" | b"plugin_root_id" | b"plugin_vm_id"] => return Ok(b"attach".to_vec()),
        [b"source", b"address"] => return Ok(b"127.0.0.1:50000".to_vec()),
        [b"source", b"port"] => return Ok(number(50_000)),
        [b"connection", b"id"] => return Ok(number(1)),
        [b"connection", b"mtls"] => return Ok(vec![0]),
        _ => {}
    }
    let stream = state.stream().map_err(|_| Status::NotFound)?;
    match parts.as_slice() {
        [b"request", rest @ ..] => request(stream, rest),
        [b"response", b"code"] => {
            stream.status().map(|code| number(code.into())).ok_or(Status::NotFound)
        }
        [b"response", b"code_details"] if stream.details.is_empty() => Err(Status::NotFound),
        [b"response", b"code_details"] => Ok(stream.details.clone().into_bytes()),
        [name] => {
            let set = stream.properties.iter().rev().find(|(known, _)| known == name);
            set.map(|(_, value)| value.clone()).ok_or(Status::NotFound)
        }
        _ => Err(Status::NotFound),
    }
}

/// Sets filter state.
pub fn set(state: &mut HostState, path: Vec<u8>, value: Vec<u8>) -> Result<(), Status> {
    let stream = state.stream().map_err(|_| Status::NotFound)?;
    stream.properties.push((path, value));
    Ok(())
}

fn number(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// The request's attributes. Those that come from its headers exist as long as the map does.
fn request(stream: &StreamState, path: &[&[u8]]) -> Result<Vec<u8>, Status> {
    match path {
        [b"time"] => return Ok(number(stream.arrived_ns)),
        [b"protocol"] => return Ok(b"HTTP/1.1".to_vec()),
        _ if !stream.request.headers_open && !stream.logging => return Err(Status::NotFound),
        _ => {}
    }
    let header =
        |name: &str| stream.request.headers.get(name).map(<[u8]>::to_vec).ok_or(Status::NotFound);
    let full_path = || header(":path");
    match path {
        [b"host"] => header(":authority"),
        [b"path"] => full_path(),
        [b"url_path"] => Ok(full_path()?.split(|byte| *byte == b'?').next().unwrap().to_vec()),
        [b"query"] => {
            Ok(full_path()?.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default().to_vec())
        }
        [b"method"] => header(":method"),
        [b"id"] => header("x-request-id"),
        [b"useragent"] => header("user-agent"),
        [b"headers", name] => header(&String::from_utf8_lossy(name)),
        _ => Err(Status::NotFound),
    }
}
