//! Ranked full-text search over the shards, newest first.
//!
//! Shards are searched from the newest on until there are enough candidates; these are ranked by
//! BM25. When they are all shown, the pages after continue with older shards. So a search costs
//! about the same whether ten events match or a million.

use rusqlite::{Connection, params, params_from_iter};

use crate::store::{Filter, Hit, Hits, Page, cursor};

use super::read::{self, COLUMNS, Conditions, Resolved};
use super::{ReadFault, index, schema};

/// Candidates after which no older shard is searched.
const CANDIDATES: usize = 1_000;

/// Words of a query that are looked for; more do not make it more precise.
const WORDS: usize = 32;

/// Tokens of a snippet.
const SNIPPET: u32 = 24;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    seq: i64,
    score: f64,
}

/// The FTS5 expression for what a person typed: every word, in prompt or answer. Words are
/// quoted, so nothing in them is syntax. Nothing if there is no word.
fn expression(words: &str) -> Option<String> {
    let quoted: Vec<String> = words
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(WORDS)
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"").replace('\0', " ")))
        .collect();
    (!quoted.is_empty()).then(|| format!("{{prompt answer}} : ({})", quoted.join(" AND ")))
}

/// Narrows an expression by the terms of the `keys` column.
fn narrowed(words: &str, resolved: Resolved, filter: &Filter) -> String {
    let keys = [
        resolved.session.map(schema::session_key),
        // A session has one owner.
        resolved.owner.filter(|_| resolved.session.is_none()).map(schema::owner_key),
        filter.sid.as_deref().map(schema::sid_key),
    ];
    let mut all: Vec<String> =
        keys.into_iter().flatten().map(|key| format!("keys : \"{key}\"")).collect();
    all.push(words.to_owned());
    all.join(" AND ")
}

pub(super) fn search(
    db: &Connection,
    words: &str,
    filter: &Filter,
    page: &Page,
) -> Result<Hits, ReadFault> {
    // Only events up to `upper`: what came since the first page does not shift the pages after.
    let (upper, offset) = match &page.cursor {
        Some(text) => {
            let [upper, offset] = cursor::unpack_numbers("search", text)?;
            (upper, usize::try_from(offset).map_err(|_| ReadFault::Cursor)?)
        }
        None => (schema::indexed(db).map_err(ReadFault::Trouble)?, 0),
    };
    let Some(words) = expression(words) else { return Ok(Hits::default()) };
    let Some(resolved) = read::resolve(db, filter)? else { return Ok(Hits::default()) };
    let (mut ranked, older) = candidates(db, &narrowed(&words, resolved, filter), filter, upper)?;
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.seq.cmp(&a.seq)));

    let mut hits = Hits::default();
    for candidate in ranked.iter().skip(offset).take(page.limit) {
        hits.items.extend(hit(db, &words, *candidate)?);
    }
    let shown = offset.saturating_add(page.limit);
    let next =
        if shown < ranked.len() { Some((upper, shown)) } else { older.map(|upper| (upper, 0)) };
    hits.next = next
        .map(|(upper, offset)| cursor::pack("search", &[&upper.to_string(), &offset.to_string()]));
    Ok(hits)
}

/// Matches of the newest shards up to `upper`, and the last `seq` of the shards not looked at.
fn candidates(
    db: &Connection,
    expression: &str,
    filter: &Filter,
    upper: i64,
) -> Result<(Vec<Candidate>, Option<i64>), ReadFault> {
    let shards: Vec<i64> = db
        .prepare_cached("SELECT n FROM shards WHERE n <= ?1 ORDER BY n DESC")?
        .query_map([index::shard_of(upper)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for shard in shards {
        if found.len() >= CANDIDATES {
            return Ok((found, Some(index::bounds(shard).1)));
        }
        in_shard(db, shard, expression, filter, upper, &mut found)?;
    }
    Ok((found, None))
}

fn in_shard(
    db: &Connection,
    shard: i64,
    expression: &str,
    filter: &Filter,
    upper: i64,
    found: &mut Vec<Candidate>,
) -> Result<(), ReadFault> {
    let table = index::table(shard);
    let mut wanted = Conditions::default();
    wanted.and(&format!("{table} MATCH ?"), expression.to_owned());
    if upper < index::bounds(shard).1 {
        wanted.and(&format!("{table}.rowid <= ?"), upper);
    }
    wanted.times(filter);
    if let (None, Some(name)) = (&filter.owner, &filter.session) {
        wanted.and("e.session IN (SELECT id FROM sessions WHERE name = ?)", name.clone());
    }
    // Rows are looked at only for what the index does not know.
    let by_row = filter.since.is_some()
        || filter.until.is_some()
        || (filter.owner.is_none() && filter.session.is_some());
    let join =
        if by_row { format!(" JOIN events e ON e.seq = {table}.rowid") } else { String::new() };
    // The terms of `keys` narrow the search; they say nothing about how well it matches.
    let mut select = db.prepare_cached(&format!(
        "SELECT {table}.rowid, bm25({table}, 0.0, 1.0, 1.0) FROM {table}{join}{}",
        wanted.sql()
    ))?;
    let mut rows = select.query(params_from_iter(&wanted.values))?;
    while let Some(row) = rows.next()? {
        // SQLite's rank is negative, the best the lowest.
        let rank: f64 = row.get(1)?;
        found.push(Candidate { seq: row.get(0)?, score: -rank });
    }
    Ok(())
}

fn hit(db: &Connection, words: &str, found: Candidate) -> Result<Option<Hit>, ReadFault> {
    let table = index::table(index::shard_of(found.seq));
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, snippet({table}, -1, '', '', '…', {SNIPPET})
         FROM {table} JOIN events e ON e.seq = {table}.rowid
         WHERE {table} MATCH ?1 AND {table}.rowid = ?2"
    ))?;
    let mut rows = select.query(params![words, found.seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let Some(event) = read::event(row)? else { return Ok(None) };
    let snippet: Option<String> = row.get(5)?;
    Ok(Some(Hit { event, snippet: snippet.unwrap_or_default(), score: found.score }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_has_no_syntax() {
        assert_eq!(expression("a b").as_deref(), Some("{prompt answer} : (\"a\" AND \"b\")"));
        let quoted = expression("x\"y OR");
        assert_eq!(quoted.as_deref(), Some("{prompt answer} : (\"x\"\"y\" AND \"OR\")"));
        assert_eq!(expression(" * - () \" "), None);
    }
}
