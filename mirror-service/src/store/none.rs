//! The store that keeps nothing.

use crate::clock::Millis;
use crate::event::{Event, Owner};

use super::{Events, Filter, Hits, Outcome, Page, Sessions, Store, Work};

/// Forgets at once.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

// === impl Nowhere ===

impl Store for Nowhere {
    fn put<'a>(&'a self, events: &'a [Event]) -> Work<'a, Vec<Outcome>> {
        Box::pin(async { Ok(vec![Outcome::Stored; events.len()]) })
    }

    fn events<'a>(&'a self, _: &'a Filter, _: &'a Page) -> Work<'a, Events> {
        Box::pin(async { Ok(Events::default()) })
    }

    fn search<'a>(&'a self, _: &'a str, _: &'a Filter, _: &'a Page) -> Work<'a, Hits> {
        Box::pin(async { Ok(Hits::default()) })
    }

    fn sessions<'a>(&'a self, _: &'a Filter, _: &'a Page) -> Work<'a, Sessions> {
        Box::pin(async { Ok(Sessions::default()) })
    }

    fn erase<'a>(&'a self, _: Option<&'a Owner>, _: &'a str) -> Work<'a, u64> {
        Box::pin(async { Ok(0) })
    }

    fn tidy(&self, _: Millis) -> Work<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
