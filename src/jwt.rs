//! JSON Web Tokens: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (JWA), RFC 7519 (JWT).
//!
//! A token goes through [`compact`] (three strict base64url parts), [`header`] and [`claims`]
//! (shapes, nothing believed yet), [`signature`], and last the times and audiences. Every way to
//! fail is a variant of [`Invalid`].

pub mod claims;
pub mod compact;
mod der;
pub mod header;
pub mod invalid;
pub mod json;
mod secp256k1;
pub mod signature;
pub mod time;

use serde::{Deserialize, Serialize};

pub use invalid::Invalid;
pub use time::UnixMillis;

/// Longest accepted token, bytes. Checked before anything else is done with it; every issuer
/// we know stays below 8 KiB, and proxies commonly refuse headers of more than that.
pub const MAX_TOKEN: usize = 16 << 10;

/// A JWS signature algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 8812 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // the names are the RFC's own
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES256K,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// What is accepted when the configuration names nothing: asymmetric, without ES256K.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        vec![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
    }

    /// The algorithm of an `alg` value, compared exactly. `Ed25519` is the name that RFC 9864
    /// section 2.2 gives to `EdDSA` with that curve, the only one we have.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "PS256" => Self::PS256,
            "PS384" => Self::PS384,
            "PS512" => Self::PS512,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "ES256K" => Self::ES256K,
            "EdDSA" | "Ed25519" => Self::EdDSA,
            "HS256" => Self::HS256,
            "HS384" => Self::HS384,
            "HS512" => Self::HS512,
            _ => return None,
        })
    }

    /// Whether the key is a shared secret.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}
