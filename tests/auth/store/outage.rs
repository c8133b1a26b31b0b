//! Issuers that are down, slow or wrong, and clocks that jump.

use attach_filter::auth::UnixMillis;

use super::{HOUR, accepted, healthy, unavailable, unknown};
use crate::mint::{self, DISCOVERY, ISSUER, JWKS, discovery, jwks, token};
use crate::proxy::{Proxy, Reply};

#[test]
fn an_issuer_that_is_down_at_boot_costs_little_and_is_found_when_it_is_back() {
    let mut proxy = healthy(4);
    proxy.serve(DISCOVERY, Reply::Failed);
    let good = token(ISSUER, 1, "a");
    assert_eq!(proxy.wait(0, &good, 1_000), unavailable());
    proxy.run(60_000);
    assert_eq!(proxy.ask(0, &good), unavailable());
    let attempts = proxy.fetches(DISCOVERY);
    assert!((12..=20).contains(&attempts), "{attempts} attempts in a minute");
    let not_ready = proxy.workers[0].not_ready(UnixMillis(proxy.now));
    assert_eq!((not_ready[0].issuer, not_ready[0].reason), (ISSUER, "the issuer did not answer"));

    proxy.serve(DISCOVERY, Reply::Ok(discovery(ISSUER, JWKS)));
    proxy.run(5_100);
    for worker in 0..4 {
        assert!(accepted(&proxy.ask(worker, &good)), "worker {worker}");
    }
}

#[test]
fn every_kind_of_bad_answer_has_its_reason() {
    let other = discovery("https://evil.example.com", JWKS);
    let empty = r#"{"keys":[]}"#.to_owned();
    let many = jwks(&vec![(1, "a"); 257]);
    let html = || Reply::Ok("<html>not found</html>".to_owned());
    let ok = |text: &str| Reply::Ok(text.to_owned());
    let foreign = "the discovered jwks_uri has an origin that is not in `origins`";
    let unusable = "the discovery document has no usable jwks_uri";
    let other_issuer = "the discovery document names another issuer";
    let status = "the issuer answered with a status other than 200";
    let too_large = "the issuer's answer is larger than 1 MiB";
    let bad_document = "the discovery document is not a JSON object";
    let bad_set = "the key set is not a JSON object with up to 256 keys";
    let no_keys = "the key set has no usable signature key";
    let cases = [
        (DISCOVERY, Reply::Hang, "the issuer did not answer"),
        (DISCOVERY, html(), bad_document),
        (DISCOVERY, ok("[]"), bad_document),
        (DISCOVERY, ok(r#"{"issuer":"https://id.example.com","issuer":"x"}"#), bad_document),
        (DISCOVERY, Reply::Ok(other), other_issuer),
        (DISCOVERY, Reply::Ok(discovery("https://id.example.com/", JWKS)), other_issuer),
        (DISCOVERY, ok("{}"), other_issuer),
        (DISCOVERY, Reply::Ok(format!(r#"{{"issuer":"{ISSUER}"}}"#)), unusable),
        (DISCOVERY, Reply::Ok(format!(r#"{{"issuer":"{ISSUER}","jwks_uri":7}}"#)), unusable),
        (DISCOVERY, Reply::Ok(discovery(ISSUER, "/keys")), unusable),
        (DISCOVERY, Reply::Ok(discovery(ISSUER, "http://id.example.com/keys")), unusable),
        (DISCOVERY, Reply::Ok(discovery(ISSUER, "https://evil.example.com/keys")), foreign),
        (DISCOVERY, Reply::Ok(discovery(ISSUER, "https://id.example.com:8443/k")), foreign),
        (DISCOVERY, Reply::Ok(discovery(ISSUER, "https://id.example.com@evil.com/k")), unusable),
        (DISCOVERY, Reply::Status(302, discovery(ISSUER, JWKS)), status),
        (JWKS, Reply::Status(301, jwks(&[(1, "a")])), status),
        (JWKS, Reply::Status(204, String::new()), status),
        (JWKS, Reply::Status(500, jwks(&[(1, "a")])), status),
        (JWKS, html(), bad_set),
        (JWKS, Reply::Large(10 << 20), too_large),
        (JWKS, Reply::Large((1 << 20) + 1), too_large),
        (JWKS, Reply::Large(1 << 20), bad_set),
        (JWKS, ok(""), bad_set),
        (JWKS, ok(r#"{"keys":{}}"#), bad_set),
        (JWKS, ok(r#"{"keys":[],"keys":[]}"#), bad_set),
        (JWKS, Reply::Ok(many), bad_set),
        (JWKS, Reply::Ok(empty), no_keys),
        (JWKS, ok(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), no_keys),
        (JWKS, Reply::Failed, "the issuer did not answer"),
    ];
    for (url, reply, reason) in cases {
        let mut proxy = healthy(2);
        proxy.serve(url, reply);
        assert_eq!(proxy.wait(1, &token(ISSUER, 1, "a"), 15_000), unavailable(), "{reason}");
        for worker in 0..2 {
            let not_ready = proxy.workers[worker].not_ready(UnixMillis(proxy.now));
            assert_eq!(not_ready.len(), 1, "{reason}");
            assert_eq!(not_ready[0].reason, reason);
        }
    }
}

#[test]
fn one_bad_key_does_not_spoil_the_set() {
    let mut proxy = healthy(1);
    let mut set: serde_json::Value = serde_json::from_str(&jwks(&[(1, "a"), (2, "b")])).unwrap();
    let keys = set["keys"].as_array_mut().unwrap();
    keys.insert(1, serde_json::json!({"kty":"RSA","n":"AA","e":"AQ","kid":"bad"}));
    keys.insert(0, serde_json::json!("junk"));
    proxy.serve(JWKS, Reply::Ok(set.to_string()));
    proxy.run(200);
    assert!(accepted(&proxy.ask(0, &token(ISSUER, 1, "a"))));
    assert!(accepted(&proxy.ask(0, &token(ISSUER, 2, "b"))));
}

#[test]
fn keys_outlive_an_issuer_that_is_down_for_a_day_and_no_longer() {
    let mut proxy = healthy(2);
    proxy.run(1_000);
    let good = token(ISSUER, 1, "a");
    proxy.serve(DISCOVERY, Reply::Status(503, String::new()));
    proxy.run(10 * 60_000);
    assert!(accepted(&proxy.ask(0, &good)));
    let failing = proxy.workers[1].failing();
    assert_eq!(failing[0].reason, "the issuer answered with a status other than 200");
    assert!(proxy.workers[1].not_ready(UnixMillis(proxy.now)).is_empty());
    // A token with an unknown key has its answer without waiting for the issuer.
    assert_eq!(proxy.ask(0, &token(ISSUER, 2, "b")), unknown());
    let attempts = proxy.log.len();
    proxy.run(10 * 60_000);
    assert!(proxy.log.len() - attempts <= 15, "one attempt in 45 to 60 s");

    for _ in 0..23 {
        proxy.jump(i64::try_from(HOUR).unwrap());
        proxy.run(1_000);
    }
    assert!(accepted(&proxy.ask(0, &good)));
    proxy.jump(i64::try_from(HOUR).unwrap());
    proxy.run(100_000);
    assert_eq!(proxy.ask(0, &good), unavailable());
    assert_eq!(proxy.workers[0].not_ready(UnixMillis(proxy.now)).len(), 1);
    proxy.serve(DISCOVERY, Reply::Ok(discovery(ISSUER, JWKS)));
    proxy.run(61_000);
    assert!(accepted(&proxy.ask(0, &good)));
    assert!(proxy.workers[0].failing().is_empty());
}

#[test]
fn an_emptied_key_set_does_not_replace_the_last_good_one() {
    let mut proxy = healthy(1);
    proxy.run(1_000);
    proxy.serve(JWKS, Reply::Ok(r#"{"keys":[]}"#.to_owned()));
    proxy.run(10 * 60_000);
    assert!(accepted(&proxy.ask(0, &token(ISSUER, 1, "a"))));
    assert_eq!(proxy.workers[0].failing().len(), 1);
}

#[test]
fn two_issuers_never_wait_for_each_other() {
    let second = "https://two.example.com";
    let mut proxy = Proxy::new(&mint::config(&[ISSUER, second]), 3);
    proxy.serve(DISCOVERY, Reply::Hang);
    let (document, keys) =
        (format!("{second}/.well-known/openid-configuration"), format!("{second}/k"));
    proxy.serve(&document, Reply::Ok(discovery(second, &keys)));
    proxy.serve(&keys, Reply::Ok(jwks(&[(2, "a")])));
    proxy.run(200);
    for _ in 0..400 {
        proxy.tick();
        for worker in 0..3 {
            assert!(accepted(&proxy.ask(worker, &token(second, 2, "a"))));
            assert!(!accepted(&proxy.ask(worker, &token(ISSUER, 1, "a"))));
            // The same key name at the other issuer is another key.
            assert!(!accepted(&proxy.ask(worker, &token(second, 1, "a"))));
        }
    }
    let not_ready = proxy.workers[0].not_ready(UnixMillis(proxy.now));
    assert_eq!(not_ready.iter().map(|n| n.issuer).collect::<Vec<_>>(), [ISSUER]);
}

#[test]
fn the_clock_may_jump() {
    let hour = i64::try_from(HOUR).unwrap();
    for jump in [-24 * 365 * hour, -24 * hour, -hour, -60_000, 60_000, hour, 30 * 24 * hour] {
        for moment in [10, 40, 60, 2_000, 280_000] {
            let mut proxy = healthy(3);
            proxy.delay = 30;
            proxy.run(moment);
            proxy.jump(jump);
            // Whatever the clock does: keys are there soon, and are renewed as always.
            proxy.run(1_000);
            let stamp = proxy.now;
            let valid = mint::signed(
                1,
                "a",
                &serde_json::json!({
                    "iss": ISSUER, "sub": "ada", "aud": "attach", "exp": stamp / 1000 + 100_000
                }),
            );
            assert!(accepted(&proxy.ask(0, &valid)), "{jump} at {moment}");
            proxy.serve(JWKS, Reply::Ok(jwks(&[(1, "a"), (2, "b")])));
            let new = mint::signed(
                2,
                "b",
                &serde_json::json!({
                    "iss": ISSUER, "sub": "ada", "aud": "attach", "exp": stamp / 1000 + 100_000
                }),
            );
            assert!(accepted(&proxy.wait(1, &new, 20_000)), "{jump} at {moment}");
            let before = proxy.fetches(JWKS);
            proxy.run(300_000);
            assert!(proxy.fetches(JWKS) > before, "{jump} at {moment}: no refresh");
            assert!(proxy.fetches(JWKS) <= before + 3, "{jump} at {moment}: too many");
        }
    }
}
