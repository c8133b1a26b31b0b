//! What a path and method ask for: answered by the gateway, the mirror-service or the engine.

use crate::config::{Mode, Rule};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Answered by the filter itself, without a token.
    Public(Public),
    /// The mirror-service, for the caller's own memory.
    Memory,
    /// The engine; Envoy's router rewrites the path to `/api/chat`, the filter the body.
    TaskSend,
    /// The engine; the body may be the `prompt` shorthand.
    Shorthand,
    /// The engine, byte for byte.
    Engine,
}

/// A document that anybody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Public {
    /// Liveness.
    Health,
    /// Readiness.
    Ready,
    /// What a client needs to sign in.
    AuthConfig,
    /// RFC 9728 protected resource metadata.
    ResourceMetadata,
}

/// Path of the RFC 9728 document (section 3).
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

impl Route {
    /// The route of a normalized path without its query. `default_model` tells whether requests
    /// that name no model can be completed.
    #[must_use]
    pub fn of(method: &[u8], path: &str, default_model: bool) -> Self {
        let post = method == b"POST";
        match path {
            "/healthz" => Self::Public(Public::Health),
            "/readyz" => Self::Public(Public::Ready),
            "/auth/config" => Self::Public(Public::AuthConfig),
            "/tasks/send" if post => Self::TaskSend,
            "/api/chat" | "/v1/chat/completions" if post && default_model => Self::Shorthand,
            "/mem" => Self::Memory,
            "/v1/logs" if post => Self::Memory,
            _ if path.starts_with("/mem/") => Self::Memory,
            _ if resource_of(path).is_some() => Self::Public(Public::ResourceMetadata),
            _ => Self::Engine,
        }
    }

    /// Whether the request goes to the engine.
    #[must_use]
    pub fn is_engine(self) -> bool {
        matches!(self, Self::TaskSend | Self::Shorthand | Self::Engine)
    }
}

/// The resource path that a metadata path speaks of (RFC 9728 section 3.1): empty for the
/// gateway itself, else it starts with `/`.
#[must_use]
pub fn resource_of(path: &str) -> Option<&str> {
    path.strip_prefix(RESOURCE_METADATA).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path without query and fragment.
#[must_use]
pub fn without_query(path: &str) -> &str {
    path.find(['?', '#']).and_then(|end| path.get(..end)).unwrap_or(path)
}

/// The first rule that speaks of this request.
///
/// Envoy has normalized the path; what is still percent-encoded may be decoded by the upstream.
/// So a rule that asks for more holds for the decoded spelling too, and a rule that asks for
/// less does not hold for a path with two readings.
#[must_use]
pub fn rule_for<'a>(rules: &'a [Rule], method: &[u8], path: &str) -> Option<&'a Rule> {
    let decoded = path.contains('%').then(|| percent_decoded(path));
    rules.iter().find(|rule| {
        let methods = &rule.methods;
        let paths = if weakens(rule) {
            !is_ambiguous(path) && matches_path(&rule.path, path)
        } else {
            matches_path(&rule.path, path)
                || decoded.as_deref().is_some_and(|path| matches_path(&rule.path, path))
        };
        paths && (methods.is_empty() || methods.iter().any(|m| m.as_bytes() == method))
    })
}

fn percent_decoded(path: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if let (b'%', [high, low, after @ ..]) = (*first, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(*first);
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn matches_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(root) => path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')),
        None => pattern == path,
    }
}

fn weakens(rule: &Rule) -> bool {
    rule.mode.is_some_and(|mode| mode != Mode::Require)
}

fn is_ambiguous(path: &str) -> bool {
    path.contains(['%', ';', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        use Public::{AuthConfig, Health, Ready, ResourceMetadata};
        let table: &[(&str, &str, bool, Route)] = &[
            ("GET", "/healthz", false, Route::Public(Health)),
            ("GET", "/healthz/", false, Route::Engine),
            ("GET", "/readyz", false, Route::Public(Ready)),
            ("GET", "/auth/config", false, Route::Public(AuthConfig)),
            ("GET", RESOURCE_METADATA, false, Route::Public(ResourceMetadata)),
            (
                "GET",
                "/.well-known/oauth-protected-resource/mcp/x",
                false,
                Route::Public(ResourceMetadata),
            ),
            ("GET", "/.well-known/oauth-protected-resourceful", false, Route::Engine),
            ("POST", "/tasks/send", false, Route::TaskSend),
            ("GET", "/tasks/send", false, Route::Engine),
            ("POST", "/api/chat", true, Route::Shorthand),
            ("POST", "/api/chat", false, Route::Engine),
            ("POST", "/v1/chat/completions", true, Route::Shorthand),
            ("GET", "/mem/events", false, Route::Memory),
            ("DELETE", "/mem/sessions/x", false, Route::Memory),
            ("GET", "/memory", false, Route::Engine),
            ("POST", "/v1/logs", false, Route::Memory),
            ("GET", "/v1/logs", false, Route::Engine),
            ("GET", "/HEALTHZ", false, Route::Engine),
            ("GET", "/healthz%2f", false, Route::Engine),
        ];
        for (method, path, model, route) in table {
            assert_eq!(Route::of(method.as_bytes(), path, *model), *route, "{method} {path}");
        }
    }

    #[test]
    fn queries_are_cut() {
        for (path, cut) in [("/a?b", "/a"), ("/a#b?c", "/a"), ("/a", "/a"), ("", ""), ("?", "")] {
            assert_eq!(without_query(path), cut);
        }
    }

    fn rule(path: &str, methods: &[&str], mode: Option<Mode>) -> Rule {
        let methods = methods.iter().map(|m| (*m).to_owned()).collect();
        Rule { path: path.to_owned(), methods, mode, scopes: None }
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let rules = [
            rule("/api/pull", &["POST"], None),
            rule("/internal/*", &[], Some(Mode::Passthrough)),
            rule("/api/*", &[], None),
        ];
        let table: &[(&str, &str, Option<&str>)] = &[
            ("POST", "/api/pull", Some("/api/pull")),
            ("GET", "/api/pull", Some("/api/*")),
            ("GET", "/internal/x", Some("/internal/*")),
            ("GET", "/internal/", Some("/internal/*")),
            ("GET", "/internal", None),
            ("GET", "/internalx", None),
            ("GET", "/internal/..%2fapi/chat", None),
            ("GET", "/internal/..;/api", None),
            ("GET", "/internal/a\\b", None),
            ("POST", "/api/%70ull", Some("/api/pull")),
            ("POST", "/api/%zzull%7", Some("/api/*")),
            ("GET", "/", None),
        ];
        for (method, path, expected) in table {
            let found = rule_for(&rules, method.as_bytes(), path).map(|r| r.path.as_str());
            assert_eq!(found, *expected, "{method} {path}");
        }
    }
}
