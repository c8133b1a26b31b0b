//! `attach-gateway render`: the bootstrap, for people with an Envoy of their own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::bootstrap::{self, Placement};
use crate::cli;
use crate::data_dir::{DataDir, DataDirError};
use crate::settings::Settings;

/// What `attach-gateway render` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Path of attach_filter.wasm as that Envoy sees it; by default the filter is written to
    /// the data directory
    #[arg(long, value_name = "PATH")]
    filter: Option<PathBuf>,
}

/// Prints the bootstrap. Nothing is asked over the network, so keys on another host than
/// their issuer need OIDC_JWKS_URI.
pub(crate) fn run(settings: &Settings, args: &Args) -> ExitCode {
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let placement = match placement(settings, args.filter.as_deref()) {
        Ok(placement) => placement,
        Err(error) => return cli::fail(error),
    };
    let text = format!("{:#}\n", bootstrap::render(settings, &placement));
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::fail(error),
    }
}

fn placement(settings: &Settings, filter: Option<&Path>) -> Result<Placement, DataDirError> {
    let data = DataDir::open(&settings.data_dir)?;
    Ok(Placement {
        admin_socket: data.admin_socket(0),
        mirror_socket: data.mirror_socket(),
        filter: match filter {
            Some(path) => path.to_path_buf(),
            None => data.extract_filter()?,
        },
        session: data.session(&settings.session)?,
        key_servers: settings.key_servers(),
    })
}
