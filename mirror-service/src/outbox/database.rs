//! The tables of the outbox and the statements on them.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::clock::Millis;
use crate::event::Owner;
use crate::sqlite::{self, Trouble};

use super::{Entry, Erasure, Kept, Settled, Waiting, Want};

/// How long the mark of an erased session stays: longer than any filter retries.
const MARK_MS: Millis = 7 * 24 * 60 * 60 * 1000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS waiting (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL UNIQUE,
        time INTEGER NOT NULL,
        issuer TEXT NOT NULL,
        user TEXT NOT NULL,
        session TEXT,
        event BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS refused (
        id BLOB PRIMARY KEY,
        time INTEGER NOT NULL,
        issuer TEXT NOT NULL,
        user TEXT NOT NULL,
        session TEXT,
        event BLOB NOT NULL,
        reason TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS erased (
        session TEXT NOT NULL,
        issuer TEXT,
        user TEXT,
        at INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS erased_session ON erased (session);
";

/// The outbox's database.
#[derive(Debug)]
pub(super) struct Database {
    db: Connection,
    /// Whether any session is marked as erased: almost always none is.
    marks: bool,
}

// === impl Erasure ===

impl Erasure {
    /// Issuer and user; none of them if everybody is meant.
    fn names(&self) -> (Option<&str>, Option<&str>) {
        match &self.owner {
            Some(Owner { issuer, user }) => (Some(issuer), Some(user)),
            None => (None, None),
        }
    }
}

fn key(at: Millis) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

// === impl Database ===

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let db = sqlite::open(path, SCHEMA)?;
        let marks = db.query_row("SELECT EXISTS (SELECT 1 FROM erased)", [], |row| row.get(0))?;
        Ok(Self { db, marks })
    }

    pub(super) fn waiting(&self) -> Result<u64, Trouble> {
        let count: i64 = self.db.query_row("SELECT count(*) FROM waiting", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    pub(super) fn bytes(&self) -> Result<u64, Trouble> {
        sqlite::used_bytes(&self.db)
    }

    /// Runs `work` in one transaction.
    pub(super) fn commit<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let done = work(self).and_then(|value| {
            self.db.execute_batch("COMMIT")?;
            Ok(value)
        });
        if done.is_err() {
            // Fails if the fault has ended the transaction already, which is as well.
            let _ = self.db.execute_batch("ROLLBACK");
        }
        done
    }

    pub(super) fn keep(&mut self, entries: &[Entry]) -> Result<Kept, Trouble> {
        let mut kept = Kept::default();
        for entry in entries {
            if self.marks && self.is_erased(entry)? {
                kept.erased = kept.erased.saturating_add(1);
                continue;
            }
            let mut insert = self.db.prepare_cached(
                "INSERT OR IGNORE INTO waiting (id, time, issuer, user, session, event)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let new = insert.execute(params![
                entry.id.as_bytes(),
                key(entry.time),
                entry.owner.issuer,
                entry.owner.user,
                entry.session,
                entry.json,
            ])?;
            if new == 0 {
                kept.duplicate = kept.duplicate.saturating_add(1);
            } else {
                kept.new = kept.new.saturating_add(1);
            }
        }
        Ok(kept)
    }

    fn is_erased(&self, entry: &Entry) -> Result<bool, Trouble> {
        let Some(session) = &entry.session else { return Ok(false) };
        let mut find = self.db.prepare_cached(
            "SELECT 1 FROM erased WHERE session = ?1 AND at >= ?2
             AND (user IS NULL OR (issuer = ?3 AND user = ?4))",
        )?;
        let Owner { issuer, user } = &entry.owner;
        let found = find
            .query_row(params![session, key(entry.time), issuer, user], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// The oldest entries. One that cannot be read any more is settled at once: second list.
    pub(super) fn next(&self, want: Want) -> Result<(Vec<Waiting>, Vec<Settled>), Trouble> {
        let mut select =
            self.db.prepare_cached("SELECT seq, event FROM waiting ORDER BY seq LIMIT ?1")?;
        let mut rows = select.query([i64::try_from(want.events).unwrap_or(i64::MAX)])?;
        let (mut waiting, mut unreadable, mut bytes) = (Vec::new(), Vec::new(), 0usize);
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let json = row.get_ref(1)?.as_blob().map_err(|_| Trouble::Corrupt)?;
            match serde_json::from_slice(json) {
                Ok(event) => waiting.push(Waiting { seq, event }),
                Err(_) => {
                    let refused = Some("the outbox cannot read it".to_owned());
                    unreadable.push(Settled { seq, refused });
                }
            }
            bytes = bytes.saturating_add(json.len());
            if bytes >= want.bytes {
                break;
            }
        }
        Ok((waiting, unreadable))
    }

    /// Gives the number of entries that left.
    pub(super) fn settle(&mut self, settled: &[Settled]) -> Result<usize, Trouble> {
        let mut gone = 0usize;
        for Settled { seq, refused } in settled {
            if let Some(reason) = refused {
                self.db
                    .prepare_cached(
                        "INSERT OR IGNORE INTO refused
                         SELECT id, time, issuer, user, session, event, ?2
                         FROM waiting WHERE seq = ?1",
                    )?
                    .execute(params![seq, reason])?;
            }
            let left =
                self.db.prepare_cached("DELETE FROM waiting WHERE seq = ?1")?.execute([seq])?;
            gone = gone.saturating_add(left);
        }
        Ok(gone)
    }

    pub(super) fn holds(&self, erasure: &Erasure) -> Result<bool, Trouble> {
        let (issuer, user) = erasure.names();
        let mut find = self.db.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM waiting WHERE session = ?1
             AND (?3 IS NULL OR (issuer = ?2 AND user = ?3)))",
        )?;
        Ok(find.query_row(params![erasure.session, issuer, user], |row| row.get(0))?)
    }

    pub(super) fn erase(&mut self, erasure: &Erasure) -> Result<usize, Trouble> {
        let (issuer, user) = erasure.names();
        let mut gone = 0;
        for table in ["waiting", "refused"] {
            let deleted = self.db.execute(
                &format!(
                    "DELETE FROM {table} WHERE session = ?1 AND time <= ?2
                     AND (?4 IS NULL OR (issuer = ?3 AND user = ?4))"
                ),
                params![erasure.session, key(erasure.at), issuer, user],
            )?;
            if table == "waiting" {
                gone = deleted;
            }
        }
        self.db.execute(
            "INSERT INTO erased (session, issuer, user, at) VALUES (?1, ?2, ?3, ?4)",
            params![erasure.session, issuer, user, key(erasure.at)],
        )?;
        self.marks = true;
        Ok(gone)
    }

    pub(super) fn tidy(&mut self, now: Millis) -> Result<(), Trouble> {
        let before = key(now.saturating_sub(MARK_MS));
        self.db.execute("DELETE FROM erased WHERE at < ?1", [before])?;
        self.marks =
            self.db.query_row("SELECT EXISTS (SELECT 1 FROM erased)", [], |row| row.get(0))?;
        Ok(())
    }

    /// Gives free pages back to the file system, a bounded number at a time.
    pub(super) fn shrink(&self) -> Result<(), Trouble> {
        let mut shrink = self.db.prepare_cached("PRAGMA incremental_vacuum(2048)")?;
        let mut rows = shrink.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// No page more than there are.
    #[cfg(test)]
    pub(super) fn limit_pages(&self) {
        let pages: i64 =
            self.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap_or(1);
        let _ = self.db.pragma_update(None, "max_page_count", pages);
    }

    /// Everything that can still be read of a damaged outbox. Reading stops at the damage, so
    /// it is read from both ends.
    pub(super) fn salvage(path: &Path) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Ok(db) = Connection::open(path) else { return entries };
        for order in ["ASC", "DESC"] {
            let sql = format!(
                "SELECT id, time, issuer, user, session, event FROM waiting ORDER BY seq {order}"
            );
            let Ok(mut select) = db.prepare(&sql) else { continue };
            let Ok(rows) = select.query_map([], |row| {
                let time: i64 = row.get(1)?;
                Ok(Entry {
                    id: uuid::Uuid::from_bytes(row.get(0)?),
                    time: time.unsigned_abs(),
                    owner: Owner { issuer: row.get(2)?, user: row.get(3)? },
                    session: row.get(4)?,
                    json: row.get(5)?,
                    redactions: 0,
                })
            }) else {
                continue;
            };
            entries.extend(rows.map_while(Result::ok));
        }
        entries
    }
}
