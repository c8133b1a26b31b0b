//! The parameters of a form post.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Form parameters, each at most once.
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    /// RFC 6749 section 3.2: a repeated parameter spoils the request; an empty one counts as
    /// absent.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if value.is_empty() {
                continue;
            }
            if fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The client that calls: by HTTP Basic or in the body (RFC 6749 section 2.3.1).
    pub(super) fn client(&self, headers: &HeaderMap) -> Option<(String, Option<String>)> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            let id = self.get("client_id")?.to_owned();
            return Some((id, self.get("client_secret").map(str::to_owned)));
        };
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some((form_decoded(id), Some(form_decoded(secret))))
    }
}

/// Both halves of the Basic credentials are form-encoded first (RFC 6749 appendix B).
fn form_decoded(text: &str) -> String {
    let pair = format!("v={text}");
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_repeated_parameter_spoils_the_form() {
        let rows: [(&str, Option<&str>); 5] = [
            ("a=1&b=2", Some("1")),
            ("a=1&a=1", None),
            ("a=1&%61=2", None),
            ("a=&a=1", Some("1")),
            ("a=%31", Some("1")),
        ];
        for (body, expected) in rows {
            let fields = Fields::parse(body.as_bytes());
            assert_eq!(fields.as_ref().and_then(|f| f.get("a")), expected, "{body}");
        }
    }

    #[test]
    fn a_client_is_named_by_basic_or_in_the_body() {
        let fields = Fields::parse(b"client_id=body&client_secret=s").unwrap();
        let basic =
            |value: &str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let found = |id: &str, secret: &str| Some((id.to_owned(), Some(secret.to_owned())));
        let rows = [
            (HeaderMap::new(), found("body", "s")),
            (basic(&encoded("id:secret")), found("id", "secret")),
            (basic(&encoded("i%3Ad:a+b%2B")), found("i:d", "a b+")),
            (basic("Bearer x"), None),
            (basic("Basic !"), None),
            (basic(&encoded("no colon")), None),
        ];
        for (headers, expected) in rows {
            assert_eq!(fields.client(&headers), expected, "{headers:?}");
        }
    }
}
