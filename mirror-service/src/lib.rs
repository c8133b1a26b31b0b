//! The mirror-service: what was said through the gateway, remembered.
//!
//! The filter sends captured exchanges in batches ([`ingest`]). Each is read into a conversation
//! ([`transcript`]), its secrets are replaced ([`redact`]), and what remains is kept in a durable
//! [`outbox`] before the batch is acknowledged. From there it goes to a [`store`], at once and
//! for as long as it takes (`deliver`). People find their own events again by `/mem/*`
//! (`query`).
//!
//! [`run`] is the whole service; [`cli`] is its command line.

pub mod app;
pub mod cli;
pub mod clock;
mod deliver;
pub mod event;
mod fault;
pub mod ingest;
mod logs;
pub mod outbox;
mod query;
pub mod redact;
pub mod secret;
mod serve;
pub mod settings;
mod sqlite;
pub mod stats;
pub mod store;
#[cfg(test)]
mod testing;
pub mod transcript;

pub use serve::{Error, run};
pub use settings::Settings;
pub use sqlite::Trouble;
