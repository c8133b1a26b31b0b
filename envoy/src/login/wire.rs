//! The requests of a sign-in, and what is believed of the answers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::poll::Answer;
use super::{Error, Options, shown};

/// No answer of an issuer that login reads is near this size.
const MAX_BODY: usize = 256 << 10;

/// The HTTP side of a sign-in.
pub(super) struct Http<'a> {
    pub(super) client: &'a Client,
    pub(super) options: &'a Options,
    /// `token_endpoint_auth_methods_supported` lists `client_secret_post`.
    pub(super) secret_in_body: bool,
}

/// Tokens as the issuer sent them.
#[derive(Clone, Deserialize)]
pub struct Tokens {
    access_token: String,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
}

/// Which token is handed out, and what to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Access,
    /// Google's access tokens, for one, are opaque: only the ID token can be verified.
    Id,
    Opaque,
}

impl Tokens {
    /// The token for the gateway: the access token, unless only the ID token is a JWT.
    pub(super) fn bearer(&self) -> (&str, Which) {
        match &self.id_token {
            _ if is_jwt(&self.access_token) => (&self.access_token, Which::Access),
            Some(id) if is_jwt(id) => (id, Which::Id),
            _ => (&self.access_token, Which::Opaque),
        }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

fn is_jwt(token: &str) -> bool {
    let parts: Vec<_> = token.split('.').collect();
    let [header, _, _] = parts.as_slice() else {
        return false;
    };
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header = header.and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    header.is_some_and(|h| h.get("alg").is_some())
}

/// Where the person goes, and with what (RFC 8628 section 3.2).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Started {
    pub(super) device_code: String,
    pub(super) user_code: String,
    /// Google calls it `verification_url`.
    #[serde(alias = "verification_url")]
    pub(super) verification_uri: String,
    #[serde(default, alias = "verification_url_complete")]
    pub(super) verification_uri_complete: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    interval: Option<Value>,
}

impl Started {
    pub(super) fn lifetime(&self) -> Option<Duration> {
        seconds(self.expires_in.as_ref()?)
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        seconds(self.interval.as_ref()?)
    }
}

/// Some issuers write numbers as strings.
fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    Duration::try_from_secs_f64(number?).ok()
}

/// An error answer (RFC 6749 section 5.2).
#[derive(Debug, Default, Deserialize)]
struct OAuthError {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl Http<'_> {
    /// A document that must be there.
    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, Error> {
        let response = self.client.get(url).send().await.map_err(|e| unreachable(url, &e))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(Error::Status { url: url.to_owned(), status: status.as_u16() });
        }
        read(response).await.ok_or_else(|| Error::NoMetadata { url: url.to_owned() })
    }

    /// Starts a device authorization (RFC 8628 section 3.1).
    pub(super) async fn start(
        &self,
        url: &str,
        scope: &str,
        audience: Option<&str>,
    ) -> Result<Started, Error> {
        let mut form = vec![("scope", scope)];
        form.extend(audience.map(|a| ("audience", a)));
        let sent = self.form(url, form).send().await;
        let response = sent.map_err(|e| unreachable(url, &e))?;
        let status = response.status();
        let body = read(response).await.unwrap_or_default();
        if status.is_success() {
            let unusable = |_| Error::Unusable { url: url.to_owned(), status: status.as_u16() };
            return serde_json::from_slice(&body).map_err(unusable);
        }
        match serde_json::from_slice::<OAuthError>(&body).unwrap_or_default() {
            OAuthError { error: Some(code), error_description } => Err(Error::Refused {
                code: shown(&code),
                description: shown(&error_description.unwrap_or_default()),
            }),
            _ => Err(Error::Unusable { url: url.to_owned(), status: status.as_u16() }),
        }
    }

    /// One request to the token endpoint. With an OAuth error comes its description.
    pub(super) async fn token(
        &self,
        url: &str,
        form: Vec<(&str, &str)>,
    ) -> Result<(Answer<Tokens>, String), Error> {
        let Ok(response) = self.form(url, form).send().await else {
            return Ok((Answer::Unreachable, String::new()));
        };
        let status = response.status();
        let Some(body) = read(response).await else {
            return Ok((Answer::Unreachable, String::new()));
        };
        if status.is_success()
            && let Ok(tokens) = serde_json::from_slice(&body)
        {
            return Ok((Answer::Granted(tokens), String::new()));
        }
        let answer = serde_json::from_slice::<OAuthError>(&body).unwrap_or_default();
        let description = shown(&answer.error_description.unwrap_or_default());
        match answer.error.as_deref() {
            Some("temporarily_unavailable" | "server_error") => {}
            Some(code) => return Ok((Answer::Error(shown(code)), description)),
            None if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {}
            None => {
                return Err(Error::Unusable { url: url.to_owned(), status: status.as_u16() });
            }
        }
        Ok((Answer::Unreachable, description))
    }

    /// RFC 6749 section 2.3.1: by HTTP Basic, which every issuer knows, or in the body where
    /// the issuer says so. A public client only names itself.
    fn form<'f>(&'f self, url: &str, mut form: Vec<(&'f str, &'f str)>) -> RequestBuilder {
        let request = self.client.post(url);
        let id = self.options.client_id.as_str();
        match &self.options.client_secret {
            Some(secret) if !self.secret_in_body => {
                let (id, secret) = (form_encoded(id), form_encoded(&secret.0));
                request.basic_auth(id, Some(secret)).form(&form)
            }
            secret => {
                form.push(("client_id", id));
                form.extend(secret.iter().map(|s| ("client_secret", s.0.as_str())));
                request.form(&form)
            }
        }
    }
}

/// RFC 6749 appendix B.
fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn unreachable(url: &str, error: &reqwest::Error) -> Error {
    Error::Unreachable { url: url.to_owned(), cause: innermost(error) }
}

/// reqwest's own text repeats the address and hides the cause.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    shown(&cause.to_string())
}

/// The body, unless it breaks off or is too large.
async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            return None;
        }
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_token_that_can_be_verified_is_handed_out() {
        let jwt = format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#));
        let other = format!("{}.e30.c2ln2", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#));
        let rows = [
            (&*jwt, Some(&*other), &*jwt, Which::Access),
            (&jwt, None, &jwt, Which::Access),
            ("ya29.opaque", Some(&jwt), &jwt, Which::Id),
            ("a.b.c", Some(&jwt), &jwt, Which::Id),
            ("opaque", Some("opaque too"), "opaque", Which::Opaque),
            ("opaque", None, "opaque", Which::Opaque),
        ];
        for (access, id, expected, which) in rows {
            let tokens = Tokens {
                access_token: access.to_owned(),
                id_token: id.map(str::to_owned),
                refresh_token: None,
            };
            assert_eq!(tokens.bearer(), (expected, which), "{access} {id:?}");
        }
    }

    #[test]
    fn answers_of_issuers_in_the_wild() {
        let rows = [
            (
                r#"{"device_code":"d","user_code":"u","verification_uri":"v","expires_in":900,"interval":5}"#,
                Some(900),
                Some(5),
            ),
            (
                r#"{"device_code":"d","user_code":"u","verification_url":"v","expires_in":"900"}"#,
                Some(900),
                None,
            ),
            (
                r#"{"device_code":"d","user_code":"u","verification_uri":"v","expires_in":-1,"interval":null}"#,
                None,
                None,
            ),
        ];
        for (json, lifetime, interval) in rows {
            let started: Started = serde_json::from_str(json).unwrap();
            assert_eq!(started.lifetime(), lifetime.map(Duration::from_secs), "{json}");
            assert_eq!(started.interval(), interval.map(Duration::from_secs), "{json}");
        }
    }
}
