//! Answers that no upstream gave, and the end of a stream.

use super::exchange::{data, headers, invoke};
use super::headers::Headers;
use super::stream::{Direction, LocalReply};
use super::vm::Vm;

/// The filter answers by itself; only its first answer counts.
pub fn filter_reply(vm: &Vm, id: u32, reply: LocalReply) {
    if !vm.stream(id, |stream| std::mem::replace(&mut stream.replied, true)) {
        local_reply(vm, id, reply, "");
    }
}

/// Envoy itself answers: a router error, a body over the limit. `details` is its word for it.
pub fn host_reply(vm: &Vm, id: u32, status: u32, details: &str) {
    let body = details.as_bytes().to_vec();
    let reply = LocalReply { status, headers: Headers::default(), body };
    local_reply(vm, id, reply, details);
}

/// A local reply goes through the filter's response callbacks, unless an answer of the upstream
/// is already on its way through them; once the client has headers, the stream is reset.
fn local_reply(vm: &Vm, id: u32, reply: LocalReply, details: &str) {
    if vm.stream(id, |stream| stream.is_over()) {
        return;
    }
    let (sent, started, head) = vm.stream(id, |stream| {
        let head = stream.request.headers.get(":method") == Some(b"HEAD");
        (stream.response.passed.headers.is_some(), stream.response.started, head)
    });
    if sent {
        vm.stream(id, |stream| stream.reset = true);
        return;
    }
    let map = reply_headers(&reply);
    let body = if head { Vec::new() } else { reply.body };
    vm.stream(id, |stream| {
        stream.local = true;
        details.clone_into(&mut stream.details);
    });
    if started || vm.is_dead() {
        vm.stream(id, |stream| {
            let passed = &mut stream.response.passed;
            passed.headers = Some(map);
            passed.chunks = if body.is_empty() { Vec::new() } else { vec![body] };
            passed.complete = true;
        });
        return;
    }
    headers(vm, id, Direction::Response, map, body.is_empty());
    if !body.is_empty() {
        data(vm, id, Direction::Response, body, true);
    }
}

fn reply_headers(reply: &LocalReply) -> Headers {
    let mut map = Headers::new([(":status", reply.status.to_string())]);
    reply.headers.iter().for_each(|(name, value)| map.add(name, value));
    if reply.body.is_empty() {
        map.remove("content-type");
        map.remove("content-length");
    } else {
        map.set("content-length", reply.body.len().to_string());
        if map.get("content-type").is_none() {
            map.set("content-type", "text/plain");
        }
    }
    map
}

/// The VM died under the stream: 503 without a body, past the filter.
pub fn fail(vm: &Vm, id: u32) {
    if !vm.stream(id, |stream| std::mem::replace(&mut stream.failed, true)) {
        let reply = LocalReply { status: 503, headers: Headers::default(), body: Vec::new() };
        local_reply(vm, id, reply, "wasm_fail_stream");
    }
}

/// The end of a stream: the log first, then done and delete.
pub fn finish(vm: &Vm, id: u32) {
    vm.stream(id, |stream| stream.logging = true);
    invoke(vm, "proxy_on_log", id, &[id]);
    vm.stream(id, |stream| stream.logging = false);
    invoke(vm, "proxy_on_done", id, &[id]);
    invoke(vm, "proxy_on_delete", id, &[id]);
    vm.with(|state| {
        state.contexts.remove(&id);
        state.streams.get_mut(&id).expect("the stream exists").gone = true;
    });
}
