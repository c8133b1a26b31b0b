//! The launcher of Attach Gateway: turns the environment into an Envoy bootstrap and
//! supervises Envoy and the mirror-service.

pub mod demo;
pub mod login;
