//! The built module itself.

use crate::host::filter;

/// What every Envoy that runs the filter offers; one import more, and it does not load there.
const WASI: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "random_get",
];

const MAX_SIZE: usize = 600 * 1_024;

#[test]
fn imports_only_what_every_envoy_offers() {
    for import in filter().module.imports() {
        let allowed = match import.module() {
            "env" => import.name().starts_with("proxy_"),
            "wasi_snapshot_preview1" => WASI.contains(&import.name()),
            _ => false,
        };
        assert!(allowed, "{}.{}", import.module(), import.name());
    }
}

#[test]
fn is_small() {
    assert!(filter().size <= MAX_SIZE, "{} bytes", filter().size);
}

#[test]
fn speaks_the_abi_of_the_sdk() {
    let exports: Vec<&str> = filter().module.exports().map(|export| export.name()).collect();
    for name in ["memory", "_initialize", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate"] {
        assert!(exports.contains(&name), "{name}");
    }
}
