//! Looking an exchange up in memory.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde::Deserialize;

use super::chat::{excerpt, fault};
use super::report::Saw;
use super::{Fault, LOOK_AGAIN, MEMORY_PATIENCE, Tour};

/// What the tour reads of an event.
#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) user: String,
    #[serde(default)]
    pub(super) session: Option<String>,
    #[serde(default)]
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) prompt: Option<String>,
    #[serde(default)]
    pub(super) answer: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
}

impl Tour<'_> {
    /// The event that has `marker` in its prompt, looked for until it is there, and how long
    /// that took.
    pub(super) async fn remembered(
        &self,
        saw: &mut Saw,
        token: &str,
        marker: &str,
    ) -> Result<(Event, Duration), Fault> {
        saw.line(format!("GET {}", path(marker)));
        let started = Instant::now();
        loop {
            let events = self.search(token, marker).await?;
            let asked = |event: &Event| event.prompt.as_ref().is_some_and(|p| p.contains(marker));
            match events.into_iter().find(asked) {
                Some(event) => return Ok((event, started.elapsed())),
                None if started.elapsed() > MEMORY_PATIENCE => {
                    return Err(format!("not found within {} s", MEMORY_PATIENCE.as_secs()));
                }
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// The events that the owner of `token` finds.
    pub(super) async fn search(&self, token: &str, marker: &str) -> Result<Vec<Event>, Fault> {
        let url = format!("{}{}", self.about.gateway, path(marker));
        let sent = self.client.get(url).bearer_auth(token).send().await;
        let response = sent.map_err(|e| fault(&e))?;
        let status = response.status();
        let body = response.text().await.map_err(|e| fault(&e))?;
        match serde_json::from_str::<Page>(&body) {
            Ok(page) if status == StatusCode::OK => Ok(page.events),
            _ => Err(format!("memory answers {status}: {}", excerpt(&body))),
        }
    }
}

fn path(marker: &str) -> String {
    format!("/mem/search?q={marker}")
}
