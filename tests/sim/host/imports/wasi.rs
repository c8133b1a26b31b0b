//! WASI, as far as every Envoy that runs the filter has it.

use wasmtime::{Linker, bail};

use super::Host;
use crate::host::guest::{Guest, Status};
use crate::host::state::HostState;

const MODULE: &str = "wasi_snapshot_preview1";
const SUCCESS: u32 = 0;
const BAD_DESCRIPTOR: u32 = 8;
const FAULT: u32 = 21;
const NOT_SUPPORTED: u32 = 58;

const INFO: u32 = 2;
const ERROR: u32 = 4;

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    for name in ["args_sizes_get", "environ_sizes_get"] {
        linker.func_wrap(MODULE, name, |host: Host<'_>, count_at: u32, size_at: u32| {
            let mut guest = Guest::new(host);
            errno(guest.write_u32(count_at, 0).and_then(|()| guest.write_u32(size_at, 0)))
        })?;
    }
    for name in ["args_get", "environ_get"] {
        linker.func_wrap(MODULE, name, |_: u32, _: u32| SUCCESS)?;
    }
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |host: Host<'_>, clock: u32, _precision: u64, at: u32| clock_time(host, clock, at),
    )?;
    linker.func_wrap(MODULE, "random_get", |host: Host<'_>, at: u32, size: u32| {
        let mut guest = Guest::new(host);
        let bytes: Vec<u8> = {
            let mut world = guest.state().world.borrow_mut();
            (0..size).map(|_| world.random().to_le_bytes()[0]).collect()
        };
        errno(guest.write(at, &bytes))
    })?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |host: Host<'_>, descriptor: u32, vectors: u32, count: u32, written_at: u32| {
            write(host, descriptor, vectors, count, written_at)
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |_: Host<'_>, code: u32| -> wasmtime::Result<()> {
        bail!("proc_exit({code})")
    })?;
    Ok(())
}

fn errno(result: Result<(), Status>) -> u32 {
    result.map_or(FAULT, |()| SUCCESS)
}

fn clock_time(host: Host<'_>, clock: u32, at: u32) -> u32 {
    let mut guest = Guest::new(host);
    let (wall_ns, now_ms) = {
        let world = guest.state().world.borrow();
        (world.wall_ns, world.now_ms)
    };
    match clock {
        0 => errno(guest.write_u64(at, wall_ns)),
        1 => errno(guest.write_u64(at, now_ms * 1_000_000)),
        _ => NOT_SUPPORTED,
    }
}

/// Standard output and error become lines of the log.
fn write(host: Host<'_>, descriptor: u32, vectors: u32, count: u32, written_at: u32) -> u32 {
    let level = match descriptor {
        1 => INFO,
        2 => ERROR,
        _ => return BAD_DESCRIPTOR,
    };
    let mut guest = Guest::new(host);
    let mut text = Vec::new();
    for index in 0..count {
        let Ok(vector) = guest.read(vectors + index * 8, 8) else { return FAULT };
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| vector[at + i]));
        let Ok(bytes) = guest.read(word(0), word(4)) else { return FAULT };
        text.extend(bytes);
    }
    let line = String::from_utf8_lossy(&text).trim_end().to_owned();
    guest.state().world.borrow_mut().write_log(level, &line);
    errno(guest.write_u32(written_at, text.len() as u32))
}
