//! The launcher of Attach Gateway.
pub mod bootstrap;
pub mod settings;
