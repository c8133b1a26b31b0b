//! The store in a Weaviate server, by REST and GraphQL.
//!
//! Class `MemoryEvent`; object ids are UUIDv5 of the event's id, so the same event again replaces
//! itself. A batch answers 200 whatever became of its objects: every status is read. The server
//! may be down for as long as it likes: events wait in the outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::clock::{Clock, Millis};
use crate::event::{Event, Owner};
use crate::settings;

use super::{
    Events, Filter, Hit, Hits, Outcome, Page, Session, Sessions, Store, StoreError, Work, cursor,
    snippet,
};

mod batch;
mod client;
mod graphql;
mod object;
mod schema;
#[cfg(test)]
mod tests;

use batch::Attempts;
use client::{Client, Failure};

/// Objects that one answer of a query may hold; the server's own limit.
const MOST: usize = 10_000;

/// Rounds of deletion, each of up to [`MOST`] objects.
const ROUNDS: usize = 1_000;

/// Events, in Weaviate.
#[derive(Debug)]
pub struct Weaviate {
    client: Arc<Client>,
    /// A tenant for each owner.
    multi_tenancy: bool,
    /// The class is known to be there as we need it.
    ready: AtomicBool,
    attempts: Mutex<Attempts>,
    clock: Clock,
}

// === impl Weaviate ===

impl Weaviate {
    /// A store at the server that `settings` name. Nothing is sent yet.
    ///
    /// # Errors
    /// TLS cannot be set up, or the key holds what no header can.
    pub fn new(settings: &settings::Weaviate, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self {
            client: Arc::new(Client::new(&settings.url, settings.api_key.as_ref())?),
            multi_tenancy: settings.multi_tenancy,
            ready: AtomicBool::new(false),
            attempts: Mutex::default(),
            clock,
        })
    }

    /// Makes sure that the class is there.
    async fn prepare(&self) -> Result<(), StoreError> {
        if !self.ready.load(Relaxed) {
            schema::ensure(&self.client, self.multi_tenancy).await?;
            self.ready.store(true, Relaxed);
        }
        Ok(())
    }

    /// The tenants that a filter speaks of; `None` is the class itself, without tenants.
    async fn tenants(&self, owner: Option<&Owner>) -> Result<Vec<Option<String>>, StoreError> {
        match (self.multi_tenancy, owner) {
            (false, _) => Ok(vec![None]),
            (true, Some(owner)) => Ok(vec![Some(object::owner_key(owner))]),
            (true, None) => {
                Ok(schema::tenants(&self.client).await?.into_iter().map(Some).collect())
            }
        }
    }

    /// Objects of a `Get` over all tenants of the filter.
    async fn objects(
        &self,
        filter: &Filter,
        arguments: &str,
        extra: &str,
    ) -> Result<Vec<Value>, StoreError> {
        self.prepare().await?;
        let mut found = Vec::new();
        for tenant in self.tenants(filter.owner.as_ref()).await? {
            let query = graphql::get(tenant.as_deref(), arguments, extra);
            found.extend(graphql::run(&self.client, &query, "Get").await?);
        }
        Ok(found)
    }

    async fn list(&self, filter: &Filter, page: &Page) -> Result<Events, StoreError> {
        let mut conditions = graphql::conditions(filter);
        if let Some(text) = &page.cursor {
            let [time, id] = cursor::unpack::<2>("weaviate", text)?;
            let time = time.parse().map_err(|_| StoreError::BadCursor)?;
            conditions.push(graphql::before(time, &id));
        }
        let more = page.limit.saturating_add(1);
        let arguments =
            format!("{}sort: {} limit: {more}", graphql::wherever(&conditions), graphql::NEWEST);
        let objects = self.objects(filter, &arguments, "").await?;
        let mut items: Vec<Event> = objects
            .iter()
            .filter_map(object::event)
            .filter(|event| filter.owner.as_ref().is_none_or(|owner| event.owner() == *owner))
            .collect();
        items.sort_by(|a, b| b.time.cmp(&a.time).then(b.id.cmp(&a.id)));
        let next = (items.len() > page.limit).then(|| page.limit.checked_sub(1)).flatten();
        let next = next
            .and_then(|last| items.get(last))
            .map(|last| cursor::pack("weaviate", &[&last.time.to_string(), &last.id.to_string()]));
        items.truncate(page.limit);
        Ok(Events { items, next })
    }

    async fn find(&self, words: &str, filter: &Filter, page: &Page) -> Result<Hits, StoreError> {
        let mut filter = filter.clone();
        let (upper, offset) = match &page.cursor {
            Some(text) => {
                let [upper, offset] = cursor::unpack_numbers::<2>("weaviate-search", text)?;
                let offset = usize::try_from(offset).map_err(|_| StoreError::BadCursor)?;
                (Millis::try_from(upper).map_err(|_| StoreError::BadCursor)?, offset)
            }
            // What comes later does not shift the pages after.
            None => (self.clock.now().saturating_add(60_000), 0),
        };
        filter.until = Some(filter.until.map_or(upper, |until| until.min(upper)));
        let shown = offset.saturating_add(page.limit);
        if shown >= MOST {
            return Ok(Hits::default());
        }
        let more = shown.saturating_add(1);
        let arguments = format!(
            "{}{}limit: {more}",
            graphql::bm25(words),
            graphql::wherever(&graphql::conditions(&filter)),
        );
        let objects = self.objects(&filter, &arguments, "_additional { score }").await?;
        let mut items: Vec<Hit> = objects.iter().filter_map(|object| hit(object, words)).collect();
        items.retain(|hit| filter.owner.as_ref().is_none_or(|owner| hit.event.owner() == *owner));
        items.sort_by(|a, b| {
            let by_time = || b.event.time.cmp(&a.event.time).then(b.event.id.cmp(&a.event.id));
            b.score.total_cmp(&a.score).then_with(by_time)
        });
        let next = (items.len() > shown)
            .then(|| cursor::pack("weaviate-search", &[&upper.to_string(), &shown.to_string()]));
        let items = items.into_iter().skip(offset).take(page.limit).collect();
        Ok(Hits { items, next })
    }

    async fn list_sessions(&self, filter: &Filter, page: &Page) -> Result<Sessions, StoreError> {
        self.prepare().await?;
        let conditions = graphql::conditions(filter);
        let mut items: Vec<Session> = Vec::new();
        for tenant in self.tenants(filter.owner.as_ref()).await? {
            let query = graphql::sessions(tenant.as_deref(), &conditions, MOST);
            let groups = graphql::run(&self.client, &query, "Aggregate").await?;
            items.extend(groups.iter().filter_map(object::session));
        }
        items.sort_by(|a, b| b.first.cmp(&a.first).then_with(|| b.id.cmp(&a.id)));
        if let Some(text) = &page.cursor {
            let [first, id] = cursor::unpack::<2>("weaviate-sessions", text)?;
            let first: Millis = first.parse().map_err(|_| StoreError::BadCursor)?;
            items.retain(|item| (item.first, &item.id) < (first, &id));
        }
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| cursor::pack("weaviate-sessions", &[&last.first.to_string(), &last.id]));
        Ok(Sessions { items, next })
    }

    async fn delete(&self, owner: Option<&Owner>, session: &str) -> Result<u64, StoreError> {
        self.prepare().await?;
        let filter = Filter {
            owner: owner.cloned(),
            session: Some(session.to_owned()),
            ..Filter::default()
        };
        let chosen = graphql::json_filter(&filter);
        let body = json!({"match": {"class": schema::CLASS, "where": chosen}, "output": "minimal"});
        let mut gone = 0u64;
        for tenant in self.tenants(owner).await? {
            for _ in 0..ROUNDS {
                let (matches, deleted) = self.delete_some(tenant.as_deref(), &body).await?;
                gone = gone.saturating_add(deleted);
                if matches == 0 || deleted == 0 {
                    break;
                }
            }
        }
        Ok(gone)
    }

    async fn delete_some(
        &self,
        tenant: Option<&str>,
        body: &Value,
    ) -> Result<(u64, u64), StoreError> {
        let path = match tenant {
            Some(tenant) => format!("/v1/batch/objects?tenant={tenant}"),
            None => "/v1/batch/objects".to_owned(),
        };
        let answer = match self.client.call(reqwest::Method::DELETE, &path, Some(body)).await {
            Ok(answer) => answer,
            // A tenant that was never made has nothing to delete.
            Err(Failure::Refused { reason, .. }) if graphql::is_no_tenant(&reason) => {
                return Ok((0, 0));
            }
            Err(failure) => return Err(failure.into()),
        };
        let number =
            |name: &str| answer.pointer(&format!("/results/{name}")).and_then(Value::as_u64);
        match (number("matches"), number("failed")) {
            (Some(matches), None | Some(0)) => {
                Ok((matches, number("successful").unwrap_or(matches)))
            }
            _ => Err(StoreError::Unavailable("not everything could be erased".into())),
        }
    }
}

fn hit(object: &Value, words: &str) -> Option<Hit> {
    let event = object::event(object)?;
    let score = object.pointer("/_additional/score")?;
    // The server gives it as a text.
    let score = score.as_f64().or_else(|| score.as_str()?.parse().ok())?;
    let snippet = snippet::of(&event, words);
    Some(Hit { event, snippet, score })
}

impl Store for Weaviate {
    fn put<'a>(&'a self, events: &'a [Event]) -> Work<'a, Vec<Outcome>> {
        Box::pin(async move {
            self.prepare().await?;
            let done = batch::put(&self.client, events, self.multi_tenancy, &self.attempts).await;
            if done.schema_is_gone {
                self.ready.store(false, Relaxed);
            }
            done.outcomes
        })
    }

    fn events<'a>(&'a self, filter: &'a Filter, page: &'a Page) -> Work<'a, Events> {
        Box::pin(self.list(filter, page))
    }

    fn search<'a>(&'a self, words: &'a str, filter: &'a Filter, page: &'a Page) -> Work<'a, Hits> {
        Box::pin(self.find(words, filter, page))
    }

    fn sessions<'a>(&'a self, filter: &'a Filter, page: &'a Page) -> Work<'a, Sessions> {
        Box::pin(self.list_sessions(filter, page))
    }

    fn erase<'a>(&'a self, owner: Option<&'a Owner>, session: &'a str) -> Work<'a, u64> {
        Box::pin(self.delete(owner, session))
    }

    /// The server keeps what it has; this only looks whether it is there.
    fn tidy(&self, _: Millis) -> Work<'_, ()> {
        Box::pin(self.prepare())
    }
}
