//! The functions that the module imports: `env` (proxy-wasm 0.2.1) and WASI.

use wasmtime::{Caller, Engine, ExternType, Linker, Module, Val};

use super::guest::Status;
use super::state::HostState;

mod buffers;
mod calls;
mod general;
mod maps;
mod shared;
mod streams;
mod wasi;

type Host<'a> = Caller<'a, HostState>;

/// A linker with every import of the module.
pub fn linker(engine: &Engine, module: &Module) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    define_unimplemented(&mut linker, module)?;
    general::register(&mut linker)?;
    buffers::register(&mut linker)?;
    calls::register(&mut linker)?;
    maps::register(&mut linker)?;
    shared::register(&mut linker)?;
    streams::register(&mut linker)?;
    wasi::register(&mut linker)?;
    Ok(linker)
}

/// gRPC and the like: Envoy has them, no filter of ours may need them.
fn define_unimplemented(linker: &mut Linker<HostState>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports().filter(|import| import.module() == "env") {
        if let ExternType::Func(ty) = import.ty() {
            linker.func_new("env", import.name(), ty, |_, _, results| {
                results.fill(Val::I32(Status::Unimplemented as i32));
                Ok(())
            })?;
        }
    }
    Ok(())
}
