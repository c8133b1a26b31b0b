//! CORS (WHATWG Fetch, section 3.2) for the origins that the configuration names.

use crate::auth::denial::Reply;
use crate::headers::RequestHead;

const EXPOSED: &str = "X-Session-ID, X-Attach-Task, X-Request-Id, WWW-Authenticate, Retry-After";

/// The request's origin, if it may call from a browser.
pub(super) fn allowed_origin(head: &RequestHead<'_>, origins: &[String]) -> Option<String> {
    let origin = head.origin?;
    origins.iter().find(|allowed| allowed.as_bytes() == origin).cloned()
}

/// Whether this is a preflight: only these OPTIONS need no token.
pub(super) fn is_preflight(head: &RequestHead<'_>) -> bool {
    head.method == b"OPTIONS" && head.origin.is_some() && head.preflight_method.is_some()
}

/// The answer to a preflight of an allowed origin; the origin itself is added to every answer.
pub(super) fn preflight(head: &RequestHead<'_>) -> Reply {
    let asked =
        head.preflight_headers.and_then(header_names).unwrap_or("authorization, content-type");
    Reply {
        status: 204,
        headers: vec![
            ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE".to_owned()),
            ("access-control-allow-headers", asked.to_owned()),
            ("access-control-max-age", "600".to_owned()),
        ],
        body: Vec::new(),
    }
}

/// What every answer to an allowed origin carries.
pub(super) fn response_headers(origin: &str) -> [(&'static str, String); 3] {
    [
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-expose-headers", EXPOSED.to_owned()),
        ("vary", "origin".to_owned()),
    ]
}

/// The list as it was asked for, if it is nothing but header names (RFC 9110 section 5.1).
fn header_names(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b',' | b' '))
        .then_some(text)
}
