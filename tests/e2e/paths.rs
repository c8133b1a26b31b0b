//! Spellings of a path that look public, or are read in two ways: never a way past the token.

use crate::raw::{Raw, exchange, head};
use crate::stage::plain;
use crate::wait::{run, unique};

const TRICKS: [&str; 34] = [
    "/api/chat",
    "//api/chat",
    "/./api/chat",
    "/api//chat",
    "/healthz/../api/chat",
    "/healthz/./../api/chat",
    "/healthz//../api/chat",
    "/healthz/..%2fapi/chat",
    "/healthz%2f..%2fapi%2fchat",
    "/healthz%2F..%2Fapi/chat",
    "/healthz/%2e%2e/api/chat",
    "/healthz/%2E%2E%2Fapi/chat",
    "/healthz/..;/api/chat",
    "/healthz;/../api/chat",
    "/healthz/..\\api\\chat",
    "/healthz%5c..%5capi/chat",
    "/auth/config/../../api/chat",
    "/auth/config%00/../../api/chat",
    "/.well-known/oauth-protected-resource/../../api/chat",
    "/.well-known/oauth-protected-resource/..%2f..%2fapi/chat",
    "/.well-known/oauth-protected-resource/..;/..;/api/chat",
    "/api/chat?/healthz",
    "/api/chat?path=/healthz",
    "/api/chat?x=/../healthz",
    "/api/chat;/healthz",
    "/api/chat/healthz",
    "/api/chat/..;/healthz",
    "/healthz/",
    "/HEALTHZ",
    "/healthz%00",
    "/healthz.",
    "/healthz;x",
    "/healthzz",
    "/%2e/api/chat",
];

#[test]
fn no_spelling_reaches_the_engine_without_a_token() {
    run(async {
        let stage = plain().await;
        let fragment = "/api/chat#/healthz";
        let absolute = ["http://gateway.test/api/chat", "http://gateway.test//api/chat"];
        let healthz = ["http://healthz/api/chat", "http://gateway.test/healthz/../api/chat"];
        let targets = TRICKS.iter().chain([&fragment]).chain(&absolute).chain(&healthz);
        for target in targets {
            for method in ["GET", "POST", "PUT", "TRACE", "HEAD", "PROPFIND"] {
                let case = unique("trick");
                let case_line = format!("x-case: {case}");
                let lines: [&[u8]; 3] =
                    [case_line.as_bytes(), b"Content-Length: 0", b"Connection: close"];
                let mut raw = Raw::connect(stage.gateway.address()).await;
                raw.send(head(&format!("{method} {target}"), &lines)).await;
                let status = raw.head().await.map(|(status, _)| status);
                assert!(
                    matches!(status, None | Some(400 | 401 | 403 | 404 | 405)),
                    "{method} {target}: {status:?}"
                );
                assert!(stage.engine.seen(&case).is_empty(), "{method} {target} got through");
            }
        }
        stage.assert_unharmed().await;
    });
}

#[test]
fn headers_that_name_another_path_or_a_prober_change_nothing() {
    run(async {
        let stage = plain().await;
        for line in [
            "X-Envoy-Original-Path: /healthz",
            "X-Original-URL: /healthz",
            "X-Rewrite-URL: /healthz",
            "X-Forwarded-Prefix: /healthz",
            "X-HTTP-Method-Override: OPTIONS",
            "User-Agent: kube-probe/1.33",
            "User-Agent: Envoy/HC",
            "X-Envoy-Internal: true",
            "X-Forwarded-For: 127.0.0.1",
            "Upgrade: websocket\r\nConnection: Upgrade",
            "Expect: 100-continue",
        ] {
            let case = unique("header");
            let case_line = format!("x-case: {case}");
            let lines = [case_line.as_bytes(), line.as_bytes()];
            let answer = exchange(stage.gateway.address(), head("GET /api/tags", &lines)).await;
            assert!(matches!(answer.status, 401 | 403), "{line}: {}", answer.status);
            assert!(stage.engine.seen(&case).is_empty(), "{line} got through");
        }
    });
}

#[test]
fn old_and_odd_requests_do_not_get_through_either() {
    run(async {
        let stage = plain().await;
        let case = unique("odd");
        for start in [
            "GET /api/tags HTTP/1.0\r\n",
            "CONNECT 127.0.0.1:11434 HTTP/1.1\r\nHost: 127.0.0.1:11434\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\n",
            "GET /api/tags HTTP/1.1\r\n",
            "GET /api/tags HTTP/0.9\r\nHost: gateway.test\r\n",
            "GET /api/tags HTTP/1.1\r\nHost: gateway.test\r\nHost: other.test\r\n",
        ] {
            let mut raw = Raw::connect(stage.gateway.address()).await;
            raw.send(format!("{start}x-case: {case}\r\nConnection: close\r\n\r\n")).await;
            let status = raw.head().await.map(|(status, _)| status);
            assert!(!matches!(status, Some(200..400)), "{start}: {status:?}");
        }
        assert!(stage.engine.seen(&case).is_empty());
    });
}

#[test]
fn with_a_token_the_engine_gets_the_normalized_path() {
    run(async {
        let stage = plain().await;
        for (target, routed) in [
            ("/api//tags", "/api/tags"),
            ("/./api/tags", "/api/tags"),
            ("/x/../api/tags", "/api/tags"),
            ("/api/tags?a=//b/../c&d=%2F", "/api/tags?a=//b/../c&d=%2F"),
            ("http://gateway.test/api/tags", "/api/tags"),
            ("/caf%C3%A9%20x", "/caf%C3%A9%20x"),
        ] {
            let case = unique("path");
            let case_line = format!("x-case: {case}");
            let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
            let lines = [case_line.as_bytes(), token.as_bytes()];
            let line = format!("GET {target}");
            let answer = exchange(stage.gateway.address(), head(&line, &lines)).await;
            assert_eq!(answer.status, 200, "{target}");
            assert_eq!(stage.engine.request(&case).await.target, routed);
        }
    });
}
