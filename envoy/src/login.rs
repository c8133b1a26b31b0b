//! `attach-gateway login`: signs a person in by the device flow (RFC 8628) and hands the
//! token to whoever reads stdout.
//!
//! What is asked for: `openid`; the scopes of `OIDC_SCOPES`; `offline_access` only with
//! `--remember`, since only then is a refresh token of use. The first of `OIDC_AUD`, if set,
//! goes along as `audience`, which Auth0 needs to issue a JWT for an API; an issuer that
//! refuses the parameter is asked again without it. RFC 8707's `resource` is not sent: Entra
//! refuses it, and the issuers that know it take their audience from a scope or the client.

mod cache;
mod command;
mod error;
mod flow;
mod metadata;
mod poll;
mod prompt;
mod wire;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use attach_filter::config::Secret;

pub use self::command::{Args, run};
pub use self::error::Error;
pub use self::flow::{Login, Outcome};
pub use self::prompt::{Code, Prompt, Stderr};
pub use self::wire::Tokens;

/// Who signs in where, and for what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The issuer, exactly as its metadata names it.
    pub issuer: String,
    /// The client to sign in with.
    pub client_id: String,
    /// Its secret, if it has one.
    pub client_secret: Option<Secret>,
    /// Scopes that the gateway will ask of the token.
    pub scopes: Vec<String>,
    /// Audience to ask for.
    pub audience: Option<String>,
    /// Where sign-ins are remembered; nowhere if absent.
    pub cache: Option<PathBuf>,
    /// Remember this one.
    pub remember: bool,
}

impl Options {
    /// The `scope` parameter: each scope once, `openid` first.
    fn scope(&self) -> String {
        let mut scopes = vec!["openid"];
        scopes.extend(self.remember.then_some("offline_access"));
        for scope in &self.scopes {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        scopes.join(" ")
    }
}

/// Time as a sign-in sees it.
pub trait Timer {
    /// Time since any fixed moment.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The time of the system.
pub struct SystemTimer(Instant);

impl SystemTimer {
    /// Starts to count now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Timer for SystemTimer {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

/// Text of an issuer, made safe for a terminal: without control characters, and short.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests;
