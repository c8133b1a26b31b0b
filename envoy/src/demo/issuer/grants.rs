//! Who asked for what, and what the person at the sign-in page said: the state behind the
//! device flow (RFC 8628) and the rotation of refresh tokens. Time and random codes come
//! from outside.

use std::collections::HashMap;
use std::time::Duration;

/// Added to the interval of a client that polls too fast (RFC 8628 section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// How long an expired or used device code is remembered, so that its client is told why.
const AFTERLIFE: Duration = Duration::from_secs(600);
/// Open sign-ins at once; more are refused, so that nobody can fill the memory.
const MAX_PENDING: usize = 1000;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) client: String,
    pub(super) scopes: Vec<String>,
    pub(super) audience: String,
}

impl Request {
    pub(super) fn asks(&self, scope: &str) -> bool {
        self.scopes.iter().any(|s| s == scope)
    }
}

/// A request that a person approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) sub: String,
    pub(super) request: Request,
}

/// What the person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Approve { sub: String },
    Deny,
}

/// Why the token endpoint gives no token (RFC 6749 section 5.2, RFC 8628 section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    InvalidGrant,
}

impl Refusal {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::InvalidGrant => "invalid_grant",
        }
    }
}

struct Pending {
    user_code: String,
    request: Request,
    expires: Duration,
    interval: Duration,
    polled: Option<Duration>,
    decision: Option<Decision>,
}

struct Refresh {
    family: u64,
    used: bool,
    grant: Grant,
}

/// All open sign-ins and refresh tokens.
#[derive(Default)]
pub(super) struct Grants {
    pending: HashMap<String, Pending>,
    refresh: HashMap<String, Refresh>,
    families: u64,
}

impl Grants {
    /// Opens a sign-in. `false`: too many are open.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        (device_code, user_code): (&str, &str),
        (lifetime, interval): (Duration, Duration),
        request: Request,
    ) -> bool {
        self.pending.retain(|_, p| now < p.expires.saturating_add(AFTERLIFE));
        if self.pending.len() >= MAX_PENDING {
            return false;
        }
        let pending = Pending {
            user_code: normalized(user_code),
            request,
            expires: now.saturating_add(lifetime),
            interval,
            polled: None,
            decision: None,
        };
        self.pending.insert(device_code.to_owned(), pending);
        true
    }

    /// What is asked under a user code that still waits for a decision.
    pub(super) fn asked(&self, now: Duration, user_code: &str) -> Option<&Request> {
        let code = normalized(user_code);
        self.pending
            .values()
            .find(|p| p.user_code == code && p.decision.is_none() && now < p.expires)
            .map(|p| &p.request)
    }

    /// Records the decision. `false`: no sign-in waits under this code.
    pub(super) fn decide(&mut self, now: Duration, user_code: &str, decision: Decision) -> bool {
        let code = normalized(user_code);
        let open = self
            .pending
            .values_mut()
            .find(|p| p.user_code == code && p.decision.is_none() && now < p.expires);
        match open {
            Some(pending) => {
                pending.decision = Some(decision);
                true
            }
            None => false,
        }
    }

    /// One poll of the token endpoint (RFC 8628 section 3.4). A grant is handed out once.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        device_code: &str,
        client: &str,
    ) -> Result<Grant, Refusal> {
        let pending = self.pending.get_mut(device_code).ok_or(Refusal::InvalidGrant)?;
        if pending.request.client != client {
            return Err(Refusal::InvalidGrant);
        }
        if now >= pending.expires {
            return Err(Refusal::ExpiredToken);
        }
        let early = pending.polled.is_some_and(|at| now < at.saturating_add(pending.interval));
        pending.polled = Some(now);
        if early {
            pending.interval = pending.interval.saturating_add(SLOW_DOWN);
            return Err(Refusal::SlowDown);
        }
        match pending.decision.clone() {
            None => Err(Refusal::AuthorizationPending),
            Some(Decision::Deny) => Err(Refusal::AccessDenied),
            Some(Decision::Approve { sub }) => {
                let request = pending.request.clone();
                self.pending.remove(device_code);
                Ok(Grant { sub, request })
            }
        }
    }

    /// Remembers the first refresh token of a grant.
    pub(super) fn remember(&mut self, token: &str, grant: Grant) {
        self.families = self.families.saturating_add(1);
        let refresh = Refresh { family: self.families, used: false, grant };
        self.refresh.insert(token.to_owned(), refresh);
    }

    /// Trades a refresh token for `next`. One that comes a second time was stolen or
    /// copied: it and all its successors die (RFC 9700 section 4.14.2).
    pub(super) fn rotate(
        &mut self,
        token: &str,
        next: &str,
        client: &str,
    ) -> Result<Grant, Refusal> {
        let known = self.refresh.get_mut(token).ok_or(Refusal::InvalidGrant)?;
        if known.grant.request.client != client {
            return Err(Refusal::InvalidGrant);
        }
        let family = known.family;
        if known.used {
            self.refresh.retain(|_, r| r.family != family);
            return Err(Refusal::InvalidGrant);
        }
        known.used = true;
        let grant = known.grant.clone();
        let refresh = Refresh { family, used: false, grant: grant.clone() };
        self.refresh.insert(next.to_owned(), refresh);
        Ok(grant)
    }
}

/// User codes are read aloud and typed: case and separators do not count
/// (RFC 8628 section 6.1).
fn normalized(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
