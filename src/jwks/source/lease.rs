//! Taking the lease, and what its holder tells the others.

use crate::jwks::KeySet;
use crate::jwks::fetch::{self, Fetch, FetchError, FetchOutcome, Target};
use crate::jwks::freshness::{self, COOLDOWN, LEASE};
use crate::jwks::location::Location;
use crate::jwks::shared::{Published, SharedData, State};

use super::{Role, Source};

impl Source {
    /// Tries to become the one that fetches.
    pub(super) fn claim(
        &mut self,
        state: State,
        cas: u32,
        now: u64,
        shared: &mut dyn SharedData,
    ) -> Option<Fetch> {
        let claimed = State {
            holder: self.worker,
            lease_until: now.saturating_add(LEASE),
            claims: state.claims.saturating_add(1),
            cooled_at: if self.wanted { now.saturating_add(COOLDOWN) } else { state.cooled_at },
            ..state
        };
        self.records.swap(claimed, cas, shared).ok()?;
        self.seen = claimed;
        self.was_leased = true;
        if claimed.claims == 1 {
            self.role = Role::Claiming(claimed.claims);
            return None;
        }
        Some(self.start())
    }

    /// From the discovery document to the key set; the lease starts anew. `None` if it is lost.
    pub(super) fn follow(
        &mut self,
        target: Target,
        now: u64,
        shared: &mut dyn SharedData,
    ) -> Option<Fetch> {
        self.role = Role::Watching;
        let until = now.saturating_add(LEASE);
        if !self.update(shared, |state| state.lease_until = until) {
            return None;
        }
        let id = self.next_id();
        let fetch = target.fetch(id);
        self.found = Some(target);
        self.role = Role::Fetching(id);
        Some(fetch)
    }

    /// Takes a fetched key set into use and publishes it, unless the lease was lost meanwhile:
    /// then somebody else has newer keys, or will.
    pub(super) fn accept(
        &mut self,
        outcome: &FetchOutcome<'_>,
        now: u64,
        shared: &mut dyn SharedData,
    ) -> Result<(), FetchError> {
        let body = fetch::body(outcome)?;
        let keys = KeySet::parse(body)?;
        let cache_control = match outcome {
            FetchOutcome::Response { cache_control, .. } => *cache_control,
            FetchOutcome::Failed => None,
        };
        let fresh_until = now.saturating_add(freshness::lifetime(cache_control));
        self.role = Role::Watching;
        if !self.holds(shared) {
            return Ok(());
        }
        // What the others have they need not read again.
        let is_new = self.seen.version == 0
            || self.records.key_set(shared).is_none_or(|known| known.body != body);
        let set = Published { uri: self.address(), body: body.to_vec() };
        if is_new && !self.records.publish(&set, shared) {
            return Ok(());
        }
        let done = self.update(shared, |state| {
            state.version = state.version.saturating_add(u64::from(is_new));
            state.published = now;
            state.fresh_until = fresh_until;
            state.failures = 0;
            state.reason = 0;
            state.next_at = 0;
            finish(state);
        });
        if done && (is_new || self.keys.is_none()) {
            self.replace(keys);
        }
        Ok(())
    }

    /// Says that a fetch failed, and when the next may be.
    pub(super) fn fail(&mut self, error: FetchError, now: u64, shared: &mut dyn SharedData) {
        // The address may be the reason.
        self.found = None;
        self.role = Role::Watching;
        let has_keys = self.keys(now).is_some();
        let jitter = freshness::jitter(self.worker, self.serial);
        self.update(shared, |state| {
            state.failures = state.failures.saturating_add(1);
            state.reason = error.code();
            let wait = freshness::backoff(state.failures, has_keys, jitter);
            state.next_at = now.saturating_add(wait);
            finish(state);
        });
    }

    fn holds(&self, shared: &mut dyn SharedData) -> bool {
        self.records.state(shared).is_some_and(|(state, _)| state.holder == self.worker)
    }

    /// Changes the shared state, if the lease is still ours. `false` if it is not.
    fn update(&mut self, shared: &mut dyn SharedData, change: impl Fn(&mut State)) -> bool {
        // Whoever takes the lease away writes once; a second surprise is not to be expected.
        for _ in 0..3 {
            let Some((mut state, cas)) = self.records.state(shared) else {
                return false;
            };
            if state.holder != self.worker {
                return false;
            }
            change(&mut state);
            if self.records.swap(state, cas, shared).is_ok() {
                self.was_leased = state.holder != 0;
                self.wanted &= state.holder != 0;
                self.seen = state;
                return true;
            }
        }
        false
    }

    fn address(&self) -> String {
        match (&self.location, &self.found) {
            (Location::Fixed(target), _) | (Location::Discovered(_), Some(target)) => {
                format!("{}{}", target.url.origin(), target.url.path)
            }
            (Location::Discovered(_), None) => String::new(),
        }
    }
}

fn finish(state: &mut State) {
    state.holder = 0;
    state.lease_until = 0;
    state.finished = state.finished.saturating_add(1);
}
