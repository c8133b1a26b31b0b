#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::{RS256PublicKey, RSAPublicKeyLike};
use reqwest::{Response, StatusCode};

use super::visitor::{Press, visit};
use super::*;
use crate::demo::testing::{self, HandClock};

const SECOND: Duration = Duration::from_secs(1);

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn post(issuer: &Issuer, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let url = format!("{}{path}", issuer.url());
    let response = testing::client().post(url).form(form).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status(), response.json().await.unwrap())
}

async fn start(issuer: &Issuer, scope: &str) -> Value {
    let form = [("client_id", "attach-cli"), ("scope", scope)];
    let (status, body) = post(issuer, "/device/code", &form).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn poll(issuer: &Issuer, device_code: &str) -> (StatusCode, Value) {
    let form = [
        ("client_id", "attach-cli"),
        ("grant_type", routes::DEVICE_GRANT),
        ("device_code", device_code),
    ];
    post(issuer, "/token", &form).await
}

async fn refresh(issuer: &Issuer, token: &Value) -> (StatusCode, Value) {
    let form = [
        ("client_id", "attach-cli"),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str().unwrap()),
    ];
    post(issuer, "/token", &form).await
}

async fn get(issuer: &Issuer, path: &str) -> Response {
    testing::client().get(format!("{}{path}", issuer.url())).send().await.unwrap()
}

#[tokio::test]
async fn discovery_names_itself_and_its_endpoints() {
    let issuer = testing::issuer(&HandClock::new()).await;
    let response = get(&issuer, "/.well-known/openid-configuration").await;
    assert_eq!(response.status(), StatusCode::OK);
    let metadata: Value = response.json().await.unwrap();
    assert_eq!(metadata["issuer"], issuer.url());
    for (member, path) in [
        ("jwks_uri", "/jwks"),
        ("token_endpoint", "/token"),
        ("device_authorization_endpoint", "/device/code"),
    ] {
        assert_eq!(metadata[member], format!("{}{path}", issuer.url()));
    }
}

#[tokio::test]
async fn its_tokens_verify_with_its_published_key_and_forged_ones_do_not() {
    let clock = HandClock::new();
    let issuer = testing::issuer(&clock).await;
    let response = get(&issuer, "/jwks").await;
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    let jwks: Value = response.json().await.unwrap();
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwks["keys"][0][name].as_str().unwrap());
    let key = RS256PublicKey::from_components(&member("n").unwrap(), &member("e").unwrap());
    let key = key.unwrap();

    let token = issuer.token(&Claims::of("alice")).unwrap();
    let forged = issuer.forged(&Claims::of("alice")).unwrap();
    let options = || jwt_simple::common::VerificationOptions {
        artificial_time: Some(jwt_simple::prelude::UnixTimeStamp::from_secs(clock.now().as_secs())),
        required_signature_type: Some("at+jwt".to_owned()),
        ..Default::default()
    };
    key.verify_token::<Map<String, Value>>(&token, Some(options())).unwrap();
    assert!(key.verify_token::<Map<String, Value>>(&forged, Some(options())).is_err());
    assert_eq!(part(&token, 0), part(&forged, 0), "a forgery claims the same key");
    assert_eq!(part(&token, 0)["kid"], jwks["keys"][0]["kid"]);
}

#[tokio::test]
async fn every_claim_of_a_token_can_be_replaced_or_left_out() {
    let clock = HandClock::new();
    let issuer = testing::issuer(&clock).await;
    let now = clock.now().as_secs();
    let defaults = part(&issuer.token(&Claims::of("alice")).unwrap(), 1);
    assert_eq!(defaults["iss"], issuer.url());
    assert_eq!(defaults["sub"], "alice");
    assert_eq!(defaults["aud"], "attach");
    assert_eq!(defaults["iat"], now);
    assert_eq!(defaults["exp"], now + 3600);
    assert_eq!(defaults["client_id"], "attach-cli");
    assert_eq!(defaults["scope"], "chat:run");

    let claims = Claims::of("bob").with("exp", now - 60).with("aud", "other").without("scope");
    let changed = part(&issuer.token(&claims).unwrap(), 1);
    assert_eq!(changed["sub"], "bob");
    assert_eq!(changed["exp"], now - 60);
    assert_eq!(changed["aud"], "other");
    assert_eq!(changed.get("scope"), None);
}

#[tokio::test]
async fn a_person_signs_a_device_in() {
    let clock = HandClock::new();
    let issuer = testing::issuer(&clock).await;
    let started = start(&issuer, "openid offline_access chat:run").await;
    let code = started["device_code"].as_str().unwrap();
    let complete = started["verification_uri_complete"].as_str().unwrap();
    assert!(complete.ends_with(started["user_code"].as_str().unwrap()));
    assert_eq!(started["interval"], 2);

    let (status, pending) = poll(&issuer, code).await;
    assert_eq!(
        (status, &pending["error"]),
        (StatusCode::BAD_REQUEST, &"authorization_pending".into())
    );
    let (_, hasty) = poll(&issuer, code).await;
    assert_eq!(hasty["error"], "slow_down");

    visit(&testing::client(), complete, Press::SignIn("alice")).await.unwrap();
    clock.advance(7 * SECOND);
    let (status, tokens) = poll(&issuer, code).await;
    assert_eq!(status, StatusCode::OK);
    let claims = part(tokens["access_token"].as_str().unwrap(), 1);
    assert_eq!((&claims["sub"], &claims["aud"]), (&"alice".into(), &"attach".into()));
    assert_eq!(claims["scope"], "openid offline_access chat:run");
    assert_eq!(part(tokens["id_token"].as_str().unwrap(), 1)["aud"], "attach-cli");

    let (status, renewed) = refresh(&issuer, &tokens["refresh_token"]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(part(renewed["access_token"].as_str().unwrap(), 1)["sub"], "alice");
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    let (_, replayed) = refresh(&issuer, &tokens["refresh_token"]).await;
    assert_eq!(replayed["error"], "invalid_grant");
}

#[tokio::test]
async fn a_person_denies() {
    let issuer = testing::issuer(&HandClock::new()).await;
    let started = start(&issuer, "chat:run").await;
    let complete = started["verification_uri_complete"].as_str().unwrap();
    visit(&testing::client(), complete, Press::Deny).await.unwrap();
    let (status, denied) = poll(&issuer, started["device_code"].as_str().unwrap()).await;
    assert_eq!((status, &denied["error"]), (StatusCode::BAD_REQUEST, &"access_denied".into()));
}

#[tokio::test]
async fn a_device_code_expires() {
    let clock = HandClock::new();
    let issuer = testing::issuer_with(&clock, |c| c.code_lifetime = 3 * SECOND).await;
    let started = start(&issuer, "chat:run").await;
    clock.advance(3 * SECOND);
    let (_, late) = poll(&issuer, started["device_code"].as_str().unwrap()).await;
    assert_eq!(late["error"], "expired_token");
    let complete = started["verification_uri_complete"].as_str().unwrap();
    let visited = visit(&testing::client(), complete, Press::SignIn("alice")).await;
    assert!(matches!(visited, Err(visitor::VisitError::Refused(StatusCode::NOT_FOUND))));
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let secret = |c: &mut Config| drop(c.clients.insert("web".to_owned(), Some("s".to_owned())));
    let issuer = testing::issuer_with(&HandClock::new(), secret).await;
    let device = routes::DEVICE_GRANT;
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let rows: &[Row<'_>] = &[
        ("/device/code", &[], "invalid_client"),
        ("/device/code", &[("client_id", "nobody")], "invalid_client"),
        ("/device/code", &[("client_id", "web")], "invalid_client"),
        ("/device/code", &[("client_id", "web"), ("client_secret", "x")], "invalid_client"),
        ("/device/code", &[("client_id", "attach-cli"), ("client_id", "web")], "invalid_request"),
        ("/device/code", &[("client_id", "attach-cli"), ("scope", "root")], "invalid_scope"),
        ("/token", &[("client_id", "attach-cli")], "invalid_request"),
        (
            "/token",
            &[("client_id", "attach-cli"), ("grant_type", "password")],
            "unsupported_grant_type",
        ),
        ("/token", &[("client_id", "attach-cli"), ("grant_type", device)], "invalid_request"),
        (
            "/token",
            &[("client_id", "attach-cli"), ("grant_type", device), ("device_code", "x")],
            "invalid_grant",
        ),
    ];
    for (path, form, expected) in rows {
        let (status, body) = post(&issuer, path, form).await;
        assert!(status.is_client_error(), "{form:?}");
        assert_eq!(body["error"], *expected, "{path} {form:?}");
    }
    let form = [("client_id", "web"), ("client_secret", "s")];
    assert_eq!(post(&issuer, "/device/code", &form).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_foreign_page_cannot_decide() {
    let issuer = testing::issuer(&HandClock::new()).await;
    let started = start(&issuer, "chat:run").await;
    let code = started["user_code"].as_str().unwrap();
    // (cookie, hidden field, origin)
    let rows = [
        (None, "", None),
        (None, "x", None),
        (Some("attach_demo_csrf="), "", None),
        (Some("attach_demo_csrf=a"), "b", None),
        (Some("attach_demo_csrf=a"), "a", Some("https://evil.example")),
        (Some("attach_demo_csrf=a"), "a", Some("null")),
    ];
    for (cookie, csrf, origin) in rows {
        let form = [("csrf", csrf), ("user_code", code), ("user", "eve"), ("decision", "approve")];
        let mut request = testing::client().post(format!("{}/device", issuer.url())).form(&form);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::FORBIDDEN, "{cookie:?} {csrf} {origin:?}");
    }
    let (_, body) = poll(&issuer, started["device_code"].as_str().unwrap()).await;
    assert_eq!(body["error"], "authorization_pending");
}

#[tokio::test]
async fn the_page_shows_who_asks_and_runs_no_scripts() {
    let issuer = testing::issuer(&HandClock::new()).await;
    let started = start(&issuer, "chat:run").await;
    let path = format!("/device?user_code={}", started["user_code"].as_str().unwrap());
    let response = get(&issuer, &path).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    let html = response.text().await.unwrap();
    assert!(html.contains("attach-cli") && html.contains("chat:run"), "{html}");
    let strange = get(&issuer, "/device?user_code=%3Cscript%3E").await.text().await.unwrap();
    assert!(!strange.contains("<script"), "{strange}");
}

#[tokio::test]
async fn it_is_reachable_from_this_machine_only() {
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let started = Issuer::start(Config { listen, ..Config::default() }).await;
    assert!(matches!(started, Err(StartError::NotLoopback(_))));
}
