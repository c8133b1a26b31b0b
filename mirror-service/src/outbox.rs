//! The durable outbox: redacted events between the acknowledgement and the store.
//!
//! One thread owns the database. It takes everything that waits, writes it in one transaction
//! (group commit) and answers only when that is on the disk. An event is known by its id: the
//! same one again changes nothing. Erased sessions leave a mark, so that a late retry does not
//! bring them back.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use crate::clock::{Clock, Millis};
use crate::event::{Event, Owner};
use crate::sqlite::Trouble;
use crate::stats::Stats;

mod database;
#[cfg(test)]
mod tests;
mod writer;

/// Commands that may wait for the writer.
const QUEUE: usize = 256;

/// An event on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Id of the event.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// Its session, if it has one.
    pub session: Option<String>,
    /// Time of the event.
    pub time: Millis,
    /// The event as JSON, redacted.
    pub json: Vec<u8>,
    /// How many secrets were replaced in it.
    pub redactions: u64,
}

/// An entry that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its place; entries leave by it.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Entries that are new.
    pub new: usize,
    /// Entries that were here already.
    pub duplicate: usize,
    /// Entries of a session that was erased after them: dropped.
    pub erased: usize,
}

/// Why the outbox did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much waits: in memory, or for the store.
    #[error("the outbox is full")]
    Full,
    /// The database cannot be written.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopped,
}

/// A handle to the outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    commands: mpsc::Sender<Command>,
    arrived: Arc<Notify>,
}

type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

#[derive(Debug)]
enum Command {
    Keep(Vec<Entry>, Reply<Kept>),
    Next(Want, Reply<Vec<Waiting>>),
    Done(Vec<Settled>, Reply<()>),
    Holds(Erasure, Reply<bool>),
    Erase(Erasure, Reply<u64>),
    Tidy(Millis, Reply<()>),
    Probe(Reply<()>),
}

/// What to read.
#[derive(Clone, Copy, Debug)]
struct Want {
    events: usize,
    bytes: usize,
}

/// An entry that leaves.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Its place.
    pub seq: i64,
    /// Why the store will never take it; it is set aside then.
    pub refused: Option<String>,
}

#[derive(Clone, Debug)]
struct Erasure {
    /// Only this owner's; everybody's if absent.
    owner: Option<Owner>,
    session: String,
    at: Millis,
}

// === impl Outbox ===

impl Outbox {
    /// Opens the outbox at `path` and starts its thread, which ends with the last handle.
    ///
    /// # Errors
    /// The database can be neither opened nor replaced.
    pub fn open(
        path: PathBuf,
        max_bytes: u64,
        clock: Clock,
        stats: Arc<Stats>,
    ) -> Result<Self, Trouble> {
        let arrived = Arc::new(Notify::new());
        let (commands, queue) = mpsc::channel(QUEUE);
        let writer = writer::Writer::open(path, max_bytes, clock, stats, Arc::clone(&arrived))?;
        std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || writer.run(queue))
            .map_err(|_| Trouble::Unavailable)?;
        Ok(Self { commands, arrived })
    }

    /// Keeps entries; they are on the disk when this returns.
    ///
    /// # Errors
    /// Nothing of the batch was kept.
    pub async fn keep(&self, entries: Vec<Entry>) -> Result<Kept, Refusal> {
        let (reply, answer) = oneshot::channel();
        // Whoever has to wait for the queue is better told to come back.
        self.commands.try_send(Command::Keep(entries, reply)).map_err(|fault| match fault {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::Stopped,
        })?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// The entries that have waited longest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next(&self, events: usize, bytes: usize) -> Result<Vec<Waiting>, Refusal> {
        self.ask(|reply| Command::Next(Want { events, bytes }, reply)).await
    }

    /// Lets entries leave.
    ///
    /// # Errors
    /// They are still there.
    pub async fn done(&self, settled: Vec<Settled>) -> Result<(), Refusal> {
        self.ask(|reply| Command::Done(settled, reply)).await
    }

    /// Whether anything of a session waits.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn holds(&self, owner: Option<Owner>, session: String) -> Result<bool, Refusal> {
        self.ask(|reply| Command::Holds(Erasure { owner, session, at: Millis::MAX }, reply)).await
    }

    /// Whether the outbox can be written.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(&self) -> Result<(), Refusal> {
        self.ask(Command::Probe).await
    }

    /// Drops what waits of a session and marks it, so that records of exchanges that began
    /// before `at` are dropped when they come. Gives the number of dropped entries.
    ///
    /// # Errors
    /// Nothing was erased.
    pub async fn erase(
        &self,
        owner: Option<Owner>,
        session: String,
        at: Millis,
    ) -> Result<u64, Refusal> {
        self.ask(|reply| Command::Erase(Erasure { owner, session, at }, reply)).await
    }

    /// Forgets old marks and gives free space back.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn tidy(&self, now: Millis) -> Result<(), Refusal> {
        self.ask(|reply| Command::Tidy(now, reply)).await
    }

    /// Returns when entries have arrived since the last call.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Refusal::Stopped)?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }
}

// === impl Entry ===

impl Entry {
    /// Packs an event.
    ///
    /// # Errors
    /// The event cannot be written as JSON; no event of ours is like that.
    pub fn pack(event: &Event) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: event.id,
            owner: event.owner(),
            session: event.session.clone(),
            time: event.time,
            json: serde_json::to_vec(event)?,
            redactions: event.redactions.values().fold(0, |sum, n| sum.saturating_add(*n)),
        })
    }
}
