//! Checking a signature: by the host where it can, by portable code where it cannot.
//!
//! The host is 15 to 50 times as fast, but which algorithms it has depends on its version. What
//! both would judge is checked here first and strictly (the length of the signature, the range
//! of R and S, the key), so that it does not matter which of them is asked.

mod rsa;

use ed25519_compact::Signature as EdSignature;
use hmac_sha256::{HMAC as HmacSha256, Hash as Sha256};
use hmac_sha512::HMAC as HmacSha512;
use hmac_sha512::sha384::{HMAC as HmacSha384, Hash as Sha384};
use jwt_simple::prelude::{Ed25519PublicKey, EdDSAPublicKeyLike as _};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::elliptic_curve::point::AffineCoordinates as _;

use super::{Algorithm, der, secp256k1};

pub use rsa::{MAX_RSA_BITS, MIN_RSA_BITS, RsaKey};

/// What the host can verify for us.
pub trait HostVerifier {
    /// Verifies a PKCS #1 v1.5 or ECDSA `signature` of `text`.
    ///
    /// `hash` is `sha256`, `sha384` or `sha512`; the key is a DER SubjectPublicKeyInfo; an RSA
    /// signature is as long as the modulus, an ECDSA one is a DER `ECDSA-Sig-Value`.
    ///
    /// # Errors
    /// [`Unsupported`] if the host cannot; then the portable code is asked.
    fn verify(
        &self,
        hash: &'static str,
        spki_der: &[u8],
        signature: &[u8],
        text: &[u8],
    ) -> Result<bool, Unsupported>;
}

/// The host has no such function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported;

/// A host that can verify nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl HostVerifier for NoHost {
    fn verify(&self, _: &'static str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, Unsupported> {
        Err(Unsupported)
    }
}

/// Shortest accepted shared secret, bytes (RFC 7518 section 3.2, for HS256).
pub const MIN_SECRET: usize = 32;

/// A key that signatures are verified with. It is bound to its own kind of algorithm: asked for
/// another, it refuses.
pub enum VerifyingKey {
    /// RS256, RS384, RS512, PS256, PS384, PS512.
    Rsa(Box<RsaKey>),
    /// ES256.
    P256(EcKey<p256::ecdsa::VerifyingKey>),
    /// ES384.
    P384(EcKey<p384::ecdsa::VerifyingKey>),
    /// ES256K. No host has it.
    K256(Box<K256>),
    /// EdDSA with Ed25519. No host has it.
    Ed25519(Ed25519PublicKey),
    /// HS256, HS384, HS512.
    Secret(Vec<u8>),
}

/// A public key on an elliptic curve.
pub struct EcKey<K> {
    spki: Vec<u8>,
    portable: K,
}

/// A public key on secp256k1.
pub struct K256(secp256k1::PublicKey);

/// Key material that is not a key, or one that is too weak or too costly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

impl VerifyingKey {
    /// An RSA key of modulus `n` and exponent `e`, big-endian. The modulus has 2048 to 4096
    /// bits and is odd, the exponent is odd, at least 3 and at most 32 bits long.
    ///
    /// # Errors
    /// [`BadKey`] if it is not such a key.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, BadKey> {
        RsaKey::new(n, e).map(|key| Self::Rsa(Box::new(key)))
    }

    /// The key at (x, y) of P-256, 32 bytes each.
    ///
    /// # Errors
    /// [`BadKey`] if that is not a point of the curve.
    pub fn p256(x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        let point = point(x, y, 32)?;
        let (x, y) = (x.try_into().map_err(|_| BadKey)?, y.try_into().map_err(|_| BadKey)?);
        let affine: Option<_> = p256::AffinePoint::from_coordinates(x, y).into();
        let portable =
            p256::ecdsa::VerifyingKey::from_affine(affine.ok_or(BadKey)?).map_err(|_| BadKey)?;
        Ok(Self::P256(EcKey { spki: der::ec_spki(der::P256, &point), portable }))
    }

    /// The key at (x, y) of P-384, 48 bytes each.
    ///
    /// # Errors
    /// [`BadKey`] if that is not a point of the curve.
    pub fn p384(x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        let point = point(x, y, 48)?;
        let (x, y) = (x.try_into().map_err(|_| BadKey)?, y.try_into().map_err(|_| BadKey)?);
        let affine: Option<_> = p384::AffinePoint::from_coordinates(x, y).into();
        let portable =
            p384::ecdsa::VerifyingKey::from_affine(affine.ok_or(BadKey)?).map_err(|_| BadKey)?;
        Ok(Self::P384(EcKey { spki: der::ec_spki(der::P384, &point), portable }))
    }

    /// The key at (x, y) of secp256k1, 32 bytes each.
    ///
    /// # Errors
    /// [`BadKey`] if that is not a point of the curve.
    pub fn k256(x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        let (x, y) = (x.try_into().map_err(|_| BadKey)?, y.try_into().map_err(|_| BadKey)?);
        let key = secp256k1::PublicKey::new(x, y).ok_or(BadKey)?;
        Ok(Self::K256(Box::new(K256(key))))
    }

    /// An Ed25519 key (RFC 8032 section 5.1.5), 32 bytes. Points of small order are refused.
    ///
    /// # Errors
    /// [`BadKey`] if it is not a key.
    pub fn ed25519(x: &[u8]) -> Result<Self, BadKey> {
        let key = Ed25519PublicKey::from_bytes(x).map_err(|_| BadKey)?;
        key.public_key().as_ref().validate().map_err(|_| BadKey)?;
        Ok(Self::Ed25519(key))
    }

    /// A shared secret of at least 32 bytes.
    ///
    /// # Errors
    /// [`BadKey`] if it is shorter.
    pub fn secret(secret: Vec<u8>) -> Result<Self, BadKey> {
        if secret.len() < MIN_SECRET { Err(BadKey) } else { Ok(Self::Secret(secret)) }
    }

    /// Whether a signature by `algorithm` can be of this key at all.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{
            ES256, ES256K, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384,
            RS512,
        };
        match self {
            Self::Rsa(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256(_) => algorithm == ES256,
            Self::P384(_) => algorithm == ES384,
            Self::K256(_) => algorithm == ES256K,
            Self::Ed25519(_) => algorithm == EdDSA,
            Self::Secret(_) => matches!(algorithm, HS256 | HS384 | HS512),
        }
    }

    /// Whether `signature` is this key's signature of `text` by `algorithm`.
    #[must_use]
    pub fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
        host: &dyn HostVerifier,
    ) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match self {
            Self::Rsa(key) => key.verify(algorithm, text, signature, host),
            Self::P256(key) => {
                let portable = || p256(&key.portable, &Sha256::hash(text), signature);
                ecdsa(&key.spki, "sha256", 32, text, signature, host, portable)
            }
            Self::P384(key) => {
                let portable = || p384(&key.portable, &Sha384::hash(text), signature);
                ecdsa(&key.spki, "sha384", 48, text, signature, host, portable)
            }
            Self::K256(key) => {
                in_range(signature, 32) && key.0.verify(&Sha256::hash(text), signature)
            }
            Self::Ed25519(key) => EdSignature::from_slice(signature)
                .is_ok_and(|signature| key.public_key().as_ref().verify(text, &signature).is_ok()),
            Self::Secret(secret) => hmac(algorithm, secret, text, signature),
        }
    }
}

fn ecdsa(
    spki: &[u8],
    hash: &'static str,
    size: usize,
    text: &[u8],
    signature: &[u8],
    host: &dyn HostVerifier,
    portable: impl FnOnce() -> bool,
) -> bool {
    if !in_range(signature, size) {
        return false;
    }
    let Some(der) = der::ecdsa_signature(signature) else {
        return false;
    };
    host.verify(hash, spki, &der, text).unwrap_or_else(|Unsupported| portable())
}

/// RFC 7518 section 3.4: R and S, each exactly as long as the order. Neither may be zero; that
/// they are below the order is left to the verifiers, which all look.
fn in_range(signature: &[u8], size: usize) -> bool {
    let non_zero = |number: &[u8]| number.len() == size && number.iter().any(|byte| *byte != 0);
    signature.split_at_checked(size).is_some_and(|(r, s)| non_zero(r) && non_zero(s))
}

fn p256(key: &p256::ecdsa::VerifyingKey, hash: &[u8], signature: &[u8]) -> bool {
    p256::ecdsa::Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
}

fn p384(key: &p384::ecdsa::VerifyingKey, hash: &[u8], signature: &[u8]) -> bool {
    p384::ecdsa::Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok())
}

/// Compares in constant time.
fn hmac(algorithm: Algorithm, secret: &[u8], text: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        Algorithm::HS256 => {
            signature.try_into().is_ok_and(|mac| HmacSha256::verify(text, secret, mac))
        }
        Algorithm::HS384 => {
            signature.try_into().is_ok_and(|mac| HmacSha384::verify(text, secret, mac))
        }
        Algorithm::HS512 => {
            signature.try_into().is_ok_and(|mac| HmacSha512::verify(text, secret, mac))
        }
        _ => false,
    }
}

fn point(x: &[u8], y: &[u8], size: usize) -> Result<Vec<u8>, BadKey> {
    // RFC 7518 section 6.2.1.2: the full size of a coordinate, leading zeros kept.
    if x.len() != size || y.len() != size {
        return Err(BadKey);
    }
    // SEC 1 section 2.3.3: 04 marks an uncompressed point.
    Ok([&[4], x, y].concat())
}
