//! The edge to Envoy: turns callbacks into events of the flow, and steps into host calls.

mod calls;
mod http;
mod metrics;
mod readiness;
mod root;
mod shared;
mod status;
mod steps;
mod verify;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}

/// Milliseconds since the Unix epoch, by the host's clock.
fn now() -> u64 {
    let now = proxy_wasm::hostcalls::get_current_time().unwrap_or(std::time::UNIX_EPOCH);
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes of the host's generator. It cannot fail where Envoy grants `random_get`; zeros would
/// make ids collide, which no check relies on.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        log::error!("no randomness from the host: ids of this request are not unique");
    }
    bytes
}
