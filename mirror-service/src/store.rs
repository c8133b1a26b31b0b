//! Where events end up and are found again.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::clock::Millis;
use crate::event::{Event, Owner};

mod cursor;
mod embedded;
mod none;
mod snippet;
mod weaviate;

pub use embedded::Embedded;
pub use none::Nowhere;
pub use weaviate::Weaviate;

/// A future of a store's.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What the service needs of a store.
pub trait Store: Debug + Send + Sync {
    /// Stores events; an id that is known already changes nothing. One [`Outcome`] an event, in
    /// order. They are durable when this returns.
    fn put<'a>(&'a self, events: &'a [Event]) -> Work<'a, Vec<Outcome>>;

    /// Newest first.
    fn events<'a>(&'a self, filter: &'a Filter, page: &'a Page) -> Work<'a, Events>;

    /// Best first. `words` is what a person typed; it has no syntax, and every word must be
    /// there: in prompt or answer (embedded), all in one of them (Weaviate).
    fn search<'a>(&'a self, words: &'a str, filter: &'a Filter, page: &'a Page) -> Work<'a, Hits>;

    /// Latest first.
    fn sessions<'a>(&'a self, filter: &'a Filter, page: &'a Page) -> Work<'a, Sessions>;

    /// Erases a session of `owner`, of anybody if absent. Gives the number of erased events.
    fn erase<'a>(&'a self, owner: Option<&'a Owner>, session: &'a str) -> Work<'a, u64>;

    /// Housekeeping: retention, indexes.
    fn tidy(&self, now: Millis) -> Work<'_, ()>;
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Stored,
    /// It was there already, as far as the store can tell.
    Known,
    /// It was not the event's fault: again later.
    Later,
    /// The store will never take it.
    Refused(String),
}

/// Which events are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this owner's; everybody's if absent.
    pub owner: Option<Owner>,
    /// Only this session's.
    pub session: Option<String>,
    /// Only this `X-Session-ID`'s.
    pub sid: Option<String>,
    /// Only at or after this time.
    pub since: Option<Millis>,
    /// Only before this time.
    pub until: Option<Millis>,
}

/// Which part of a list is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many items.
    pub limit: usize,
    /// Where the page before ended, as that page said.
    pub cursor: Option<String>,
}

/// A page of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// The events.
    pub items: Vec<Event>,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// A page of search results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hits {
    /// The results.
    pub items: Vec<Hit>,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// A search result.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// What was found.
    pub event: Event,
    /// The part of it that matches.
    pub snippet: String,
    /// How well it matches; higher is better.
    pub score: f64,
}

/// A page of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The sessions.
    pub items: Vec<Session>,
    /// Cursor of the page after.
    pub next: Option<String>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `X-Attach-Session`.
    pub id: String,
    /// Time of its first event.
    pub first: Millis,
    /// Time of its last event.
    pub last: Millis,
    /// How many events it has.
    pub events: u64,
}

/// Why a store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The cursor is not one of ours.
    #[error("the cursor is not valid")]
    BadCursor,
    /// It may work later.
    #[error("the store cannot be used now: {0}")]
    Unavailable(String),
    /// The store cannot do this as it is set up.
    #[error("not possible: {0}")]
    Unsupported(&'static str),
}
