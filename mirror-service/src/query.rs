//! `/mem/*`: what people see of their memory, and how they erase it.
//!
//! Whoever asks is named by the headers that the gateway stamps. Nobody sees another's events,
//! unless a granted scope is `mem:admin`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::App;
use crate::clock::rfc3339;
use crate::event::Event;
use crate::fault::Fault;
use crate::store::{Filter, Hit, Session};

mod caller;
mod params;
#[cfg(test)]
mod tests;

pub(crate) use caller::{Caller, text};
use params::Params;

/// Longest text that is searched for.
const MAX_WORDS: usize = 1_000;

/// A page of events or hits, as it is shown.
#[derive(Serialize)]
struct EventsBody<T> {
    events: Vec<T>,
    next: Option<String>,
}

/// A hit, as it is shown: the event with two keys more.
#[derive(Serialize)]
struct HitBody {
    #[serde(flatten)]
    event: Event,
    snippet: String,
    score: f64,
}

/// A page of sessions, as it is shown.
#[derive(Serialize)]
struct SessionsBody {
    sessions: Vec<SessionBody>,
    next: Option<String>,
}

/// A session, as it is shown.
#[derive(Serialize)]
struct SessionBody {
    id: String,
    first: String,
    last: String,
    events: u64,
}

/// `GET /mem/events`: newest first.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let caller = Caller::from_headers(&headers)?;
    let params = Params::parse(query.as_deref())?;
    let filter = params.filter(&caller);
    let found = app.store.events(&filter, &params.page).await?;
    Ok(answer(&EventsBody { events: found.items, next: found.next }))
}

/// `GET /mem/search?q=`: best first.
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let caller = Caller::from_headers(&headers)?;
    let params = Params::parse(query.as_deref())?;
    let words = params.words.as_deref().map(str::trim).unwrap_or_default();
    if words.is_empty() {
        return Err(Fault::Invalid("q is missing: give the words to look for".into()));
    }
    if words.chars().count() > MAX_WORDS {
        return Err(Fault::Invalid(format!("q is longer than {MAX_WORDS} characters")));
    }
    let found = app.store.search(words, &params.filter(&caller), &params.page).await?;
    let events = found.items.into_iter().map(HitBody::from).collect();
    Ok(answer(&EventsBody { events, next: found.next }))
}

/// `GET /mem/sessions`: the last begun first.
pub(crate) async fn sessions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let caller = Caller::from_headers(&headers)?;
    let params = Params::parse(query.as_deref())?;
    let found = app.store.sessions(&params.filter(&caller), &params.page).await?;
    let sessions = found.items.into_iter().map(SessionBody::from).collect();
    Ok(answer(&SessionsBody { sessions, next: found.next }))
}

/// `DELETE /mem/sessions/{id}`: out of outbox and store.
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(session): Path<String>,
) -> Result<StatusCode, Fault> {
    let owner = Caller::from_headers(&headers)?.scope();
    let Some(outbox) = &app.outbox else { return Err(Fault::NotFound) };
    // What is on its way to the store arrives before it is erased there.
    let known = {
        let filter =
            Filter { owner: owner.clone(), session: Some(session.clone()), ..Filter::default() };
        let page = crate::store::Page { limit: 1, cursor: None };
        !app.store.events(&filter, &page).await?.items.is_empty()
    };
    let waiting = outbox.holds(owner.clone(), session.clone()).await?;
    if !known && !waiting {
        return Err(Fault::NotFound);
    }
    outbox.erase(owner.clone(), session.clone(), app.clock.now()).await?;
    let _gate = app.gate.lock().await;
    app.store.erase(owner.as_ref(), &session).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(body: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

// === impl HitBody ===

impl From<Hit> for HitBody {
    fn from(Hit { event, snippet, score }: Hit) -> Self {
        Self { event, snippet, score }
    }
}

// === impl SessionBody ===

impl From<Session> for SessionBody {
    fn from(Session { id, first, last, events }: Session) -> Self {
        Self { id, first: rfc3339(first), last: rfc3339(last), events }
    }
}
