//! The filter manager: it drives a stream through the filter as Envoy does.
//!
//! Both halves work alike; only the names of the callbacks differ.

use super::headers::Headers;
use super::reply::{fail, filter_reply, host_reply};
use super::state::Deferred;
use super::stream::{Direction, Half, Iteration};
use super::vm::{Returned, Vm};

const CONTINUE: Returned = Returned::Value(0);
const PAUSE: Returned = Returned::Value(1);

/// Runs a callback and then what it asked for.
pub fn invoke(vm: &Vm, export: &str, context: u32, arguments: &[u32]) -> Returned {
    let returned = vm.call(export, context, arguments);
    for action in vm.take_deferred() {
        match action {
            Deferred::Continue(id, direction) if exists(vm, id) => resume(vm, id, direction),
            Deferred::Reply(id, reply) if exists(vm, id) => filter_reply(vm, id, reply),
            Deferred::Reset(id) if exists(vm, id) => vm.stream(id, |stream| stream.reset = true),
            _ => {}
        }
    }
    returned
}

fn exists(vm: &Vm, id: u32) -> bool {
    vm.with(|state| state.streams.get(&id).is_some_and(|stream| !stream.gone))
}

/// Whether this half takes no more events.
fn is_closed(vm: &Vm, id: u32, direction: Direction) -> bool {
    let dead = vm.is_dead();
    if dead && !vm.stream(id, |stream| stream.is_over()) {
        fail(vm, id);
    }
    vm.stream(id, |stream| {
        let answered = direction == Direction::Request && stream.local;
        dead || stream.is_over() || answered
    })
}

fn export(direction: Direction, event: &str) -> String {
    let half = match direction {
        Direction::Request => "request",
        Direction::Response => "response",
    };
    format!("proxy_on_{half}_{event}")
}

/// Headers arrive.
pub fn headers(vm: &Vm, id: u32, direction: Direction, map: Headers, end: bool) {
    if is_closed(vm, id, direction) {
        return;
    }
    let count = map.len() as u32;
    vm.stream(id, |stream| {
        let half = stream.half(direction);
        half.headers = map;
        (half.started, half.headers_open, half.ended) = (true, true, end);
    });
    let arguments = [id, count, u32::from(end)];
    let returned = invoke(vm, &export(direction, "headers"), id, &arguments);
    if is_closed(vm, id, direction) {
        return;
    }
    let stop_iteration = vm.with(|state| state.world.borrow().options.stop_iteration);
    vm.stream(id, |stream| {
        let half = stream.half(direction);
        match returned {
            CONTINUE => release_headers(half, end),
            PAUSE if stop_iteration => half.iteration = Iteration::StopSingle,
            _ => half.iteration = Iteration::StopAll,
        }
    });
}

fn release_headers(half: &mut Half, end: bool) {
    half.headers_open = false;
    if half.passed.headers.is_none() {
        half.passed.headers = Some(half.headers.clone());
        half.passed.complete |= end;
    }
}

/// A piece of body arrives.
pub fn data(vm: &Vm, id: u32, direction: Direction, piece: Vec<u8>, end: bool) {
    if is_closed(vm, id, direction) {
        return;
    }
    let held_back = vm.stream(id, |stream| {
        let half = stream.half(direction);
        half.ended |= end;
        half.iteration == Iteration::StopAll
    });
    if held_back {
        vm.stream(id, |stream| stream.half(direction).hold(piece));
        return;
    }
    show_data(vm, id, direction, piece, end);
}

fn show_data(vm: &Vm, id: u32, direction: Direction, piece: Vec<u8>, end: bool) {
    let size = vm.stream(id, |stream| {
        let half = stream.half(direction);
        if half.buffering {
            half.hold(piece);
        } else {
            half.chunk = Some(piece);
        }
        half.body().map_or(0, |body| body.len())
    });
    let arguments = [id, size as u32, u32::from(end)];
    let returned = invoke(vm, &export(direction, "body"), id, &arguments);
    if is_closed(vm, id, direction) {
        return;
    }
    let (limit, stopped) = vm.stream(id, |stream| {
        let half = stream.half(direction);
        half.buffering = false;
        let chunk = half.chunk.take();
        match returned {
            CONTINUE => {
                let mut piece = half.held.take().unwrap_or_default();
                piece.extend(chunk.unwrap_or_default());
                let stopped = half.iteration != Iteration::Continue;
                if stopped {
                    half.held = Some(piece)
                } else {
                    half.pass(piece, end)
                }
                return (0, stopped);
            }
            PAUSE => {
                half.buffering = true;
                half.hold(chunk.unwrap_or_default());
            }
            _ => {}
        }
        half.iteration = Iteration::StopSingle;
        (half.held.as_ref().map_or(0, Vec::len), false)
    });
    if stopped {
        release(vm, id, direction);
    }
    refuse_overflow(vm, id, direction, limit);
}

/// Envoy gives up on a body that outgrows the buffer while the filter holds it.
fn refuse_overflow(vm: &Vm, id: u32, direction: Direction, held: usize) {
    if held <= vm.with(|state| state.world.borrow().options.buffer_limit) {
        return;
    }
    match direction {
        Direction::Request => host_reply(vm, id, 413, "request_payload_too_large"),
        Direction::Response => host_reply(vm, id, 500, "response_payload_too_large"),
    }
}

/// Trailers arrive; they end the half, and no body callback ever says so.
pub fn trailers(vm: &Vm, id: u32, direction: Direction, map: Headers) {
    if is_closed(vm, id, direction) {
        return;
    }
    let held_back = vm.stream(id, |stream| {
        let half = stream.half(direction);
        half.trailers = Some(map);
        half.ended = true;
        half.iteration == Iteration::StopAll
    });
    if !held_back {
        show_trailers(vm, id, direction);
    }
}

fn show_trailers(vm: &Vm, id: u32, direction: Direction) {
    let count = vm.stream(id, |stream| {
        let half = stream.half(direction);
        half.trailers_open = true;
        half.trailers.as_ref().map_or(0, Headers::len)
    });
    let returned = invoke(vm, &export(direction, "trailers"), id, &[id, count as u32]);
    if is_closed(vm, id, direction) {
        return;
    }
    if returned != CONTINUE {
        vm.stream(id, |stream| stream.half(direction).iteration = Iteration::StopSingle);
        return;
    }
    vm.stream(id, |stream| stream.half(direction).trailers_open = false);
    release(vm, id, direction);
}

/// The filter resumes a half that it holds back.
fn resume(vm: &Vm, id: u32, direction: Direction) {
    if is_closed(vm, id, direction) {
        return;
    }
    if vm.stream(id, |stream| stream.half(direction).iteration) != Iteration::Continue {
        release(vm, id, direction);
    }
}

/// Lets go of what is held: headers, then body, then trailers. After `StopAll` the filter has not
/// seen body and trailers yet, and sees them now.
fn release(vm: &Vm, id: u32, direction: Direction) {
    let (unseen, held, had_trailers, ended) = vm.stream(id, |stream| {
        let half = stream.half(direction);
        let unseen = half.iteration == Iteration::StopAll;
        half.iteration = Iteration::Continue;
        let (held, had_trailers) = (half.held.take(), half.trailers.is_some());
        release_headers(half, half.ended && held.is_none() && !had_trailers);
        (unseen, held, had_trailers, half.ended && !had_trailers)
    });
    if let Some(piece) = held {
        if unseen {
            show_data(vm, id, direction, piece, ended);
        } else {
            vm.stream(id, |stream| stream.half(direction).pass(piece, ended));
        }
    }
    if !had_trailers || is_closed(vm, id, direction) {
        return;
    }
    if unseen {
        show_trailers(vm, id, direction);
    } else {
        vm.stream(id, |stream| {
            let half = stream.half(direction);
            half.trailers_open = false;
            half.passed.trailers.clone_from(&half.trailers);
            half.passed.complete = true;
        });
    }
}
