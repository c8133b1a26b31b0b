//! What the host's `Status` means to us.

use proxy_wasm::types::Status;

/// Why an HTTP callout did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undispatched {
    /// The cluster is not configured, or the request lacks a part.
    Misconfigured,
    /// The cluster has no endpoint now, or its circuit breaker is open.
    Overloaded,
}

impl From<Status> for Undispatched {
    fn from(status: Status) -> Self {
        match status {
            Status::BadArgument => Self::Misconfigured,
            _ => Self::Overloaded,
        }
    }
}
