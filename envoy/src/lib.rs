//! The launcher of Attach Gateway.
pub mod settings;
