//! The launcher of Attach Gateway: turns settings into an Envoy bootstrap and supervises
//! Envoy and the mirror-service.
//!
//! | module | what it does |
//! |---|---|
//! | [`settings`] | environment and YAML file -> checked settings, all faults at once |
//! | [`bootstrap`] | settings -> Envoy bootstrap; pure |
//! | [`envoy_binary`] | finds Envoy, or installs the pinned one |
//! | [`data_dir`] | the private directory: lock, session secret, extracted filter |
//! | [`supervise`] | starts, restarts, drains and reloads Envoy and the mirror-service |
//! | [`cli`], [`render`], [`check`], [`mirror`], [`demo`], [`login`] | the subcommands |
//! | [`http`] | HTTP clients of the launcher itself |

mod admin;
pub mod bootstrap;
pub mod check;
pub mod cli;
pub mod data_dir;
pub mod demo;
mod discovery;
pub mod envoy_binary;
pub mod http;
pub mod login;
pub mod mirror;
pub mod render;
pub mod settings;
pub mod supervise;

/// The Envoy filter, as the build script made it.
pub static FILTER_WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/attach_filter.wasm"));
