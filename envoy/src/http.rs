//! HTTP clients of the launcher itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, redirect};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the texts are the documentation
pub enum HttpError {
    #[error("cannot read the CA certificates in {}: {reason}", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client for the servers that people configure: no redirects, no cookies, TLS checked
/// against the system's certificates or those of `ca_file` alone.
///
/// # Errors
/// The CA file cannot be used, or TLS cannot be set up.
pub fn client(ca_file: Option<&Path>, timeout: Duration) -> Result<Client, HttpError> {
    let mut builder = bare(timeout);
    if let Some(path) = ca_file {
        let fault = |reason| HttpError::CaFile { path: path.to_path_buf(), reason };
        let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|error| fault(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fault("it holds none".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    Ok(builder.build()?)
}

/// A client that speaks to one Unix socket, whatever the address says.
pub(crate) fn unix(socket: &Path, timeout: Duration) -> Result<Client, HttpError> {
    Ok(bare(timeout).no_proxy().unix_socket(socket).build()?)
}

fn bare(timeout: Duration) -> ClientBuilder {
    // The provider is chosen once a process; whoever came first may have chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(redirect::Policy::none()).timeout(timeout).connect_timeout(timeout)
}

/// The innermost cause, which says what happened ("Connection refused"); the outer ones
/// repeat the address.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
