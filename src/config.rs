//! What the filter is told, as JSON text in the plugin configuration.
//!
//! The launcher serializes these very types, so there is one definition of the
//! configuration. People who bring their own Envoy write the same JSON by hand.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::jwt::Algorithm;
pub use fault::Fault;

mod fault;
mod parse;

/// The whole configuration of one filter instance.
///
/// Read it with [`Config::parse`], which tells every fault at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// What clients call the gateway, without a trailing slash: `https://gw.example.com`.
    pub public_url: String,
    /// The client that people sign in with; shown by `/auth/config`.
    pub client_id: String,
    /// What happens to a request that no rule speaks of.
    pub mode: Mode,
    /// Whose tokens are accepted. Chosen by the exact `iss`.
    pub issuers: Vec<Issuer>,
    /// Origin (`https://id.example.com`, with the port if it is not the scheme's own) to
    /// the Envoy cluster that reaches it. Keys are fetched from these origins only.
    pub origins: BTreeMap<String, String>,
    /// How `X-Attach-Session` is made.
    pub session: Session,
    /// The engine behind the gateway.
    pub engine: Engine,
    /// The mirror-service; without it nothing is captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Origins that may call from a browser. `*` is refused.
    pub cors_origins: Vec<String>,
    /// Largest body, in bytes, of a route that is rewritten.
    pub max_rewrite_body: usize,
    /// Exceptions by path and method; the first that matches decides.
    pub rules: Vec<Rule>,
}

/// What is asked of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A valid token, always.
    #[default]
    Require,
    /// A gateway before this one validated the caller: its `X-Attach-*` are believed.
    Trusted,
    /// Forward, stamp nothing.
    Passthrough,
}

/// One issuer of tokens, its keys and what is asked of its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The exact `iss`.
    pub issuer: String,
    /// Accepted `aud` values; one of them must be in the token.
    pub audiences: Vec<String>,
    /// Scopes that must all be granted; empty means none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Claim paths (dots descend) that grant scopes.
    #[serde(default = "default_scope_claims")]
    pub scope_claims: Vec<String>,
    /// Accepted `alg` values.
    #[serde(default = "Algorithm::defaults")]
    pub algorithms: Vec<Algorithm>,
    /// Key set address; found by OIDC discovery if absent. Its origin, like the
    /// issuer's, is in [`Config::origins`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Shared secret for HS256, HS384 and HS512, instead of a key set: at least 32 bytes,
    /// base64url without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_secret: Option<Secret>,
    /// Accepted `typ` values, compared without case and without `application/`;
    /// empty accepts absent, `JWT` and `*+jwt`. `["at+jwt"]` asks for RFC 9068.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_types: Vec<String>,
}

/// How the session id is derived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Session {
    /// HMAC-SHA-256 under this key (base64url without padding, at least 32 bytes).
    Secret(Secret),
    /// SHA-256(`sub` + User-Agent): guessable, kept for users of the plain formula.
    Sha256,
}

/// The engine that answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The Envoy cluster of the engine.
    pub cluster: String,
    /// The authority that the engine is called by: `127.0.0.1:11434`.
    pub authority: String,
    /// Path in front of every engine path, without a trailing slash; may be empty.
    #[serde(default)]
    pub base_path: String,
    /// Sent as Bearer token in place of the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// Model of requests that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Where captured exchanges go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The Envoy cluster of the mirror-service.
    pub cluster: String,
    /// The authority it is called by.
    pub authority: String,
    /// The token that the mirror-service asks for when it listens on TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Bytes captured of a request and of an answer, each.
    #[serde(default = "default_capture_bytes")]
    pub capture_bytes: usize,
    /// Bytes of unsent records that one worker keeps.
    #[serde(default = "default_queue_bytes")]
    pub queue_bytes: usize,
}

/// An exception for some paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// An exact normalized path, or a prefix that ends in `/*`.
    pub path: String,
    /// Methods it speaks of; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Replaces [`Config::mode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Replaces the issuer's scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// Text that must not be shown: its `Debug` does not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn default_capture_bytes() -> usize {
    256 << 10
}

fn default_queue_bytes() -> usize {
    8 << 20
}

/// The claim paths of the major issuers: RFC 8693 `scope`, Okta and Entra `scp`,
/// Auth0 `permissions`, Entra `roles`, Keycloak `realm_access.roles`.
#[must_use]
pub fn default_scope_claims() -> Vec<String> {
    ["scope", "scp", "permissions", "roles", "realm_access.roles"].map(str::to_owned).to_vec()
}
