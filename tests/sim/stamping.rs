//! Who called is what the gateway says, never what the client says.

use serde_json::json;

use crate::gateway::Gateway;
use crate::host::{Headers, Options, Request};

/// Every spelling of our names that some server would read as ours.
const SPOOFS: &[&str] = &[
    "X-Attach-User",
    "x-attach-user",
    "X_Attach_User",
    "x_attach_user",
    "X-ATTACH_SESSION",
    "x-attach-agent",
    "x-attach-issuer",
    "x-attach-scope",
    "X-Attach-Anything",
    "x_attach_anything",
];

fn spoofed(mut request: Request) -> Request {
    for name in SPOOFS {
        request = request.header(name, "root").header(name, "root2");
    }
    request
}

fn ours(headers: &Headers) -> Vec<(String, String)> {
    let folded = |name: &str| name.replace('_', "-");
    let found = headers.iter().filter(|(name, _)| folded(name).starts_with("x-attach-"));
    found.map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into())).collect()
}

#[test]
fn a_good_request_carries_the_verified_caller_only() {
    let gateway = Gateway::new();
    let token = gateway.issuer.token(&gateway.proxy).claim("azp", "cli").sign();
    let request = spoofed(gateway.proxy.worker(0).get("/api/tags").bearer(&token));
    let forwarded = request.header("user-agent", "ua").send().forwarded();
    let headers = forwarded.headers.unwrap();
    let session = headers.text("x-attach-session").unwrap();
    assert!(session.len() == 64 && session.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mut stamped = ours(&headers);
    stamped.sort();
    let expected = [
        ("x-attach-agent", "cli"),
        ("x-attach-issuer", "https://id.test"),
        ("x-attach-session", session.as_str()),
        ("x-attach-user", "alice"),
    ];
    assert_eq!(stamped, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(headers.get("authorization"), None);
    assert!(forwarded.complete);
    gateway.proxy.assert_no_trap();
}

#[test]
fn a_token_without_agent_stamps_none() {
    let gateway = Gateway::new();
    let request = spoofed(gateway.proxy.worker(0).get("/api/tags").bearer(&gateway.token()));
    assert_eq!(request.send().forwarded_header("x-attach-agent"), None);
}

#[test]
fn an_open_route_is_stripped_too() {
    let rules = json!([{"path": "/open/*", "mode": "passthrough"}]);
    let gateway = Gateway::with(1, |config| config["rules"] = rules);
    let open = |path: &str| spoofed(gateway.proxy.worker(0).get(path)).send();
    let forwarded = open("/open/x").forwarded();
    assert_eq!(ours(&forwarded.headers.unwrap()), []);
    for path in ["/open%2fx", "/open/..;/api/chat", "/open"] {
        assert_eq!(open(path).local_reply().status, 401, "{path}");
    }
}

#[test]
fn public_paths_and_refusals_do_not_log_or_echo_a_claim() {
    let gateway = Gateway::new();
    for path in ["/healthz", "/auth/config", "/.well-known/oauth-protected-resource", "/api/chat"] {
        let stream = spoofed(gateway.proxy.worker(0).get(path)).send();
        let reply = stream.local_reply();
        assert_eq!(ours(&reply.headers), [], "{path}");
        // What the access log would see.
        assert_eq!(ours(&stream.request_headers()), [], "{path}");
    }
}

#[test]
fn trailers_carry_no_claim() {
    let gateway = Gateway::new();
    let trailers = SPOOFS.iter().map(|name| (*name, "root")).chain([("x-checksum", "1")]);
    let request = gateway.proxy.worker(0).request("POST", "/api/chat").bearer(&gateway.token());
    let stream = request.chunks(vec![b"{}".to_vec()]).trailers(trailers).send();
    let forwarded = stream.forwarded();
    assert!(forwarded.complete);
    assert_eq!(forwarded.trailers.unwrap().names(), ["x-checksum"]);
    assert_eq!(forwarded.chunks, [b"{}"]);
}

#[test]
fn bytes_that_are_not_utf8_pass() {
    let gateway = Gateway::new();
    let bytes = b"\xff\xfe ok \x80";
    let names = ["x-raw", "user-agent", "x-session-id", "traceparent", "tracestate", "origin"];
    for name in names {
        let request = gateway.proxy.worker(0).get("/api/tags").bearer(&gateway.token());
        let stream = request.header(name, bytes).send();
        let headers = stream.forwarded().headers.unwrap();
        if matches!(name, "x-raw" | "user-agent") {
            assert_eq!(headers.get(name), Some(&bytes[..]), "{name}");
        }
        stream.respond(200, Headers::new([("x-raw", bytes)]), &[b"ok"]);
        assert_eq!(stream.client_got().unwrap().headers.get("x-raw"), Some(&bytes[..]));
    }
    for name in ["authorization", ":path", "x-attach-user", "content-type", "cookie"] {
        gateway.proxy.worker(0).get("/api/tags").header(name, bytes).send();
    }
    gateway.proxy.assert_no_trap();
}

#[test]
fn a_name_is_encoded_or_refused() {
    let gateway = Gateway::new();
    let token = |sub: &str| gateway.issuer.token(&gateway.proxy).claim("sub", sub).sign();
    let stamped = |sub: &str| {
        let request = gateway.proxy.worker(0).get("/api/tags").bearer(&token(sub));
        request.send().forwarded_header("x-attach-user").unwrap()
    };
    for (sub, expected) in [
        ("auth0|42", "auth0|42"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("Zoë", "Zo%C3%AB"),
        ("a,b", "a,b"),
    ] {
        assert_eq!(stamped(sub), expected);
    }
}

#[test]
fn engines_see_their_key_and_no_origin() {
    let gateway = Gateway::with(1, |config| config["engine"]["api_key"] = json!("engine-key"));
    let request = gateway.proxy.worker(0).get("/v1/models").bearer(&gateway.token());
    let stream = request.header("origin", "https://app.test").send();
    assert_eq!(stream.forwarded_header("authorization").as_deref(), Some("Bearer engine-key"));
    assert_eq!(stream.forwarded_header("origin"), None);
    gateway.proxy.assert_not_logged("engine-key");
}

#[test]
fn session_ids_differ_by_issuer_user_and_agent_and_by_nothing_else() {
    let gateway = Gateway::with(2, |_| {});
    let session = |worker: usize, sub: &str, agent: &str| {
        let token = gateway.issuer.token(&gateway.proxy).claim("sub", sub).sign();
        let request = gateway.proxy.worker(worker).get("/api/tags").bearer(&token);
        request.header("user-agent", agent).send().forwarded_header("x-attach-session").unwrap()
    };
    let one = session(0, "alice", "ua");
    assert_eq!(one, session(1, "alice", "ua"));
    assert_ne!(one, session(0, "bob", "ua"));
    assert_ne!(one, session(0, "alice", "ua2"));
    assert_ne!(session(0, "a", "b:c"), session(0, "a:b", "c"));
    assert_ne!(session(0, "ab", "c"), session(0, "a", "bc"));
}

#[test]
fn the_trace_session_goes_both_ways() {
    let gateway = Gateway::new();
    let sent = |id: Option<&str>| {
        let request = gateway.proxy.worker(0).get("/api/tags").bearer(&gateway.token());
        let stream = id
            .map_or(request, |id| {
                gateway
                    .proxy
                    .worker(0)
                    .get("/api/tags")
                    .bearer(&gateway.token())
                    .header("x-session-id", id)
            })
            .send();
        stream.respond(200, Headers::default(), &[]);
        let up = stream.forwarded_header("x-session-id").unwrap();
        assert_eq!(stream.client_got().unwrap().headers.text("x-session-id").unwrap(), up);
        up
    };
    assert_eq!(sent(Some("Chain_1.2-3")), "Chain_1.2-3");
    for bad in [None, Some("a b"), Some(""), Some("a/b"), Some(&*"x".repeat(65))] {
        let id = sent(bad);
        assert!(id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    let denied = gateway.proxy.worker(0).get("/x").header("x-session-id", "mine").send();
    assert_eq!(denied.local_reply().headers.text("x-session-id").as_deref(), Some("mine"));
}

#[test]
fn trace_context_is_kept_or_made() {
    let gateway = Gateway::new();
    let trace = |parent: Option<&str>| {
        let mut request = gateway.proxy.worker(0).get("/api/tags").bearer(&gateway.token());
        if let Some(parent) = parent {
            request = request.header("traceparent", parent).header("tracestate", "a=b");
        }
        request.send()
    };
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(trace(Some(good)).forwarded_header("traceparent").as_deref(), Some(good));
    assert_eq!(trace(Some(good)).forwarded_header("tracestate").as_deref(), Some("a=b"));
    for bad in [None, Some("junk"), Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01")]
    {
        let stream = trace(bad);
        let made = stream.forwarded_header("traceparent").unwrap();
        assert!(
            made.len() == 55 && made.starts_with("00-") && Some(made.as_str()) != bad,
            "{made}"
        );
        assert_eq!(stream.forwarded_header("tracestate"), None);
    }
}

#[test]
fn both_verifiers_stamp_alike() {
    for verify_signature in [true, false] {
        let options = Options { verify_signature, ..Options::default() };
        let gateway = Gateway::cold(options, 1, |_| {});
        gateway.serve();
        gateway.proxy.advance(1_000);
        let keys = [
            crate::signing::SigningKey::rsa("rsa"),
            crate::signing::SigningKey::p256("p256"),
            crate::signing::SigningKey::p384("p384"),
            crate::signing::SigningKey::ed25519("ed"),
        ];
        gateway.issuer.set_keys(keys.to_vec());
        gateway.proxy.advance(600_000);
        for key in &keys {
            let algorithms: &[&str] = match key.algorithm() {
                "RS256" => &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
                other => &[other],
            };
            for algorithm in algorithms {
                let token = gateway.issuer.token(&gateway.proxy).key(key);
                let token = token.header("alg", *algorithm).sign();
                let request = gateway.proxy.worker(0).get("/api/tags").bearer(&token);
                let user = request.send().forwarded_header("x-attach-user");
                assert_eq!(user.as_deref(), Some("alice"), "{algorithm}, host: {verify_signature}");
            }
        }
        gateway.proxy.assert_no_trap();
    }
}
