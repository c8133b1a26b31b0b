//! Keys: fetched once for all workers, waited for, refreshed, and never fetched on demand of an
//! attacker.

use serde_json::json;

use crate::gateway::{Gateway, configuration};
use crate::host::{Answer, Headers, Options, Proxy, Stream};
use crate::issuer::Issuer;
use crate::signing::SigningKey;

/// Shortest time between two fetches for tokens whose key is unknown.
const COOLDOWN_MS: u64 = 10_000;
/// Longest that a request waits for keys, and a tick more.
const PATIENCE_MS: u64 = 5_100;

fn cold(workers: usize) -> Gateway {
    Gateway::cold(Options::default(), workers, |_| {})
}

fn ask(gateway: &Gateway, worker: usize, token: &str) -> Stream {
    gateway.proxy.worker(worker).get("/api/tags").bearer(token).send()
}

fn assert_unavailable(stream: &Stream) {
    let reply = stream.local_reply();
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["code"], "keys_unavailable");
    assert_eq!(reply.headers.text("retry-after").as_deref(), Some("2"));
}

#[test]
fn one_fetch_serves_every_worker() {
    let gateway = cold(4);
    gateway.serve();
    gateway.proxy.advance(5_000);
    let calls = gateway.proxy.history(&gateway.issuer.cluster);
    let paths: Vec<String> = calls.iter().map(|call| call.path()).collect();
    assert_eq!(paths, ["/.well-known/openid-configuration", "/jwks"]);
    for call in &calls {
        assert_eq!(call.headers.text(":authority").as_deref(), Some("id.test"));
        assert!(call.timeout_ms > 0, "a fetch has a time limit");
    }
    let token = gateway.token();
    for worker in 0..4 {
        ask(&gateway, worker, &token).forwarded();
    }
}

#[test]
fn requests_wait_for_keys_on_every_worker() {
    let gateway = cold(3);
    let token = gateway.token();
    let streams: Vec<Stream> = (0..3).map(|worker| ask(&gateway, worker, &token)).collect();
    let bad = ask(&gateway, 0, &gateway.issuer.token(&gateway.proxy).claim("aud", "x").sign());
    gateway.proxy.advance(300);
    assert!(streams.iter().chain([&bad]).all(Stream::is_paused), "nothing passes unchecked");
    gateway.serve();
    gateway.proxy.advance(300);
    for stream in &streams {
        assert_eq!(stream.forwarded_header("x-attach-user").as_deref(), Some("alice"));
    }
    assert_eq!(bad.local_reply().status, 401);
    gateway.proxy.assert_no_trap();
}

#[test]
fn the_body_of_a_waiting_request_arrives_whole() {
    let gateway = cold(1);
    let request = gateway.proxy.worker(0).request("POST", "/api/generate");
    let chunks = vec![b"{\"a\":".to_vec(), b"1}".to_vec()];
    let stream = request.bearer(&gateway.token()).chunks(chunks).open().send();
    gateway.proxy.advance(100);
    assert!(stream.is_paused());
    stream.send(" ", false);
    gateway.serve();
    gateway.proxy.advance(300);
    stream.send("\n", true);
    assert_eq!(stream.forwarded().body(), b"{\"a\":1} \n");
    assert!(stream.forwarded().complete);
}

#[test]
fn a_request_does_not_wait_for_ever() {
    let gateway = cold(2);
    let waiting = ask(&gateway, 1, &gateway.token());
    gateway.proxy.advance(4_500);
    assert!(waiting.is_paused());
    gateway.proxy.advance(PATIENCE_MS - 4_500);
    assert_unavailable(&waiting);
}

#[test]
fn an_issuer_that_fails_is_a_503_and_is_found_again() {
    let bad_keys = || Answer::json(r#"{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]}"#);
    let answers: Vec<(&str, Answer)> = vec![
        ("refused", Answer::Refuse),
        ("broken off", Answer::Break),
        ("500", Answer::status(500)),
        ("redirect", Answer::status(302)),
        ("HTML", Answer::json("<html>")),
        ("empty", Answer::json("")),
        ("no keys", Answer::json(r#"{"keys":[]}"#)),
        (
            "other issuer",
            Answer::json(r#"{"issuer":"https://x","jwks_uri":"https://id.test/jwks"}"#),
        ),
        (
            "foreign keys",
            Answer::json(r#"{"issuer":"https://id.test","jwks_uri":"https://x/jwks"}"#),
        ),
        ("10 MB", Answer::json(vec![b' '; 10 << 20])),
        ("unusable keys", bad_keys()),
    ];
    for (case, answer) in answers {
        let gateway = cold(2);
        gateway.proxy.serve(&gateway.issuer.cluster, move |_| answer.clone());
        let waiting = ask(&gateway, 0, &gateway.token());
        gateway.proxy.advance(PATIENCE_MS);
        assert_unavailable(&waiting);
        gateway.proxy.advance(60_000);
        let fetches = gateway.proxy.history(&gateway.issuer.cluster).len();
        assert!((2..=60).contains(&fetches), "{case}: {fetches} fetches in a minute");
        gateway.serve();
        gateway.proxy.advance(6_000);
        ask(&gateway, 0, &gateway.token()).forwarded();
        gateway.proxy.assert_no_trap();
    }
}

#[test]
fn a_cluster_that_takes_no_call_is_no_trap() {
    let gateway = cold(1);
    gateway.proxy.set_cluster_open(&gateway.issuer.cluster, false);
    gateway.serve();
    let waiting = ask(&gateway, 0, &gateway.token());
    gateway.proxy.advance(PATIENCE_MS);
    assert_unavailable(&waiting);
    gateway.proxy.set_cluster_open(&gateway.issuer.cluster, true);
    gateway.proxy.advance(6_000);
    ask(&gateway, 0, &gateway.token()).forwarded();
}

#[test]
fn a_hanging_fetch_is_given_up_and_tried_again() {
    let gateway = cold(2);
    gateway.proxy.serve(&gateway.issuer.cluster, |_| Answer::Hang);
    gateway.proxy.advance(9_000);
    assert_eq!(gateway.proxy.history(&gateway.issuer.cluster).len(), 1);
    gateway.serve();
    gateway.proxy.advance(10_000);
    ask(&gateway, 1, &gateway.token()).forwarded();
}

#[test]
fn an_answer_that_comes_after_the_limit_or_twice_changes_nothing() {
    let gateway = cold(1);
    gateway.proxy.advance(100);
    let late = gateway.proxy.callout(&gateway.issuer.cluster);
    late.time_out();
    late.respond(200, Headers::default(), "{}");
    late.fail();
    gateway.serve();
    gateway.proxy.advance(6_000);
    ask(&gateway, 0, &gateway.token()).forwarded();
    gateway.proxy.assert_no_trap();
}

#[test]
fn unknown_keys_cause_one_fetch_per_cooldown() {
    let gateway = Gateway::with(4, |_| {});
    gateway.proxy.advance(COOLDOWN_MS);
    let (before, good) = (gateway.issuer.fetches(&gateway.proxy), gateway.token());
    let (mut streams, seconds) = (Vec::new(), 20);
    for index in 0..seconds * 50 {
        let kid = format!("random-{index}");
        let token = gateway.issuer.token(&gateway.proxy).header("kid", kid).sign();
        streams.push(ask(&gateway, index % 4, &token));
        ask(&gateway, (index + 1) % 4, &good).forwarded();
        gateway.proxy.advance(20);
    }
    gateway.proxy.advance(PATIENCE_MS);
    let fetches = gateway.issuer.fetches(&gateway.proxy) - before;
    assert!(fetches <= 3, "{fetches} fetches in 20 s");
    for stream in streams {
        assert_eq!(stream.local_reply().status, 401);
    }
    gateway.proxy.assert_no_trap();
}

#[test]
fn a_new_key_is_found_when_a_token_names_it() {
    let gateway = Gateway::with(2, |_| {});
    gateway.proxy.advance(COOLDOWN_MS);
    let new = SigningKey::p384("k2");
    gateway.issuer.set_keys(vec![gateway.issuer.key(), new.clone()]);
    let token = gateway.issuer.token(&gateway.proxy).key(&new).sign();
    let streams = [ask(&gateway, 0, &token), ask(&gateway, 1, &token)];
    gateway.proxy.advance(1_000);
    for stream in &streams {
        stream.forwarded();
    }
}

#[test]
fn a_key_that_is_gone_stops_its_tokens_also_the_verified_ones() {
    let gateway = Gateway::new();
    let token = gateway.issuer.token(&gateway.proxy).claim("exp", 1_999_999_999).sign();
    ask(&gateway, 0, &token).forwarded();
    gateway.issuer.set_keys(vec![SigningKey::p256("k2")]);
    gateway.proxy.advance(400_000);
    gateway.proxy.advance(0);
    let stream = ask(&gateway, 0, &token);
    gateway.proxy.advance(PATIENCE_MS);
    assert_eq!(stream.local_reply().status, 401);
}

#[test]
fn old_keys_serve_while_the_issuer_is_down() {
    let gateway = Gateway::new();
    let token = gateway.issuer.token(&gateway.proxy).claim("exp", 1_999_999_999).sign();
    gateway.proxy.serve(&gateway.issuer.cluster, |_| Answer::Refuse);
    gateway.proxy.advance(1_200_000);
    ask(&gateway, 0, &token).forwarded();
    gateway.proxy.assert_no_trap();
}

#[test]
fn two_issuers_do_not_wait_for_each_other() {
    let quick = Issuer::new("https://id.test", "attach_issuer_0");
    let hanging = Issuer::new("https://slow.test", "attach_issuer_1");
    let proxy = Proxy::new(&configuration(&[&quick, &hanging]), 1);
    quick.serve(&proxy);
    proxy.serve(&hanging.cluster, |_| Answer::Hang);
    proxy.advance(1_000);
    let send = |issuer: &Issuer| {
        proxy.worker(0).get("/api/tags").bearer(&issuer.token(&proxy).sign()).send()
    };
    assert!(send(&hanging).is_paused());
    send(&quick).forwarded();
    let mixed = quick.token(&proxy).claim("iss", "https://slow.test").sign();
    let mixed = proxy.worker(0).get("/api/tags").bearer(&mixed).send();
    hanging.serve(&proxy);
    proxy.advance(30_000);
    assert!(!matches!(mixed.outcome(), crate::host::Outcome::Forwarded(_)));
}

#[test]
fn keys_named_by_a_token_are_not_fetched() {
    let gateway = Gateway::new();
    let own = SigningKey::p256("own");
    for (name, value) in [
        ("jku", json!("https://id.test/other")),
        ("x5u", json!("https://id.test/other")),
        ("jwk", own.jwk()),
        ("x5c", json!(["AAAA"])),
    ] {
        let before = gateway.proxy.history(&gateway.issuer.cluster).len();
        let token = gateway.issuer.token(&gateway.proxy).header(name, value).signed_by(&own);
        assert_eq!(ask(&gateway, 0, &token.sign()).local_reply().status, 401, "{name}");
        let calls = gateway.proxy.history(&gateway.issuer.cluster);
        assert!(calls[before..].iter().all(|call| call.path() != "/other"), "{name}");
    }
}

#[test]
fn the_wall_clock_may_jump() {
    let gateway = Gateway::with(2, |_| {});
    for jump in [-86_400_000_i64, 3 * 86_400_000, -3_600_000, 600_000, -86_400_000] {
        let old = gateway.token();
        let paused = gateway.issuer.token(&gateway.proxy).header("kid", "unknown").sign();
        let paused = ask(&gateway, 0, &paused);
        gateway.proxy.jump_wall_clock(jump);
        gateway.proxy.advance(PATIENCE_MS);
        assert!(!paused.is_paused(), "a waiting request is answered after a jump of {jump}");
        let stream = ask(&gateway, 1, &old);
        let expired = !(0..=3_600_000).contains(&jump);
        assert_eq!(
            !matches!(stream.outcome(), crate::host::Outcome::Forwarded(_)),
            expired,
            "{jump}"
        );
        ask(&gateway, 0, &gateway.token()).forwarded();
        ask(&gateway, 1, &gateway.token()).forwarded();
    }
    let fetches = gateway.issuer.fetches(&gateway.proxy);
    assert!(fetches < 30, "{fetches} fetches");
    gateway.proxy.assert_no_trap();
}
