//! `/readyz` and the documents that anybody may read.

use serde_json::json;

use crate::gateway::{Gateway, MIRROR};
use crate::host::{Answer, Options, Reply};

const ENGINE: &str = "attach_engine";

fn ready(gateway: &Gateway) -> Reply {
    // An answer is good for a while: ask after that.
    gateway.proxy.advance(2_000);
    let stream = gateway.proxy.worker(0).get("/readyz").send();
    gateway.proxy.advance(2_000);
    stream.local_reply()
}

#[test]
fn readiness_says_what_is_missing() {
    let gateway = Gateway::cold(Options::default(), 1, |_| {});
    let reply = ready(&gateway);
    assert_eq!(reply.status, 503);
    let missing = reply.json()["missing"].to_string();
    for part in ["https://id.test", "engine", "mirror"] {
        assert!(missing.contains(part), "{missing}");
    }
    gateway.serve();
    gateway.proxy.serve(ENGINE, |_| Answer::status(404));
    gateway.proxy.advance(20_000);
    let reply = ready(&gateway);
    assert_eq!((reply.status, reply.json()["status"].clone()), (200, json!("ready")));
    for answer in [Answer::Refuse, Answer::Break, Answer::Hang] {
        gateway.proxy.serve(ENGINE, move |_| answer.clone());
        let reply = ready(&gateway);
        let missing = reply.json()["missing"].to_string();
        assert!(reply.status == 503 && missing.contains("engine"), "{missing}");
    }
    gateway.proxy.assert_no_trap();
}

#[test]
fn asking_often_costs_the_upstreams_little() {
    let gateway = Gateway::new();
    gateway.proxy.serve(ENGINE, |_| Answer::status(200));
    let before = gateway.proxy.history(MIRROR).len();
    for _ in 0..100 {
        gateway.proxy.worker(0).get("/readyz").send();
        gateway.proxy.advance(20);
    }
    let probes = gateway.proxy.history(ENGINE).len();
    assert!((1..=4).contains(&probes), "{probes} probes in two seconds");
    assert!(gateway.proxy.history(MIRROR).len() - before <= 4);
}

#[test]
fn public_documents_need_no_token_and_no_keys() {
    let gateway = Gateway::cold(Options::default(), 1, |_| {});
    let document = |path: &str| gateway.proxy.worker(0).get(path).send().local_reply();
    assert_eq!(document("/healthz").status, 200);
    let settings = document("/auth/config").json();
    assert_eq!(
        (&settings["issuer"], &settings["audience"]),
        (&json!("https://id.test"), &json!("attach"))
    );
    let metadata = document("/.well-known/oauth-protected-resource").json();
    assert_eq!(metadata["resource"], "http://gateway.test");
    assert_eq!(metadata["authorization_servers"], json!(["https://id.test"]));
    let mcp = document("/.well-known/oauth-protected-resource/mcp/search").json();
    assert_eq!(mcp["resource"], "http://gateway.test/mcp/search");
    for path in ["/healthz/", "/readyz/x", "//healthz", "/healthz%2f", "/x?/healthz"] {
        assert_eq!(document(path).status, 401, "{path}");
    }
}
