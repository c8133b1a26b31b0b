//! The thread that owns the outbox's database.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::clock::{Clock, Millis};
use crate::sqlite::{self, Trouble};
use crate::stats::{Stats, count};

use super::database::Database;
use super::{Command, Entry, Kept, Refusal, Reply, Settled};

/// Bytes that one transaction takes at most; what waits beyond goes into the next.
const GROUP_BYTES: usize = 16 << 20;

/// Entries of a salvaged outbox that one transaction takes.
const SALVAGE: usize = 1000;

#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    max_bytes: u64,
    clock: Clock,
    stats: Arc<Stats>,
    arrived: Arc<Notify>,
    /// Absent after a fault that opening again may cure.
    database: Option<Database>,
}

/// Batches and departures that are written together.
#[derive(Default)]
struct Group {
    keeps: Vec<(Vec<Entry>, Reply<Kept>)>,
    dones: Vec<(Vec<Settled>, Reply<()>)>,
    bytes: usize,
}

// === impl Writer ===

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        max_bytes: u64,
        clock: Clock,
        stats: Arc<Stats>,
        arrived: Arc<Notify>,
    ) -> Result<Self, Trouble> {
        let mut writer = Self { path, max_bytes, clock, stats, arrived, database: None };
        writer.run_on(|_| Ok(()))?;
        writer.measure();
        Ok(writer)
    }

    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = Group::default();
            let mut next = Some(first);
            // What is not part of a group ends it, so that every command sees what came before.
            while let Some(command) = next.take() {
                if let Some(other) = group.take(command) {
                    self.write(std::mem::take(&mut group));
                    self.other(other);
                }
                if group.bytes < GROUP_BYTES {
                    next = queue.try_recv().ok();
                }
            }
            self.write(group);
        }
    }

    fn write(&mut self, group: Group) {
        if group.keeps.is_empty() && group.dones.is_empty() {
            return;
        }
        let full = !group.keeps.is_empty() && self.stats.outbox_bytes.get() >= self.max_bytes;
        let written = self.run_on(|database| {
            database.commit(|database| {
                let mut gone = 0usize;
                for (settled, _) in &group.dones {
                    gone = gone.saturating_add(database.settle(settled)?);
                }
                let keeps = group.keeps.iter().filter(|_| !full);
                let kept: Result<Vec<Kept>, Trouble> =
                    keeps.map(|(entries, _)| database.keep(entries)).collect();
                Ok((gone, kept?))
            })
        });
        match written {
            Ok((gone, kept)) => {
                let new: usize = kept.iter().map(|kept| kept.new).sum();
                let waiting = self.stats.outbox_waiting.get().saturating_add(count(new));
                self.stats.outbox_waiting.set(waiting.saturating_sub(count(gone)));
                self.measure_bytes();
                let mut kept = kept.into_iter();
                for (_, reply) in group.keeps {
                    // Whoever asked may have gone; the entries are kept all the same.
                    let _ = reply.send(kept.next().ok_or(Refusal::Full));
                }
                for (_, reply) in group.dones {
                    let _ = reply.send(Ok(()));
                }
                if new > 0 {
                    self.arrived.notify_one();
                }
            }
            Err(trouble) => {
                let refusal = Refusal::Trouble(trouble);
                for (_, reply) in group.keeps {
                    let _ = reply.send(Err(refusal));
                }
                for (_, reply) in group.dones {
                    let _ = reply.send(Err(refusal));
                }
            }
        }
    }

    fn other(&mut self, command: Command) {
        match command {
            Command::Next(want, reply) => {
                let next = self.run_on(|database| {
                    let (waiting, unreadable) = database.next(want)?;
                    if !unreadable.is_empty() {
                        database.commit(|database| database.settle(&unreadable))?;
                    }
                    Ok((waiting, unreadable.len()))
                });
                let _ = reply.send(next.map_err(Refusal::from).map(|(waiting, unreadable)| {
                    self.stats.store_failed.add(count(unreadable));
                    waiting
                }));
            }
            Command::Holds(erasure, reply) => {
                let holds = self.run_on(|database| database.holds(&erasure));
                let _ = reply.send(holds.map_err(Refusal::from));
            }
            Command::Probe(reply) => {
                let probed = self.run_on(|database| database.commit(|_| Ok(())));
                let _ = reply.send(probed.map_err(Refusal::from));
            }
            Command::Erase(erasure, reply) => {
                let erased = self.run_on(|db| db.commit(|db| db.erase(&erasure)));
                self.measure();
                let _ = reply.send(erased.map(count).map_err(Refusal::from));
            }
            Command::Tidy(now, reply) => {
                let tidied = self.run_on(|database| {
                    database.commit(|database| database.tidy(now))?;
                    database.shrink()
                });
                self.measure();
                let _ = reply.send(tidied.map_err(Refusal::from));
            }
            // Part of a group; never comes here.
            Command::Keep(_, reply) => drop(reply.send(Err(Refusal::Stopped))),
            Command::Done(_, reply) => drop(reply.send(Err(Refusal::Stopped))),
        }
    }

    /// Runs `work`, opening the database first if need be. A damaged one is kept aside and
    /// `work` runs on a new one.
    fn run_on<T>(
        &mut self,
        work: impl Fn(&mut Database) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut done = self.attempt(&work);
        if matches!(done, Err(Trouble::Corrupt)) {
            self.replace()?;
            done = self.attempt(&work);
        }
        if let Err(trouble) = &done {
            self.stats.outbox_errors.add(1);
            tracing::error!(path = ?self.path, %trouble, "the outbox failed");
        }
        done
    }

    fn attempt<T>(
        &mut self,
        work: impl Fn(&mut Database) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut database = match self.database.take() {
            Some(database) => database,
            None => Database::open(&self.path)?,
        };
        let done = work(&mut database);
        if !matches!(done, Err(Trouble::Corrupt)) {
            self.database = Some(database);
        }
        done
    }

    /// Keeps the damaged database aside and starts a new one with what can still be read.
    fn replace(&mut self) -> Result<(), Trouble> {
        self.database = None;
        let now: Millis = self.clock.now();
        let aside = sqlite::keep_aside(&self.path, now).map_err(|_| Trouble::Unavailable)?;
        self.stats.databases_set_aside.add(1);
        let entries = Database::salvage(&aside);
        let mut database = Database::open(&self.path)?;
        let mut saved = 0usize;
        for entries in entries.chunks(SALVAGE) {
            let kept = database.commit(|database| database.keep(entries))?;
            saved = saved.saturating_add(kept.new);
        }
        tracing::error!(
            path = ?self.path, ?aside, saved,
            "the outbox was damaged: it is kept aside and a new one was started",
        );
        self.database = Some(database);
        self.measure();
        self.arrived.notify_one();
        Ok(())
    }

    fn measure(&mut self) {
        if let Some(Ok(waiting)) = self.database.as_ref().map(Database::waiting) {
            self.stats.outbox_waiting.set(waiting);
        }
        self.measure_bytes();
    }

    fn measure_bytes(&mut self) {
        if let Some(Ok(bytes)) = self.database.as_ref().map(Database::bytes) {
            self.stats.outbox_bytes.set(bytes);
        }
    }
}

// === impl Group ===

impl Group {
    /// Takes a command that can be written with others; gives any other back.
    fn take(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Keep(entries, reply) => {
                let bytes: usize = entries.iter().map(|entry| entry.json.len()).sum();
                self.bytes = self.bytes.saturating_add(bytes);
                self.keeps.push((entries, reply));
                None
            }
            Command::Done(settled, reply) => {
                self.dones.push((settled, reply));
                None
            }
            other => Some(other),
        }
    }
}
