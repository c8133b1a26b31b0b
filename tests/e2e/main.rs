//! End to end: the real `attach-gateway`, the Envoy it starts and the mirror-service, between an
//! issuer, an engine and clients of this suite's own, all on loopback.
//!
//! Tests run side by side. Those that need nothing special share the gateways of [`stage`] and
//! tell their requests apart by `x-case`, a header that the gateway has no opinion on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod client;
mod engine;
mod gateway;
mod h2c;
mod http1;
mod issuer;
mod memory;
mod output;
mod ports;
mod processes;
mod raw;
mod stage;
mod wait;
mod watchdog;

mod bytes;
mod denials;
mod drain;
mod engine_faults;
mod exposure;
mod issuer_faults;
mod logs;
mod mirror_faults;
mod modes;
mod paths;
mod proxy;
mod public;
mod recall;
mod sessions;
mod shorthand;
mod smuggling;
mod stamping;
mod start_errors;
mod streaming;
mod supervision;
mod tasks;
