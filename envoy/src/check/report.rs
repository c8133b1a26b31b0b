//! What a bug report needs to know about this machine. Names of settings, never their values.

use crate::envoy_binary::PINNED;
use crate::settings;

/// Versions, and which settings are set.
pub(super) fn text() -> String {
    let set: Vec<_> = std::env::vars_os()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| settings::is_of_our_families(name))
        .collect();
    let kernel = rustix::system::uname();
    format!(
        "attach-gateway {}, pinned Envoy {PINNED}, filter {} bytes\n{} {} on {}\nsettings: {}",
        env!("CARGO_PKG_VERSION"),
        crate::FILTER_WASM.len(),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        std::env::consts::ARCH,
        if set.is_empty() { "none".to_owned() } else { set.join(" ") },
    )
}
