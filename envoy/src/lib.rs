//! The launcher of Attach Gateway.
pub mod bootstrap;
pub mod envoy_binary;
pub mod settings;
