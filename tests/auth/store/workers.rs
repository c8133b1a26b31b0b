//! Several workers, one set of keys.

use attach_filter::auth::{Authenticator, FetchOutcome, NoHost, UnixMillis, Verdict};

use super::{accepted, healthy};
use crate::mint::{self, DISCOVERY, ISSUER, JWKS, discovery, jwks, token};
use crate::proxy::{HeldUp, Proxy, Reply, Shared, TICK};

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
