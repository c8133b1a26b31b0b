//! The examples of the RFCs: their keys as key sets, their tokens as far as the signature. (As
//! access tokens they are all refused: none has a `sub`.)

use attach_filter::auth::{HostVerifier, NoHost};
use attach_filter::jwks::KeySet;
use attach_filter::jwt::Algorithm;
use attach_filter::jwt::compact::Compact;
use attach_filter::jwt::header::Header;
use attach_filter::jwt::signature::VerifyingKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::proxy::Boring;

#[derive(Deserialize)]
struct Example {
    name: String,
    alg: String,
    token: String,
    jwk: Option<serde_json::Value>,
    secret: Option<String>,
}

fn verify(example: &Example, token: &Compact<'_>, host: &dyn HostVerifier) -> bool {
    let algorithm = Algorithm::named(&example.alg).unwrap();
    if let Some(secret) = &example.secret {
        let key = VerifyingKey::secret(URL_SAFE_NO_PAD.decode(secret).unwrap()).unwrap();
        return key.verify(algorithm, token.signed, &token.signature, host);
    }
    let set = serde_json::json!({ "keys": [example.jwk] }).to_string();
    let set = KeySet::parse(set.as_bytes()).unwrap();
    let keys: Vec<_> = set.candidates(None, algorithm).collect();
    assert_eq!(keys.len(), 1, "{}", example.name);
    keys[0].verify(algorithm, token.signed, &token.signature, host)
}

#[test]
fn the_examples_of_the_rfcs_verify_and_changed_ones_do_not() {
    let examples: Vec<Example> = serde_json::from_str(include_str!("../data/rfc.json")).unwrap();
    for example in &examples {
        let mut token = Compact::parse(example.token.as_bytes()).unwrap();
        let header = Header::parse(&token.header).unwrap();
        assert_eq!(Algorithm::named(&example.alg), Some(header.algorithm), "{}", example.name);
        assert!(verify(example, &token, &NoHost), "{}", example.name);
        assert!(verify(example, &token, &Boring), "{}", example.name);
        token.signature[0] ^= 1;
        assert!(!verify(example, &token, &NoHost), "{}", example.name);
        assert!(!verify(example, &token, &Boring), "{}", example.name);
    }
    assert_eq!(examples.len(), 6);
}
