//! Session, trace and event ids. Randomness and time are arguments.

pub mod trace;
pub mod uuid;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::config::Session;

/// Shortest secret, bytes: as long as the hash (RFC 2104 section 3).
const MIN_SECRET: usize = 32;

/// Longest `X-Session-ID` that is taken from a client.
const MAX_SID: usize = 64;

/// How `X-Attach-Session` is derived, prepared once so that a request costs two hash blocks.
///
/// Keyed, the id is HMAC-SHA-256(secret, message) in lower-case hex, where the message is, for
/// each of `iss`, `sub` and User-Agent in this order, the field's length in bytes as an 8-byte
/// big-endian integer and then its bytes. The lengths keep `a`+`bc` and `ab`+`c` apart. Plain,
/// it is SHA-256(`sub` followed by User-Agent) in lower-case hex, without any separator. An absent
/// User-Agent counts as an empty one; `sub` is the claim's UTF-8, not what the header carries.
#[derive(Clone)]
pub struct SessionKey(Formula);

#[derive(Clone)]
enum Formula {
    Keyed(Box<Hmac<Sha256>>),
    Plain,
}

/// What is wrong with a configured secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKeyFault {
    /// Not base64url without padding.
    NotBase64Url,
    /// Fewer than 32 bytes.
    TooShort,
}

impl fmt::Display for SessionKeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64Url => f.write_str("the session secret is not unpadded base64url"),
            Self::TooShort => write!(f, "the session secret has fewer than {MIN_SECRET} bytes"),
        }
    }
}

impl std::error::Error for SessionKeyFault {}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Formula::Keyed(_) => "SessionKey(keyed)",
            Formula::Plain => "SessionKey(plain)",
        })
    }
}

/// A session id: 64 lower-case hex characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 64]);

// === impl SessionKey ===

impl SessionKey {
    /// Prepares the formula that the configuration names.
    ///
    /// # Errors
    /// A secret that is not unpadded base64url of at least 32 bytes.
    pub fn new(config: &Session) -> Result<Self, SessionKeyFault> {
        let Session::Secret(secret) = config else {
            return Ok(Self(Formula::Plain));
        };
        let secret =
            URL_SAFE_NO_PAD.decode(&secret.0).map_err(|_| SessionKeyFault::NotBase64Url)?;
        if secret.len() < MIN_SECRET {
            return Err(SessionKeyFault::TooShort);
        }
        // HMAC takes a key of any length; the error is another MAC's.
        let mac = Hmac::new_from_slice(&secret).map_err(|_| SessionKeyFault::TooShort)?;
        Ok(Self(Formula::Keyed(Box::new(mac))))
    }

    /// The session of a verified caller and the User-Agent it came with.
    #[must_use]
    pub fn id(&self, issuer: &str, subject: &str, user_agent: Option<&[u8]>) -> SessionId {
        let user_agent = user_agent.unwrap_or_default();
        let digest: [u8; 32] = match &self.0 {
            Formula::Keyed(prepared) => {
                let mut mac = Hmac::clone(prepared);
                for field in [issuer.as_bytes(), subject.as_bytes(), user_agent] {
                    let len = u64::try_from(field.len()).unwrap_or(u64::MAX);
                    mac.update(&len.to_be_bytes());
                    mac.update(field);
                }
                mac.finalize().into_bytes().into()
            }
            Formula::Plain => {
                Sha256::new().chain_update(subject).chain_update(user_agent).finalize().into()
            }
        };
        SessionId::of(&digest)
    }
}

// === impl SessionId ===

impl SessionId {
    fn of(digest: &[u8; 32]) -> Self {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
            pair.copy_from_slice(&hex_pair(*byte));
        }
        Self(text)
    }

    /// The 64 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hex digits are ASCII, so the default is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.as_str())
    }
}

/// `X-Session-ID`: the client's, if it is 1 to 64 of `[A-Za-z0-9._-]`, else 8 hex characters of
/// `random`.
#[must_use]
pub fn trace_session(client: Option<&[u8]>, random: [u8; 4]) -> String {
    client.and_then(plain_name).map_or_else(|| hex(&random), str::to_owned)
}

fn plain_name(value: &[u8]) -> Option<&str> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=MAX_SID).contains(&value.len()) && value.iter().all(plain);
    fits.then(|| std::str::from_utf8(value).ok()).flatten()
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| hex_pair(*byte)).map(char::from).collect()
}

fn hex_pair(byte: u8) -> [u8; 2] {
    [hex_digit(byte >> 4), hex_digit(byte & 0x0f)]
}

fn hex_digit(nibble: u8) -> u8 {
    // Below 16 by both calls above, so neither sum wraps.
    if nibble < 10 { b'0'.wrapping_add(nibble) } else { b'a'.wrapping_add(nibble.wrapping_sub(10)) }
}

#[cfg(test)]
mod tests;
