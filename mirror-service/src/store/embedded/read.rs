//! Lists: events and sessions.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use crate::event::{Event, Owner};
use crate::store::{Events, Filter, Page, Session, Sessions, cursor};

use super::ReadFault;

/// Columns that [`event`] reads.
pub(super) const COLUMNS: &str = "e.seq, e.time, e.meta, e.prompt, e.answer";

/// Conditions of a query and their values.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    sql: String,
    pub(super) values: Vec<Value>,
}

/// The numbers that a filter's names have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    pub(super) owner: Option<i64>,
    /// Only with an owner: names of sessions are not unique across owners.
    pub(super) session: Option<i64>,
}

// === impl Conditions ===

impl Conditions {
    /// Adds a condition on one value, written `?`.
    pub(super) fn and(&mut self, sql: &str, value: impl Into<Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(sql);
        self.values.push(value.into());
    }

    /// Only rows that come after the one with these values, in descending order.
    fn below(&mut self, columns: &str, [first, second]: [i64; 2]) {
        self.and(&format!("({columns}) < (?, "), first);
        self.sql.push_str("?)");
        self.values.push(second.into());
    }

    /// The time limits of a filter.
    pub(super) fn times(&mut self, filter: &Filter) {
        if let Some(since) = filter.since {
            self.and("e.time >= ?", key(since));
        }
        if let Some(until) = filter.until {
            self.and("e.time < ?", key(until));
        }
    }

    /// One row more than the page has tells whether there is a page after.
    fn limit(&mut self, page: &Page) {
        self.values.push(key(crate::stats::count(page.limit.saturating_add(1))).into());
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}

fn key(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Looks up the names of a filter. Nothing if one of them is unknown: then nothing matches.
pub(super) fn resolve(db: &Connection, filter: &Filter) -> Result<Option<Resolved>, ReadFault> {
    let Some(Owner { issuer, user }) = &filter.owner else {
        return Ok(Some(Resolved { owner: None, session: None }));
    };
    let owner: Option<i64> = db
        .prepare_cached("SELECT id FROM owners WHERE issuer = ?1 AND user = ?2")?
        .query_row(params![issuer, user], |row| row.get(0))
        .optional()?;
    let (Some(_), Some(name)) = (owner, &filter.session) else {
        return Ok(owner.map(|owner| Resolved { owner: Some(owner), session: None }));
    };
    let session: Option<i64> = db
        .prepare_cached("SELECT id FROM sessions WHERE name = ?1 AND owner = ?2")?
        .query_row(params![name, owner], |row| row.get(0))
        .optional()?;
    Ok(session.map(|session| Resolved { owner, session: Some(session) }))
}

pub(super) fn events(db: &Connection, filter: &Filter, page: &Page) -> Result<Events, ReadFault> {
    let mut wanted = Conditions::default();
    if let Some(text) = &page.cursor {
        wanted.below("e.time, e.seq", cursor::unpack_numbers("events", text)?);
    }
    let Some(resolved) = resolve(db, filter)? else { return Ok(Events::default()) };
    match (resolved.session, resolved.owner, &filter.session) {
        (Some(session), _, _) => wanted.and("e.session = ?", session),
        (None, Some(owner), _) => wanted.and("e.owner = ?", owner),
        (None, None, Some(name)) => {
            wanted.and("e.session IN (SELECT id FROM sessions WHERE name = ?)", name.clone());
        }
        (None, None, None) => {}
    }
    if let Some(sid) = &filter.sid {
        wanted.and("e.sid = ?", sid.clone());
    }
    wanted.times(filter);
    wanted.limit(page);
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events e{} ORDER BY e.time DESC, e.seq DESC LIMIT ?",
        wanted.sql()
    ))?;
    let mut rows = select.query(params_from_iter(&wanted.values))?;
    let mut found = Events::default();
    let (mut shown, mut last) = (0usize, [0i64; 2]);
    while let Some(row) = rows.next()? {
        if shown == page.limit {
            found.next = Some(next("events", last));
            break;
        }
        shown = shown.saturating_add(1);
        last = [row.get(1)?, row.get(0)?];
        // A row that cannot be read is left out, not a reason to show nothing.
        found.items.extend(event(row)?);
    }
    Ok(found)
}

fn next(kind: &str, [first, second]: [i64; 2]) -> String {
    cursor::pack(kind, &[&first.to_string(), &second.to_string()])
}

/// The event of a row of [`COLUMNS`].
pub(super) fn event(row: &Row<'_>) -> Result<Option<Event>, ReadFault> {
    let Ok(meta) = serde_json::from_slice::<Event>(&row.get::<_, Vec<u8>>(2)?) else {
        return Ok(None);
    };
    Ok(Some(Event { prompt: row.get(3)?, answer: row.get(4)?, ..meta }))
}

pub(super) fn sessions(
    db: &Connection,
    filter: &Filter,
    page: &Page,
) -> Result<Sessions, ReadFault> {
    let mut wanted = Conditions::default();
    if let Some(text) = &page.cursor {
        wanted.below("first, id", cursor::unpack_numbers("sessions", text)?);
    }
    let Some(resolved) = resolve(db, filter)? else { return Ok(Sessions::default()) };
    if let Some(owner) = resolved.owner {
        wanted.and("owner = ?", owner);
    }
    if let Some(name) = &filter.session {
        wanted.and("name = ?", name.clone());
    }
    if let Some(sid) = &filter.sid {
        wanted.and(
            "EXISTS (SELECT 1 FROM events e WHERE e.session = sessions.id AND e.sid = ?)",
            sid.clone(),
        );
    }
    if let Some(since) = filter.since {
        wanted.and("last >= ?", key(since));
    }
    if let Some(until) = filter.until {
        wanted.and("first < ?", key(until));
    }
    wanted.limit(page);
    // By their beginning, which new events do not change: a page never moves under the reader.
    let mut select = db.prepare_cached(&format!(
        "SELECT id, name, first, last, events FROM sessions{} ORDER BY first DESC, id DESC LIMIT ?",
        wanted.sql()
    ))?;
    let mut rows = select.query(params_from_iter(&wanted.values))?;
    let mut found = Sessions::default();
    let mut last = [0i64; 2];
    while let Some(row) = rows.next()? {
        if found.items.len() == page.limit {
            found.next = Some(next("sessions", last));
            break;
        }
        last = [row.get(2)?, row.get(0)?];
        found.items.push(Session {
            id: row.get(1)?,
            first: row.get::<_, i64>(2)?.unsigned_abs(),
            last: row.get::<_, i64>(3)?.unsigned_abs(),
            events: row.get::<_, i64>(4)?.unsigned_abs(),
        });
    }
    Ok(found)
}
