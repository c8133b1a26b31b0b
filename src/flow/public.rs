//! Documents that anybody may read.

use serde_json::{Value, json};

use crate::auth::Denial;
use crate::auth::denial::Reply;
use crate::gateway::Gateway;
use crate::headers::RequestHead;
use crate::routes::{Public, resource_of};

use super::{Flow, Next, State, Steps};

impl Flow {
    pub(super) fn public(
        &mut self,
        document: Public,
        head: &RequestHead<'_>,
        path: &str,
        steps: &mut dyn Steps,
    ) -> Next {
        if !matches!(head.method, b"GET" | b"HEAD") {
            return self.deny(&Denial::MethodNotAllowed, steps);
        }
        let body = match document {
            Public::Health => json!({"status": "ok"}),
            Public::AuthConfig => auth_config(&self.gateway),
            Public::ResourceMetadata => resource_metadata(&self.gateway, path),
            Public::Ready => {
                self.state = State::AwaitingReadiness;
                return Next::AwaitReadiness;
            }
        };
        self.answer(Reply::json(200, &body), steps)
    }

    /// Answers `/readyz`; `missing` says what is not usable.
    pub fn readiness(&mut self, missing: &[String], steps: &mut dyn Steps) {
        if !matches!(self.state, State::AwaitingReadiness) {
            return;
        }
        let reply = if missing.is_empty() {
            Reply::json(200, &json!({"status": "ready"}))
        } else {
            Reply::json(503, &json!({"status": "not ready", "missing": missing}))
        };
        self.answer(reply, steps);
    }
}

fn auth_config(gateway: &Gateway) -> Value {
    let config = gateway.config();
    let first = config.issuers.iter().find(|issuer| issuer.hmac_secret.is_none());
    let issuer = first.map(|issuer| issuer.issuer.as_str());
    json!({
        "issuer": issuer,
        "domain": issuer.map(host_of),
        "client_id": config.client_id,
        "audience": first.and_then(|issuer| issuer.audiences.first()),
        "scopes": first.map(|issuer| &issuer.scopes),
    })
}

fn host_of(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// RFC 9728 section 2.
fn resource_metadata(gateway: &Gateway, path: &str) -> Value {
    let config = gateway.config();
    let issuers = || config.issuers.iter().filter(|issuer| issuer.hmac_secret.is_none());
    let mut scopes: Vec<&str> = Vec::new();
    for scope in issuers().flat_map(|issuer| &issuer.scopes) {
        if !scopes.contains(&scope.as_str()) {
            scopes.push(scope);
        }
    }
    let resource = format!("{}{}", config.public_url, resource_of(path).unwrap_or_default());
    json!({
        "resource": resource,
        "authorization_servers": issuers().map(|issuer| &issuer.issuer).collect::<Vec<_>>(),
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
    })
}
