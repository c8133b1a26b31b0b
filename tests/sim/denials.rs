//! The table of denials: status, code, challenge and dialect, and nothing of it upstream.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::host::{Reply, Request};
use crate::issuer::{Issuer, Token};
use crate::signing::{SigningKey, base64url};

const METADATA: &str =
    r#"resource_metadata="http://gateway.test/.well-known/oauth-protected-resource""#;

/// Sends a request that must be refused.
fn refused(gateway: &Gateway, edit: impl FnOnce(Request) -> Request) -> Reply {
    let request = gateway.proxy.worker(0).post("/api/chat", r#"{"messages":[]}"#);
    let stream = edit(request).send();
    let reply = stream.local_reply();
    assert!(stream.is_over());
    assert_eq!(reply.headers.text("content-type").as_deref(), Some("application/json"));
    assert_eq!(reply.headers.text("cache-control").as_deref(), Some("no-store"));
    reply
}

fn check(reply: &Reply, status: u16, code: &str, case: &str) {
    assert_eq!(reply.status, status, "{case}");
    let body = reply.json();
    assert_eq!(body["code"], code, "{case}");
    assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "{case}");
    let challenge = reply.headers.text("www-authenticate");
    match code {
        "missing_token" => {
            assert_eq!(challenge.unwrap(), format!(r#"Bearer realm="attach", {METADATA}"#));
        }
        "invalid_request" | "invalid_token" => {
            let challenge = challenge.expect(case);
            assert!(challenge.contains(&format!(r#"error="{code}""#)), "{case}: {challenge}");
            assert!(challenge.contains("error_description="), "{case}: {challenge}");
            assert!(challenge.contains(METADATA), "{case}: {challenge}");
        }
        "insufficient_scope" => {
            let challenge = challenge.expect(case);
            assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
            assert!(challenge.contains(r#"scope="chat:run""#), "{challenge}");
        }
        _ => assert_eq!(challenge, None, "{case}"),
    }
}

#[test]
fn credentials_that_are_not_there_or_malformed() {
    let gateway = Gateway::new();
    let good = gateway.token();
    let missing = refused(&gateway, |request| request);
    check(&missing, 401, "missing_token", "none");
    let malformed: &[(&str, Vec<u8>)] = &[
        ("two tokens joined", format!("Bearer {good},Bearer {good}").into()),
        ("no token", b"Bearer ".to_vec()),
        ("two words", format!("Bearer {good} {good}").into()),
        ("not token68", "Bearer ä.b.c".into()),
        ("not UTF-8", b"Bearer \xff\xfe".to_vec()),
    ];
    for (case, value) in malformed {
        let reply = refused(&gateway, |request| request.header("authorization", value));
        check(&reply, 400, "invalid_request", case);
    }
    let twice = refused(&gateway, |request| request.bearer(&good).bearer(&good));
    check(&twice, 400, "invalid_request", "two headers");
    gateway.proxy.assert_no_trap();
}

#[test]
fn tokens_that_are_bad() {
    let gateway = Gateway::new();
    let now = gateway.proxy.unix_seconds();
    let token = || gateway.issuer.token(&gateway.proxy);
    let stranger = SigningKey::p256("k1");
    let other_issuer = Issuer::new("https://elsewhere.test", "nowhere");
    let cases: Vec<(&str, Token)> = vec![
        ("expired", token().claim("exp", now - 31)),
        ("no exp", token().without("exp")),
        ("exp as text", token().claim("exp", "9999999999")),
        ("not valid yet", token().claim("nbf", now + 31)),
        ("nbf as text", token().claim("nbf", "0")),
        ("issued in the future", token().claim("iat", now + 3_000)),
        ("other audience", token().claim("aud", "attach2")),
        ("no audience", token().without("aud")),
        ("empty audience list", token().claim("aud", json!([]))),
        ("issuer with a slash more", token().claim("iss", "https://id.test/")),
        ("no issuer", token().without("iss")),
        ("unknown issuer", other_issuer.token(&gateway.proxy)),
        ("no sub", token().without("sub")),
        ("empty sub", token().claim("sub", "")),
        ("sub with a line break", token().claim("sub", "alice\r\nx-attach-user: root")),
        ("sub with NUL", token().claim("sub", "a\0b")),
        ("forged", token().signed_by(&stranger)),
        ("unknown crit", token().header("crit", json!(["x"])).header("x", 1)),
        ("b64", token().header("b64", false).header("crit", json!(["b64"]))),
        ("alg none", token().header("alg", "none")),
        ("alg of another key", token().header("alg", "RS256")),
    ];
    for (case, token) in cases {
        let token = token.sign();
        let reply = refused(&gateway, |request| request.bearer(&token));
        check(&reply, 401, "invalid_token", case);
        gateway.proxy.assert_not_logged(&token);
    }
    let parts = token().sign();
    let (signed, _) = parts.rsplit_once('.').unwrap();
    let (header, _) = parts.split_once('.').unwrap();
    let none = base64url(r#"{"alg":"none"}"#);
    let texts = [
        "notajwt".to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", base64url([0; 64])),
        format!("{signed}.{}", base64url([1; 63])),
        format!("{parts}.x"),
        format!("{header}..{header}"),
        format!("{none}.{}.", base64url(r#"{"sub":"root"}"#)),
        format!("{}.{}.{}", base64url("{"), base64url("{}"), base64url("x")),
        "a".repeat(64 << 10),
    ];
    for text in texts {
        let reply = refused(&gateway, |request| request.bearer(&text));
        check(&reply, 401, "invalid_token", &text[..text.len().min(40)]);
    }
    gateway.proxy.assert_no_trap();
}

#[test]
fn leeway_is_thirty_seconds() {
    let gateway = Gateway::new();
    let now = gateway.proxy.unix_seconds();
    for (name, at) in [("exp", now - 29), ("nbf", now + 29)] {
        let token = gateway.issuer.token(&gateway.proxy).claim(name, at).sign();
        gateway.proxy.worker(0).get("/api/tags").bearer(&token).send().forwarded();
    }
}

#[test]
fn a_scope_is_missing() {
    let gateway = Gateway::new();
    for scope in [json!(""), json!("chat:run2"), json!("CHAT:RUN"), json!(["a", "b"]), Value::Null]
    {
        let token = gateway.issuer.token(&gateway.proxy).claim("scope", scope.clone()).sign();
        let reply = refused(&gateway, |request| request.bearer(&token));
        check(&reply, 403, "insufficient_scope", &scope.to_string());
    }
    for (claim, value) in [
        ("scope", json!("x chat:run")),
        ("scp", json!(["chat:run"])),
        ("permissions", json!(["chat:run"])),
        ("roles", json!(["chat:run"])),
        ("realm_access", json!({"roles": ["chat:run"]})),
    ] {
        let token = gateway.issuer.token(&gateway.proxy).without("scope").claim(claim, value);
        let request = gateway.proxy.worker(0).get("/api/tags").bearer(&token.sign());
        request.send().forwarded();
    }
}

#[test]
fn bodies_speak_the_dialect_of_the_route() {
    let gateway = Gateway::new();
    let body = |path: &str| gateway.proxy.worker(0).get(path).send().local_reply().json();
    let openai = body("/v1/models");
    assert_eq!(openai["error"]["type"], "authentication_error");
    assert_eq!(openai["error"]["code"], "missing_token");
    assert!(openai["error"]["param"].is_null());
    for path in ["/a2a", "/agents/planner/x", "/mcp/search"] {
        let rpc = body(path);
        assert_eq!(rpc["jsonrpc"], "2.0", "{path}");
        assert_eq!(rpc["error"]["code"], -32_000, "{path}");
        assert_eq!(rpc["error"]["data"]["code"], "missing_token", "{path}");
        assert!(rpc["id"].is_null(), "{path}");
    }
    assert_eq!(body("/api/tags")["code"], "missing_token");
}

#[test]
fn an_engine_that_fails_is_told_in_the_dialect() {
    let gateway = Gateway::new();
    for (details, from, status, code) in [
        (
            "upstream_reset_before_response_started{connection_failure}",
            503,
            503,
            "engine_unavailable",
        ),
        ("no_healthy_upstream", 503, 503, "engine_unavailable"),
        ("response_timeout", 504, 504, "engine_timeout"),
        ("stream_idle_timeout", 408, 504, "engine_timeout"),
    ] {
        let stream = gateway.chat(r#"{"messages":[]}"#);
        stream.router_error(from, details);
        let reply = stream.local_reply();
        assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{details}");
    }
    let stream = gateway.chat(r#"{"messages":[]}"#);
    stream.respond(503, crate::host::Headers::default(), &[b"the engine's own words"]);
    assert_eq!(stream.client_got().unwrap().body, b"the engine's own words");
    gateway.proxy.assert_no_trap();
}

#[test]
fn options_needs_a_token_unless_it_is_a_preflight() {
    let gateway = Gateway::with(1, |config| config["cors_origins"] = json!(["https://app.test"]));
    let options = || gateway.proxy.worker(0).request("OPTIONS", "/api/chat");
    assert_eq!(options().send().local_reply().status, 401);
    assert_eq!(options().header("origin", "https://app.test").send().local_reply().status, 401);
    let preflight = |origin: &str| {
        let request = options().header("origin", origin);
        request.header("access-control-request-method", "POST").send().local_reply()
    };
    let allowed = preflight("https://app.test");
    assert!(matches!(allowed.status, 200 | 204), "{allowed:?}");
    let header = "access-control-allow-origin";
    assert_eq!(allowed.headers.text(header).as_deref(), Some("https://app.test"));
    assert_eq!(preflight("https://evil.test").headers.text(header), None);
    let denied = gateway.proxy.worker(0).get("/api/tags").header("origin", "https://app.test");
    let denied = denied.send().local_reply();
    assert_eq!(denied.headers.text(header).as_deref(), Some("https://app.test"));
}
