//! The embedded store: one SQLite database with full-text search.
//!
//! One thread writes; readers have connections of their own. Storing and indexing are separate:
//! an event is on the disk and listed when [`Store::put`] returns, and searchable as soon as the
//! writer has nothing more urgent to do. The index is cut into shards of equal numbers of events,
//! so that a search looks at the newest first and never has to rank a million matches, and
//! retention drops a shard as a whole.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::clock::{Clock, Millis};
use crate::event::{Event, Owner};
use crate::settings::Retention;
use crate::sqlite::Trouble;
use crate::stats::Stats;

use super::{Events, Filter, Hits, Outcome, Page, Sessions, Store, StoreError, Work};
#[cfg(test)]
use super::{Hit, Session};

mod index;
mod put;
mod read;
mod readers;
mod retain;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod write;

use readers::Readers;

/// Commands that may wait for the writer.
const QUEUE: usize = 64;

/// Events, sessions and their index in SQLite.
#[derive(Debug)]
pub struct Embedded {
    commands: mpsc::Sender<Command>,
    readers: Arc<Readers>,
}

type Reply<T> = oneshot::Sender<Result<T, Trouble>>;

#[derive(Debug)]
enum Command {
    Put(Vec<Event>, Reply<Vec<bool>>),
    Erase(Option<Owner>, String, Reply<u64>),
    /// Answers whether there is more to do.
    Tidy(Millis, Reply<bool>),
    /// A reader has found damage.
    Damaged,
}

// === impl Embedded ===

impl Embedded {
    /// Opens the database at `path` and starts its thread, which ends with the store.
    ///
    /// # Errors
    /// The database can be neither opened nor replaced.
    pub fn open(
        path: PathBuf,
        retention: Retention,
        clock: Clock,
        stats: Arc<Stats>,
    ) -> Result<Self, Trouble> {
        let (commands, queue) = mpsc::channel(QUEUE);
        let readers = Arc::new(Readers::new(path.clone()));
        let writer = write::Writer::open(path, retention, clock, stats, Arc::clone(&readers))?;
        std::thread::Builder::new()
            .name("memory".into())
            .spawn(move || writer.run(queue))
            .map_err(|_| Trouble::Unavailable)?;
        Ok(Self { commands, readers })
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || StoreError::Unavailable("it is stopping".into());
        self.commands.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?.map_err(StoreError::from)
    }

    /// Runs `work` on a reader's connection, off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, ReadFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let read = tokio::task::spawn_blocking(move || readers.with(work)).await;
        match read {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(ReadFault::Cursor)) => Err(StoreError::BadCursor),
            Ok(Err(ReadFault::Trouble(trouble))) => {
                if trouble == Trouble::Corrupt {
                    // Full or closed: the writer will see the damage itself, or not any more.
                    let _ = self.commands.try_send(Command::Damaged);
                }
                Err(trouble.into())
            }
            Err(_) => Err(StoreError::Unavailable("a query broke off".into())),
        }
    }
}

/// Why a query failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadFault {
    Cursor,
    Trouble(Trouble),
}

impl From<rusqlite::Error> for ReadFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<StoreError> for ReadFault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadCursor => Self::Cursor,
            _ => Self::Trouble(Trouble::Unavailable),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(trouble.to_string())
    }
}

impl Store for Embedded {
    fn put<'a>(&'a self, events: &'a [Event]) -> Work<'a, Vec<Outcome>> {
        Box::pin(async move {
            let new = self.ask(|reply| Command::Put(events.to_vec(), reply)).await?;
            let outcome = |new| if new { Outcome::Stored } else { Outcome::Known };
            Ok(new.into_iter().map(outcome).collect())
        })
    }

    fn events<'a>(&'a self, filter: &'a Filter, page: &'a Page) -> Work<'a, Events> {
        let (filter, page) = (filter.clone(), page.clone());
        Box::pin(self.read(move |db| read::events(db, &filter, &page)))
    }

    fn search<'a>(&'a self, words: &'a str, filter: &'a Filter, page: &'a Page) -> Work<'a, Hits> {
        let (words, filter, page) = (words.to_owned(), filter.clone(), page.clone());
        Box::pin(self.read(move |db| search::search(db, &words, &filter, &page)))
    }

    fn sessions<'a>(&'a self, filter: &'a Filter, page: &'a Page) -> Work<'a, Sessions> {
        let (filter, page) = (filter.clone(), page.clone());
        Box::pin(self.read(move |db| read::sessions(db, &filter, &page)))
    }

    fn erase<'a>(&'a self, owner: Option<&'a Owner>, session: &'a str) -> Work<'a, u64> {
        Box::pin(self.ask(move |reply| Command::Erase(owner.cloned(), session.to_owned(), reply)))
    }

    fn tidy(&self, now: Millis) -> Work<'_, ()> {
        Box::pin(async move {
            // In steps, so that what is urgent comes in between.
            while self.ask(|reply| Command::Tidy(now, reply)).await? {}
            Ok(())
        })
    }
}
