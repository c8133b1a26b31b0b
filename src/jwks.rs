//! Key sets (RFC 7517): reading them, fetching them, keeping them fresh.
//!
//! [`KeySet`] is one set as an issuer publishes it. A `Source` keeps one issuer's set and decides
//! when to fetch it; it shares what it fetched with the other workers of the proxy through
//! [`shared`], so that one of them fetches for all.

pub mod fetch;
pub mod freshness;
pub mod key;
pub(crate) mod location;
pub mod shared;
pub(crate) mod source;
pub mod url;

use crate::jwt::Algorithm;
use crate::jwt::json::Json;

pub use key::Key;

/// Largest key set, bytes.
pub const MAX_BODY: usize = 1 << 20;
/// Most keys of a set that are looked at.
pub const MAX_KEYS: usize = 256;
/// Most keys that one token is tried with. More than one fits only if keys share a `kid` or the
/// token names none.
pub const MAX_TRIES: usize = 4;

/// The usable signature keys of a set.
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a document is not a usable key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKeySet {
    /// Longer than [`MAX_BODY`].
    TooLarge,
    /// Not a JSON object with an array `keys` of at most [`MAX_KEYS`] members.
    Malformed,
    /// No key in it is one that we could use.
    Empty,
}

impl KeySet {
    /// Reads a key set (RFC 7517 section 5). A key that is malformed, unknown, too weak or not
    /// for signatures is passed over; the others are not affected.
    ///
    /// # Errors
    /// See [`BadKeySet`].
    pub fn parse(body: &[u8]) -> Result<Self, BadKeySet> {
        if body.len() > MAX_BODY {
            return Err(BadKeySet::TooLarge);
        }
        let document = Json::parse(body).ok_or(BadKeySet::Malformed)?;
        let listed = document
            .as_object()
            .and_then(|set| set.sole("keys"))
            .and_then(Json::as_array)
            .filter(|keys| keys.len() <= MAX_KEYS)
            .ok_or(BadKeySet::Malformed)?;
        let keys: Vec<Key> = listed.iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(BadKeySet::Empty) } else { Ok(Self { keys }) }
    }

    /// The keys that a token's header allows, at most [`MAX_TRIES`]: those of exactly its `kid`,
    /// or all if it names none; of the kind that its `alg` needs.
    pub fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(move |key| key_id.is_none() || key.id() == key_id)
            .filter(move |key| key.fits(algorithm))
            .take(MAX_TRIES)
    }

    /// Whether a key has this `kid`.
    #[must_use]
    pub fn knows(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id() == Some(key_id))
    }

    /// Whether a key of this fingerprint is in the set.
    #[must_use]
    pub fn contains(&self, fingerprint: &[u8; 32]) -> bool {
        self.keys.iter().any(|key| key.fingerprint() == fingerprint)
    }
}
