//! The issuer's signing key.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::{RS256KeyPair, RSAKeyPairLike};
use jwt_simple::claims::JWTClaims;
use jwt_simple::common::HeaderOptions;
use serde_json::{Map, Value, json};

const BITS: usize = 2048;

/// A key could not be made or used. The cause never holds key material.
#[derive(Debug, thiserror::Error)]
#[error("signing key: {0}")]
pub struct KeyError(String);

/// An RSA key pair with the `kid` under which its public half is published.
#[derive(Clone)]
pub struct Keys {
    pair: Arc<RS256KeyPair>,
    kid: String,
}

impl Keys {
    /// Makes a fresh 2048 bit pair. Takes up to a second of processor time.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = RS256KeyPair::generate(BITS).map_err(|e| KeyError(e.to_string()))?;
        let kid = pair.public_key().sha256_thumbprint();
        Ok(Self::named(pair, kid))
    }

    /// Makes another pair that claims the same `kid`: what it signs is a forgery.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn impostor(&self) -> Result<Self, KeyError> {
        let pair = RS256KeyPair::generate(BITS).map_err(|e| KeyError(e.to_string()))?;
        Ok(Self::named(pair, self.kid.clone()))
    }

    fn named(pair: RS256KeyPair, kid: String) -> Self {
        Self { pair: Arc::new(pair.with_key_id(&kid)), kid }
    }

    /// The `kid` in the header of what it signs.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a key set (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        let public = self.pair.public_key().to_components();
        json!({"keys": [{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(public.n),
            "e": URL_SAFE_NO_PAD.encode(public.e),
        }]})
    }

    /// Signs `claims` as they are, under the given `typ`.
    ///
    /// # Errors
    /// The key cannot sign, which a generated one always can.
    pub fn sign(&self, typ: &str, claims: Map<String, Value>) -> Result<String, KeyError> {
        let options =
            HeaderOptions { signature_type: Some(typ.to_owned()), ..HeaderOptions::default() };
        let claims = JWTClaims {
            issued_at: None,
            expires_at: None,
            invalid_before: None,
            issuer: None,
            subject: None,
            audiences: None,
            jwt_id: None,
            nonce: None,
            custom: claims,
        };
        self.pair.sign_with_options(claims, &options).map_err(|e| KeyError(e.to_string()))
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kid", &self.kid).finish_non_exhaustive()
    }
}
