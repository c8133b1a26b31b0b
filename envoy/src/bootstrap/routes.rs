//! Which path goes to which cluster.

use attach_filter::config::Secret;
use serde_json::{Value, json};

use super::{filter, names, seconds};
use crate::settings::Settings;

/// Queries of memory: the mirror-service answers within seconds or not at all.
const MIRROR_TIMEOUT: &str = "30s";

/// The public listener: what the mirror-service answers, then everything else to the engine.
pub(super) fn public(settings: &Settings) -> Value {
    let mut routes = Vec::new();
    if settings.mirrors() {
        // Exactly what the filter takes for memory: it tells the caller's scopes there, which
        // the engine must not see.
        routes.push(to_mirror(settings, json!({"path": "/mem"})));
        routes.push(to_mirror(settings, json!({"prefix": "/mem/"})));
        routes.push(to_mirror(settings, post("/v1/logs")));
    }
    let base = &settings.engine.upstream.base_path;
    routes.push(to_engine(settings, post("/tasks/send"), Some(format!("{base}/api/chat"))));
    let rewrite = (!base.is_empty()).then(|| format!("{base}/"));
    routes.push(to_engine(settings, json!({"prefix": "/"}), rewrite));
    routes.into()
}

/// The metrics listener. Envoy's admin interface can end the process and change settings, so
/// exactly one of its paths can be reached from here.
pub(super) fn metrics(settings: &Settings) -> Value {
    let mut routes = vec![json!({
        "match": get("/metrics"),
        "route": {"cluster": names::ADMIN, "prefix_rewrite": "/stats/prometheus"},
    })];
    if settings.mirrors() {
        let mut route = to_mirror(settings, get("/metrics/mirror"));
        if let Some(action) = route.get_mut("route").and_then(Value::as_object_mut) {
            action.insert("prefix_rewrite".to_owned(), "/metrics".into());
        }
        routes.push(route);
    }
    routes.push(json!({
        "match": {"prefix": "/"},
        "direct_response": {
            "status": 404,
            "body": {"inline_string": "metrics are at /metrics and /metrics/mirror\n"},
        },
    }));
    routes.into()
}

fn to_engine(settings: &Settings, matches: Value, rewrite: Option<String>) -> Value {
    let engine = &settings.engine;
    let mut action = json!({
        "cluster": names::ENGINE,
        // An answer may take as long as it takes; silence may not.
        "timeout": "0s",
        "idle_timeout": seconds(engine.timeout),
        // Engines refuse a foreign Host (Ollama, MCP servers: DNS rebinding).
        "host_rewrite_literal": engine.upstream.authority,
        "append_x_forwarded_host": true,
        // Only what cannot have reached the engine is sent again: a POST may not run twice.
        "retry_policy": {"retry_on": "connect-failure,reset-before-request", "num_retries": 1},
    });
    if let (Some(rewrite), Some(action)) = (rewrite, action.as_object_mut()) {
        action.insert("prefix_rewrite".to_owned(), rewrite.into());
    }
    json!({"match": matches, "route": action})
}

/// The caller's token ends here: the mirror-service believes the stamped headers, as only
/// Envoy can reach it or knows its token.
fn to_mirror(settings: &Settings, matches: Value) -> Value {
    let action = json!({
        "cluster": names::MIRROR,
        "timeout": MIRROR_TIMEOUT,
        "host_rewrite_literal": filter::mirror_authority(settings),
    });
    match &settings.mirror_token {
        None => json!({
            "match": matches,
            "route": action,
            "request_headers_to_remove": ["authorization"],
        }),
        Some(Secret(token)) => json!({
            "match": matches,
            "route": action,
            "request_headers_to_add": [{
                // Envoy expands `%...%` in header values.
                "header": {
                    "key": "authorization",
                    "value": format!("Bearer {}", token.replace('%', "%%")),
                },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }],
        }),
    }
}

fn post(path: &str) -> Value {
    json!({"path": path, "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]})
}

fn get(path: &str) -> Value {
    json!({"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]})
}
