//! A development identity provider on loopback: OpenID Connect discovery, a key set, the
//! device flow (RFC 8628) with a small sign-in page, and rotating refresh tokens.
//!
//! It believes whatever name is typed into its page. That is its purpose, and the reason
//! why it binds only loopback addresses.

mod claims;
mod fields;
mod grants;
mod keys;
mod page;
mod routes;
mod signin;
pub mod visitor;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

pub use self::claims::Claims;
use self::claims::Common;
use self::grants::{Grant, Grants};
pub use self::keys::{KeyError, Keys};
use super::server::Server;

/// Tells the time since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clock of the system.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// What the issuer is and whom it serves.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; loopback only, port 0 takes a free one.
    pub listen: SocketAddr,
    /// Audience of tokens whose client names none.
    pub audience: String,
    /// Scopes that it knows; others are refused as `invalid_scope`.
    pub scopes: Vec<String>,
    /// Scopes of a request that names none.
    pub default_scopes: Vec<String>,
    /// Clients, with the secret of those that have one.
    pub clients: BTreeMap<String, Option<String>>,
    /// How long access tokens live.
    pub token_lifetime: Duration,
    /// How long a device code lives.
    pub code_lifetime: Duration,
    /// Least time between two polls of one client; whole seconds.
    pub interval: Duration,
    /// The time.
    pub clock: Clock,
    /// The signing key; made at start if absent.
    pub keys: Option<Keys>,
}

impl Default for Config {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            audience: "attach".to_owned(),
            scopes: names(&["openid", "profile", "offline_access", "chat:run"]),
            default_scopes: names(&["chat:run"]),
            clients: BTreeMap::from([("attach-cli".to_owned(), None)]),
            token_lifetime: Duration::from_secs(3600),
            code_lifetime: Duration::from_secs(600),
            interval: Duration::from_secs(2),
            clock: system_clock(),
            keys: None,
        }
    }
}

/// The issuer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It would be reachable from elsewhere, and it believes everybody.
    #[error("the demo issuer listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("the demo issuer cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// No signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A running issuer; it ends with this handle.
pub struct Issuer {
    server: Server,
    state: Arc<State>,
    impostor: OnceLock<Keys>,
}

impl Issuer {
    /// Makes the key if none is given, and starts to serve.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let listen = config.listen;
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let keys = match config.keys.take() {
            Some(keys) => keys,
            None => tokio::task::spawn_blocking(Keys::generate)
                .await
                .map_err(|e| StartError::Bind(listen, io::Error::other(e)))??,
        };
        let mut shared = None;
        let server = Server::start(listen, |addr| {
            let state = Arc::new(State::new(format!("http://{addr}"), config, keys));
            shared = Some(Arc::clone(&state));
            routes::router(state)
        })
        .await
        .map_err(|e| StartError::Bind(listen, e))?;
        let state = shared.ok_or_else(|| {
            StartError::Bind(listen, io::Error::other("the server started without its state"))
        })?;
        Ok(Self { server, state, impostor: OnceLock::new() })
    }

    /// The issuer identifier: `iss` of its tokens, exactly.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// An access token whose `claims` are laid over the defaults: `iss`, `sub`, `aud`, `exp`,
    /// `iat`, `jti`, `client_id`, `scope`.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn token(&self, claims: &Claims) -> Result<String, KeyError> {
        self.state.keys.sign(ACCESS_TOKEN, claims.over(self.state.defaults()))
    }

    /// The same token signed by a key that is not in the key set, under a `kid` that is.
    ///
    /// # Errors
    /// No second key can be made, or it cannot sign.
    pub fn forged(&self, claims: &Claims) -> Result<String, KeyError> {
        let impostor = match self.impostor.get() {
            Some(keys) => keys,
            None => {
                let keys = self.state.keys.impostor()?;
                self.impostor.get_or_init(|| keys)
            }
        };
        impostor.sign(ACCESS_TOKEN, claims.over(self.state.defaults()))
    }

    /// Stops it, waiting a moment for running exchanges.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Media type of RFC 9068 access tokens.
const ACCESS_TOKEN: &str = "at+jwt";

/// What the routes share.
struct State {
    url: String,
    config: Config,
    keys: Keys,
    grants: Mutex<Grants>,
}

impl State {
    fn new(url: String, config: Config, keys: Keys) -> Self {
        Self { url, config, keys, grants: Mutex::default() }
    }

    fn now(&self) -> Duration {
        (self.config.clock)()
    }

    /// No state of the map is half made when a holder panics, so a poisoned lock is usable.
    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn common(&self) -> Map<String, Value> {
        let common = Common {
            issuer: &self.url,
            now: self.now(),
            lifetime: self.config.token_lifetime,
            jti: random_text(16),
        };
        common.claims()
    }

    fn defaults(&self) -> Map<String, Value> {
        let client = self.config.clients.keys().next().cloned().unwrap_or_default();
        let mut claims = self.common();
        claims.insert("sub".to_owned(), Value::from("demo-user"));
        claims.insert("aud".to_owned(), Value::from(self.config.audience.as_str()));
        claims.insert("client_id".to_owned(), Value::from(client));
        claims.insert("scope".to_owned(), Value::from(self.config.default_scopes.join(" ")));
        claims
    }

    fn access_token(&self, grant: &Grant) -> Result<String, KeyError> {
        let Grant { sub, request } = grant;
        let claims = Claims::of(sub)
            .with("aud", request.audience.as_str())
            .with("client_id", request.client.as_str())
            .with("scope", request.scopes.join(" "));
        self.keys.sign(ACCESS_TOKEN, claims.over(self.defaults()))
    }

    /// OpenID Connect Core section 2: its audience is the client, never an API.
    fn id_token(&self, grant: &Grant) -> Result<String, KeyError> {
        let claims = Claims::of(&grant.sub)
            .with("aud", grant.request.client.as_str())
            .with("name", grant.sub.as_str());
        self.keys.sign("JWT", claims.over(self.common()))
    }

    /// OpenID Connect Discovery section 3, with RFC 8628 section 4.
    fn metadata(&self) -> Value {
        let url = &self.url;
        json!({
            "issuer": url,
            "jwks_uri": format!("{url}/jwks"),
            "device_authorization_endpoint": format!("{url}/device/code"),
            "token_endpoint": format!("{url}/token"),
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "client_secret_post"],
            "grant_types_supported": [routes::DEVICE_GRANT, "refresh_token"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": self.config.scopes,
        })
    }
}

/// `bytes` of randomness as base64url.
fn random_text(bytes: usize) -> String {
    use base64::Engine as _;
    use rand::Rng as _;

    let mut buffer = vec![0; bytes];
    rand::rng().fill_bytes(&mut buffer);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(buffer)
}

#[cfg(test)]
mod tests;
