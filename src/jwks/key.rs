//! One key of a set (RFC 7517 section 4; parameters in RFC 7518 section 6, RFC 8037 section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash as Sha256;

use crate::jwt::Algorithm;
use crate::jwt::json::{Json, Object};
use crate::jwt::signature::{BadKey, HostVerifier, VerifyingKey};

/// A key for signatures and what it is bound to.
pub struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    verifying: VerifyingKey,
    fingerprint: [u8; 32],
}

impl Key {
    /// Reads a JWK; `None` if it is not a public key that we verify signatures with.
    #[must_use]
    pub fn read(jwk: &Json<'_>) -> Option<Self> {
        let jwk = jwk.as_object().filter(|jwk| jwk.is_distinct())?;
        let text = |name| jwk.text(name).ok();
        let id = text("kid")?.map(str::to_owned);
        let algorithm = match text("alg")? {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        // RFC 7517 sections 4.2 and 4.3: a key says what it is for. One whose private half is
        // published with it is everybody's.
        if text("use")?.is_some_and(|purpose| purpose != "sig")
            || !may_verify(jwk.get("key_ops"))
            || jwk.has("d")
        {
            return None;
        }
        let (verifying, material) = material(jwk).ok()?;
        if algorithm.is_some_and(|algorithm| !verifying.fits(algorithm)) {
            return None;
        }
        let fingerprint = fingerprint(id.as_deref(), algorithm, &material);
        Some(Self { id, algorithm, verifying, fingerprint })
    }

    /// `kid`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether signatures by `algorithm` can be of this key.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.verifying.fits(algorithm)
    }

    /// Whether `signature` is this key's signature of `text`.
    #[must_use]
    pub fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
        host: &dyn HostVerifier,
    ) -> bool {
        self.fits(algorithm) && self.verifying.verify(algorithm, text, signature, host)
    }

    /// SHA-256 of all that makes this key: another name, purpose or number is another key.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

fn may_verify(operations: Option<&Json<'_>>) -> bool {
    match operations {
        None => true,
        Some(operations) => operations
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one.as_str() == Some("verify"))),
    }
}

/// The key, and its public parameters in the order of their names.
fn material(jwk: &Object<'_>) -> Result<(VerifyingKey, Vec<Vec<u8>>), BadKey> {
    let text = |name| jwk.text(name).ok().flatten().ok_or(BadKey);
    let bytes = |name| URL_SAFE_NO_PAD.decode(text(name)?).map_err(|_| BadKey);
    match text("kty")? {
        "RSA" => {
            let (e, n) = (bytes("e")?, bytes("n")?);
            Ok((VerifyingKey::rsa(&n, &e)?, vec![b"RSA".to_vec(), e, n]))
        }
        "EC" => {
            let (curve, x, y) = (text("crv")?, bytes("x")?, bytes("y")?);
            let key = match curve {
                "P-256" => VerifyingKey::p256(&x, &y)?,
                "P-384" => VerifyingKey::p384(&x, &y)?,
                "secp256k1" => VerifyingKey::k256(&x, &y)?,
                _ => return Err(BadKey),
            };
            Ok((key, vec![curve.as_bytes().to_vec(), x, y]))
        }
        "OKP" if text("crv")? == "Ed25519" => {
            let x = bytes("x")?;
            Ok((VerifyingKey::ed25519(&x)?, vec![b"Ed25519".to_vec(), x]))
        }
        // `oct` too: a secret that is published is none.
        _ => Err(BadKey),
    }
}

fn fingerprint(id: Option<&str>, algorithm: Option<Algorithm>, material: &[Vec<u8>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    part(&[u8::from(id.is_some())]);
    part(id.unwrap_or_default().as_bytes());
    // The discriminant is enough: fingerprints never leave the process.
    part(&[algorithm.map_or(u8::MAX, |algorithm| algorithm as u8)]);
    material.iter().for_each(|bytes| part(bytes));
    hash.finalize()
}
