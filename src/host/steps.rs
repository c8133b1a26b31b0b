//! Steps of a flow as host calls.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use crate::auth::denial::Reply;
use crate::flow::{Answer, Body, Headers, Steps};

/// Emits steps on the stream that is the effective context.
pub(super) struct HostSteps;

impl Steps for HostSteps {
    fn set_request(&mut self, name: &str, value: &[u8]) {
        let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value));
    }

    fn remove_request(&mut self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
    }

    fn remove_trailer(&mut self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name);
    }

    fn set_response(&mut self, name: &str, value: &[u8]) {
        let _ = hostcalls::set_map_value_bytes(MapType::HttpResponseHeaders, name, Some(value));
    }

    fn replace_request_body(&mut self, len: usize, body: &[u8]) {
        let _ = hostcalls::set_buffer(BufferType::HttpRequestBody, 0, len, body);
    }

    fn reply(&mut self, reply: &Reply) {
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = (!reply.body.is_empty()).then_some(reply.body.as_slice());
        let _ = hostcalls::send_http_response(reply.status.into(), headers, body);
    }
}

/// The window on a body that the host shows in a body callback.
pub(super) struct Window(pub(super) BufferType);

impl Body for Window {
    fn read(&mut self, start: usize, len: usize) -> Vec<u8> {
        hostcalls::get_buffer(self.0, start, len).ok().flatten().unwrap_or_default()
    }
}

/// The answer whose headers have come.
pub(super) struct HostAnswer;

impl Answer for HostAnswer {
    fn headers(&self) -> Headers {
        hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default()
    }

    fn code_details(&self) -> Vec<u8> {
        code_details()
    }
}

/// Who made the response, and why: `via_upstream`, `stream_idle_timeout`, ...
pub(super) fn code_details() -> Vec<u8> {
    hostcalls::get_property(vec!["response", "code_details"]).ok().flatten().unwrap_or_default()
}
