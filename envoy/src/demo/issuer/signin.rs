//! The page where a person types the user code and decides (RFC 8628 section 3.3).

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::fields::Fields;
use super::grants::Decision;
use super::page::{self, Form};
use super::{State, random_text};

/// Holds the value that the form must repeat; a foreign page can neither read nor set it.
const COOKIE: &str = "attach_demo_csrf";
const MAX_NAME: usize = 64;

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/device", get(show).post(decide))
        .route("/device.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], page::STYLE) }))
}

async fn show(Shared(state): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let code = fields.as_ref().and_then(|f| f.get("user_code")).unwrap_or_default();
    form(&state, StatusCode::OK, code, "demo-user", None)
}

async fn decide(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(fields) = Fields::parse(&body) else {
        return form(&state, StatusCode::BAD_REQUEST, "", "", Some("The form was not understood."));
    };
    let code = fields.get("user_code").unwrap_or_default();
    let user = fields.get("user").unwrap_or_default().trim();
    if !same_site(&state, &headers, &fields) {
        let fault = "The form was stale. Please check the code and try again.";
        return form(&state, StatusCode::FORBIDDEN, code, user, Some(fault));
    }
    let decision = match fields.get("decision") {
        Some("approve") if is_name(user) => Decision::Approve { sub: user.to_owned() },
        Some("approve") => {
            let fault = "A name has 1 to 64 characters and no control characters.";
            return form(&state, StatusCode::BAD_REQUEST, code, user, Some(fault));
        }
        _ => Decision::Deny,
    };
    let denied = decision == Decision::Deny;
    if !state.grants().decide(state.now(), code, decision) {
        let fault = "No sign-in waits under this code. It may have expired: start again.";
        return form(&state, StatusCode::NOT_FOUND, code, user, Some(fault));
    }
    let html = if denied {
        page::done("Denied", "Nobody was signed in. You can close this page.")
    } else {
        page::done("Signed in", "You can close this page and go back to your terminal.")
    };
    html_answer(StatusCode::OK, html)
}

/// Cross-site posts are told by the double-submitted cookie and, where the browser says it,
/// by `Origin`.
fn same_site(state: &State, headers: &HeaderMap, fields: &Fields) -> bool {
    let origin = headers.get(header::ORIGIN).is_none_or(|o| o.as_bytes() == state.url.as_bytes());
    let cookie = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    origin && cookie.is_some_and(|c| !c.is_empty() && fields.get("csrf") == Some(c))
}

fn is_name(user: &str) -> bool {
    (1..=MAX_NAME).contains(&user.chars().count()) && !user.chars().any(char::is_control)
}

fn form(
    state: &State,
    status: StatusCode,
    code: &str,
    user: &str,
    fault: Option<&str>,
) -> Response {
    let csrf = random_text(16);
    let request = state.grants().asked(state.now(), code).cloned();
    let scopes = request.as_ref().map(|r| r.scopes.join(" "));
    let asks = request.as_ref().zip(scopes.as_ref()).map(|(r, s)| (r.client.as_str(), s.as_str()));
    let html = Form { user_code: code, user, csrf: &csrf, fault, asks }.html();
    let cookie = format!("{COOKIE}={csrf}; Path=/device; HttpOnly; SameSite=Strict");
    ([(header::SET_COOKIE, cookie)], html_answer(status, html)).into_response()
}

fn html_answer(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (status, headers, html).into_response()
}
