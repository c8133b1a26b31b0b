//! The verdict on a token.

use std::rc::Rc;

use crate::config::Config;
use crate::jwks::fetch::{Fetch, FetchId, FetchOutcome};
use crate::jwks::shared::SharedData;
use crate::jwks::source::{Source, Step};
use crate::jwt::signature::HostVerifier;
use crate::jwt::{Invalid, MAX_TOKEN, UnixMillis};

use super::cache::TokenCache;
use super::policy::{self, Keys, Policy};
use super::verify::{self, Refusal};
use super::{Denial, Fault, Identity, bearer};

/// Memory for verified tokens, bytes a worker.
const CACHE_BYTES: usize = 8 << 20;

/// Issuers, their keys, and the tokens that were verified with them.
pub struct Authenticator {
    policies: Vec<Policy>,
    cache: TokenCache,
    generation: u64,
}

/// What is said of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good, and this is who sent it. Scopes are yet to be looked at:
    /// [`Authenticator::authorize`].
    Accepted(Rc<Identity>),
    /// It is not.
    Denied(Denial),
    /// The keys are being fetched: ask again when [`Authenticator::generation`] has grown.
    Pending,
}

/// An issuer that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReady<'a> {
    /// Its name.
    pub issuer: &'a str,
    /// Why, in words of ours: safe to show and to log.
    pub reason: &'static str,
}

impl Authenticator {
    /// Reads the configuration. `worker` is any number that differs between workers.
    ///
    /// # Errors
    /// All faults of the issuers.
    pub fn new(config: &Config, worker: u64) -> Result<Self, Vec<Fault>> {
        let policies = policy::read(config, worker)?;
        Ok(Self { policies, cache: TokenCache::new(CACHE_BYTES), generation: 0 })
    }

    /// The bearer token in the values of all `Authorization` headers.
    ///
    /// # Errors
    /// [`Denial::MissingToken`] if there is none, or credentials of another scheme only;
    /// [`Denial::InvalidRequest`] if there are several, or it is not a `token68`.
    pub fn bearer<'a>(authorization: &[&'a [u8]]) -> Result<&'a [u8], Denial> {
        bearer::token(authorization)
    }

    /// Judges a token by its issuer's policy.
    pub fn authenticate(
        &mut self,
        token: &[u8],
        now: UnixMillis,
        host: &dyn HostVerifier,
    ) -> Verdict {
        self.judge(token, None, now, host)
    }

    /// Judges a token that must be for one of these audiences instead of the issuer's.
    pub fn authenticate_for(
        &mut self,
        token: &[u8],
        audiences: &[String],
        now: UnixMillis,
        host: &dyn HostVerifier,
    ) -> Verdict {
        self.judge(token, Some(audiences), now, host)
    }

    /// Whether the caller was granted every one of these scopes, or of the issuer's own.
    ///
    /// # Errors
    /// [`Denial::InsufficientScope`] with all that are required.
    pub fn authorize(&self, id: &Identity, scopes: Option<&[String]>) -> Result<(), Denial> {
        let own = self.policies.get(id.policy).map(|policy| policy.scopes.as_slice());
        // A policy that is gone grants nothing; identities do not outlive theirs.
        let required = scopes.or(own).ok_or(Denial::Forbidden)?;
        if required.iter().all(|scope| id.has(scope)) {
            Ok(())
        } else {
            Err(Denial::InsufficientScope(required.join(" ")))
        }
    }

    /// To be called with every tick: takes in the keys that other workers fetched, and says
    /// what this one is to fetch.
    #[must_use]
    pub fn poll(&mut self, now: UnixMillis, shared: &mut dyn SharedData) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        for index in 0..self.policies.len() {
            fetches.extend(self.step(index, |source| source.poll(now.0, shared)));
        }
        fetches
    }

    /// Takes the answer to a fetch; says what is to be fetched next. Every fetch is answered
    /// once; answers that are late or come twice do no harm.
    #[must_use]
    pub fn fetched(
        &mut self,
        id: FetchId,
        outcome: FetchOutcome<'_>,
        now: UnixMillis,
        shared: &mut dyn SharedData,
    ) -> Vec<Fetch> {
        let step = |source: &mut Source| source.fetched(id, outcome, now.0, shared);
        self.step(id.source, step).into_iter().collect()
    }

    /// Grows whenever a request that waits could get another verdict.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The issuers whose tokens cannot be judged now.
    #[must_use]
    pub fn not_ready(&self, now: UnixMillis) -> Vec<NotReady<'_>> {
        self.sources()
            .filter(|(_, source)| source.keys(now.0).is_none())
            .map(|(issuer, source)| NotReady {
                issuer,
                reason: source
                    .error()
                    .map_or("its keys are being fetched", |error| error.description()),
            })
            .collect()
    }

    /// The issuers whose last fetch failed, whether or not older keys still serve.
    #[must_use]
    pub fn failing(&self) -> Vec<NotReady<'_>> {
        self.sources()
            .filter_map(|(issuer, source)| {
                let reason = source.error()?.description();
                Some(NotReady { issuer, reason })
            })
            .collect()
    }

    /// About how much memory verified tokens take, bytes.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.cache.weight()
    }

    fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.policies.iter().filter_map(|policy| match &policy.keys {
            Keys::Published(source) => Some((policy.issuer.as_str(), source.as_ref())),
            Keys::Secret(_) => None,
        })
    }

    /// Moves one issuer's keys on. Tokens go with the key that verified them.
    fn step(&mut self, index: usize, step: impl FnOnce(&mut Source) -> Step) -> Option<Fetch> {
        let Keys::Published(source) = &mut self.policies.get_mut(index)?.keys else {
            return None;
        };
        let step = step(source);
        if step.changed {
            self.generation = self.generation.saturating_add(1);
        }
        if step.replaced {
            self.cache.retain(|identity, key| identity.policy != index || source.has(key));
        }
        step.fetch
    }

    fn judge(
        &mut self,
        token: &[u8],
        audiences: Option<&[String]>,
        now: UnixMillis,
        host: &dyn HostVerifier,
    ) -> Verdict {
        if token.len() > MAX_TOKEN {
            return Refusal::Invalid(Invalid::TooLarge).into();
        }
        if let Some(identity) = self.cache.get(token) {
            let policy = self.policies.get(identity.policy);
            if let Some(policy) = policy.filter(|policy| policy.has_keys(now)) {
                let checked = policy.check(identity, audiences, now);
                let identity = Rc::clone(identity);
                return match checked {
                    Ok(()) => Verdict::Accepted(identity),
                    Err(invalid) => {
                        if invalid == Invalid::Expired {
                            self.cache.remove(token);
                        }
                        Refusal::Invalid(invalid).into()
                    }
                };
            }
        }
        match verify::verify(&mut self.policies, token, audiences, now, host) {
            Ok((identity, key)) => {
                self.cache.insert(token, Rc::clone(&identity), key);
                Verdict::Accepted(identity)
            }
            Err(refusal) => refusal.into(),
        }
    }
}
