//! What a gateway remembers, as its users see it.

use serde_json::Value;

use crate::client::Answer;
use crate::gateway::Gateway;
use crate::wait::until;

/// The events of a page that the token's user may see.
pub(crate) async fn events(gateway: &Gateway, token: &str, query: &str) -> Vec<Value> {
    page(gateway, token, &format!("/mem/events?limit=100&{query}")).await
}

/// What a search finds; `q` as it stands in the query.
pub(crate) async fn search(gateway: &Gateway, token: &str, q: &str) -> Vec<Value> {
    page(gateway, token, &format!("/mem/search?q={q}")).await
}

/// Waits for the event of a session id.
pub(crate) async fn event(gateway: &Gateway, token: &str, sid: &str) -> Value {
    until("the event is in memory", async || {
        events(gateway, token, &format!("sid={sid}")).await.into_iter().next()
    })
    .await
}

async fn page(gateway: &Gateway, token: &str, path: &str) -> Vec<Value> {
    let answer = Answer::to(gateway.get(path).bearer_auth(token)).await;
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 200, "{path}: {body}");
    answer.json()["events"].as_array().expect("events").clone()
}

/// The filter's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) captured: u64,
    pub(crate) acknowledged: u64,
    pub(crate) dropped: u64,
    pub(crate) waiting: u64,
}

pub(crate) async fn counters(gateway: &Gateway) -> Counters {
    let text = gateway.metrics("/metrics").await;
    let value = |name: &str| {
        let start = format!("attach_mirror_{name}");
        let line = text
            .lines()
            .find(|line| line.strip_prefix(&start).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .unwrap_or_else(|| panic!("no {start} in the metrics"));
        line.rsplit(' ').next().unwrap().parse().expect("a number")
    };
    Counters {
        captured: value("captured"),
        acknowledged: value("acknowledged"),
        dropped: value("dropped"),
        waiting: value("waiting"),
    }
}

/// Waits until at least so many exchanges were captured and every one is accounted for.
pub(crate) async fn settled(gateway: &Gateway, at_least: u64) -> Counters {
    until("everything captured is acknowledged", async || {
        let now = counters(gateway).await;
        let rest = now.waiting == 0 && now.captured >= at_least;
        (rest && now.captured == now.acknowledged + now.dropped).then_some(now)
    })
    .await
}
