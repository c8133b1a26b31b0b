//! The JWS compact serialization (RFC 7515 section 7.1), strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Invalid, MAX_TOKEN};

/// The three parts of a token, decoded, and the text that is signed.
#[derive(Debug)]
pub struct Compact<'a> {
    /// JSON of the header.
    pub header: Vec<u8>,
    /// JSON of the claims.
    pub claims: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// What is signed: the first two parts as they came, with the dot between them.
    pub signed: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Takes a token apart. Padding, white space, the standard alphabet and non-zero trailing
    /// bits are refused: one signature has one spelling.
    ///
    /// # Errors
    /// [`Invalid::TooLarge`], [`Invalid::NotCompact`] or [`Invalid::Encoding`].
    pub fn parse(token: &'a [u8]) -> Result<Self, Invalid> {
        if token.len() > MAX_TOKEN {
            return Err(Invalid::TooLarge);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid::NotCompact);
        };
        if header.is_empty() || claims.is_empty() || signature.is_empty() {
            return Err(Invalid::NotCompact);
        }
        let signed = header.len().saturating_add(1).saturating_add(claims.len());
        Ok(Self {
            header: decode(header)?,
            claims: decode(claims)?,
            signature: decode(signature)?,
            signed: token.get(..signed).ok_or(Invalid::NotCompact)?,
        })
    }
}

fn decode(part: &[u8]) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Encoding)
}
