//! A verified caller.

use std::fmt::Write as _;

use crate::jwt::UnixMillis;
use crate::jwt::claims::{self, Claims, Times};
use crate::jwt::json::Object;

use super::policy::Policy;

/// Who is calling. Only a verified token makes one: whoever holds it need not check again.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    pub(super) policy: usize,
    issuer: String,
    subject: String,
    user: String,
    agent: Option<String>,
    scopes: Vec<String>,
    audiences: Vec<String>,
    pub(super) times: Times,
}

impl Identity {
    /// From claims whose signature was verified.
    pub(super) fn new(
        index: usize,
        policy: &Policy,
        claims: &Claims<'_>,
        all: &Object<'_>,
    ) -> Self {
        let mut scopes = Vec::new();
        for path in &policy.scope_claims {
            claims::grants(all, path, &mut scopes);
        }
        Self {
            policy: index,
            issuer: claims.issuer.to_owned(),
            subject: claims.subject.to_owned(),
            user: encode(claims.subject),
            agent: claims.agent.map(encode),
            scopes,
            audiences: claims.audiences.iter().map(|&audience| audience.to_owned()).collect(),
            times: claims.times,
        }
    }

    /// `sub`, fit for a header: bytes outside 0x21-0x7E and `%` are percent-encoded.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `sub` as it stands in the token.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `iss`: exactly as configured, visible ASCII.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who acts for the user, encoded like [`Identity::user`]: `act.sub`, else `azp`, else
    /// `client_id`.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// What the token grants; every element is a `scope-token` of RFC 6749 section 3.3.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The granted scopes with spaces between them.
    #[must_use]
    pub fn scope(&self) -> String {
        self.scopes.join(" ")
    }

    /// When the token expires, without the leeway.
    #[must_use]
    pub fn expires_at(&self) -> UnixMillis {
        self.times.expires.instant()
    }

    pub(super) fn is_for(&self, audiences: &[String]) -> bool {
        self.audiences.iter().any(|own| audiences.contains(own))
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// About how much memory this takes, bytes.
    pub(super) fn weight(&self) -> usize {
        let one = |text: &String| text.len().saturating_add(size_of::<String>());
        [&self.issuer, &self.subject, &self.user]
            .into_iter()
            .chain(&self.agent)
            .chain(&self.scopes)
            .chain(&self.audiences)
            .fold(size_of::<Self>(), |sum, text| sum.saturating_add(one(text)))
    }
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
