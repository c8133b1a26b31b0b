//! The keys of a proxy: found, refreshed, rotated, lost, and found again.

use attach_filter::auth::{Authenticator, Denial, FetchOutcome, NoHost, UnixMillis, Verdict};

use crate::mint::{self, DISCOVERY, ISSUER, JWKS, discovery, jwks, token};
use crate::proxy::{HeldUp, Proxy, Reply, Shared, TICK};

const COOLDOWN: u64 = 10_000;
const HOUR: u64 = 3_600_000;

/// A proxy whose issuer is in order: key 1 is called `a`.
fn healthy(workers: usize) -> Proxy {
    let mut proxy = Proxy::new(&mint::config(&[ISSUER]), workers);
    proxy.serve(DISCOVERY, Reply::Ok(discovery(ISSUER, JWKS)));
    proxy.serve(JWKS, Reply::Ok(jwks(&[(1, "a")])));
    proxy
}

fn accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted(_))
}

fn unavailable() -> Verdict {
    Verdict::Denied(Denial::KeysUnavailable)
}

fn unknown() -> Verdict {
    Verdict::Denied(Denial::InvalidToken("the token key is not known"))
}

#[test]
fn many_workers_fetch_once_and_all_get_the_keys() {
    let mut proxy = healthy(9);
    let good = token(ISSUER, 1, "a");
    assert_eq!(proxy.ask(0, &good), Verdict::Pending);
    proxy.run(200);
    for worker in 0..9 {
        assert!(accepted(&proxy.ask(worker, &good)), "worker {worker}");
        assert!(proxy.workers[worker].not_ready(UnixMillis(proxy.now)).is_empty());
    }
    assert_eq!((proxy.fetches(DISCOVERY), proxy.fetches(JWKS)), (1, 1));
}

#[test]
fn a_request_that_waits_is_told_when_the_keys_are_there() {
    let mut proxy = healthy(3);
    proxy.delay = 2_000;
    let good = token(ISSUER, 1, "a");
    let before: Vec<u64> = proxy.workers.iter().map(Authenticator::generation).collect();
    assert!(accepted(&proxy.wait(1, &good, 5_000)));
    proxy.tick();
    for (worker, before) in before.into_iter().enumerate() {
        assert!(proxy.workers[worker].generation() > before);
        assert!(accepted(&proxy.ask(worker, &good)));
    }
    assert_eq!(proxy.fetches(JWKS), 1);
}

#[test]
fn workers_that_create_the_record_at_the_same_moment_fetch_once() {
    let config = mint::config(&[ISSUER]);
    let shared = Shared::default();
    let now = UnixMillis(mint::START * 1000);
    let mut fetches = 0;
    let mut first = Authenticator::new(&config, 1).unwrap();
    let mut second = Authenticator::new(&config, 2).unwrap();
    // The second sees that there is no record. Before it writes one, the first makes it and
    // takes the lease; which the second then wipes, without knowing.
    let mut meanwhile = || fetches += first.poll(now, &mut shared.clone()).len();
    let mut held_up = HeldUp { inner: shared.clone(), meanwhile: Some(&mut meanwhile) };
    let mut total = second.poll(now, &mut held_up).len();
    total += fetches;
    for tick in 1..100 {
        let now = UnixMillis(now.0 + tick * TICK);
        total += first.poll(now, &mut shared.clone()).len();
        total += second.poll(now, &mut shared.clone()).len();
    }
    assert_eq!(total, 1);
}

#[test]
fn workers_that_refresh_at_the_same_moment_fetch_once() {
    let mut proxy = healthy(2);
    proxy.run(1_000);
    let later = UnixMillis(proxy.now + 290_000);
    let shared = proxy.shared.clone();
    let mut workers = proxy.workers.into_iter();
    let (mut first, mut second) = (workers.next().unwrap(), workers.next().unwrap());
    let mut fetches = 0;
    let mut meanwhile = || fetches += first.poll(later, &mut shared.clone()).len();
    let mut held_up = HeldUp { inner: shared.clone(), meanwhile: Some(&mut meanwhile) };
    let own = second.poll(later, &mut held_up).len();
    assert_eq!((fetches, own), (1, 0));
}

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
fn keys_are_refreshed_ahead_of_their_expiry_and_as_often_as_the_issuer_says() {
    // Cache-Control, and the time between fetches that it leads to, in seconds.
    let cases = [
        ("max-age=600", 480..=540),
        ("public, max-age=600, must-revalidate", 480..=540),
        ("MAX-AGE=\"600\"", 480..=540),
        ("max-age=1", 48..=54),
        ("max-age=0", 48..=54),
        ("max-age=-1", 48..=54),
        ("max-age=junk", 48..=54),
        ("no-store", 48..=54),
        ("no-cache, max-age=9999", 48..=54),
        ("max-age=86400", 2880..=3240),
        ("max-age=99999999999999999999999999", 2880..=3240),
        ("max-age=9999, max-age=600", 480..=540),
        ("s-maxage=600", 240..=270),
        ("", 240..=270),
    ];
    for (control, expected) in cases {
        let mut proxy = healthy(3);
        proxy.serve(JWKS, Reply::Cached(jwks(&[(1, "a")]), control));
        proxy.step = 500;
        proxy.run(2 * HOUR);
        let times: Vec<u64> =
            proxy.log.iter().filter(|(_, url)| url == JWKS).map(|(time, _)| *time).collect();
        assert!(times.len() > 2, "{control}");
        for pair in times.windows(2) {
            let seconds = (pair[1] - pair[0]) / 1000;
            assert!(expected.contains(&seconds), "{control}: {seconds} s");
        }
    }
}

#[test]
fn a_key_that_is_gone_is_refused_and_a_new_one_accepted_after_the_refresh() {
    let mut proxy = healthy(3);
    proxy.run(1_000);
    let (old, new) = (token(ISSUER, 1, "a"), token(ISSUER, 2, "b"));
    assert!(accepted(&proxy.ask(2, &old)));
    proxy.serve(JWKS, Reply::Ok(jwks(&[(2, "b")])));
    proxy.run(300_000);
    for worker in 0..3 {
        // It was remembered; but not for longer than its key.
        assert!(!accepted(&proxy.ask(worker, &old)), "worker {worker}");
        assert!(accepted(&proxy.ask(worker, &new)), "worker {worker}");
    }
}

#[test]
fn rotation_is_noticed_by_the_first_token_of_the_new_key() {
    let mut proxy = healthy(4);
    proxy.run(1_000);
    proxy.serve(JWKS, Reply::Ok(jwks(&[(1, "a"), (2, "b")])));
    proxy.delay = 300;
    let new = token(ISSUER, 2, "b");
    assert!(accepted(&proxy.wait(3, &new, 2_000)));
    // The address of the keys is known; discovery is not repeated for this.
    assert_eq!((proxy.fetches(DISCOVERY), proxy.fetches(JWKS)), (1, 2));
    proxy.run(TICK);
    assert!((0..4).all(|worker| accepted(&proxy.ask(worker, &new))));
    // Others were never held up by it.
    assert!(accepted(&proxy.ask(0, &token(ISSUER, 1, "a"))));
}

#[test]
fn a_new_key_under_an_old_name_is_found_without_keeping_anybody_waiting() {
    let mut proxy = healthy(2);
    proxy.run(1_000);
    let old = token(ISSUER, 1, "a");
    assert!(accepted(&proxy.ask(0, &old)));
    proxy.serve(JWKS, Reply::Ok(jwks(&[(2, "a")])));
    let new = token(ISSUER, 2, "a");
    let refused = Verdict::Denied(Denial::InvalidToken("the token signature is not valid"));
    assert_eq!(proxy.ask(0, &new), refused);
    proxy.run(200);
    assert!(accepted(&proxy.ask(0, &new)));
    assert!(accepted(&proxy.ask(1, &new)));
    assert_eq!(proxy.ask(0, &old), refused);
}

#[test]
fn a_flood_of_unknown_keys_costs_one_fetch_per_cooldown_and_proxy() {
    let mut proxy = healthy(5);
    proxy.run(1_000);
    let good = token(ISSUER, 1, "a");
    let before = proxy.fetches(JWKS);
    let end = proxy.now + 20_000;
    let mut number = 0_u32;
    while proxy.now < end {
        proxy.tick();
        for worker in 0..5 {
            for _ in 0..3 {
                number += 1;
                let verdict = proxy.ask(worker, &token(ISSUER, 9, &format!("kid-{number}")));
                assert!(matches!(verdict, Verdict::Pending) || verdict == unknown());
            }
            assert!(accepted(&proxy.ask(worker, &good)));
        }
    }
    assert!(number > 10_000);
    let fetches = proxy.fetches(JWKS) - before;
    assert!((2..=3).contains(&fetches), "{fetches} fetches in two cooldowns");
    assert_eq!(proxy.fetches(DISCOVERY), 1);
}

#[test]
fn a_token_with_an_unknown_key_waits_for_the_fetch_and_not_longer() {
    let mut proxy = healthy(3);
    proxy.run(1_000);
    proxy.delay = 1_000;
    let start = proxy.now;
    assert_eq!(proxy.wait(1, &token(ISSUER, 9, "x"), 5_000), unknown());
    assert!(proxy.now - start <= 1_000 + 4 * TICK);
    // During the cooldown the answer is there at once, on every worker.
    for worker in 0..3 {
        assert_eq!(proxy.ask(worker, &token(ISSUER, 9, "y")), unknown());
    }
    proxy.run(COOLDOWN);
    assert_eq!(proxy.ask(1, &token(ISSUER, 9, "z")), Verdict::Pending);
}

#[test]
fn two_workers_that_ask_at_the_same_time_share_one_fetch() {
    let mut proxy = healthy(4);
    proxy.run(1_000);
    proxy.serve(JWKS, Reply::Ok(jwks(&[(1, "a"), (2, "b")])));
    proxy.delay = 500;
    let new = token(ISSUER, 2, "b");
    for worker in 0..4 {
        assert_eq!(proxy.ask(worker, &new), Verdict::Pending);
    }
    proxy.run(600);
    assert!((0..4).all(|worker| accepted(&proxy.ask(worker, &new))));
    assert_eq!(proxy.fetches(JWKS), 2);
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
fn a_worker_that_dies_while_it_fetches_is_replaced() {
    let mut proxy = healthy(3);
    proxy.serve(DISCOVERY, Reply::Hang);
    proxy.run(50);
    assert_eq!(proxy.log.len(), 1);
    // All of it is forgotten but the lease in the shared data.
    let survivors = Proxy::new(&mint::config(&[ISSUER]), 2);
    proxy.workers = survivors.workers;
    proxy.forget_calls();
    proxy.serve(DISCOVERY, Reply::Ok(discovery(ISSUER, JWKS)));
    let good = token(ISSUER, 1, "a");
    proxy.run(14_000);
    assert_eq!(proxy.ask(0, &good), Verdict::Pending);
    assert_eq!(proxy.log.len(), 1);
    assert!(accepted(&proxy.wait(0, &good, 2_000)));
    assert_eq!(proxy.fetches(JWKS), 1);
}

#[test]
fn a_late_answer_and_one_that_comes_twice_do_no_harm() {
    let mut proxy = healthy(1);
    let config = mint::config(&[ISSUER]);
    let now = UnixMillis(proxy.now);
    let mut shared = proxy.shared.clone();
    let mut one = Authenticator::new(&config, 1).unwrap();
    let first = (0..2).flat_map(|_| one.poll(now, &mut shared)).next().unwrap();
    let later = UnixMillis(now.0 + 20_000);
    let second = one.poll(later, &mut shared).pop().unwrap();
    assert_ne!(first.id, second.id);
    let document = discovery(ISSUER, JWKS);
    let answer =
        || FetchOutcome::Response { status: 200, cache_control: None, body: document.as_bytes() };
    assert!(one.fetched(first.id, answer(), later, &mut shared).is_empty());
    let next = one.fetched(second.id, answer(), later, &mut shared);
    assert_eq!(next.len(), 1);
    assert!(one.fetched(second.id, answer(), later, &mut shared).is_empty());
    proxy.run(100);
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

#[test]
fn an_issuer_that_rotates_every_second_is_followed_at_the_pace_of_the_cooldown() {
    let mut proxy = healthy(2);
    proxy.run(200);
    let (mut good, mut bad) = (0, 0);
    for key in 1..=40_u8 {
        let kid = format!("k{key}");
        proxy.serve(JWKS, Reply::Ok(jwks(&[(key, &kid)])));
        let end = proxy.now + 1_000;
        if accepted(&proxy.wait(0, &token(ISSUER, key, &kid), 500)) {
            good += 1
        } else {
            bad += 1
        }
        proxy.run(end - proxy.now);
    }
    assert!((4..=5).contains(&good) && bad >= 35, "{good} {bad}");
    assert!(proxy.fetches(JWKS) <= 6);
}

#[test]
fn shared_data_is_kept_apart_by_what_leads_to_the_keys_and_may_be_damaged() {
    let mut proxy = healthy(2);
    proxy.run(200);
    let names = proxy.shared.keys();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.starts_with("attach.keys.")));
    let foreign = mint::of(
        &serde_json::json!([{ "issuer": ISSUER, "audiences": ["attach"] }]),
        &serde_json::json!({ ISSUER: "another_cluster" }),
    );
    let mut other = Authenticator::new(&foreign, 5).unwrap();
    let now = UnixMillis(proxy.now);
    let _ = other.poll(now, &mut proxy.shared.clone());
    assert_eq!(proxy.shared.keys().len(), 3, "its own record");
    assert_eq!(other.not_ready(now).len(), 1, "and not our keys");

    proxy.shared.corrupt();
    proxy.run(500);
    let good = token(ISSUER, 1, "a");
    assert!((0..2).all(|worker| accepted(&proxy.ask(worker, &good))));
    let mut late = Authenticator::new(&mint::config(&[ISSUER]), 77).unwrap();
    let now = UnixMillis(proxy.now);
    let _ = late.poll(now, &mut proxy.shared.clone());
    assert!(accepted(&late.authenticate(good.as_bytes(), now, &NoHost)));
}

#[test]
fn a_proxy_at_rest_writes_nothing() {
    let mut proxy = healthy(4);
    proxy.run(1_000);
    let writes = proxy.shared.writes();
    proxy.run(60_000);
    assert_eq!(proxy.shared.writes(), writes);
}
