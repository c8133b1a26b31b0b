//! A stand-in for an engine: enough of Ollama's and OpenAI's HTTP interfaces to be used by
//! their clients, and honest in every answer about what it is.
//!
//! Like Ollama it refuses a foreign `Host` or `Origin`, so whoever reaches it through the
//! gateway has seen the gateway rewrite them.

mod ollama;
mod openai;
mod reply;

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::reply::Reply;
use super::issuer::{Clock, system_clock};
use super::server::Server;

/// The one model it has.
pub const MODEL: &str = "demo";

/// Says which user the gateway stamped on the request, so that a spoof can be told.
pub const USER_HEADER: &str = "x-demo-user";

/// How the engine behaves.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time between two words of a streamed answer.
    pub pause: Duration,
    /// The time.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            pause: Duration::from_millis(40),
            clock: system_clock(),
        }
    }
}

/// A running engine; it ends with this handle.
pub struct Engine {
    server: Server,
}

impl Engine {
    /// Starts to serve.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(config: Config) -> io::Result<Self> {
        let server = Server::start(config.listen, |addr| router(config, addr)).await?;
        Ok(Self { server })
    }

    /// Its address, for `ENGINE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// Stops it, waiting a moment for running exchanges.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

struct State {
    pause: Duration,
    clock: Clock,
    authorities: HashSet<String>,
}

fn router(config: Config, addr: SocketAddr) -> Router {
    let authorities = HashSet::from([addr.to_string(), format!("localhost:{}", addr.port())]);
    let state = Arc::new(State { pause: config.pause, clock: config.clock, authorities });
    Router::new()
        .route("/", get(|| async { "The demo engine of Attach Gateway is running" }))
        .merge(ollama::router())
        .merge(openai::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found") })
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed")
        })
        .layer(from_fn_with_state(Arc::clone(&state), guard))
        .with_state(state)
}

/// Ollama's own protection against DNS rebinding: 403 with an empty body.
async fn guard(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let ours = host.is_some_and(|h| state.authorities.contains(&h.to_ascii_lowercase()));
    let origin = headers.get(header::ORIGIN).is_none_or(|o| {
        let origin = o.to_str().ok().and_then(|o| o.split_once("://"));
        origin.is_some_and(|(_, authority)| state.authorities.contains(authority))
    });
    if !ours || !origin {
        return StatusCode::FORBIDDEN.into_response();
    }
    let user = headers.get("x-attach-user").cloned();
    let mut response = next.run(request).await;
    if let Some(user) = user {
        response.headers_mut().insert(USER_HEADER, user);
    }
    response
}

impl State {
    /// The answer to `asked`, worded for the user that the gateway names.
    fn reply(&self, headers: &HeaderMap, asked: &str) -> Reply {
        let user = headers.get("x-attach-user").and_then(|u| u.to_str().ok());
        Reply::new(user, asked)
    }

    fn now(&self) -> Duration {
        (self.clock)()
    }
}

/// Ollama takes a name without a tag as `:latest`.
fn is_ours(model: &str) -> bool {
    model == MODEL || model.strip_suffix(":latest") == Some(MODEL)
}

#[cfg(test)]
mod tests;
