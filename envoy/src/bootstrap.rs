//! Settings -> Envoy bootstrap. Pure: the same settings and placement give the same text.

mod clusters;
pub(crate) mod filter;
mod listeners;
mod routes;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use attach_filter::config::Session;
use serde_json::{Value, json};

use crate::settings::{Settings, Upstream};

/// Names that the filter, Envoy's configuration and the metrics share.
pub(crate) mod names {
    pub(crate) const ENGINE: &str = "attach_engine";
    pub(crate) const MIRROR: &str = "attach_mirror";
    pub(crate) const ADMIN: &str = "attach_admin";
    /// `stat_prefix` of the public listener: `http.attach.downstream_rq_active`.
    pub(crate) const STATS: &str = "attach";

    pub(crate) fn issuer(index: usize) -> String {
        format!("attach_issuer_{index}")
    }
}

/// What the settings do not say: paths and secrets of this machine, and what was found out.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Envoy's admin interface.
    pub admin_socket: PathBuf,
    /// The mirror-service that we run.
    pub mirror_socket: PathBuf,
    /// The `.wasm`, by a path that Envoy can read.
    pub filter: PathBuf,
    /// How session ids are keyed.
    pub session: Session,
    /// Origins that keys are fetched from, each with the CA to trust instead of the system's:
    /// [`Settings::key_servers`] and those that discovery named.
    pub key_servers: Vec<(Upstream, Option<PathBuf>)>,
}

/// The whole bootstrap.
#[must_use]
pub fn render(settings: &Settings, placement: &Placement) -> Value {
    json!({
        "admin": {"address": pipe(&placement.admin_socket, true)},
        "layered_runtime": {"layers": [{"name": "attach", "static_layer": {
            // The filter's callouts fetch key sets (1 MiB at most) and push batches; whatever
            // answers with more is broken or hostile, and would be buffered whole.
            "http.async_response_buffer_limit": 2 << 20,
        }}]},
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": typed(
                "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                // Twice the streams that the engine's circuit breaker lets through: idle
                // keep-alive connections are cheap, running out of file descriptors is not.
                json!({"max_active_downstream_connections": 20_000}),
            ),
        }]},
        "static_resources": {
            "listeners": [listeners::public(settings, placement), listeners::metrics(settings)],
            "clusters": clusters::all(settings, placement),
        },
    })
}

/// An extension's configuration: its type, then its fields.
fn typed(message: &str, mut fields: Value) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("@type".to_owned(), format!("type.googleapis.com/{message}").into());
    }
    fields
}

/// A Unix socket; `create`: Envoy makes it, for its own user only.
fn pipe(path: &std::path::Path, create: bool) -> Value {
    let path = path.to_string_lossy();
    if create {
        json!({"pipe": {"path": path, "mode": 0o600}})
    } else {
        json!({"pipe": {"path": path}})
    }
}

/// Envoy reads durations as decimal seconds.
fn seconds(duration: std::time::Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        millis => format!("{}.{millis:03}s", duration.as_secs()),
    }
}
