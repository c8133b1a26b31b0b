//! A second opinion: jwt-simple, which runs on the same engines but has its own reading of keys
//! and tokens. What it signs must verify here, and what is accepted here must verify there.

use attach_filter::auth::{HostVerifier, NoHost};
use attach_filter::jwks::KeySet;
use attach_filter::jwt::compact::Compact;
use attach_filter::jwt::header::Header;
use attach_filter::jwt::signature::VerifyingKey;
use jwt_simple::prelude::*;

use crate::corpus::Corpus;
use crate::proxy::Boring;

fn key(name: &str) -> serde_json::Value {
    let keys: serde_json::Value = serde_json::from_str(include_str!("../data/keys.json")).unwrap();
    keys[name].clone()
}

fn public(name: &str) -> serde_json::Value {
    let mut key = key(name);
    let members = key.as_object_mut().unwrap();
    members.retain(|member, _| ["kty", "crv", "n", "e", "x", "y"].contains(&member.as_str()));
    key
}

/// Whether the signature of a token verifies with this key, by both ways of checking.
fn verifies(key: &serde_json::Value, token: &str) -> bool {
    let token = Compact::parse(token.as_bytes()).unwrap();
    let algorithm = Header::parse(&token.header).unwrap().algorithm;
    let set = KeySet::parse(serde_json::json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let hosts: [&dyn HostVerifier; 2] = [&NoHost, &Boring];
    let [portable, host] = hosts.map(|host| {
        let mut keys = set.candidates(None, algorithm);
        keys.next().unwrap().verify(algorithm, token.signed, &token.signature, host)
    });
    assert_eq!(portable, host);
    portable
}

fn options() -> Option<VerificationOptions> {
    let now = Corpus::read().now_ms / 1000;
    Some(VerificationOptions {
        artificial_time: Some(UnixTimeStamp::from_secs(now)),
        ..VerificationOptions::default()
    })
}

/// Both directions, for one algorithm: the types of jwt-simple, the key, and the corpus row.
macro_rules! agree {
    ($pair:ty, $public:ty, $key:literal, $other:literal, $row:literal) => {{
        let pair = <$pair>::from_jwk(&key($key).to_string()).unwrap();
        for number in 0..4 {
            let claims = Claims::create(Duration::from_mins(5)).with_subject(number);
            let token = pair.sign(claims).unwrap();
            assert!(verifies(&public($key), &token), $row);
            assert!(!verifies(&public($other), &token), $row);
            let (text, _) = token.rsplit_once('.').unwrap();
            let other = pair.sign(Claims::create(Duration::from_mins(6))).unwrap();
            let (_, signature) = other.rsplit_once('.').unwrap();
            assert!(!verifies(&public($key), &format!("{text}.{signature}")), $row);
        }
        let corpus = Corpus::read();
        let row = corpus.rows.iter().find(|row| row.name == $row).unwrap();
        assert!(row.verdict.starts_with("accepted"));
        let key = <$public>::from_jwk(&public($key).to_string()).unwrap();
        assert!(key.verify_token::<NoCustomClaims>(&row.token, options()).is_ok(), $row);
    }};
}

#[test]
fn jwt_simple_and_we_agree_on_signatures() {
    agree!(RS256KeyPair, RS256PublicKey, "rsa", "rsa2", "RS256 with rsa");
    agree!(RS384KeyPair, RS384PublicKey, "rsa", "rsa2", "RS384 with rsa");
    agree!(RS512KeyPair, RS512PublicKey, "rsa", "rsa2", "RS512 with rsa");
    agree!(PS256KeyPair, PS256PublicKey, "rsa", "rsa2", "PS256 with rsa");
    agree!(PS384KeyPair, PS384PublicKey, "rsa", "rsa2", "PS384 with rsa");
    agree!(PS512KeyPair, PS512PublicKey, "rsa4096", "rsa3072", "PS512 with rsa4096");
    agree!(ES256KeyPair, ES256PublicKey, "p256", "p256b", "ES256");
    agree!(Ed25519KeyPair, Ed25519PublicKey, "ed", "ed2", "EdDSA");
}

#[test]
fn jwt_simple_and_we_agree_on_single_keys_of_a_curve() {
    let p384 = ES384KeyPair::from_jwk(&key("p384").to_string()).unwrap();
    let k256 = ES256kKeyPair::from_jwk(&key("k256").to_string()).unwrap();
    for number in 0..8 {
        let claims = || Claims::create(Duration::from_mins(5)).with_subject(number);
        assert!(verifies(&public("p384"), &p384.sign(claims()).unwrap()));
        assert!(verifies(&public("k256"), &k256.sign(claims()).unwrap()));
        let generated = ES256kKeyPair::generate();
        let token = generated.sign(claims()).unwrap();
        assert!(!verifies(&public("k256"), &token));
        let jwk: serde_json::Value =
            serde_json::from_str(&generated.public_key().to_jwk()).unwrap();
        assert!(verifies(&jwk, &token));
    }
}

#[test]
fn jwt_simple_and_we_agree_on_secrets() {
    let secret = b"a secret of thirty-two bytes, ok";
    let ours = VerifyingKey::secret(secret.to_vec()).unwrap();
    let claims = || Claims::create(Duration::from_mins(5));
    let tokens = [
        HS256Key::from_bytes(secret).authenticate(claims()).unwrap(),
        HS384Key::from_bytes(secret).authenticate(claims()).unwrap(),
        HS512Key::from_bytes(secret).authenticate(claims()).unwrap(),
    ];
    for token in &tokens {
        let token = Compact::parse(token.as_bytes()).unwrap();
        let algorithm = Header::parse(&token.header).unwrap().algorithm;
        assert!(ours.verify(algorithm, token.signed, &token.signature, &NoHost));
        let other = VerifyingKey::secret(secret.map(|byte| byte ^ 1).to_vec()).unwrap();
        assert!(!other.verify(algorithm, token.signed, &token.signature, &NoHost));
    }
}
