//! Storing events.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::{Event, Owner};
use crate::sqlite::Trouble;

use super::schema;

/// Owners and sessions whose numbers are remembered.
const KNOWN: usize = 10_000;

/// Numbers of owners and sessions, remembered.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    owners: HashMap<Owner, i64>,
    sessions: HashMap<(i64, String), i64>,
}

/// Stores events; those that are there already change nothing. Tells which are new.
pub(super) fn put(
    db: &Connection,
    numbers: &mut Numbers,
    events: &[Event],
) -> Result<Vec<bool>, Trouble> {
    events.iter().map(|event| one(db, numbers, event)).collect()
}

fn one(db: &Connection, numbers: &mut Numbers, event: &Event) -> Result<bool, Trouble> {
    let time = i64::try_from(event.time).unwrap_or(i64::MAX);
    let owner = numbers.owner(db, event.owner())?;
    let session = match &event.session {
        Some(name) => Some(numbers.session(db, owner, name, time)?),
        None => None,
    };
    let mut keys = schema::owner_key(owner);
    let more = [session.map(schema::session_key), event.sid.as_deref().map(schema::sid_key)];
    for key in more.into_iter().flatten() {
        keys.push(' ');
        keys.push_str(&key);
    }
    let meta = Event { prompt: None, answer: None, ..event.clone() };
    let meta = serde_json::to_vec(&meta).map_err(|_| Trouble::Unavailable)?;
    let new = db
        .prepare_cached(
            "INSERT OR IGNORE INTO events
             (id, time, owner, session, sid, keys, meta, prompt, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            event.id.as_bytes(),
            time,
            owner,
            session,
            event.sid,
            keys,
            meta,
            event.prompt,
            event.answer,
        ])?;
    if new == 1
        && let Some(session) = session
    {
        db.prepare_cached(
            "UPDATE sessions SET first = min(first, ?2), last = max(last, ?2), events = events + 1
             WHERE id = ?1",
        )?
        .execute([session, time])?;
    }
    Ok(new == 1)
}

// === impl Numbers ===

impl Numbers {
    fn owner(&mut self, db: &Connection, owner: Owner) -> Result<i64, Trouble> {
        if let Some(id) = self.owners.get(&owner) {
            return Ok(*id);
        }
        if self.owners.len() >= KNOWN {
            self.owners.clear();
        }
        let found: Option<i64> = db
            .prepare_cached("SELECT id FROM owners WHERE issuer = ?1 AND user = ?2")?
            .query_row(params![owner.issuer, owner.user], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => db
                .prepare_cached("INSERT INTO owners (issuer, user) VALUES (?1, ?2)")?
                .insert(params![owner.issuer, owner.user])?,
        };
        self.owners.insert(owner, id);
        Ok(id)
    }

    fn session(
        &mut self,
        db: &Connection,
        owner: i64,
        name: &str,
        time: i64,
    ) -> Result<i64, Trouble> {
        let key = (owner, name.to_owned());
        if let Some(id) = self.sessions.get(&key) {
            return Ok(*id);
        }
        if self.sessions.len() >= KNOWN {
            self.sessions.clear();
        }
        let found: Option<i64> = db
            .prepare_cached("SELECT id FROM sessions WHERE name = ?1 AND owner = ?2")?
            .query_row(params![name, owner], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => db
                .prepare_cached(
                    "INSERT INTO sessions (owner, name, first, last, events)
                     VALUES (?1, ?2, ?3, ?3, 0)",
                )?
                .insert(params![owner, name, time])?,
        };
        self.sessions.insert(key, id);
        Ok(id)
    }
}
