//! Clients that leave and upstreams that break off, at every phase.

use attach_filter::mirror::wire::Outcome;
use serde_json::json;

use crate::gateway::Gateway;
use crate::host::{Headers, Options};

#[test]
fn a_client_that_leaves_while_its_request_waits_for_keys() {
    let gateway = Gateway::cold(Options::default(), 1, |_| {});
    let token = gateway.token();
    let request = || gateway.proxy.worker(0).post("/api/chat", "{}").bearer(&token);
    let (gone, stays) = (request().send(), request().send());
    gateway.proxy.advance(100);
    gone.abort();
    gateway.serve();
    gateway.proxy.advance(1_000);
    assert!(gone.is_reset() && gone.client_got().is_none());
    stays.forwarded();
    gateway.proxy.assert_no_trap();
    assert_eq!(gateway.counters()[0], 0, "what reached no engine is no event");
}

#[test]
fn a_client_that_leaves_while_readiness_is_probed() {
    let gateway = Gateway::new();
    let gone = gateway.proxy.worker(0).get("/readyz").send();
    gateway.proxy.advance(30);
    gone.abort();
    gateway.proxy.serve("attach_engine", |_| crate::host::Answer::status(200));
    gateway.proxy.advance(2_000);
    gateway.proxy.assert_no_trap();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body() {
    for path in ["/api/chat", "/tasks/send"] {
        let gateway = Gateway::with(1, |config| config["engine"]["model"] = json!("tiny"));
        let request = gateway.proxy.worker(0).request("POST", path).bearer(&gateway.token());
        let stream = request.chunks(vec![br#"{"prompt":"#.to_vec()]).open().send();
        stream.abort();
        stream.send("late", true);
        gateway.proxy.advance(100);
        let one = &gateway.mirrored()[0];
        assert_eq!((one.meta.outcome, one.meta.status), (Outcome::Aborted, 0), "{path}");
        gateway.proxy.assert_no_trap();
    }
}

#[test]
fn a_client_that_leaves_before_or_in_the_answer() {
    for pieces in 0..3 {
        let gateway = Gateway::new();
        let stream = gateway.chat("{}");
        if pieces > 0 {
            stream.respond_headers(200, Headers::default(), false);
        }
        if pieces > 1 {
            stream.respond_body("part", false);
        }
        stream.abort();
        stream.respond_body("late", true);
        gateway.proxy.advance(100);
        let one = &gateway.mirrored()[0];
        assert_eq!(one.meta.outcome, Outcome::Aborted);
        assert_eq!(one.meta.status, if pieces > 0 { 200 } else { 0 });
        assert_eq!(one.response, if pieces > 1 { &b"part"[..] } else { b"" });
        assert_eq!(gateway.counters(), [1, 1, 0, 0]);
        gateway.proxy.assert_no_trap();
    }
}

#[test]
fn an_engine_that_breaks_off_is_a_cut() {
    let gateway = Gateway::new();
    let stream = gateway.chat("{}");
    stream.respond_headers(200, Headers::default(), false);
    stream.respond_body("part", false);
    stream.cut();
    gateway.proxy.advance(100);
    let one = &gateway.mirrored()[0];
    assert_eq!((one.meta.outcome, one.response.as_slice()), (Outcome::Cut, &b"part"[..]));
}

#[test]
fn an_answer_before_the_end_of_the_request() {
    let gateway = Gateway::new();
    let request = gateway.proxy.worker(0).request("POST", "/api/chat").bearer(&gateway.token());
    let stream = request.chunks(vec![b"part".to_vec()]).open().send();
    stream.respond(413, Headers::default(), &[b"too much"]);
    stream.send("more", true);
    assert_eq!(stream.client_got().unwrap().body, b"too much");
    gateway.proxy.advance(100);
    assert_eq!(gateway.mirrored()[0].meta.status, 413);
    gateway.proxy.assert_no_trap();
}

#[test]
fn an_answer_with_trailers_is_complete() {
    let gateway = Gateway::new();
    let stream = gateway.chat("{}");
    stream.respond_headers(200, Headers::default(), false);
    stream.respond_body("answer", false);
    stream.respond_trailers(Headers::new([("grpc-status", "0")]));
    assert!(stream.is_over() && !stream.is_reset());
    assert_eq!(stream.client_side().trailers.unwrap().names(), ["grpc-status"]);
    gateway.proxy.advance(100);
    assert_eq!(gateway.mirrored()[0].meta.outcome, Outcome::Complete);
}

#[test]
fn a_dead_vm_is_a_503_until_a_new_one_serves() {
    let gateway = Gateway::with(2, |_| {});
    let stream = gateway.chat("{}");
    gateway.exchange("x");
    gateway.proxy.kill(0);
    assert_eq!(gateway.chat("{}").local_reply().status, 503);
    stream.respond(200, Headers::default(), &[b"x"]);
    assert_eq!(stream.client_got().unwrap().status, 503);
    let other = gateway.proxy.worker(1).get("/api/tags").bearer(&gateway.token());
    other.send().forwarded();
    gateway.proxy.advance(1_000);
    // The new VM finds the keys in the shared data.
    let fetches = gateway.issuer.fetches(&gateway.proxy);
    let stream = gateway.chat("{}");
    gateway.proxy.advance(100);
    stream.forwarded();
    assert_eq!(gateway.issuer.fetches(&gateway.proxy), fetches);
}
