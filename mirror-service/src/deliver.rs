//! From the outbox to the store, at once and for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::event::Event;
use crate::outbox::{Outbox, Settled, Waiting};
use crate::stats::Stats;
use crate::store::{Outcome, Store};

/// Events that one step takes from the outbox.
const EVENTS: usize = 2_000;

/// Bytes that one step takes from the outbox, about.
const BYTES: usize = 8 << 20;

/// First pause after a failure; each further one doubles it.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest pause: how late the store's return is noticed at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Held while events are on their way, so that an erasure can wait for them.
pub(crate) type Gate = Arc<Mutex<()>>;

/// Hands events over.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) outbox: Outbox,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) gate: Gate,
}

/// What a step came to.
enum Step {
    /// Events were handed over.
    Moved,
    /// Nothing waits.
    Empty,
    /// Something failed; later.
    Failed,
}

// === impl Courier ===

impl Courier {
    /// Works until `stop` turns true and nothing waits any more. Whoever cannot wait for a
    /// store that is down drops the future: what waits stays in the outbox.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pause = PAUSE;
        loop {
            match self.step().await {
                Step::Moved => pause = PAUSE,
                Step::Empty if *stop.borrow() => return,
                Step::Empty => {
                    pause = PAUSE;
                    tokio::select! {
                        () = self.outbox.arrived() => {}
                        // Whoever could stop us has gone: so is the service.
                        changed = stop.changed() => if changed.is_err() { return },
                    }
                }
                Step::Failed => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn step(&self) -> Step {
        let _gate = self.gate.lock().await;
        let waiting = match self.outbox.next(EVENTS, BYTES).await {
            Ok(waiting) if waiting.is_empty() => return Step::Empty,
            Ok(waiting) => waiting,
            Err(refusal) => {
                tracing::warn!(%refusal, "the outbox cannot be read");
                return Step::Failed;
            }
        };
        let (places, events): (Vec<i64>, Vec<Event>) =
            waiting.into_iter().map(|Waiting { seq, event }| (seq, event)).unzip();
        let was_up = self.stats.store_up.get() == 1;
        let outcomes = match self.store.put(&events).await {
            Ok(outcomes) => outcomes,
            Err(fault) => {
                self.stats.store_up.set(0);
                self.stats.store_retries.add(1);
                // One line when it goes, not one a try.
                if was_up || self.stats.store_retries.get() == 1 {
                    tracing::warn!(%fault, waiting = events.len(), "the store does not take events");
                }
                return Step::Failed;
            }
        };
        self.stats.store_up.set(1);
        let settled = self.settle(&places, &events, outcomes);
        let some_left = settled.len() < places.len();
        if let Err(refusal) = self.outbox.done(settled).await {
            // They will be handed over again; the store knows them by their ids.
            tracing::warn!(%refusal, "stored events cannot leave the outbox");
            return Step::Failed;
        }
        if some_left { Step::Failed } else { Step::Moved }
    }

    /// Counts the outcomes; gives the entries that leave.
    fn settle(&self, places: &[i64], events: &[Event], outcomes: Vec<Outcome>) -> Vec<Settled> {
        let mut settled = Vec::with_capacity(places.len());
        for ((seq, event), outcome) in places.iter().zip(events).zip(outcomes) {
            let refused = match outcome {
                Outcome::Stored => {
                    self.stats.store_stored.add(1);
                    None
                }
                Outcome::Known => {
                    self.stats.store_known.add(1);
                    None
                }
                Outcome::Later => continue,
                Outcome::Refused(reason) => {
                    // The reason may quote the event: it is kept beside it, not logged.
                    self.stats.store_failed.add(1);
                    tracing::error!(id = %event.id, "the store refused an event: set aside");
                    Some(reason)
                }
            };
            settled.push(Settled { seq: *seq, refused });
        }
        settled
    }
}
