//! `attach-gateway demo`: the whole product on loopback, with an issuer and an engine of its
//! own.

pub mod engine;
pub mod issuer;
pub(crate) mod server;

#[cfg(test)]
pub(crate) mod testing;
