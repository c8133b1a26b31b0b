//! The public listener and the one for metrics.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Placement, filter, names, routes, seconds, typed};
use crate::settings::{Settings, TlsFiles};

/// One line a request. The path has no query, as queries carry words that people searched for.
const ACCESS_LOG: &str = "%START_TIME% | %RESPONSE_CODE% | %DURATION%ms | %REQ(:METHOD)% | \
    %REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)% | sid=%RESP(X-SESSION-ID)% \
    user=%REQ(X-ATTACH-USER)% task=%RESP(X-ATTACH-TASK)%\n";

/// A token of 64 KiB must reach the filter to get its own answer instead of Envoy's 431.
const MAX_HEADERS_KIB: u32 = 96;

/// Where clients connect.
pub(super) fn public(settings: &Settings, placement: &Placement) -> Value {
    let mut manager = connection_manager(names::STATS, routes::public(settings));
    let filters = json!([filter::http_filter(settings, placement), router()]);
    for (key, value) in [
        ("http_filters", filters),
        // The longest silence, from the engine or from the client. Without it a stream whose
        // VM died, or whose client went away without a word, would hang for ever.
        ("stream_idle_timeout", json!(seconds(settings.engine.timeout))),
        ("access_log", json!([access_log()])),
    ] {
        set(&mut manager, key, value);
    }
    // A body that is rewritten is held whole; above the limit Envoy would answer 413 itself.
    let buffer = settings.max_rewrite_body.saturating_add(1 << 20);
    let mut listener = listener("attach", settings.listen, manager, settings.tls.as_ref());
    set(&mut listener, "per_connection_buffer_limit_bytes", json!(buffer));
    listener
}

/// `/metrics`, `/metrics/mirror`, nothing else.
pub(super) fn metrics(settings: &Settings) -> Value {
    let mut manager = connection_manager("attach_metrics", routes::metrics(settings));
    set(&mut manager, "http_filters", json!([router()]));
    listener("attach_metrics", settings.metrics_listen, manager, None)
}

fn listener(name: &str, address: SocketAddr, manager: Value, tls: Option<&TlsFiles>) -> Value {
    let mut chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": typed(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager,
        ),
    }]});
    if let Some(tls) = tls {
        set(&mut chain, "transport_socket", downstream_tls(tls));
    }
    json!({
        "name": name,
        "address": {"socket_address": {
            "address": address.ip().to_string(),
            "port_value": address.port(),
        }},
        // One accept queue a worker, so that the kernel spreads connections evenly; also what
        // lets a new Envoy take over while the old one finishes its streams.
        "enable_reuse_port": true,
        "filter_chains": [chain],
    })
}

fn connection_manager(name: &str, routes: Value) -> Value {
    json!({
        "stat_prefix": name,
        "codec_type": "AUTO",
        // Rules match paths, so everybody must see the path that is routed.
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        // We are the edge: the peer is the client, and nobody may steer retries or time-outs
        // with `x-envoy-*`, not even from a private network.
        "use_remote_address": true,
        "xff_num_trusted_hops": 0,
        "internal_address_config": {"unix_sockets": false},
        "preserve_external_request_id": true,
        "server_header_transformation": "PASS_THROUGH",
        "max_request_headers_kb": MAX_HEADERS_KIB,
        // Slowloris; bodies and answers are bounded by the stream's idle time-out instead, as
        // a stream may run for hours.
        "request_headers_timeout": "10s",
        "common_http_protocol_options": {
            "idle_timeout": "3600s",
            // Foreign names pass as they are; the filter removes every spelling of our own.
            "headers_with_underscores_action": "ALLOW",
        },
        "http_protocol_options": {"enable_trailers": true},
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            // What one stream and one connection may have in flight, and so in our memory.
            "initial_stream_window_size": 1 << 20,
            "initial_connection_window_size": 4 << 20,
        },
        "route_config": {
            "name": name,
            "virtual_hosts": [{
                "name": name,
                "domains": ["*"],
                "response_headers_to_remove": ["x-envoy-upstream-service-time"],
                "routes": routes,
            }],
        },
    })
}

fn access_log() -> Value {
    json!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", json!({
            "log_format": {
                "text_format_source": {"inline_string": ACCESS_LOG},
                "formatters": [{
                    "name": "envoy.formatter.req_without_query",
                    "typed_config": typed(
                        "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
                        json!({}),
                    ),
                }],
            },
        })),
    })
}

fn router() -> Value {
    let config = typed("envoy.extensions.filters.http.router.v3.Router", json!({}));
    json!({"name": "envoy.filters.http.router", "typed_config": config})
}

fn downstream_tls(tls: &TlsFiles) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            json!({"common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [{
                    "certificate_chain": {"filename": tls.certificate.to_string_lossy()},
                    "private_key": {"filename": tls.key.to_string_lossy()},
                }],
            }}),
        ),
    })
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}
