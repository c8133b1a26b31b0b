//! The mirror: bounded capture of exchanges, batches and the queue they wait in.

pub mod capture;
pub mod queue;
pub mod wire;
