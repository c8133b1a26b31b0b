//! The Envoy filter of Attach Gateway: signs callers in, stamps who they are, mirrors exchanges.
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`] | the configuration, read from JSON, all faults at once |
//! | [`gateway`] | the configuration made ready for the hot path |
//! | [`flow`] | one request as a state machine: events in, steps out |
//! | [`routes`], [`headers`] | what a path asks for; header names, what is stripped |
//! | [`auth`] | from `Authorization` to an identity or a denial |
//! | [`jwt`], [`jwks`] | tokens and key sets |
//! | [`session`] | session and trace ids |
//! | [`tasks`] | bodies of rewritten routes |
//! | [`mirror`] | capture, the wire record, the send queue |
//! | `host` | the only module that names `proxy_wasm` |
//!
//! Everything but `host` takes values and returns values: bytes, time and randomness come in as
//! arguments, so that every branch is tested natively.

pub mod auth;
pub mod config;
pub mod flow;
pub mod gateway;
pub mod headers;
pub mod jwks;
pub mod jwt;
pub mod mirror;
pub mod routes;
pub mod session;
pub mod tasks;

#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
mod host;

#[cfg(test)]
mod dice;
