//! Authentication through its public face: the verdict on tokens, and the keys of a proxy with
//! several workers, played with a clock, an issuer and a shared map that the test holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod bearer;
mod cache;
mod config;
mod corpus;
mod mint;
mod oracle;
mod proxy;
mod rfc;
mod store;
mod vectors;
