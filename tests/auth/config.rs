//! Configurations that are refused, with every fault at once.

use attach_filter::auth::Authenticator;
use serde_json::{Value, json};

use crate::mint;

fn faults(issuers: &Value, origins: &Value) -> Vec<String> {
    match Authenticator::new(&mint::of(issuers, origins), 1) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// The paths of the faults of one issuer, given as changes to a good one.
fn paths(changes: &Value) -> Vec<String> {
    let mut issuer = json!({ "issuer": "https://id.example.com", "audiences": ["attach"] });
    for (key, value) in changes.as_object().unwrap() {
        issuer[key] = value.clone();
    }
    let origins = json!({
        "https://id.example.com": "a", "http://127.0.0.1:8081": "b", "http://[::1]:8081": "c",
        "http://localhost": "d", "https://id.example.com:8443": "e"
    });
    let faults = faults(&json!([issuer]), &origins);
    faults.iter().map(|fault| fault.split(": ").next().unwrap().to_owned()).collect()
}

#[test]
fn every_fault_has_its_path() {
    let secret = "A".repeat(43);
    let cases = [
        (json!({}), vec![]),
        (json!({"issuer": "https://ID.example.com"}), vec![]),
        (json!({"issuer": "https://id.example.com:443/"}), vec![]),
        (json!({"issuer": "https://id.example.com:8443/realms/x"}), vec![]),
        (json!({"issuer": "http://127.0.0.1:8081"}), vec![]),
        (json!({"issuer": "http://[::1]:8081"}), vec![]),
        (json!({"issuer": "http://localhost"}), vec![]),
        (json!({"issuer": ""}), vec!["issuer", "issuer"]),
        (json!({"issuer": "https://id.example.com/ä"}), vec!["issuer", "issuer"]),
        (json!({"issuer": "http://id.example.com"}), vec!["issuer"]),
        (json!({"issuer": "http://127.0.0.1.evil.com"}), vec!["issuer"]),
        (json!({"issuer": "http://10.0.0.1"}), vec!["issuer"]),
        (json!({"issuer": "id.example.com"}), vec!["issuer"]),
        (json!({"issuer": "ftp://id.example.com"}), vec!["issuer"]),
        (json!({"issuer": "https://user@id.example.com"}), vec!["issuer"]),
        (json!({"issuer": "https://id.example.com/?a"}), vec!["issuer"]),
        (json!({"issuer": "https://id.example.com/#a"}), vec!["issuer"]),
        (json!({"issuer": "https://id.example.com:99999"}), vec!["issuer"]),
        (json!({"issuer": "https://id.example.com:"}), vec!["issuer"]),
        (json!({"issuer": "https://"}), vec!["issuer"]),
        (json!({"issuer": "https://elsewhere.example.com"}), vec!["issuer"]),
        (json!({"jwks_uri": "https://id.example.com/keys?x=1"}), vec![]),
        (json!({"issuer": "accounts.example.com", "jwks_uri": "https://id.example.com/k"}), vec![]),
        (json!({"jwks_uri": "http://id.example.com/keys"}), vec!["jwks_uri"]),
        (json!({"jwks_uri": "https://elsewhere.example.com/k"}), vec!["jwks_uri"]),
        (json!({"jwks_uri": "keys"}), vec!["jwks_uri"]),
        (
            json!({"issuer": "http://a.example.com", "jwks_uri": "https://id.example.com/k"}),
            vec!["issuer"],
        ),
        (json!({"audiences": []}), vec!["audiences"]),
        (json!({"audiences": ["a", ""]}), vec!["audiences[1]"]),
        (json!({"scopes": ["a", "b c", ""]}), vec!["scopes[1]", "scopes[2]"]),
        (json!({"scope_claims": [""]}), vec!["scope_claims[0]"]),
        (json!({"token_types": [""]}), vec!["token_types[0]"]),
        (json!({"algorithms": []}), vec!["algorithms"]),
        (json!({"algorithms": ["RS256", "HS256"]}), vec!["algorithms"]),
        (json!({"hmac_secret": secret}), vec![]),
        (json!({"hmac_secret": secret, "issuer": "attach-dev"}), vec![]),
        (json!({"hmac_secret": secret, "algorithms": ["HS512"]}), vec![]),
        (json!({"hmac_secret": secret, "algorithms": ["RS256"]}), vec!["algorithms"]),
        (json!({"hmac_secret": secret, "algorithms": ["HS256", "ES256"]}), vec!["algorithms"]),
        (json!({"hmac_secret": secret, "jwks_uri": "https://id.example.com/k"}), vec!["jwks_uri"]),
        (json!({"hmac_secret": "A".repeat(42)}), vec!["hmac_secret"]),
        (json!({"hmac_secret": format!("{secret}=")}), vec!["hmac_secret"]),
        (json!({"hmac_secret": "not base64url, and long enough for it"}), vec!["hmac_secret"]),
        (json!({"hmac_secret": ""}), vec!["hmac_secret"]),
    ];
    for (changes, wanted) in cases {
        let wanted: Vec<_> = wanted.iter().map(|key| format!("issuers[0].{key}")).collect();
        assert_eq!(paths(&changes), wanted, "{changes}");
    }
}

#[test]
fn all_faults_of_all_issuers_are_told_at_once() {
    let issuers = json!([
        { "issuer": "http://id.example.com", "audiences": [] },
        { "issuer": "https://b.example.com", "audiences": ["a"], "hmac_secret": "c2hvcnQ" },
        { "issuer": "https://b.example.com", "audiences": ["a"], "algorithms": ["HS256"] }
    ]);
    let found = faults(&issuers, &json!({}));
    let paths: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "issuers[0].audiences",
            "issuers[0].issuer",
            "issuers[1].hmac_secret",
            "issuers[2].issuer",
            "issuers[2].issuer",
            "issuers[2].algorithms",
        ]
    );
    assert!(!found.join(" ").contains("c2hvcnQ"), "a secret is shown: {found:?}");
    assert!(found.iter().any(|fault| fault.contains("https://b.example.com; give `origins`")));
}
