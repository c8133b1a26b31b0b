//! The built filter, compiled once for all tests.

use std::sync::OnceLock;

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
    let bytes = bytes();
    let engine = Engine::default();
    let module = Module::new(&engine, &bytes)?;
    let ready = imports::linker(&engine, &module)?.instantiate_pre(&module)?;
    Ok(Filter { engine, module, ready, size: bytes.len() })
}

fn bytes() -> Vec<u8> {
    let path = std::env::var_os("ATTACH_FILTER_WASM").expect("ATTACH_FILTER_WASM names the filter");
    std::fs::read(path).expect("the filter is readable")
}
