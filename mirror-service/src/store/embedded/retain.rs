//! What leaves the store: erased sessions, and what age and size forget.

use rusqlite::{Connection, params};

use crate::clock::Millis;
use crate::event::Owner;
use crate::settings::Retention;
use crate::sqlite::{self, Trouble};

use super::{index, schema};

/// Events that one step forgets.
const STEP: i64 = 500;

/// Pages that one step gives back to the file system.
const PAGES: u32 = 1024;

/// Erases the sessions called `name`: that of `owner`, or everybody's. Gives the number of
/// events.
pub(super) fn erase(db: &Connection, owner: Option<&Owner>, name: &str) -> Result<u64, Trouble> {
    let (issuer, user) = match owner {
        Some(Owner { issuer, user }) => (Some(issuer), Some(user)),
        None => (None, None),
    };
    let sessions: Vec<i64> = db
        .prepare_cached(
            "SELECT sessions.id FROM sessions JOIN owners ON owners.id = sessions.owner
             WHERE name = ?1 AND (?3 IS NULL OR (issuer = ?2 AND user = ?3))",
        )?
        .query_map(params![name, issuer, user], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut gone = 0u64;
    for session in sessions {
        let events = numbers(db, "SELECT seq FROM events WHERE session = ?1", &[session])?;
        gone = gone.saturating_add(forget(db, &events)?);
        db.execute("DELETE FROM sessions WHERE id = ?1", [session])?;
    }
    Ok(gone)
}

/// One step of retention: how many events went, and whether there is more to do.
pub(super) fn tidy(
    db: &Connection,
    retention: Retention,
    now: Millis,
) -> Result<(u64, bool), Trouble> {
    let mut gone = 0u64;
    if let Some(age) = retention.max_age_ms {
        let before = i64::try_from(now.saturating_sub(age)).unwrap_or(i64::MAX);
        let sql = "SELECT seq FROM events WHERE time < ?1 ORDER BY time LIMIT ?2";
        gone = gone.saturating_add(forget(db, &numbers(db, sql, &[before, STEP])?)?);
    }
    if let Some(most) = retention.max_bytes
        && sqlite::used_bytes(db)? > most
    {
        gone = gone.saturating_add(forget_oldest(db)?);
    }
    let shrunk = shrink(db)?;
    Ok((gone, gone > 0 || shrunk))
}

fn numbers(db: &Connection, sql: &str, values: &[i64]) -> Result<Vec<i64>, Trouble> {
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets the oldest shard; if there is only one, its oldest events.
fn forget_oldest(db: &Connection) -> Result<u64, Trouble> {
    let shards = numbers(db, "SELECT n FROM shards ORDER BY n LIMIT 2", &[])?;
    if let [oldest, _] = shards.as_slice() {
        index::drop_shard(db, *oldest)?;
        let (first, last) = index::bounds(*oldest);
        let sql = "SELECT DISTINCT session FROM events
                   WHERE seq BETWEEN ?1 AND ?2 AND session IS NOT NULL";
        let touched = numbers(db, sql, &[first, last])?;
        let gone = db.execute("DELETE FROM events WHERE seq BETWEEN ?1 AND ?2", [first, last])?;
        recount(db, &touched)?;
        return Ok(crate::stats::count(gone));
    }
    let oldest = numbers(db, "SELECT seq FROM events ORDER BY seq LIMIT ?1", &[STEP])?;
    let gone = forget(db, &oldest)?;
    if let (Some(shard), true) = (shards.first(), gone > 0) {
        // Deleted words take room until segments are merged.
        index::optimize(db, *shard)?;
    }
    Ok(gone)
}

/// Takes events out of index and table.
fn forget(db: &Connection, events: &[i64]) -> Result<u64, Trouble> {
    let indexed = schema::indexed(db)?;
    let mut touched = Vec::new();
    for seq in events {
        if *seq <= indexed {
            index::remove(db, *seq)?;
        }
        let session: Option<i64> = db
            .prepare_cached("DELETE FROM events WHERE seq = ?1 RETURNING session")?
            .query_row([seq], |row| row.get(0))?;
        touched.extend(session);
    }
    touched.sort_unstable();
    touched.dedup();
    recount(db, &touched)?;
    Ok(crate::stats::count(events.len()))
}

/// Counts sessions anew; one without events goes.
fn recount(db: &Connection, sessions: &[i64]) -> Result<(), Trouble> {
    for session in sessions {
        db.prepare_cached(
            "UPDATE sessions SET (events, first, last) = (
                 SELECT count(*), coalesce(min(time), 0), coalesce(max(time), 0)
                 FROM events WHERE session = ?1
             ) WHERE id = ?1",
        )?
        .execute([session])?;
        db.prepare_cached("DELETE FROM sessions WHERE id = ?1 AND events = 0")?
            .execute([session])?;
    }
    Ok(())
}

/// Gives free pages back; whether there are more.
fn shrink(db: &Connection) -> Result<bool, Trouble> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > 0 {
        let mut shrink = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut rows = shrink.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(free > i64::from(PAGES))
}
