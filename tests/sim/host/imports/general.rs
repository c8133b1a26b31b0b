//! Log, time, ticks, contexts, properties, foreign functions.

use wasmtime::Linker;

use super::Host;
use crate::host::guest::{Guest, Status, host_call};
use crate::host::properties;
use crate::host::signature;
use crate::host::state::HostState;
use crate::host::world::CRITICAL;

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |host: Host<'_>, level: u32, at: u32, size: u32| match log(
            &mut Guest::new(host),
            level,
            at,
            size,
        ) {
            Ok(()) => 0,
            Err(status) => status as u32,
        },
    )?;
    // Everything is logged, so that a leak at any level is found.
    linker.func_wrap("env", "proxy_get_log_level", |host: Host<'_>, level_at: u32| {
        host_call(host, |guest| guest.write_u32(level_at, 0))
    })?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", |host: Host<'_>, at: u32| {
        host_call(host, |guest| {
            let now = guest.state().world.borrow().wall_ns;
            guest.write_u64(at, now)
        })
    })?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", |host: Host<'_>, ms: u32| {
        host_call(host, |guest| {
            set_tick_period(guest.state(), u64::from(ms));
            Ok(())
        })
    })?;
    linker.func_wrap("env", "proxy_set_effective_context", |host: Host<'_>, id: u32| {
        host_call(host, |guest| {
            let state = guest.state();
            if !state.contexts.contains(&id) {
                return Err(Status::BadArgument);
            }
            state.effective = id;
            Ok(())
        })
    })?;
    linker.func_wrap("env", "proxy_done", |host: Host<'_>| host_call(host, |_| Ok(())))?;
    properties_and_functions(linker)
}

fn properties_and_functions(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |host: Host<'_>, path: u32, path_size: u32, value_at: u32, size_at: u32| {
            host_call(host, |guest| {
                let path = guest.read(path, path_size)?;
                let value = properties::get(guest.state(), &path)?;
                guest.give(value_at, size_at, &value)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |host: Host<'_>, path: u32, path_size: u32, value: u32, size: u32| {
            host_call(host, |guest| {
                let path = guest.read(path, path_size)?;
                let value = guest.read(value, size)?;
                properties::set(guest.state(), path, value)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |host: Host<'_>, name: u32, name_size: u32, data: u32, size: u32, at: u32, len_at: u32| {
            host_call(host, |guest| {
                let name = guest.text(name, name_size)?;
                let data = guest.read(data, size)?;
                let result = foreign_function(guest.state(), &name, &data)?;
                guest.give(at, len_at, &result)
            })
        },
    )?;
    Ok(())
}

fn log(guest: &mut Guest<'_>, level: u32, at: u32, size: u32) -> Result<(), Status> {
    if level > CRITICAL {
        return Err(Status::BadArgument);
    }
    let text = guest.read(at, size)?;
    let line = String::from_utf8_lossy(&text);
    guest.state().world.borrow_mut().write_log(level, &line);
    Ok(())
}

fn set_tick_period(state: &mut HostState, period_ms: u64) {
    let now = state.world.borrow().now_ms;
    state.tick_period_ms = period_ms;
    state.tick_due_ms = (period_ms > 0).then(|| now + period_ms);
}

fn foreign_function(state: &HostState, name: &str, data: &[u8]) -> Result<Vec<u8>, Status> {
    match name {
        "verify_signature" if state.world.borrow().options.verify_signature => {
            signature::verify(data)
        }
        "clear_route_cache" => Ok(Vec::new()),
        _ => Err(Status::NotFound),
    }
}
