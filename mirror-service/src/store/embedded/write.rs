//! The thread that writes the embedded store.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::clock::Clock;
use crate::settings::Retention;
use crate::sqlite::{self, Trouble};
use crate::stats::Stats;

use super::put::{Numbers, put};
use super::readers::Readers;
use super::schema::{self, SCHEMA};
use super::{Command, index, retain};

/// Events that may be stored and not indexed before indexing takes its turn under load too.
const LAG: i64 = 50_000;

#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    retention: Retention,
    clock: Clock,
    stats: Arc<Stats>,
    readers: Arc<Readers>,
    /// Absent after a fault that opening again may cure.
    db: Option<Connection>,
    numbers: Numbers,
    /// Events that wait to be indexed.
    lag: i64,
}

// === impl Writer ===

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        retention: Retention,
        clock: Clock,
        stats: Arc<Stats>,
        readers: Arc<Readers>,
    ) -> Result<Self, Trouble> {
        let numbers = Numbers::default();
        let mut writer = Self { path, retention, clock, stats, readers, db: None, numbers, lag: 0 };
        writer.run_on(|_, _| Ok(()))?;
        writer.measure();
        Ok(writer)
    }

    pub(super) fn run(mut self, mut queue: Receiver<Command>) {
        loop {
            let command = match queue.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Disconnected) => return,
                // Nothing urgent: index, and wait only when all is indexed.
                Err(TryRecvError::Empty) => {
                    if self.lag > 0 && self.index() {
                        continue;
                    }
                    match queue.blocking_recv() {
                        Some(command) => command,
                        None => return,
                    }
                }
            };
            self.obey(command);
            if self.lag > LAG {
                self.index();
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // Whoever asked may have gone: then nobody hears the answer.
        match command {
            Command::Put(events, reply) => {
                let put = self.run_on(|db, numbers| put(db, numbers, &events));
                self.measure();
                let _ = reply.send(put);
            }
            Command::Erase(owner, session, reply) => {
                self.numbers = Numbers::default();
                let erased = self.run_on(|db, _| retain::erase(db, owner.as_ref(), &session));
                self.measure();
                let _ = reply.send(erased);
            }
            Command::Tidy(now, reply) => {
                self.numbers = Numbers::default();
                let retention = self.retention;
                let tidied = self.run_on(|db, _| retain::tidy(db, retention, now));
                self.measure();
                let _ = reply.send(tidied.map(|(gone, more)| {
                    self.stats.store_expired.add(gone);
                    more
                }));
            }
            Command::Damaged => {
                // Only if it is: a reader may have met what has been replaced since.
                let _ = self.run_on(|db, _| {
                    let verdict: String =
                        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
                    if verdict == "ok" { Ok(()) } else { Err(Trouble::Corrupt) }
                });
            }
        }
    }

    /// Indexes some events; whether that worked.
    fn index(&mut self) -> bool {
        match self.run_on(|db, _| index::advance(db)) {
            Ok(lag) => self.lag = lag,
            // Stored they are; the next command tries again.
            Err(_) => return false,
        }
        self.stats.store_unindexed.set(self.lag.unsigned_abs());
        true
    }

    /// Runs `work` in a transaction, opening the database first if need be. A damaged one is
    /// kept aside and `work` runs on a new one.
    fn run_on<T>(
        &mut self,
        work: impl Fn(&Connection, &mut Numbers) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut done = self.attempt(&work);
        if matches!(done, Err(Trouble::Corrupt)) {
            self.replace()?;
            done = self.attempt(&work);
        }
        if let Err(trouble) = &done {
            tracing::error!(path = ?self.path, %trouble, "the store failed");
        }
        done
    }

    fn attempt<T>(
        &mut self,
        work: impl Fn(&Connection, &mut Numbers) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let db = match self.db.take() {
            Some(db) => db,
            None => sqlite::open(&self.path, SCHEMA)?,
        };
        db.execute_batch("BEGIN IMMEDIATE")?;
        let done = work(&db, &mut self.numbers).and_then(|value| {
            db.execute_batch("COMMIT")?;
            Ok(value)
        });
        if let Err(trouble) = done {
            // Numbers given out in what is rolled back do not exist.
            self.numbers = Numbers::default();
            let rolled_back = db.is_autocommit() || db.execute_batch("ROLLBACK").is_ok();
            if trouble == Trouble::Corrupt || !rolled_back {
                return Err(trouble);
            }
        }
        self.db = Some(db);
        done
    }

    fn replace(&mut self) -> Result<(), Trouble> {
        self.db = None;
        let aside =
            sqlite::keep_aside(&self.path, self.clock.now()).map_err(|_| Trouble::Unavailable)?;
        self.numbers = Numbers::default();
        self.db = Some(sqlite::open(&self.path, SCHEMA)?);
        self.readers.renew();
        self.stats.databases_set_aside.add(1);
        tracing::error!(
            path = ?self.path, ?aside,
            "the memory was damaged: it is kept aside and a new one was started",
        );
        Ok(())
    }

    fn measure(&mut self) {
        let Some(db) = &self.db else { return };
        if let (Ok(last), Ok(indexed)) = (schema::last(db), schema::indexed(db)) {
            self.lag = last.saturating_sub(indexed).max(0);
            self.stats.store_unindexed.set(self.lag.unsigned_abs());
        }
    }
}
