//! Whoever may not pass gets the documented status, code, challenge and dialect, and nothing of
//! it reaches the engine.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::issuer::{self, Claims};
use crate::stage::{Stage, chat, plain};
use crate::wait::{run, unique};

/// What a refusal looks like: status, code, and the challenge up to its variable parts.
type Refusal = (u16, &'static str, &'static [&'static str]);

const MISSING: Refusal = (401, "missing_token", &[]);
const MALFORMED: Refusal =
    (400, "invalid_request", &[r#"error="invalid_request""#, r#"error_description=""#]);
const INVALID: Refusal =
    (401, "invalid_token", &[r#"error="invalid_token""#, r#"error_description=""#]);
const SCOPE: Refusal =
    (403, "insufficient_scope", &[r#"error="insufficient_scope""#, r#"scope="chat:run""#]);

/// Asserts every part of a refusal at a path.
pub(crate) fn assert_refused(
    stage: &Stage,
    case: &str,
    path: &str,
    answer: &Answer,
    (status, code, challenge): Refusal,
) {
    let shown = format!("{case} at {path}: {}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.status, status, "{shown}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{shown}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{shown}");
    let sid = answer.header("x-session-id").expect("a session id");
    assert!((1..=64).contains(&sid.len()), "{shown}");
    let body = answer.json();
    let message = match path {
        _ if path.starts_with("/v1/") => {
            let kind = match status {
                401 => "authentication_error",
                403 => "permission_error",
                400..500 => "invalid_request_error",
                _ => "api_error",
            };
            assert_eq!(body["error"]["type"], kind, "{shown}");
            assert_eq!(body["error"]["code"], code, "{shown}");
            assert_eq!(body["error"].get("param"), Some(&Value::Null), "{shown}");
            &body["error"]["message"]
        }
        _ if path.starts_with("/a2a") => {
            assert_eq!(body["jsonrpc"], "2.0", "{shown}");
            assert_eq!(body.get("id"), Some(&Value::Null), "{shown}");
            assert_eq!(body["error"]["code"], -32000, "{shown}");
            assert_eq!(body["error"]["data"]["code"], code, "{shown}");
            &body["error"]["message"]
        }
        _ => {
            assert_eq!(body["code"], code, "{shown}");
            &body["error"]
        }
    };
    assert!(message.as_str().is_some_and(|message| !message.is_empty()), "{shown}");
    assert_challenge(stage, &shown, answer, (status, code, challenge));
}

/// RFC 6750 section 3, RFC 9728 section 5.1.
fn assert_challenge(stage: &Stage, shown: &str, answer: &Answer, refusal: Refusal) {
    let (_, code, parts) = refusal;
    let found = answer.header("www-authenticate");
    if parts.is_empty() && code != "missing_token" {
        assert_eq!(found, None, "{shown}");
        return;
    }
    let found = found.expect("a challenge");
    let metadata = stage.gateway.url("/.well-known/oauth-protected-resource");
    if parts.is_empty() {
        let whole = format!(r#"Bearer realm="attach", resource_metadata="{metadata}""#);
        assert_eq!(found, whole, "{shown}");
    } else {
        assert!(found.starts_with(r#"Bearer realm="attach", "#), "{shown}: {found}");
        assert!(found.contains(&format!(r#"resource_metadata="{metadata}""#)), "{shown}: {found}");
    }
    for part in parts {
        assert!(found.contains(part), "{shown}: {found}");
    }
    assert!(!found.contains('\\'), "{shown}: {found}");
    assert_eq!(found.matches('"').count() % 2, 0, "{shown}: {found}");
}

/// `Authorization` values, in order.
fn cases(stage: &Stage) -> Vec<(&'static str, Vec<String>, Refusal)> {
    let issuer = &stage.issuer;
    let bearer = |token: &str| vec![format!("Bearer {token}")];
    let signed = |bend: fn(Claims) -> Claims| bearer(&issuer.sign(&bend(issuer.claims("mallory"))));
    let good = issuer.token("mallory");
    let parts: Vec<&str> = good.split('.').collect();
    let other = issuer.sign(&issuer.claims("victim"));
    let victim = other.split('.').nth(1).unwrap();
    let wrong_issuer = issuer.claims("mallory").with("iss", "https://elsewhere.test");
    let slash = issuer.claims("mallory").with("iss", format!("{}/", issuer.url()));
    vec![
        ("no token", vec![], MISSING),
        ("two good tokens", [bearer(&good), bearer(&good)].concat(), MALFORMED),
        ("a good and a bad one", [bearer(&good), bearer("x.y.z")].concat(), MALFORMED),
        ("a bad and a good one", [bearer("x.y.z"), bearer(&good)].concat(), MALFORMED),
        ("two in one", bearer(&format!("{good}, Bearer {good}")), MALFORMED),
        ("nothing after Bearer", vec!["Bearer".to_owned()], MALFORMED),
        ("not token68", bearer("a!b"), MALFORMED),
        ("a space within", bearer(&good.replacen('.', ". ", 1)), MALFORMED),
        ("junk", bearer("junk"), INVALID),
        ("three parts of junk", bearer("a.b.c"), INVALID),
        ("64 KiB of junk", bearer(&"A".repeat(64 << 10)), INVALID),
        ("64 KiB of a token", bearer(&format!("{good}{}", "A".repeat(64 << 10))), INVALID),
        ("five parts", bearer("a.b.c.d.e"), INVALID),
        ("no signature", bearer(&format!("{}.{}.", parts[0], parts[1])), INVALID),
        ("alg none", bearer(&format!("eyJhbGciOiJub25lIn0.{}.", parts[1])), INVALID),
        ("other claims", bearer(&format!("{}.{victim}.{}", parts[0], parts[2])), INVALID),
        ("forged", bearer(&issuer.forge(&issuer.claims("mallory"))), INVALID),
        ("unknown kid", bearer(&issuer.sign_as("nobody's", &issuer.claims("mallory"))), INVALID),
        ("other audience", signed(|c| c.with("aud", "elsewhere")), INVALID),
        ("prefix of the audience", signed(|c| c.with("aud", "atta")), INVALID),
        ("no audience", signed(|c| c.without("aud")), INVALID),
        ("empty audiences", signed(|c| c.with("aud", json!([]))), INVALID),
        ("other issuer", bearer(&issuer.sign(&wrong_issuer)), INVALID),
        ("issuer with a slash", bearer(&issuer.sign(&slash)), INVALID),
        ("no issuer", signed(|c| c.without("iss")), INVALID),
        ("expired", signed(|c| c.with("exp", issuer::now() - 120)), INVALID),
        ("no exp", signed(|c| c.without("exp")), INVALID),
        ("exp as text", signed(|c| c.with("exp", "4102444800")), INVALID),
        ("not yet", signed(|c| c.with("nbf", issuer::now() + 600)), INVALID),
        ("sub with a line break", signed(|c| c.with("sub", "a\r\nX-Attach-User: b")), INVALID),
        ("sub with NUL", signed(|c| c.with("sub", "a\u{0}b")), INVALID),
        ("no sub", signed(|c| c.without("sub")), INVALID),
        ("empty sub", signed(|c| c.with("sub", "")), INVALID),
        ("no scope", signed(|c| c.without("scope")), SCOPE),
        ("other scope", signed(|c| c.with("scope", "chat:run2 chat")), SCOPE),
    ]
}

#[test]
fn refusals_have_the_documented_status_challenge_and_dialect() {
    run(async {
        let stage = plain().await;
        for (name, authorization, refusal) in cases(stage) {
            for path in ["/api/chat", "/v1/chat/completions", "/a2a", "/tasks/send", "/mem/events"]
            {
                let case = unique("denied");
                let method = if path == "/mem/events" { "GET" } else { "POST" };
                let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
                let request = crate::client::http().request(method, stage.gateway.url(path));
                let mut request = request.header("x-case", &case).json(&chat("hi"));
                for value in &authorization {
                    request = request.header("authorization", value);
                }
                let answer = Answer::to(request).await;
                assert_refused(stage, name, path, &answer, refusal);
                assert!(stage.engine.seen(&case).is_empty(), "{name} reached the engine");
            }
        }
        stage.assert_unharmed().await;
    });
}

#[test]
fn a_refusal_names_the_session_that_the_client_named() {
    run(async {
        let stage = plain().await;
        let answer =
            Answer::to(stage.gateway.get("/api/tags").header("x-session-id", "chain-7")).await;
        assert_eq!((answer.status, answer.header("x-session-id")), (401, Some("chain-7")));
    });
}

#[test]
fn the_scheme_is_read_in_any_case() {
    run(async {
        let stage = plain().await;
        for scheme in ["bearer", "BEARER", "bEaReR"] {
            let value = format!("{scheme} {}", stage.issuer.token("alice"));
            let answer =
                Answer::to(stage.gateway.get("/api/tags").header("authorization", value)).await;
            assert_eq!(answer.status, 200, "{scheme}");
        }
    });
}

#[test]
fn a_token_in_the_query_is_none() {
    run(async {
        let stage = plain().await;
        let path = format!("/api/tags?access_token={}", stage.issuer.token("alice"));
        let answer = Answer::to(stage.gateway.get(&path)).await;
        assert_refused(stage, "in the query", "/api/tags", &answer, MISSING);
    });
}

#[test]
fn scopes_count_wherever_issuers_put_them() {
    run(async {
        let stage = plain().await;
        let claims = || stage.issuer.claims("alice").without("scope");
        for claims in [
            claims().with("scope", "openid chat:run email"),
            claims().with("scp", json!(["chat:run"])),
            claims().with("scp", "chat:run"),
            claims().with("permissions", json!(["x", "chat:run"])),
            claims().with("roles", json!(["chat:run"])),
            claims().with("realm_access", json!({"roles": ["chat:run"]})),
            claims().with("scope", "chat:run").with("aud", json!(["other", "attach"])),
            claims().with("scope", "chat:run").with("exp", issuer::now() - 5),
        ] {
            let token = stage.issuer.sign(&claims);
            let answer = Answer::to(stage.gateway.get("/api/tags").bearer_auth(token)).await;
            assert_eq!(answer.status, 200, "{claims:?}: {}", answer.json());
        }
    });
}
