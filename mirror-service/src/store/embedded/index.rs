//! The full-text index, in shards of equal numbers of events.

use rusqlite::Connection;

use crate::sqlite::Trouble;

use super::schema;

/// Events of one shard. Ranking looks at every match of a shard, so this bounds the time of a
/// search whose words are everywhere; a rare word costs one look-up a shard.
pub(super) const SHARD: i64 = if cfg!(test) { 1_024 } else { 8_192 };

/// Events that one step indexes: what an urgent command may have to wait for.
const STEP: i64 = 512;

/// The shard of a `seq`; the first `seq` is 1.
pub(super) fn shard_of(seq: i64) -> i64 {
    seq.saturating_sub(1).div_euclid(SHARD)
}

/// First and last `seq` of a shard.
pub(super) fn bounds(shard: i64) -> (i64, i64) {
    let first = shard.saturating_mul(SHARD).saturating_add(1);
    (first, first.saturating_add(SHARD).saturating_sub(1))
}

/// The table of a shard.
pub(super) fn table(shard: i64) -> String {
    format!("words_{shard}")
}

/// Indexes the next events. Gives the number of those that still wait.
pub(super) fn advance(db: &Connection) -> Result<i64, Trouble> {
    let indexed = schema::indexed(db)?;
    let last = schema::last(db)?;
    if indexed >= last {
        return Ok(0);
    }
    let from = indexed.saturating_add(1);
    let shard = shard_of(from);
    let (_, end) = bounds(shard);
    let to = last.min(end).min(indexed.saturating_add(STEP));
    create(db, shard)?;
    let table = table(shard);
    db.prepare_cached(&format!(
        "INSERT INTO {table} (rowid, keys, prompt, answer)
         SELECT seq, keys, prompt, answer FROM events WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq"
    ))?
    .execute([from, to])?;
    if to == end {
        // Nothing is added to this shard any more: one segment is the fastest to search.
        optimize(db, shard)?;
    }
    schema::set_indexed(db, to)?;
    Ok(last.saturating_sub(to))
}

fn create(db: &Connection, shard: i64) -> Result<(), Trouble> {
    let known: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM shards WHERE n = ?1)")?
        .query_row([shard], |row| row.get(0))?;
    if known {
        return Ok(());
    }
    let table = table(shard);
    // The words are in `events` already; the index refers to them.
    db.execute_batch(&format!(
        "CREATE VIRTUAL TABLE {table} USING fts5 (
             keys, prompt, answer, content='events', content_rowid='seq',
             tokenize='unicode61 remove_diacritics 2'
         );
         INSERT INTO {table} ({table}, rank) VALUES ('hashsize', 8388608);"
    ))?;
    db.execute("INSERT INTO shards (n) VALUES (?1)", [shard])?;
    Ok(())
}

/// Takes one event out of the index, before its row goes.
pub(super) fn remove(db: &Connection, seq: i64) -> Result<(), Trouble> {
    let table = table(shard_of(seq));
    db.prepare_cached(&format!(
        "INSERT INTO {table} ({table}, rowid, keys, prompt, answer)
         SELECT 'delete', seq, keys, prompt, answer FROM events WHERE seq = ?1"
    ))?
    .execute([seq])?;
    Ok(())
}

/// Merges a shard into one segment, without what was deleted.
pub(super) fn optimize(db: &Connection, shard: i64) -> Result<(), Trouble> {
    let table = table(shard);
    db.execute(&format!("INSERT INTO {table} ({table}) VALUES ('optimize')"), [])?;
    Ok(())
}

/// Drops a shard.
pub(super) fn drop_shard(db: &Connection, shard: i64) -> Result<(), Trouble> {
    db.execute_batch(&format!("DROP TABLE IF EXISTS {}", table(shard)))?;
    db.execute("DELETE FROM shards WHERE n = ?1", [shard])?;
    Ok(())
}
