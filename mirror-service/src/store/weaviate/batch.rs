//! Batches of objects, several in flight, every status read.

use std::collections::HashMap;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::event::Event;
use crate::store::{Outcome, StoreError};

use super::client::{Client, Failure};
use super::{graphql, object};

/// Objects of one batch.
const OBJECTS: usize = 200;

/// Batches in flight.
const IN_FLIGHT: usize = 4;

/// Times that an object may fail for a reason we do not know while others succeed.
const ATTEMPTS: u32 = 5;

/// Objects whose failures are remembered.
const REMEMBERED: usize = 10_000;

/// Events to how often they failed alone.
pub(super) type Attempts = HashMap<Uuid, u32>;

/// What became of a call of [`put`].
#[derive(Debug)]
pub(super) struct Put {
    pub(super) outcomes: Result<Vec<Outcome>, StoreError>,
    /// The server does not know the class any more.
    pub(super) schema_is_gone: bool,
}

/// What the server says of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Stored,
    /// Its fault, for ever.
    Refused(String),
    /// Failed for a reason that may pass.
    Failed(String),
    /// Not the object's fault.
    Later,
}

/// Stores events: replaces objects of the same id, so that a retry changes nothing.
pub(super) async fn put(
    client: &Arc<Client>,
    events: &[Event],
    multi_tenancy: bool,
    attempts: &Mutex<Attempts>,
) -> Put {
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tasks = JoinSet::new();
    for (index, events) in events.chunks(OBJECTS).enumerate() {
        let objects: Vec<Value> =
            events.iter().filter_map(|event| object::of(event, multi_tenancy)).collect();
        let (client, places) = (Arc::clone(client), Arc::clone(&places));
        tasks.spawn(async move {
            // Never closed.
            let _place = places.acquire().await;
            (index, store(&client, &objects).await)
        });
    }
    let mut verdicts: Vec<Verdict> = vec![Verdict::Later; events.len()];
    let mut reason = None;
    while let Some(done) = tasks.join_next().await {
        let Ok((index, done)) = done else { continue };
        let slots = verdicts.chunks_mut(OBJECTS).nth(index).into_iter().flatten();
        match done {
            Ok(found) => slots.zip(found).for_each(|(slot, verdict)| *slot = verdict),
            Err(failure) => reason = Some(failure),
        }
    }
    let schema_is_gone = verdicts.iter().any(|verdict| {
        matches!(verdict, Verdict::Failed(reason) if reason.contains("class") && reason.contains("not found"))
    });
    if verdicts.iter().all(|verdict| *verdict == Verdict::Later)
        && let Some(failure) = reason
    {
        return Put { outcomes: Err(failure.into()), schema_is_gone };
    }
    let outcomes = judge(events, verdicts, &mut *attempts.lock().await);
    Put { outcomes: Ok(outcomes), schema_is_gone }
}

/// Turns verdicts into outcomes. A reason that we do not know is the object's own only if it
/// fails again and again while its neighbours do not.
fn judge(events: &[Event], verdicts: Vec<Verdict>, attempts: &mut Attempts) -> Vec<Outcome> {
    let some_stored = verdicts.contains(&Verdict::Stored);
    let mut outcomes = Vec::with_capacity(verdicts.len());
    for (event, verdict) in events.iter().zip(verdicts) {
        outcomes.push(match verdict {
            Verdict::Stored => {
                attempts.remove(&event.id);
                Outcome::Stored
            }
            Verdict::Refused(reason) => {
                attempts.remove(&event.id);
                Outcome::Refused(reason)
            }
            Verdict::Failed(reason) if some_stored => {
                if attempts.len() >= REMEMBERED {
                    attempts.clear();
                }
                let tries = attempts.entry(event.id).or_default();
                *tries = tries.saturating_add(1);
                if *tries < ATTEMPTS {
                    Outcome::Later
                } else {
                    attempts.remove(&event.id);
                    Outcome::Refused(reason)
                }
            }
            Verdict::Failed(_) | Verdict::Later => Outcome::Later,
        });
    }
    outcomes
}

/// Stores some objects. A batch that is refused or lost as a whole is halved, until the object
/// at fault is alone.
async fn store(client: &Client, objects: &[Value]) -> Result<Vec<Verdict>, Failure> {
    let mut verdicts = Vec::with_capacity(objects.len());
    let mut todo = vec![objects];
    while let Some(some) = todo.pop() {
        match send(client, some).await {
            Ok(found) => verdicts.extend(found),
            Err(Failure::Later(reason)) => {
                // What is stored already counts.
                if verdicts.is_empty() {
                    return Err(Failure::Later(reason));
                }
                break;
            }
            Err(failure) => match (some, failure) {
                ([], _) => {}
                ([_], Failure::Refused { status, reason }) => {
                    verdicts.push(refused(status, reason));
                }
                ([_], _) => verdicts.push(lost(client).await?),
                (many, _) => {
                    let middle = many.len().div_ceil(2);
                    if let Some((first, second)) = many.split_at_checked(middle) {
                        todo.push(second);
                        todo.push(first);
                    }
                }
            },
        }
    }
    verdicts.resize(objects.len(), Verdict::Later);
    Ok(verdicts)
}

fn refused(status: u16, reason: String) -> Verdict {
    // 400, 413 and 422 speak of the request; any other of the address or the server.
    match status {
        400 | 413 | 422 => Verdict::Refused(reason),
        _ => Verdict::Later,
    }
}

/// An object alone makes the server answer nonsense: if the server is sane otherwise, it is the
/// object.
async fn lost(client: &Client) -> Result<Verdict, Failure> {
    let meta = client.call(Method::GET, "/v1/meta", None).await?;
    Ok(match meta.get("version") {
        Some(_) => Verdict::Failed("the server loses it".into()),
        None => Verdict::Later,
    })
}

async fn send(client: &Client, objects: &[Value]) -> Result<Vec<Verdict>, Failure> {
    let body = json!({"fields": ["id"], "objects": objects});
    let answer = client.call(Method::POST, "/v1/batch/objects", Some(&body)).await?;
    // A server that panics answers 200 and nothing.
    let results = answer.as_array().filter(|results| results.len() == objects.len());
    Ok(results.ok_or(Failure::Garbage)?.iter().map(verdict).collect())
}

fn verdict(result: &Value) -> Verdict {
    let status = result.pointer("/result/status").and_then(Value::as_str);
    if matches!(status, Some("SUCCESS")) {
        return Verdict::Stored;
    }
    let message = result.pointer("/result/errors/error/0/message").and_then(Value::as_str);
    let Some(message) = message else { return Verdict::Failed("no reason given".into()) };
    // What validation says of a value. Anything else may pass: a disk that is full, a shard that
    // is loading, a tenant that is being made.
    const VALUE: &[&str] = &["invalid", "not a valid", "no such prop", "parse"];
    let lower = message.to_ascii_lowercase();
    if !graphql::is_no_tenant(message) && VALUE.iter().any(|words| lower.contains(words)) {
        return Verdict::Refused(message.to_owned());
    }
    Verdict::Failed(message.to_owned())
}
