//! Keys that sign test tokens. Header and payload are any text, so that bad tokens can be signed
//! as well as good ones.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

/// base64url without padding.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key.
#[derive(Clone)]
pub struct SigningKey {
    /// Its `kid`.
    pub kid: String,
    pair: Rc<Pair>,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// The RSA key of 2048 bits that `tests/data/keys.json` holds: making one is slow.
    pub fn rsa(kid: &str) -> Self {
        let file: Value = serde_json::from_str(include_str!("../data/keys.json")).expect("JSON");
        let part = |name: &str| {
            let text = file["rsa"][name].as_str().expect("a member of an RSA key");
            URL_SAFE_NO_PAD.decode(text).expect("base64url")
        };
        let pair = RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: part("n"), e: part("e") },
            d: part("d"),
            p: part("p"),
            q: part("q"),
            dP: part("dp"),
            dQ: part("dq"),
            qInv: part("qi"),
        });
        Self::new(kid, Pair::Rsa(pair.expect("ring takes the key")))
    }

    /// A new P-256 key.
    pub fn p256(kid: &str) -> Self {
        Self::new(kid, Pair::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)))
    }

    /// A new P-384 key.
    pub fn p384(kid: &str) -> Self {
        Self::new(kid, Pair::P384(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)))
    }

    /// A new Ed25519 key.
    pub fn ed25519(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("ring reads it");
        Self::new(kid, Pair::Ed25519(pair))
    }

    fn new(kid: &str, pair: Pair) -> Self {
        Self { kid: kid.to_owned(), pair: Rc::new(pair) }
    }

    /// Its usual algorithm.
    pub fn algorithm(&self) -> &'static str {
        match *self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public half, as a member of a key set.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &*self.pair {
            Pair::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": base64url(public.n), "e": base64url(public.e)})
            }
            Pair::P256(pair) => point("P-256", pair),
            Pair::P384(pair) => point("P-384", pair),
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// `header.payload.signature` over any two texts.
    pub fn sign_text(&self, algorithm: &str, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", base64url(header), base64url(payload));
        let signature = self.signature(algorithm, text.as_bytes());
        format!("{text}.{}", base64url(signature))
    }

    /// A compact token.
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap_or_else(|| self.algorithm());
        self.sign_text(algorithm, &header.to_string(), &payload.to_string())
    }

    fn signature(&self, algorithm: &str, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, text, &mut signature).expect("signs");
                signature
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, text).expect("signs").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(text).as_ref().to_vec(),
        }
    }
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("ring reads it")
}

/// An uncompressed point: 4, then x and y of equal length.
fn point(curve: &str, pair: &EcdsaKeyPair) -> Value {
    let bytes = &pair.public_key().as_ref()[1..];
    let (x, y) = bytes.split_at(bytes.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
}
