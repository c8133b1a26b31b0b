//! Against issuers with habits of their own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::scripted::Scripted;
use super::*;

fn error(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"error": code}))
}

fn granted() -> (u16, Value) {
    (200, json!({"access_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "token_type": "bearer"}))
}

#[tokio::test]
async fn it_goes_by_the_error_and_not_by_the_status() {
    let text = |status: u16| (status, json!("<html>"));
    // (answers of the token endpoint, pauses, what the end says; empty is success)
    let rows = [
        (
            vec![error(401, "authorization_pending"), error(400, "slow_down"), granted()],
            vec![5, 5, 10],
            "",
        ),
        (vec![error(200, "authorization_pending"), granted()], vec![5, 5], ""),
        (vec![error(428, "authorization_pending"), granted()], vec![5, 5], ""),
        (vec![text(500), text(503), granted()], vec![5, 10, 20], ""),
        (
            vec![error(500, "server_error"), error(503, "temporarily_unavailable"), granted()],
            vec![5, 10, 20],
            "",
        ),
        (vec![text(429), granted()], vec![5, 10], ""),
        (vec![error(403, "access_denied")], vec![5], "denied"),
        (vec![error(400, "expired_token")], vec![5], "expired"),
        (vec![error(401, "invalid_client")], vec![5], "OIDC_CLIENT_ID"),
        (vec![error(400, "unauthorized_client")], vec![5], "device flow"),
        (vec![text(404)], vec![5], "404"),
        (vec![text(200)], vec![5], "neither"),
        (vec![(200, json!({"token_type": "bearer"}))], vec![5], "neither"),
        (vec![error(400, "\u{1b}[2Jodd")], vec![5], "refuses: [2Jodd"),
    ];
    for (answers, pauses, expected) in rows {
        let issuer = Scripted::start(answers.clone(), |_| ()).await;
        let person = Person::new(&HandClock::new(), None);
        let end = person.signs_in(&options(issuer.url())).await;
        let end = end.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(
            end.contains(expected) && end.is_empty() == expected.is_empty(),
            "{answers:?}: {end}"
        );
        assert_eq!(person.pauses(), pauses, "{answers:?}");
    }
}

#[tokio::test]
async fn metadata_that_does_not_help() {
    type Change = fn(&mut Value);
    let rows: [(Change, &str); 4] = [
        (
            |m| drop(m.as_object_mut().unwrap().remove("device_authorization_endpoint")),
            "no device flow",
        ),
        (|m| m["issuer"] = json!("https://evil.example"), "https://evil.example"),
        (
            |m| m["token_endpoint"] = json!("http://id.example.com/token"),
            "http://id.example.com/token",
        ),
        (|m| m["token_endpoint"] = json!(7), "not an issuer's metadata"),
    ];
    for (change, expected) in rows {
        let issuer = Scripted::start(Vec::new(), change).await;
        let person = Person::new(&HandClock::new(), None);
        let text = person.signs_in(&options(issuer.url())).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[tokio::test]
async fn the_secret_goes_where_the_issuer_wants_it() {
    for (methods, in_body) in [
        (json!(null), false),
        (json!(["client_secret_basic"]), false),
        (json!(["client_secret_basic", "client_secret_post"]), true),
    ] {
        let issuer = Scripted::start(vec![granted()], |metadata| {
            if !methods.is_null() {
                metadata["token_endpoint_auth_methods_supported"] = methods.clone();
            }
        })
        .await;
        let secret = Some(Secret("geheim".to_owned()));
        let options = Options { client_secret: secret, ..options(issuer.url()) };
        Person::new(&HandClock::new(), None).signs_in(&options).await.unwrap();
        for request in issuer.requests() {
            assert_eq!(request.form.contains("client_secret=geheim"), in_body, "{methods}");
            assert_eq!(request.authorization.is_some(), !in_body, "{methods}");
        }
    }
}

#[tokio::test]
async fn an_issuer_that_refuses_the_audience_is_asked_without_it() {
    let issuer = Scripted::refusing_audience(vec![granted()]).await;
    let options = Options { audience: Some("attach".to_owned()), ..options(issuer.url()) };
    Person::new(&HandClock::new(), None).signs_in(&options).await.unwrap();
    let forms: Vec<_> = issuer.requests().iter().map(|r| r.form.contains("audience=")).collect();
    assert_eq!(forms, [true, false, false]);
}

#[tokio::test]
async fn unlisted_scopes_and_opaque_tokens_are_remarked() {
    let opaque = (200, json!({"access_token": "opaque"}));
    let issuer = Scripted::start(vec![opaque], |metadata| {
        metadata["scopes_supported"] = json!(["openid", "groups"]);
    })
    .await;
    let person = Person::new(&HandClock::new(), None);
    let outcome = person.signs_in(&options(issuer.url())).await.unwrap();
    assert_eq!(outcome.token(), "opaque");
    let notes = person.notes();
    assert!(notes.contains("chat:run") && notes.contains("not a JWT"), "{notes}");
}
