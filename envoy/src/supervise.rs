//! Runs Envoy and the mirror-service: starts them, starts them again when they end, drains
//! them, and takes over a changed configuration.

mod child;
mod drain;
mod envoy;
mod gateway;
mod keeper;
mod mirror;
mod ports;
mod run;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::data_dir::DataDirError;
use crate::envoy_binary::EnvoyBinary;
use crate::http::HttpError;
pub use child::{Args as ChildArgs, become_child};
pub(crate) use envoy::validate;
pub use gateway::Gateway;
pub use ports::PortError;
pub(crate) use ports::reserve;
pub use run::{End, run};

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Envoy to run.
    pub envoy: EnvoyBinary,
    /// The `attach-gateway` program: children are started through it, so that they die with us.
    pub launcher: PathBuf,
    /// Output of the children goes to `envoy.log` and `mirror.log` in the data directory
    /// instead of our own.
    pub quiet: bool,
}

/// Why the gateway did not start, or did not take over a new configuration.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the texts are the documentation
pub enum StartError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("Envoy at {} was built without the V8 runtime that the filter needs; set ATTACH_ENVOY to another one, or unset it and take `envoy` off PATH to let the launcher install its own", .0.display())]
    NoV8(PathBuf),
    #[error("Envoy does not accept its configuration ({how}):\n{output}")]
    Rejected { how: ExitStatus, output: String },
    #[error("a child cannot be started: {0}")]
    Child(std::io::Error),
    #[error("{name} ended while it started ({how}); its own messages say why")]
    Ended { name: &'static str, how: String },
    #[error("{name} was not ready within {} s", patience.as_secs())]
    Slow { name: &'static str, patience: Duration },
    #[error("ATTACH_DATA_DIR: cannot change from {} to {} while the gateway runs; restart it", from.display(), to.display())]
    DataDirChanged { from: PathBuf, to: PathBuf },
}
