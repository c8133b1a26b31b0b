//! Connections for queries, kept for the next one.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::sqlite;

use super::ReadFault;

/// Connections that are kept when nobody queries.
const IDLE: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Counts the databases that stood at the path.
    generation: u64,
}

// === impl Readers ===

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, pool: Mutex::default() }
    }

    /// Runs `work` in one read transaction, so that it sees one state of the database.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ReadFault>,
    ) -> Result<T, ReadFault> {
        let (idle, generation) = {
            let mut pool = self.pool();
            (pool.idle.pop(), pool.generation)
        };
        let db = match idle {
            Some(db) => db,
            None => sqlite::open_reader(&self.path).map_err(ReadFault::Trouble)?,
        };
        let done = {
            let transaction = db.unchecked_transaction()?;
            work(&transaction)
        };
        let mut pool = self.pool();
        let sound = !matches!(done, Err(ReadFault::Trouble(_)));
        if sound && pool.generation == generation && pool.idle.len() < IDLE {
            pool.idle.push(db);
        }
        done
    }

    /// Forgets all connections: another database stands at the path now.
    pub(super) fn renew(&self) {
        let mut pool = self.pool();
        pool.idle.clear();
        pool.generation = pool.generation.wrapping_add(1);
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing that can panic runs under the lock.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
