//! Tokens and key sets made while a test runs, with Ed25519 keys that a number names.

use attach_filter::config::Config;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const DISCOVERY: &str = "https://id.example.com/.well-known/openid-configuration";
pub(crate) const JWKS: &str = "https://id.example.com/keys";
/// The second that [`crate::proxy::Proxy`] begins at.
pub(crate) const START: u64 = 1_800_000_000;

fn pair(number: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([number; 32]))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of `iss` that is valid for a hundred years.
pub(crate) fn token(iss: &str, key: u8, kid: &str) -> String {
    signed(
        key,
        kid,
        &json!({
            "iss": iss, "sub": "ada", "aud": "attach", "scope": "chat:run", "iat": START,
            "exp": START + 3_200_000_000
        }),
    )
}

pub(crate) fn signed(key: u8, kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": "EdDSA", "kid": kid }).to_string();
    let text = format!("{}.{}", encode(header), encode(claims.to_string()));
    let signature = pair(key).sk.sign(text.as_bytes(), None);
    format!("{text}.{}", encode(signature.as_ref()))
}

pub(crate) fn jwk(key: u8, kid: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair(key).pk.as_ref()) })
}

/// A key set of these (key, kid).
pub(crate) fn jwks(keys: &[(u8, &str)]) -> String {
    let keys: Vec<Value> = keys.iter().map(|(key, kid)| jwk(*key, kid)).collect();
    json!({ "keys": keys }).to_string()
}

pub(crate) fn discovery(issuer: &str, jwks_uri: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string()
}

/// A configuration of these issuers, all with discovery, each with a cluster for its origin.
pub(crate) fn config(issuers: &[&str]) -> Config {
    let origins: serde_json::Map<_, _> =
        issuers.iter().map(|name| ((*name).to_owned(), json!("cluster"))).collect();
    let issuers: Vec<_> = issuers
        .iter()
        .map(|name| json!({ "issuer": name, "audiences": ["attach"], "scopes": ["chat:run"] }))
        .collect();
    of(&json!(issuers), &Value::Object(origins))
}

pub(crate) fn of(issuers: &Value, origins: &Value) -> Config {
    let document = json!({
        "public_url": "https://gw.example.com", "session": "sha256",
        "engine": { "cluster": "attach_engine", "authority": "127.0.0.1:11434" },
        "issuers": issuers, "origins": origins
    });
    Config::parse(document.to_string().as_bytes()).unwrap()
}
