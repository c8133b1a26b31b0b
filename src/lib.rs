//! The Envoy filter of Attach Gateway.

pub mod auth;
pub mod config;
pub mod jwt;
pub mod mirror;
pub mod session;
pub mod tasks;

#[cfg(test)]
mod dice;
