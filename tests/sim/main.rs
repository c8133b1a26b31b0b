//! The built filter under a fake Envoy.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod host;

mod aborts;
mod chaos;
mod corpus;
mod denials;
mod gateway;
mod issuer;
mod keys;
mod mirror;
mod module;
mod readiness;
mod signing;
mod stamping;
mod tasks;
