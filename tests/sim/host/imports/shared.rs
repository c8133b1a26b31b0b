//! Shared data, shared queues, metrics.

use wasmtime::Linker;

use super::Host;
use crate::host::guest::{Status, host_call};
use crate::host::metrics::Kind;
use crate::host::state::HostState;

pub fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    data(linker)?;
    queues(linker)?;
    metrics(linker)
}

fn data(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |host: Host<'_>, key: u32, key_size: u32, at: u32, size_at: u32, cas_at: u32| {
            host_call(host, |guest| {
                let key = guest.text(key, key_size)?;
                let found = guest.state().world.borrow().data.get(&key).cloned();
                let (value, cas) = found.ok_or(Status::NotFound)?;
                guest.give(at, size_at, &value)?;
                guest.write_u32(cas_at, cas)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |host: Host<'_>, key: u32, key_size: u32, value: u32, size: u32, cas: u32| {
            host_call(host, |guest| {
                let (key, value) = (guest.text(key, key_size)?, guest.read(value, size)?);
                guest.state().world.borrow_mut().data.set(&key, value, cas)
            })
        },
    )?;
    Ok(())
}

fn queues(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_register_shared_queue",
        |host: Host<'_>, name: u32, name_size: u32, id_at: u32| {
            host_call(host, |guest| {
                let name = guest.text(name, name_size)?;
                let thread = guest.state().thread;
                let id = guest.state().world.borrow_mut().queues.register(&name, thread);
                guest.write_u32(id_at, id)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_resolve_shared_queue",
        |host: Host<'_>, _vm: u32, _vm_size: u32, name: u32, name_size: u32, id_at: u32| {
            host_call(host, |guest| {
                let name = guest.text(name, name_size)?;
                let id = guest.state().world.borrow().queues.resolve(&name);
                guest.write_u32(id_at, id.ok_or(Status::NotFound)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_dequeue_shared_queue",
        |host: Host<'_>, id: u32, at: u32, size_at: u32| {
            host_call(host, |guest| {
                let entry = guest.state().world.borrow_mut().queues.dequeue(id)?;
                guest.give(at, size_at, &entry)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_enqueue_shared_queue",
        |host: Host<'_>, id: u32, at: u32, size: u32| {
            host_call(host, |guest| {
                let entry = guest.read(at, size)?;
                guest.state().world.borrow_mut().queues.enqueue(id, entry)
            })
        },
    )?;
    Ok(())
}

fn metrics(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |host: Host<'_>, kind: u32, name: u32, name_size: u32, id_at: u32| {
            host_call(host, |guest| {
                let (kind, name) = (Kind::of(kind)?, guest.text(name, name_size)?);
                let id = guest.state().define_metric(kind, &name);
                guest.write_u32(id_at, id)
            })
        },
    )?;
    linker.func_wrap("env", "proxy_increment_metric", |host: Host<'_>, id: u32, offset: i64| {
        host_call(host, |guest| {
            let (kind, name) = guest.state().metric(id)?;
            guest.state().world.borrow_mut().metrics.increment(kind, &name, offset)
        })
    })?;
    linker.func_wrap("env", "proxy_record_metric", |host: Host<'_>, id: u32, value: u64| {
        host_call(host, |guest| {
            let (kind, name) = guest.state().metric(id)?;
            guest.state().world.borrow_mut().metrics.record(kind, &name, value)
        })
    })?;
    linker.func_wrap("env", "proxy_get_metric", |host: Host<'_>, id: u32, at: u32| {
        host_call(host, |guest| {
            let (kind, name) = guest.state().metric(id)?;
            if kind == Kind::Histogram {
                return Err(Status::BadArgument);
            }
            let value = guest.state().world.borrow().metrics.get(&name);
            guest.write_u64(at, value.ok_or(Status::NotFound)?)
        })
    })?;
    Ok(())
}
