//! The send queue of one worker: records in, batches out, every record accounted for.
//!
//! Pure: the host passes the time and makes the callouts. Records are kept in the form in which
//! they are sent, so a batch that is sent again costs no second encoding; their ids make a
//! second delivery harmless.

mod batch;
mod outcome;

use std::collections::VecDeque;

use batch::Packed;
pub use outcome::{Counts, Outcome};

use super::wire::MAX_BATCH;

/// A batch of this size leaves at once, bytes.
const BATCH_BYTES: usize = 256 << 10;
/// A batch of this many records leaves at once.
const BATCH_RECORDS: usize = 64;
/// Longest time that a record waits for company, ms: with a tick of 25 ms it leaves well within
/// the promised 100 ms.
const MAX_AGE_MS: u64 = 50;
/// Batches under way at a time. Two hide the round trip; more would only crowd the
/// mirror-service's group commit.
const IN_FLIGHT: usize = 2;
/// First pause after a failure, ms.
const PAUSE_MIN_MS: u64 = 100;
/// Longest pause of our own choosing, ms: a mirror-service that is back is found within this.
const PAUSE_MAX_MS: u64 = 500;
/// Longest pause that a `Retry-After` can ask for, ms.
const PAUSE_ASKED_MAX_MS: u64 = 1_000;

/// Unsent records of one worker, bounded in bytes.
#[derive(Clone, Debug)]
pub struct Queue {
    limit: usize,
    /// Bytes of every record that waits, sent or not.
    bytes: usize,
    totals: Counts,
    /// Where new records go; `opened` is the time of its first.
    open: Packed,
    opened: u64,
    /// Full batches and those to be sent again, oldest first.
    ready: VecDeque<Ready>,
    flying: Vec<Flight>,
    /// Number of the next record to be sealed, and of the next attempt; both only grow.
    next_record: u64,
    next_attempt: u64,
    pause: Option<Pause>,
    draining: bool,
}

/// A batch that can be sent, and its place among the others: the number of its first record.
#[derive(Clone, Debug)]
struct Ready {
    first: u64,
    records: Packed,
}

/// A batch under way.
#[derive(Clone, Debug)]
struct Flight {
    attempt: u64,
    batch: Ready,
}

/// The mirror-service failed: nothing is sent before `until`, and one batch at a time until it
/// answers to one.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: u64,
    length: u64,
}

/// A batch to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Names this attempt in [`Queue::settled`].
    pub id: u64,
    /// Body of the `POST`.
    pub body: &'a [u8],
    /// Records in it.
    pub records: usize,
}

impl Queue {
    /// A queue of at most `queue_bytes` of records.
    #[must_use]
    pub fn new(queue_bytes: usize) -> Self {
        Self {
            limit: queue_bytes,
            bytes: 0,
            totals: Counts::default(),
            open: Packed::default(),
            opened: 0,
            ready: VecDeque::new(),
            flying: Vec::new(),
            next_record: 0,
            next_attempt: 0,
            pause: None,
            draining: false,
        }
    }

    /// Takes one encoded record, or drops it if the queue would exceed its bound: what waits
    /// longest is closest to being sent, so the newest goes. Returns what changed.
    pub fn push(&mut self, record: &[u8], now: u64) -> Counts {
        let total = self.bytes.saturating_add(record.len());
        if record.is_empty() || record.len() > MAX_BATCH || total > self.limit {
            return self.count(Counts { captured: 1, dropped: 1, ..Counts::default() });
        }
        // A batch is under BATCH_BYTES before its last record, so this only happens to a record
        // that is itself far beyond what a capture makes.
        if self.open.bytes().len().saturating_add(record.len()) > MAX_BATCH {
            self.seal();
        }
        if self.open.is_empty() {
            self.opened = now;
        }
        self.open.push(record);
        self.bytes = total;
        if self.open.bytes().len() >= BATCH_BYTES || self.open.records() >= BATCH_RECORDS {
            self.seal();
        }
        self.count(Counts { captured: 1, waiting: 1, ..Counts::default() })
    }

    /// The next batch that is due, if any. The host sends it and answers with
    /// [`Queue::settled`], always: the queue forgets no batch, so the callout needs a time-out.
    pub fn poll(&mut self, now: u64) -> Option<Batch<'_>> {
        let most = if self.pause.is_some() { 1 } else { IN_FLIGHT };
        if self.flying.len() >= most || self.pauses(now) {
            return None;
        }
        if self.ready.is_empty() && self.open_is_due(now) {
            self.seal();
        }
        let batch = self.ready.pop_front()?;
        let attempt = self.next_attempt;
        self.next_attempt = attempt.saturating_add(1);
        self.flying.push(Flight { attempt, batch });
        let sent = &self.flying.last()?.batch.records;
        Some(Batch { id: attempt, body: sent.bytes(), records: sent.records() })
    }

    /// What became of a batch. An `id` that is not under way changes nothing. Returns what
    /// changed.
    pub fn settled(&mut self, id: u64, outcome: Outcome, now: u64) -> Counts {
        let Some(at) = self.flying.iter().position(|flight| flight.attempt == id) else {
            return Counts::default();
        };
        let batch = self.flying.swap_remove(at).batch;
        if !matches!(outcome, Outcome::Retry { .. }) {
            self.pause = None;
        }
        match outcome {
            Outcome::Accepted => {
                let records = self.forget(&batch.records);
                self.count(Counts { acknowledged: records, ..Counts::gone(records) })
            }
            Outcome::Malformed if batch.records.records() > 1 => {
                self.split(batch);
                Counts::default()
            }
            Outcome::Malformed | Outcome::Rejected => {
                let records = self.forget(&batch.records);
                self.count(Counts { dropped: records, ..Counts::gone(records) })
            }
            Outcome::Retry { after_ms } => {
                self.put_back(batch);
                self.pause_after(after_ms, now);
                Counts::default()
            }
        }
    }

    /// The worker is going: from now on nothing waits for company.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Records that are neither acknowledged nor dropped.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.totals.waiting).unwrap_or(0)
    }

    /// The sum of everything returned so far.
    #[must_use]
    pub fn totals(&self) -> Counts {
        self.totals
    }

    fn count(&mut self, change: Counts) -> Counts {
        self.totals = self.totals.plus(change);
        change
    }

    /// Stops accounting for a batch's bytes; returns its records.
    fn forget(&mut self, records: &Packed) -> i64 {
        self.bytes = self.bytes.saturating_sub(records.bytes().len());
        i64::try_from(records.records()).unwrap_or(i64::MAX)
    }

    /// Closes the open batch.
    fn seal(&mut self) {
        if !self.open.is_empty() {
            let records = std::mem::take(&mut self.open).sealed();
            let first = self.next_record;
            self.next_record = after(first, records.records());
            self.ready.push_back(Ready { first, records });
        }
    }

    fn open_is_due(&self, now: u64) -> bool {
        // A clock set back makes the batch look younger than it can be: then it is due.
        let old = now.checked_sub(self.opened).is_none_or(|age| age >= MAX_AGE_MS);
        self.draining || old
    }

    /// Back to its place: a batch that failed leaves again before younger ones.
    fn put_back(&mut self, batch: Ready) {
        let at = self.ready.partition_point(|other| other.first < batch.first);
        self.ready.insert(at, batch);
    }

    /// Isolates the record that the mirror-service cannot take, by halves; the good ones arrive.
    fn split(&mut self, batch: Ready) {
        let (older, younger) = batch.records.halves();
        let middle = after(batch.first, older.records());
        self.put_back(Ready { first: middle, records: younger });
        self.put_back(Ready { first: batch.first, records: older });
    }

    fn pauses(&self, now: u64) -> bool {
        // A pause that ends further away than any pause lasts began before the clock was set
        // back.
        self.pause
            .is_some_and(|pause| now < pause.until && pause.until.abs_diff(now) <= pause.length)
    }

    /// Doubles up to [`PAUSE_MAX_MS`]; never grows beyond, so that a mirror-service that was away
    /// for a day is found as fast as one that was away for a second.
    fn pause_after(&mut self, asked: Option<u64>, now: u64) {
        // The second of two flights that failed together says nothing new.
        if self.pauses(now) {
            return;
        }
        let own = self.pause.map_or(PAUSE_MIN_MS, |last| {
            last.length.saturating_mul(2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS)
        });
        let length = asked.map_or(own, |asked| asked.clamp(own, PAUSE_ASKED_MAX_MS));
        self.pause = Some(Pause { until: now.saturating_add(length), length });
    }
}

/// The number of the record that comes `records` after the one numbered `first`.
fn after(first: u64, records: usize) -> u64 {
    first.saturating_add(u64::try_from(records).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
