//! Routes that need no token, and browsers.

use serde_json::json;

use crate::client::{Answer, http};
use crate::issuer::AUDIENCE;
use crate::stage::{ORIGIN, plain};
use crate::wait::{run, unique};

#[test]
fn public_documents_need_no_token() {
    run(async {
        let stage = plain().await;
        let health = Answer::to(stage.gateway.get("/healthz")).await;
        assert_eq!(health.status, 200);
        let ready = Answer::to(stage.gateway.get("/readyz")).await;
        assert_eq!(ready.status, 200, "{}", ready.json());

        let config = Answer::to(stage.gateway.get("/auth/config")).await;
        assert_eq!(config.status, 200);
        let config = config.json();
        assert_eq!(config["issuer"], stage.issuer.url());
        assert_eq!(config["client_id"], "attach-cli");
        assert_eq!(config["audience"], AUDIENCE);
        assert_eq!(config["scopes"], json!(["chat:run"]));
        assert!(!config.to_string().contains("secret"));

        for rest in ["", "/mcp/search"] {
            let path = format!("/.well-known/oauth-protected-resource{rest}");
            let metadata = Answer::to(stage.gateway.get(&path)).await;
            assert_eq!(metadata.status, 200, "{path}");
            assert_eq!(metadata.header("content-type"), Some("application/json"));
            let metadata = metadata.json();
            assert_eq!(metadata["resource"], stage.gateway.url(rest));
            assert_eq!(metadata["authorization_servers"], json!([stage.issuer.url()]));
            assert_eq!(metadata["scopes_supported"], json!(["chat:run"]));
            assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
        }
    });
}

#[test]
fn the_public_url_is_never_taken_from_host() {
    run(async {
        let stage = plain().await;
        let request = stage.gateway.get("/.well-known/oauth-protected-resource");
        let metadata = Answer::to(request.header("host", "evil.test")).await;
        assert_eq!(metadata.json()["resource"], stage.gateway.url(""));
    });
}

#[test]
fn public_documents_are_answered_by_the_gateway_itself() {
    run(async {
        let stage = plain().await;
        for path in ["/healthz", "/readyz", "/auth/config", "/.well-known/oauth-protected-resource"]
        {
            let case = unique("public");
            let token = stage.issuer.token("alice");
            let request = stage.gateway.get(path).header("x-case", &case).bearer_auth(token);
            assert_eq!(Answer::to(request.header("x-attach-user", "root")).await.status, 200);
            let head = Answer::to(http().head(stage.gateway.url(path)).header("x-case", &case));
            let head = head.await;
            assert_eq!((head.status, head.body.len()), (200, 0), "HEAD {path}");
            assert!(stage.engine.seen(&case).is_empty(), "{path} reached the engine");
        }
    });
}

#[test]
fn a_preflight_of_an_allowed_origin_needs_no_token() {
    run(async {
        let stage = plain().await;
        for path in ["/api/chat", "/v1/chat/completions", "/mem/events"] {
            let case = unique("preflight");
            let request = http()
                .request(reqwest::Method::OPTIONS, stage.gateway.url(path))
                .header("x-case", &case)
                .header("origin", ORIGIN)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,content-type");
            let answer = Answer::to(request).await;
            assert!(matches!(answer.status, 200 | 204), "{path}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.contains("POST"), "{methods}");
            let headers = answer.header("access-control-allow-headers").unwrap();
            assert!(headers.contains("authorization"), "{headers}");
            assert!(stage.engine.seen(&case).is_empty());
        }
    });
}

#[test]
fn only_a_preflight_is_excused_and_only_for_allowed_origins() {
    run(async {
        let stage = plain().await;
        let options = || http().request(reqwest::Method::OPTIONS, stage.gateway.url("/api/chat"));
        let case = unique("options");
        let request = options().header("x-case", &case);
        assert_eq!(Answer::to(request.header("origin", ORIGIN)).await.status, 401);
        let request = options().header("x-case", &case).body("{}");
        assert_eq!(Answer::to(request).await.status, 401);
        let request = options().header("x-case", &case).header("origin", "http://evil.test");
        let answer = Answer::to(request.header("access-control-request-method", "POST")).await;
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert!(answer.status >= 400, "{}", answer.status);
        assert!(stage.engine.seen(&case).is_empty());
    });
}

#[test]
fn answers_and_refusals_carry_cors_headers_for_allowed_origins_only() {
    run(async {
        let stage = plain().await;
        let token = stage.issuer.token("alice");
        for (origin, allowed) in [(ORIGIN, Some(ORIGIN)), ("http://app.test.evil.test", None)] {
            let get = || stage.gateway.get("/api/tags").header("origin", origin);
            let answer = Answer::to(get().bearer_auth(&token)).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
            let refusal = Answer::to(get()).await;
            assert_eq!(refusal.status, 401);
            assert_eq!(refusal.header("access-control-allow-origin"), allowed);
            assert_ne!(refusal.header("access-control-allow-origin"), Some("*"));
        }
    });
}
