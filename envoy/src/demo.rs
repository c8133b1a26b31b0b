//! `attach-gateway demo`: the whole product on loopback, with an issuer and an engine of its
//! own.

pub mod engine;
#[allow(dead_code)]
mod guide;
pub mod issuer;
#[allow(dead_code)]
mod plan;
#[allow(dead_code)]
mod probe;
#[allow(dead_code)]
mod scratch;
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod testing;
#[allow(dead_code)]
mod tour;
