//! Tables of the embedded store.

use std::fmt::Write as _;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::sqlite::Trouble;

/// `keys` holds terms for owner, session and sid, so that the full-text index can narrow a search
/// to them without looking at the rows. `meta` is the event without prompt and answer.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS owners (
        id INTEGER PRIMARY KEY,
        issuer TEXT NOT NULL,
        user TEXT NOT NULL,
        UNIQUE (issuer, user)
    );
    CREATE TABLE IF NOT EXISTS sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL,
        name TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        events INTEGER NOT NULL,
        UNIQUE (name, owner)
    );
    CREATE INDEX IF NOT EXISTS sessions_owner ON sessions (owner, first);
    CREATE INDEX IF NOT EXISTS sessions_first ON sessions (first);
    CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL UNIQUE,
        time INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        session INTEGER,
        sid TEXT,
        keys TEXT NOT NULL,
        meta BLOB NOT NULL,
        prompt TEXT,
        answer TEXT
    );
    CREATE INDEX IF NOT EXISTS events_time ON events (time);
    CREATE INDEX IF NOT EXISTS events_owner ON events (owner, time);
    CREATE INDEX IF NOT EXISTS events_session ON events (session, time);
    CREATE INDEX IF NOT EXISTS events_sid ON events (sid, time);
    CREATE TABLE IF NOT EXISTS shards (n INTEGER PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT OR IGNORE INTO marks VALUES ('indexed', 0);
";

/// The last `seq` that is in the full-text index.
pub(super) fn indexed(db: &Connection) -> Result<i64, Trouble> {
    let sql = "SELECT value FROM marks WHERE name = 'indexed'";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

pub(super) fn set_indexed(db: &Connection, seq: i64) -> Result<(), Trouble> {
    db.prepare_cached("UPDATE marks SET value = ?1 WHERE name = 'indexed'")?.execute([seq])?;
    Ok(())
}

/// The last `seq` there is.
pub(super) fn last(db: &Connection) -> Result<i64, Trouble> {
    let sql = "SELECT coalesce(max(seq), 0) FROM events";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The index term of an owner.
pub(super) fn owner_key(owner: i64) -> String {
    format!("o{owner}")
}

/// The index term of a session.
pub(super) fn session_key(session: i64) -> String {
    format!("s{session}")
}

/// The index term of a sid: digested, because a sid may have characters that split terms.
pub(super) fn sid_key(sid: &str) -> String {
    let mut key = String::from("i");
    for byte in Sha256::digest(sid.as_bytes()).iter().take(8) {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}
