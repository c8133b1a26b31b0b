//! The Envoy filter of Attach Gateway.

pub mod auth;
pub mod config;
pub mod jwks;
pub mod jwt;
pub mod mirror;
