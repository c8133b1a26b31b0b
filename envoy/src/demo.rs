//! `attach-gateway demo`: the whole product on loopback, with an issuer and an engine of its
//! own.

pub mod engine;
pub mod issuer;
mod server;

#[cfg(test)]
mod testing;
