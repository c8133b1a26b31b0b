//! One issuer's keys: when to fetch them, and what to say while they are not there.
//!
//! A state machine without a clock, a network or a lock: it is polled with the time, says what
//! to fetch, and is told what came of it. Of all workers the one that wins the lease fetches
//! ([`lease`]); the others find the result in the shared data.

mod lease;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::KeySet;
use super::fetch::{self, Fetch, FetchError, FetchId, FetchOutcome, Target};
use super::freshness::{self, MAX_STALE};
use super::location::Location;
use super::shared::{Records, SharedData, State};
use super::url::Url;

/// The keys of one issuer.
pub(crate) struct Source {
    index: usize,
    worker: u64,
    issuer: String,
    origins: Rc<BTreeMap<String, String>>,
    location: Location,
    records: Records,
    /// The address of the newest set, if it was discovered.
    found: Option<Target>,
    keys: Option<KeySet>,
    /// The keys are others than at the end of the last step.
    replaced: bool,
    /// The shared state as of the last look.
    seen: State,
    was_leased: bool,
    /// A token asks for a fetch.
    wanted: bool,
    role: Role,
    serial: u64,
}

/// What this worker is doing about the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Watching,
    /// It took the very first lease, with this count of claims, and looks once more whether the
    /// lease is still there before it fetches: creating the record is not atomic, and another
    /// worker that created it at the same moment would have wiped the lease.
    Claiming(u64),
    Discovering(FetchId),
    Fetching(FetchId),
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Step {
    /// To be fetched now.
    pub(crate) fetch: Option<Fetch>,
    /// Waiting requests could get another verdict.
    pub(crate) changed: bool,
    /// There is another key set.
    pub(crate) replaced: bool,
}

impl Source {
    pub(crate) fn new(
        index: usize,
        worker: u64,
        issuer: &str,
        location: Location,
        origins: &Rc<BTreeMap<String, String>>,
    ) -> Self {
        Self {
            index,
            // Zero stands for nobody.
            worker: worker.max(1),
            issuer: issuer.to_owned(),
            origins: Rc::clone(origins),
            records: Records::new(&location.identity(issuer, origins)),
            location,
            found: None,
            keys: None,
            replaced: false,
            seen: State::default(),
            was_leased: false,
            wanted: false,
            role: Role::Watching,
            serial: 0,
        }
    }

    /// The keys, unless they are older than [`MAX_STALE`].
    pub(crate) fn keys(&self, now: u64) -> Option<&KeySet> {
        let age = now.saturating_sub(self.seen.published);
        self.keys.as_ref().filter(|_| age <= MAX_STALE)
    }

    /// Whether a key of this fingerprint is in the set.
    pub(crate) fn has(&self, fingerprint: &[u8; 32]) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.contains(fingerprint))
    }

    /// Whether it is worth waiting for keys. Not while fetches fail: a request that waits holds
    /// memory here and a connection there, and its client can ask again.
    pub(crate) fn is_hopeful(&self) -> bool {
        self.seen.failures == 0
    }

    /// Why there are no new keys, if the last fetch failed.
    pub(crate) fn error(&self) -> Option<FetchError> {
        self.seen.error()
    }

    /// A token names a key that is not in the set, or its signature does not fit the one that
    /// is. Asks for a fetch, if one may be made; `true` if one is under way or will be.
    pub(crate) fn ask(&mut self, now: u64) -> bool {
        if !self.is_hopeful() {
            return false;
        }
        self.wanted |= self.seen.has_cooled(now);
        self.wanted || self.seen.is_leased(now)
    }

    /// To be called with every tick.
    pub(crate) fn poll(&mut self, now: u64, shared: &mut dyn SharedData) -> Step {
        let Some((state, cas)) = self.records.state(shared) else {
            return self.step(None, false);
        };
        let mut changed = self.observe(state, now, shared);
        let holds = state.holder == self.worker && state.is_leased(now);
        match self.role {
            Role::Claiming(claims) if holds && state.claims == claims => {
                let fetch = self.start();
                return self.step(Some(fetch), changed);
            }
            Role::Discovering(_) | Role::Fetching(_) if holds => return self.step(None, changed),
            // Too slow, or the clock was moved: whatever still comes is not waited for.
            Role::Discovering(_) | Role::Fetching(_) => changed = true,
            Role::Claiming(_) | Role::Watching => {}
        }
        self.role = Role::Watching;
        if self.is_due(&state, now) {
            let fetch = self.claim(state, cas, now, shared);
            return self.step(fetch, changed);
        }
        if self.wanted && !state.is_leased(now) {
            // Another worker has just fetched for the same reason.
            self.wanted = false;
            changed = true;
        }
        self.step(None, changed)
    }

    /// The answer to a fetch. One that was not asked for, or is asked for no more, is ignored.
    pub(crate) fn fetched(
        &mut self,
        id: FetchId,
        outcome: FetchOutcome<'_>,
        now: u64,
        shared: &mut dyn SharedData,
    ) -> Step {
        let result = match self.role {
            Role::Discovering(own) if own == id => fetch::body(&outcome)
                .and_then(|body| fetch::discovered(body, &self.issuer, &self.origins))
                .map(|target| self.follow(target, now, shared)),
            Role::Fetching(own) if own == id => self.accept(&outcome, now, shared).map(|()| None),
            _ => return self.step(None, false),
        };
        match result {
            Ok(Some(fetch)) => self.step(Some(fetch), false),
            Ok(None) => self.step(None, true),
            Err(error) => {
                self.fail(error, now, shared);
                self.step(None, true)
            }
        }
    }

    fn step(&mut self, fetch: Option<Fetch>, changed: bool) -> Step {
        let replaced = std::mem::take(&mut self.replaced);
        Step { fetch, changed: changed || replaced, replaced }
    }

    /// Takes in what the others did. `true` if waiting requests could get another verdict.
    fn observe(&mut self, state: State, now: u64, shared: &dyn SharedData) -> bool {
        let leased = state.is_leased(now);
        // A lease that ran out without a result leaves those who waited for it behind.
        let abandoned = self.was_leased && !leased;
        let finished = state.finished != self.seen.finished;
        if state.version != self.seen.version {
            self.adopt(shared);
        }
        self.wanted &= !finished;
        self.seen = state;
        self.was_leased = leased;
        abandoned || finished
    }

    fn adopt(&mut self, shared: &dyn SharedData) {
        let Some(set) = self.records.key_set(shared) else {
            return;
        };
        let Ok(keys) = KeySet::parse(&set.body) else {
            return;
        };
        let found = Url::parse(&set.uri).ok().and_then(|url| Target::of(url, &self.origins));
        self.found = found;
        self.replace(keys);
    }

    fn replace(&mut self, keys: KeySet) {
        self.keys = Some(keys);
        self.replaced = true;
    }

    fn is_due(&self, state: &State, now: u64) -> bool {
        if state.is_leased(now) || state.is_backing_off(now) {
            return false;
        }
        let jitter = freshness::jitter(self.worker, state.version);
        self.keys.is_none()
            // Whatever it was for: until a fetch succeeds, unknown keys are not waited for.
            || state.failures > 0
            || (self.wanted && state.has_cooled(now))
            || now >= freshness::refresh_at(state.published, state.fresh_until, jitter)
            // The clock was put back: how old the keys are is anybody's guess.
            || state.published > now.saturating_add(freshness::SLACK)
    }

    /// A token with an unknown key is helped by the newest keys at the known address; all other
    /// fetches look the address up again.
    fn start(&mut self) -> Fetch {
        let id = self.next_id();
        let (role, target) = match (&self.location, &self.found) {
            (Location::Fixed(target), _) => (Role::Fetching(id), target),
            (Location::Discovered(_), Some(found)) if self.wanted => (Role::Fetching(id), found),
            (Location::Discovered(target), _) => (Role::Discovering(id), target),
        };
        self.role = role;
        target.fetch(id)
    }

    fn next_id(&mut self) -> FetchId {
        self.serial = self.serial.saturating_add(1);
        FetchId { source: self.index, serial: self.serial }
    }
}
