//! RSA signatures: RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 sections 3.3 and 3.5).

use superboring::bn::BigNum;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::{Padding, Rsa};
use superboring::sign::Verifier;

use crate::jwt::{Algorithm, der};

use super::{BadKey, HostVerifier, Unsupported};

/// Smallest accepted RSA modulus, bits (RFC 7518 section 3.3).
pub const MIN_RSA_BITS: usize = 2048;
/// Largest accepted RSA modulus, bits. The cost of a check grows with its square, and the
/// portable code ends here too.
pub const MAX_RSA_BITS: usize = 4096;
/// Largest accepted RSA public exponent, bytes; for the same reason.
const MAX_RSA_EXPONENT: usize = 4;
/// An RSA public key.
pub struct RsaKey {
    size: usize,
    spki: Vec<u8>,
    portable: PKey<Public>,
}

impl RsaKey {
    /// A key of modulus `n` and exponent `e`, big-endian.
    pub(super) fn new(n: &[u8], e: &[u8]) -> Result<Self, BadKey> {
        let (n, e) = (der::significant(n), der::significant(e));
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let sound = (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits(n))
            && odd(n)
            && odd(e)
            && e != [1]
            && e.len() <= MAX_RSA_EXPONENT;
        if !sound {
            return Err(BadKey);
        }
        let number = |bytes| BigNum::from_slice(bytes).map_err(|_| BadKey);
        let key = Rsa::from_public_components(number(n)?, number(e)?).map_err(|_| BadKey)?;
        let portable = PKey::from_rsa(key).map_err(|_| BadKey)?;
        Ok(Self { size: n.len(), spki: der::rsa_spki(n, e), portable })
    }

    /// Whether `signature` is this key's signature of `text`.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
        host: &dyn HostVerifier,
    ) -> bool {
        use Algorithm::{PS256, PS384, PS512, RS256, RS384};
        // RFC 8017 section 8.2.2 step 1.
        if signature.len() != self.size {
            return false;
        }
        let (name, hash) = match algorithm {
            RS256 | PS256 => ("sha256", MessageDigest::sha256()),
            RS384 | PS384 => ("sha384", MessageDigest::sha384()),
            _ => ("sha512", MessageDigest::sha512()),
        };
        if matches!(algorithm, PS256 | PS384 | PS512) {
            // No host pads like this. The salt is as long as the hash (RFC 7518 section 3.5).
            return self.portable(hash, Padding::PKCS1_PSS, text, signature);
        }
        match host.verify(name, &self.spki, signature, text) {
            Ok(verdict) => verdict,
            Err(Unsupported) => self.portable(hash, Padding::PKCS1, text, signature),
        }
    }

    fn portable(
        &self,
        hash: MessageDigest,
        padding: Padding,
        text: &[u8],
        signature: &[u8],
    ) -> bool {
        let verdict = || {
            let mut verifier = Verifier::new(hash, &self.portable)?;
            verifier.set_rsa_padding(padding)?;
            verifier.update(text)?;
            verifier.verify(signature)
        };
        verdict().unwrap_or(false)
    }
}

fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    let unused = usize::try_from(unused).unwrap_or(0);
    number.len().saturating_mul(8).saturating_sub(unused)
}
