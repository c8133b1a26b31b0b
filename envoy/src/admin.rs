//! Envoy's admin interface, over its Unix socket.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::http::{self, HttpError};

/// Its answers come from memory; one that takes longer comes from a process that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client of one Envoy's admin interface.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    client: reqwest::Client,
}

impl Admin {
    pub(crate) fn new(socket: &Path) -> Result<Self, HttpError> {
        Ok(Self { client: http::unix(socket, PATIENCE)? })
    }

    /// Asks Envoy to do something; its answers say nothing more than `OK`.
    pub(crate) async fn post(&self, path: &str) -> Result<(), reqwest::Error> {
        self.client.post(format!("http://envoy{path}")).send().await?.error_for_status().map(drop)
    }

    /// Counters and gauges whose whole name the regular expression matches.
    pub(crate) async fn stats(&self, regex: &str) -> Result<Stats, reqwest::Error> {
        let request = self.client.get("http://envoy/stats").query(&[("filter", regex)]);
        let text = request.send().await?.error_for_status()?.text().await?;
        Ok(Stats(text.lines().filter_map(stat).collect()))
    }
}

/// Some counters and gauges.
#[derive(Debug)]
pub(crate) struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// The value; what Envoy never counted is 0.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// `http.attach.downstream_rq_active: 3`
fn stat(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.to_owned(), value.parse().ok()?))
}
