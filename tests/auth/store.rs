//! The keys of a proxy: found, refreshed and rotated.

mod outage;
mod workers;

use attach_filter::auth::{Denial, Verdict};

use crate::mint::{self, DISCOVERY, ISSUER, JWKS, discovery, jwks, token};
use crate::proxy::{Proxy, Reply, TICK};

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
fn a_fetch_for_a_new_key_that_fails_is_repeated_soon() {
    let mut proxy = healthy(2);
    proxy.run(1_000);
    proxy.serve(JWKS, Reply::Failed);
    let new = token(ISSUER, 2, "b");
    assert_eq!(proxy.wait(0, &new, 1_000), unknown());
    proxy.serve(JWKS, Reply::Ok(jwks(&[(1, "a"), (2, "b")])));
    proxy.run(1_500);
    assert!(accepted(&proxy.ask(0, &new)));
    assert!(accepted(&proxy.ask(1, &new)));
    assert!(proxy.workers[0].failing().is_empty());
}
