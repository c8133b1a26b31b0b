//! The mirror: bounded capture of exchanges, batches and the queue they wait in.

pub mod wire;
