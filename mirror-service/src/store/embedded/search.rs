//! Ranked full-text search over the shards, newest first.
//!
//! Shards are searched from the newest on until there are enough candidates; these are ranked by
//! BM25. When they are all shown, the pages after continue with older shards. So a search costs
//! about the same whether ten events match or a million.

use std::collections::HashSet;

use rusqlite::{Connection, params, params_from_iter};

use crate::store::{Filter, Hit, Hits, Page, cursor};

use super::read::{self, COLUMNS, Conditions, Resolved};
use super::{ReadFault, index, schema};

/// Candidates after which no older shard is searched.
const CANDIDATES: usize = 1_000;

/// Words of a query that are looked for; more do not make it more precise.
const WORDS: usize = 32;

/// Matches in one shard from which on a word is common: a quarter of it.
const COMMON: i64 = index::SHARD / 4;

/// Tokens of a snippet.
const SNIPPET: u32 = 24;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    seq: i64,
    score: f64,
}

/// What a search looks for, as FTS5 expressions.
#[derive(Debug)]
struct Wanted {
    /// Terms of the `keys` column that every match has.
    keys: Vec<String>,
    /// What was typed, each word quoted: nothing in it is syntax.
    words: Vec<String>,
    /// Some of `words`, if the others are so common that they say nothing about rank.
    telling: Option<Vec<String>>,
}

// === impl Wanted ===

impl Wanted {
    /// Nothing if there is no word.
    fn new(typed: &str, resolved: Resolved, filter: &Filter) -> Option<Self> {
        let words: Vec<String> = typed
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .take(WORDS)
            .map(|word| format!("\"{}\"", word.replace('"', "\"\"").replace('\0', " ")))
            .collect();
        let keys = [
            resolved.session.map(schema::session_key),
            // A session has one owner.
            resolved.owner.filter(|_| resolved.session.is_none()).map(schema::owner_key),
            filter.sid.as_deref().map(schema::sid_key),
        ];
        let keys = keys.into_iter().flatten().map(|key| format!("keys : \"{key}\"")).collect();
        (!words.is_empty()).then_some(Self { keys, words, telling: None })
    }

    /// Finds the words that tell matches apart. BM25 counts every occurrence of every word of
    /// its expression in the shard, and all that work gives a word that is nearly everywhere a
    /// weight of nearly nothing.
    fn weigh(&mut self, db: &Connection, shard: i64) -> Result<(), ReadFault> {
        if self.words.len() < 2 && self.keys.is_empty() {
            return Ok(());
        }
        let table = index::table(shard);
        let mut count = db.prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ?1 LIMIT ?2)"
        ))?;
        let mut telling = Vec::new();
        for word in &self.words {
            let found: i64 = count.query_row(params![in_text(word), COMMON], |row| row.get(0))?;
            if found < COMMON {
                telling.push(word.clone());
            }
        }
        if !telling.is_empty() && telling.len() < self.words.len() {
            self.telling = Some(telling);
        }
        Ok(())
    }

    /// Every key and every one of `words`.
    fn all(&self, words: &[String]) -> String {
        let mut all = self.keys.clone();
        all.push(in_text(&words.join(" AND ")));
        all.join(" AND ")
    }
}

/// An expression on what people wrote and read.
fn in_text(expression: &str) -> String {
    format!("{{prompt answer}} : ({expression})")
}

pub(super) fn search(
    db: &Connection,
    typed: &str,
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
    let Some(resolved) = read::resolve(db, filter)? else { return Ok(Hits::default()) };
    let Some(wanted) = Wanted::new(typed, resolved, filter) else { return Ok(Hits::default()) };
    let words = in_text(&wanted.words.join(" AND "));
    let (mut ranked, older) = candidates(db, wanted, filter, upper)?;
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
    mut wanted: Wanted,
    filter: &Filter,
    upper: i64,
) -> Result<(Vec<Candidate>, Option<i64>), ReadFault> {
    let shards: Vec<i64> = db
        .prepare_cached("SELECT n FROM shards WHERE n <= ?1 ORDER BY n DESC")?
        .query_map([index::shard_of(upper)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // The newest may be nearly empty.
    if let Some(shard) = shards.get(1) {
        wanted.weigh(db, *shard)?;
    }
    let mut found = Vec::new();
    for shard in shards {
        if found.len() >= CANDIDATES {
            return Ok((found, Some(index::bounds(shard).1)));
        }
        let all = wanted.all(&wanted.words);
        match &wanted.telling {
            None => found.extend(in_shard(db, shard, &all, filter, upper, Rank::Bm25)?),
            Some(telling) => {
                let matches = in_shard(db, shard, &all, filter, upper, Rank::None)?;
                if matches.is_empty() {
                    continue;
                }
                let matches: HashSet<i64> = matches.iter().map(|found| found.seq).collect();
                let few = wanted.all(telling);
                let ranked = in_shard(db, shard, &few, filter, upper, Rank::Bm25)?;
                found.extend(ranked.into_iter().filter(|found| matches.contains(&found.seq)));
            }
        }
    }
    Ok((found, None))
}

/// How the matches of a shard are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Bm25,
    None,
}

fn in_shard(
    db: &Connection,
    shard: i64,
    expression: &str,
    filter: &Filter,
    upper: i64,
    rank: Rank,
) -> Result<Vec<Candidate>, ReadFault> {
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
    let score = match rank {
        // The terms of `keys` narrow the search; they say nothing about how well it matches.
        // SQLite's rank is negative, the best the lowest.
        Rank::Bm25 => format!("-bm25({table}, 0.0, 1.0, 1.0)"),
        Rank::None => "0.0".to_owned(),
    };
    let mut select = db.prepare_cached(&format!(
        "SELECT {table}.rowid, {score} FROM {table}{join}{}",
        wanted.sql()
    ))?;
    let rows = select.query_map(params_from_iter(&wanted.values), |row| {
        Ok(Candidate { seq: row.get(0)?, score: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_person_types_has_no_syntax() {
        let nobody = Resolved { owner: None, session: None };
        let wanted = |typed: &str| Wanted::new(typed, nobody, &Filter::default());
        assert_eq!(wanted("x\"y OR").unwrap().words, ["\"x\"\"y\"", "\"OR\""]);
        let some = wanted("a b").unwrap();
        assert_eq!(some.all(&some.words), "{prompt answer} : (\"a\" AND \"b\")");
        assert!(wanted(" * - () \" ").is_none());
    }
}
