//! The JOSE header (RFC 7515 section 4).

use super::json::Json;
use super::{Algorithm, Invalid};

/// What we read of a header. Keys that the token brings or points to (`jwk`, `jku`, `x5u`,
/// `x5c`) are not among it: whoever forges a token would bring the key along.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub key_id: Option<String>,
    /// `typ`, in lower case and without `application/` (RFC 7515 section 4.1.9).
    pub token_type: Option<String>,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`Invalid::Header`], [`Invalid::Extension`] or [`Invalid::Algorithm`].
    pub fn parse(document: &[u8]) -> Result<Self, Invalid> {
        let header = Json::parse_strict(document).ok_or(Invalid::Header)?;
        let text = |name| header.text(name).map_err(|_| Invalid::Header);
        let algorithm = text("alg")?.ok_or(Invalid::Header)?;
        let key_id = text("kid")?.map(str::to_owned);
        let token_type = text("typ")?.map(media_type);
        // We understand no extension, so whatever must be understood is refused
        // (RFC 7515 section 4.1.11, RFC 7797 section 6; `zip` belongs to JWE).
        if ["crit", "b64", "zip"].iter().any(|name| header.has(name)) {
            return Err(Invalid::Extension);
        }
        let algorithm = Algorithm::named(algorithm).ok_or(Invalid::Algorithm)?;
        Ok(Self { algorithm, key_id, token_type })
    }
}

/// A `typ` in the form in which it is compared.
#[must_use]
pub fn media_type(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(short) => short.to_owned(),
        None => lower,
    }
}
