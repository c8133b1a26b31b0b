//! Every reason to refuse a request, and the only table of status, challenge and body.

use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No credentials at all (RFC 6750 section 3: a challenge without `error`).
    MissingToken,
    /// A malformed or repeated `Authorization`; the text is the `error_description`.
    InvalidRequest(&'static str),
    /// The token is bad; the text is the fixed `error_description`.
    InvalidToken(&'static str),
    /// Scopes that are not granted; the required ones, space separated.
    InsufficientScope(String),
    /// Route or model not allowed.
    Forbidden,
    /// No usable keys of the token's issuer.
    KeysUnavailable,
    /// A body too large for a rewritten route.
    BodyTooLarge,
    /// A body that a rewritten route cannot use; the text says why.
    InvalidBody(&'static str),
    /// The engine refused or broke off before it answered.
    EngineUnavailable,
    /// The engine was silent for too long.
    EngineTimeout,
    /// The mirror-service refused or broke off before it answered.
    MemoryUnavailable,
    /// There is nothing at this path.
    NotFound,
    /// A public route that is only read.
    MethodNotAllowed,
}

/// The shape in which a caller expects an error, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error","code"}`.
    Plain,
    /// OpenAI's error object, under `/v1/`.
    OpenAi,
    /// A JSON-RPC 2.0 error object, for A2A, agents and MCP.
    JsonRpc,
}

impl Dialect {
    /// The dialect spoken at a normalized path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let under = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if path.starts_with("/v1/") {
            Self::OpenAi
        } else if under("/a2a") || under("/agents") || under("/mcp") {
            Self::JsonRpc
        } else {
            Self::Plain
        }
    }
}

/// A whole answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON answer that no cache keeps.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "no-store".to_owned()),
            ],
            body: body.to_string().into_bytes(),
        }
    }
}

impl Denial {
    /// HTTP status and machine-readable code.
    #[must_use]
    pub fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::MissingToken => (401, "missing_token"),
            Self::InvalidRequest(_) => (400, "invalid_request"),
            Self::InvalidToken(_) => (401, "invalid_token"),
            Self::InsufficientScope(_) => (403, "insufficient_scope"),
            Self::Forbidden => (403, "forbidden"),
            Self::KeysUnavailable => (503, "keys_unavailable"),
            Self::BodyTooLarge => (413, "body_too_large"),
            Self::InvalidBody(_) => (400, "invalid_body"),
            Self::EngineUnavailable => (503, "engine_unavailable"),
            Self::EngineTimeout => (504, "engine_timeout"),
            Self::MemoryUnavailable => (503, "memory_unavailable"),
            Self::NotFound => (404, "not_found"),
            Self::MethodNotAllowed => (405, "method_not_allowed"),
        }
    }

    /// What a person reads.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::MissingToken => {
                "this gateway needs a token: send `Authorization: Bearer <token>`".to_owned()
            }
            Self::InvalidRequest(why) | Self::InvalidToken(why) | Self::InvalidBody(why) => {
                (*why).to_owned()
            }
            Self::InsufficientScope(scopes) => format!("the token must grant the scope {scopes}"),
            Self::Forbidden => "this route is not allowed".to_owned(),
            Self::KeysUnavailable => {
                "the token issuer's keys cannot be fetched now; try again".to_owned()
            }
            Self::BodyTooLarge => "the body is too large for a route that is rewritten".to_owned(),
            Self::EngineUnavailable => "the engine does not answer".to_owned(),
            Self::EngineTimeout => "the engine was silent for too long".to_owned(),
            Self::MemoryUnavailable => "the memory does not answer; try again".to_owned(),
            Self::NotFound => "there is nothing at this path".to_owned(),
            Self::MethodNotAllowed => "this route is only read: use GET".to_owned(),
        }
    }

    /// The whole answer. `metadata` is the address of the RFC 9728 document.
    #[must_use]
    pub fn reply(&self, dialect: Dialect, metadata: &str) -> Reply {
        let (status, code) = self.status_and_code();
        let message = self.message();
        let mut reply = Reply::json(status, &body(dialect, status, code, &message));
        if let Some(challenge) = self.challenge(metadata) {
            reply.headers.push(("www-authenticate", challenge));
        }
        match self {
            // Clients sleep as long as this says; keys are looked for again well before.
            Self::KeysUnavailable | Self::MemoryUnavailable => {
                reply.headers.push(("retry-after", "2".to_owned()));
            }
            Self::MethodNotAllowed => reply.headers.push(("allow", "GET, HEAD".to_owned())),
            _ => {}
        }
        reply
    }

    /// RFC 6750 section 3 with the `resource_metadata` of RFC 9728 section 5.1. No text of a
    /// client goes into it, so nothing needs escaping.
    fn challenge(&self, metadata: &str) -> Option<String> {
        let (_, code) = self.status_and_code();
        let start = "Bearer realm=\"attach\"";
        let end = format!("resource_metadata=\"{metadata}\"");
        match self {
            Self::MissingToken => Some(format!("{start}, {end}")),
            Self::InvalidRequest(why) | Self::InvalidToken(why) => {
                Some(format!("{start}, error=\"{code}\", error_description=\"{why}\", {end}"))
            }
            Self::InsufficientScope(scopes) => {
                Some(format!("{start}, error=\"{code}\", scope=\"{scopes}\", {end}"))
            }
            _ => None,
        }
    }
}

fn body(dialect: Dialect, status: u16, code: &str, message: &str) -> serde_json::Value {
    match dialect {
        Dialect::Plain => json!({"error": message, "code": code}),
        Dialect::OpenAi => json!({"error": {
            "message": message, "type": openai_type(status), "code": code, "param": null,
        }}),
        // The id is null because the request's body has not been read (JSON-RPC 2.0 section 5).
        Dialect::JsonRpc => json!({"jsonrpc": "2.0", "id": null, "error": {
            "code": -32000, "message": message, "data": {"code": code},
        }}),
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "http://gw/.well-known/oauth-protected-resource";

    fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    #[test]
    fn every_denial_has_the_documented_status_code_and_challenge() {
        let end = r#"resource_metadata="http://gw/.well-known/oauth-protected-resource""#;
        let table: &[(Denial, u16, &str, Option<&str>)] = &[
            (Denial::MissingToken, 401, "missing_token", Some(r#"Bearer realm="attach", "#)),
            (
                Denial::InvalidRequest("x"),
                400,
                "invalid_request",
                Some(r#"Bearer realm="attach", error="invalid_request", error_description="x", "#),
            ),
            (
                Denial::InvalidToken("expired"),
                401,
                "invalid_token",
                Some(
                    r#"Bearer realm="attach", error="invalid_token", error_description="expired", "#,
                ),
            ),
            (
                Denial::InsufficientScope("chat:run mem:admin".into()),
                403,
                "insufficient_scope",
                Some(
                    r#"Bearer realm="attach", error="insufficient_scope", scope="chat:run mem:admin", "#,
                ),
            ),
            (Denial::Forbidden, 403, "forbidden", None),
            (Denial::KeysUnavailable, 503, "keys_unavailable", None),
            (Denial::BodyTooLarge, 413, "body_too_large", None),
            (Denial::InvalidBody("y"), 400, "invalid_body", None),
            (Denial::EngineUnavailable, 503, "engine_unavailable", None),
            (Denial::EngineTimeout, 504, "engine_timeout", None),
            (Denial::MemoryUnavailable, 503, "memory_unavailable", None),
            (Denial::NotFound, 404, "not_found", None),
            (Denial::MethodNotAllowed, 405, "method_not_allowed", None),
        ];
        for (denial, status, code, challenge) in table {
            let reply = denial.reply(Dialect::Plain, METADATA);
            assert_eq!(reply.status, *status, "{denial:?}");
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body["code"], *code);
            assert!(!body["error"].as_str().unwrap().is_empty());
            assert_eq!(header(&reply, "content-type"), Some("application/json"));
            assert_eq!(header(&reply, "cache-control"), Some("no-store"));
            let expected = challenge.map(|start| format!("{start}{end}"));
            assert_eq!(header(&reply, "www-authenticate"), expected.as_deref(), "{denial:?}");
        }
        let retry = Denial::KeysUnavailable.reply(Dialect::Plain, METADATA);
        assert_eq!(header(&retry, "retry-after"), Some("2"));
    }

    #[test]
    fn bodies_speak_the_dialect_of_their_path() {
        for (path, dialect) in [
            ("/api/chat", Dialect::Plain),
            ("/", Dialect::Plain),
            ("/v1/models", Dialect::OpenAi),
            ("/v1", Dialect::Plain),
            ("/a2a", Dialect::JsonRpc),
            ("/a2a/tasks/send", Dialect::JsonRpc),
            ("/a2ab", Dialect::Plain),
            ("/agents/planner", Dialect::JsonRpc),
            ("/mcp/search", Dialect::JsonRpc),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
        let types = [
            (Denial::MissingToken, "authentication_error"),
            (Denial::Forbidden, "permission_error"),
            (Denial::BodyTooLarge, "invalid_request_error"),
            (Denial::EngineTimeout, "api_error"),
        ];
        for (denial, kind) in types {
            let reply = denial.reply(Dialect::OpenAi, METADATA);
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body["error"]["type"], kind);
            assert_eq!(body["error"]["code"], denial.status_and_code().1);
            assert!(body["error"]["param"].is_null());
        }
        let rpc = Denial::MissingToken.reply(Dialect::JsonRpc, METADATA);
        let body: serde_json::Value = serde_json::from_slice(&rpc.body).unwrap();
        assert_eq!(body["error"]["code"], -32000);
        assert_eq!(body["error"]["data"]["code"], "missing_token");
        assert!(body["id"].is_null());
    }
}
