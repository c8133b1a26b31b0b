//! Batches in, outbox out. What is acknowledged is redacted and on the disk.

use std::sync::Arc;

use attach_filter::mirror::wire::{Meta, Record, Records};
use axum::body::Bytes;
use tokio::sync::{Semaphore, TryAcquireError};
use uuid::Uuid;

use crate::event::{Event, Findings};
use crate::outbox::{Entry, Kept, Outbox, Refusal};
use crate::redact::Redactor;
use crate::stats::{Stats, count};
use crate::transcript::{self, Text, Transcript};

/// Turns captured exchanges and logs into redacted events in the outbox.
#[derive(Clone, Debug)]
pub struct Intake {
    redactor: Arc<Redactor>,
    /// Nothing is kept without one.
    outbox: Option<Outbox>,
    stats: Arc<Stats>,
    /// Batches in work.
    places: Arc<Semaphore>,
    /// Batches being read and redacted: as many as there are cores.
    hands: Arc<Semaphore>,
}

/// A batch that could not be taken as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Records could not be read. The others are stored: sending them again does no harm.
    #[error("{rejected} of the records cannot be read")]
    Malformed {
        /// Records that could not be read, and whatever stood after them.
        rejected: usize,
    },
    /// Nothing was stored; again later.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A place among the batches in work; free again when dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedSemaphorePermit);

// === impl Intake ===

impl Intake {
    /// An intake that takes `places` batches at a time.
    #[must_use]
    pub fn new(
        redactor: Arc<Redactor>,
        outbox: Option<Outbox>,
        stats: Arc<Stats>,
        places: usize,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            redactor,
            outbox,
            stats,
            places: Arc::new(Semaphore::new(places)),
            hands: Arc::new(Semaphore::new(cores)),
        }
    }

    /// A place for one more batch, before its body is read.
    ///
    /// # Errors
    /// There is none: whoever has to wait is better told to come back.
    pub fn place(&self) -> Result<Place, Refusal> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place(permit)),
            Err(TryAcquireError::NoPermits) => Err(Refusal::Full),
            Err(TryAcquireError::Closed) => Err(Refusal::Stopped),
        }
    }

    /// Takes a batch of records.
    ///
    /// # Errors
    /// A record could not be read, or nothing could be stored.
    pub async fn batch(&self, body: Bytes) -> Result<Kept, IngestError> {
        self.stats.ingest_batches.add(1);
        let redactor = Arc::clone(&self.redactor);
        let (entries, rejected) = self
            .work(move || {
                let mut entries = Vec::new();
                let mut rejected = 0usize;
                for record in Records::new(&body) {
                    match record.ok().and_then(|record| entry(&redactor, &record)) {
                        Some(entry) => entries.push(entry),
                        None => rejected = rejected.saturating_add(1),
                    }
                }
                (entries, rejected)
            })
            .await?;
        self.stats.ingest_received.add(count(entries.len().saturating_add(rejected)));
        self.stats.ingest_rejected.add(count(rejected));
        let kept = self.keep(entries).await?;
        if rejected > 0 {
            return Err(IngestError::Malformed { rejected });
        }
        Ok(kept)
    }

    /// Takes events that `make` builds, off the async threads, with the redactor it is given.
    ///
    /// # Errors
    /// Nothing could be stored.
    pub async fn events(
        &self,
        make: impl FnOnce(&Redactor) -> Vec<Event> + Send + 'static,
    ) -> Result<Kept, Refusal> {
        let redactor = Arc::clone(&self.redactor);
        let pack = move || -> Vec<Entry> {
            make(&redactor).iter().filter_map(|event| Entry::pack(event).ok()).collect()
        };
        let entries = self.work(pack).await?;
        self.stats.ingest_received.add(count(entries.len()));
        self.keep(entries).await
    }

    async fn keep(&self, entries: Vec<Entry>) -> Result<Kept, Refusal> {
        let Some(outbox) = &self.outbox else { return Ok(Kept::default()) };
        if entries.is_empty() {
            return Ok(Kept::default());
        }
        let redactions =
            entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.redactions));
        let kept = outbox.keep(entries).await?;
        self.stats.redactions.add(redactions);
        self.stats.ingest_duplicate.add(count(kept.duplicate));
        self.stats.ingest_erased.add(count(kept.erased));
        Ok(kept)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _hand = self.hands.acquire().await.map_err(|_| Refusal::Stopped)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Stopped)
    }
}

/// The outbox entry of a record. Nothing if its id is no UUID.
fn entry(redactor: &Redactor, record: &Record<'_>) -> Option<Entry> {
    let id = Uuid::try_parse(&record.meta.id).ok()?;
    let transcript = transcript::read(&record.meta, record.request, record.response);
    Entry::pack(&event(redactor, id, &record.meta, transcript)).ok()
}

/// An event without anything that redaction finds.
fn event(redactor: &Redactor, id: Uuid, meta: &Meta, transcript: Transcript) -> Event {
    let mut found = Findings::new();
    let mut clean = |text: String| redactor.redact(text, &mut found);
    let path = clean(meta.path.clone());
    let method = clean(meta.method.clone());
    let model = transcript.model.map(&mut clean);
    let finish_reason = transcript.finish_reason.map(&mut clean);
    let mut body = |text: Text| match text {
        Text::Joined(text) => redactor.redact(text, &mut found),
        Text::Body(text) => redactor.redact_body(text, &mut found),
    };
    let prompt = transcript.prompt.map(&mut body);
    let answer = transcript.answer.map(&mut body);
    Event {
        id,
        time: meta.time_ms,
        kind: meta.kind,
        user: meta.user.clone(),
        issuer: meta.issuer.clone(),
        agent: meta.agent.clone(),
        session: meta.session.clone(),
        sid: Some(meta.sid.clone()).filter(|sid| !sid.is_empty()),
        trace_id: meta.trace_id.clone(),
        method: Some(method),
        path: Some(path),
        model,
        status: Some(meta.status).filter(|status| *status > 0),
        outcome: meta.outcome,
        prompt,
        answer,
        finish_reason,
        input_tokens: transcript.input_tokens,
        output_tokens: transcript.output_tokens,
        first_byte_ms: meta.first_byte_ms,
        first_token_ms: transcript.first_token_ms,
        duration_ms: Some(meta.duration_ms),
        tokens_per_second: transcript.tokens_per_second,
        request_bytes: Some(meta.request_bytes),
        response_bytes: Some(meta.response_bytes),
        truncated: meta.truncated || transcript.truncated,
        redactions: found,
    }
}
