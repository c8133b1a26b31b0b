//! The built filter, compiled once for all tests.

use std::sync::OnceLock;

use attach_gateway::FILTER_WASM;
use wasmtime::{Engine, InstancePre, Module};

use super::imports;
use super::state::HostState;

/// The compiled module with its imports bound.
pub struct Filter {
    pub engine: Engine,
    pub module: Module,
    pub ready: InstancePre<HostState>,
    pub size: usize,
}

/// The filter under test.
pub fn filter() -> &'static Filter {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    FILTER.get_or_init(|| load().expect("the filter loads"))
}

fn load() -> wasmtime::Result<Filter> {
    let engine = Engine::default();
    let module = Module::new(&engine, FILTER_WASM)?;
    let ready = imports::linker(&engine, &module)?.instantiate_pre(&module)?;
    Ok(Filter { engine, module, ready, size: FILTER_WASM.len() })
}
