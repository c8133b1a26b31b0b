//! Who is calling: from the `Authorization` header to an [`Identity`] or a [`Denial`].
//!
//! An [`Authenticator`] holds what one worker needs: the issuers' policies, their keys, and the
//! tokens that were verified before. It has no clock, no network and no lock of its own; the
//! host hands in the time, the shared data and the answers to what is to be fetched.

mod authenticator;
mod bearer;
mod cache;
pub mod denial;
pub mod identity;
mod policy;
mod verify;

pub use crate::config::Fault;
pub use authenticator::{Authenticator, NotReady, Verdict};
pub use denial::Denial;
pub use identity::Identity;

pub use crate::jwks::fetch::{Fetch, FetchId, FetchOutcome};
pub use crate::jwks::shared::{CasMismatch, SharedData};
pub use crate::jwks::url::Scheme;
pub use crate::jwt::signature::{HostVerifier, NoHost, Unsupported};
pub use crate::jwt::{MAX_TOKEN, UnixMillis};
