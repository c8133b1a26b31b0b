//! What the workers of a proxy tell each other about an issuer's keys.
//!
//! Two records an issuer: a small one that every worker looks at with every tick (who is
//! fetching, when may the next fetch be, how old are the keys), changed by compare-and-swap
//! only; and the key set itself, written by the worker that fetched it before it says so in the
//! first. Nobody can be told of a change, so everybody looks.

use super::fetch::FetchError;
use super::freshness::{self, COOLDOWN, LEASE};

/// Data that all workers of the proxy see.
///
/// As Envoy has it: values are copied, the first compare-and-swap number is 1, and the number
/// is ignored for a key that does not exist yet, so that creating a key is not atomic.
pub trait SharedData {
    /// The value and its compare-and-swap number; `None` if there is none or it is empty.
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Stores a value; with `cas` only if the number is still that.
    ///
    /// # Errors
    /// [`CasMismatch`] if somebody else stored a value since.
    fn set(&mut self, key: &str, value: &[u8], cas: Option<u32>) -> Result<(), CasMismatch>;
}

/// Somebody else was faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CasMismatch;

/// The small record. Times are Unix milliseconds, zero for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Number of the newest key set; zero if there is none yet.
    pub(crate) version: u64,
    /// When that set was last fetched.
    pub(crate) published: u64,
    /// Until when the issuer declared it fresh.
    pub(crate) fresh_until: u64,
    /// The worker that is fetching; zero if none is.
    pub(crate) holder: u64,
    /// When the holder is taken for dead.
    pub(crate) lease_until: u64,
    /// How often a lease was taken.
    pub(crate) claims: u64,
    /// How many fetches came to an end.
    pub(crate) finished: u64,
    /// How many of the last ones failed in a row.
    pub(crate) failures: u64,
    /// Why the last one failed; a code of [`FetchError`].
    pub(crate) reason: u64,
    /// No fetch before this, after a failure.
    pub(crate) next_at: u64,
    /// No fetch because of an unknown key before this.
    pub(crate) cooled_at: u64,
}

impl State {
    fn encode(self) -> Vec<u8> {
        [
            self.version,
            self.published,
            self.fresh_until,
            self.holder,
            self.lease_until,
            self.claims,
            self.finished,
            self.failures,
            self.reason,
            self.next_at,
            self.cooled_at,
        ]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else {
            return None;
        };
        let [
            version,
            published,
            fresh_until,
            holder,
            lease_until,
            claims,
            finished,
            failures,
            reason,
            next_at,
            cooled_at,
        ] = *words
        else {
            return None;
        };
        let word = u64::from_le_bytes;
        Some(Self {
            version: word(version),
            published: word(published),
            fresh_until: word(fresh_until),
            holder: word(holder),
            lease_until: word(lease_until),
            claims: word(claims),
            finished: word(finished),
            failures: word(failures),
            reason: word(reason),
            next_at: word(next_at),
            cooled_at: word(cooled_at),
        })
    }

    /// Whether somebody is fetching.
    pub(crate) fn is_leased(&self, now: u64) -> bool {
        self.holder != 0 && freshness::is_ahead(self.lease_until, now, LEASE)
    }

    /// Whether failures keep us from trying again yet.
    pub(crate) fn is_backing_off(&self, now: u64) -> bool {
        freshness::is_ahead(self.next_at, now, freshness::BACKOFF_CAP)
    }

    /// Whether a token with an unknown key may cause a fetch.
    pub(crate) fn has_cooled(&self, now: u64) -> bool {
        !freshness::is_ahead(self.cooled_at, now, COOLDOWN)
    }

    /// Why the last fetch failed.
    pub(crate) fn error(&self) -> Option<FetchError> {
        FetchError::from_code(self.reason)
    }
}

/// The names of an issuer's two records.
pub(crate) struct Records {
    state: String,
    keys: String,
}

impl Records {
    /// `identity` must differ wherever the source of the keys does: plugins that know nothing of
    /// each other may share this space.
    pub(crate) fn new(identity: &str) -> Self {
        Self {
            state: format!("attach.keys.{identity}.state"),
            keys: format!("attach.keys.{identity}.set"),
        }
    }

    /// The state and its compare-and-swap number. Makes the record if it is not there; several
    /// workers may do so at once, and then the last one's stays.
    pub(crate) fn state(&self, shared: &mut dyn SharedData) -> Option<(State, u32)> {
        if let Some((bytes, cas)) = shared.get(&self.state)
            && let Some(state) = State::decode(&bytes)
        {
            return Some((state, cas));
        }
        shared.set(&self.state, &State::default().encode(), None).ok()?;
        let (bytes, cas) = shared.get(&self.state)?;
        Some((State::decode(&bytes)?, cas))
    }

    /// Replaces the state that was read with `cas`.
    pub(crate) fn swap(
        &self,
        state: State,
        cas: u32,
        shared: &mut dyn SharedData,
    ) -> Result<(), CasMismatch> {
        shared.set(&self.state, &state.encode(), Some(cas))
    }

    /// The key set as it was fetched, and its address.
    pub(crate) fn key_set(&self, shared: &dyn SharedData) -> Option<Published> {
        Published::decode(&shared.get(&self.keys)?.0)
    }

    /// Lays a key set down for the others. Only the holder of the lease does.
    pub(crate) fn publish(&self, set: &Published, shared: &mut dyn SharedData) -> bool {
        shared.set(&self.keys, &set.encode(), None).is_ok()
    }
}

/// A key set as it was fetched.
pub(crate) struct Published {
    /// The address that it came from.
    pub(crate) uri: String,
    /// The document.
    pub(crate) body: Vec<u8>,
}

impl Published {
    fn encode(&self) -> Vec<u8> {
        [self.uri.as_bytes(), b"\n", &self.body].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (uri, body) = bytes.split_at_checked(end)?;
        let uri = String::from_utf8(uri.to_vec()).ok()?;
        Some(Self { uri, body: body.strip_prefix(b"\n")?.to_vec() })
    }
}
