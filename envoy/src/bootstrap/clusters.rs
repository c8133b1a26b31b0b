//! The servers that Envoy reaches.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use url::Host;

use super::{Placement, names, pipe, typed};
use crate::settings::{Settings, Upstream};

/// Streams of answers that may run at once. Envoy's default of 1,024 connections is too few
/// for answers of minutes over HTTP/1 (one connection each), and what it refuses gets a 503;
/// without a bound a stalled engine would pile up requests until memory is gone.
const MAX_STREAMS: u32 = 10_000;

/// An idle connection is closed before the engine does it, or a request could meet the close:
/// uvicorn (vLLM) and Node close theirs after 5 s.
const ENGINE_IDLE: &str = "4s";
const OTHER_IDLE: &str = "60s";

/// All clusters.
pub(super) fn all(settings: &Settings, placement: &Placement) -> Value {
    let roots = settings.system_roots.as_deref();
    let trust = |own: &Option<PathBuf>| own.as_deref().or(roots).map(Path::to_path_buf);
    let engine = &settings.engine;
    let mut clusters =
        vec![to_server(names::ENGINE, &engine.upstream, trust(&engine.ca_file), ENGINE_IDLE)];
    if let Some(mirror) = &settings.external_mirror {
        let ca = trust(&mirror.ca_file);
        clusters.push(to_server(names::MIRROR, &mirror.upstream, ca, OTHER_IDLE));
    } else if settings.runs_mirror() {
        clusters.push(to_socket(names::MIRROR, &placement.mirror_socket));
    }
    for (index, (server, ca)) in placement.key_servers.iter().enumerate() {
        clusters.push(to_server(&names::issuer(index), server, trust(ca), OTHER_IDLE));
    }
    clusters.push(to_socket(names::ADMIN, &placement.admin_socket));
    clusters.into()
}

fn to_socket(name: &str, path: &Path) -> Value {
    let mut cluster = cluster(name, pipe(path, false), OTHER_IDLE);
    extend(&mut cluster, json!({"type": "STATIC"}));
    cluster
}

fn to_server(name: &str, server: &Upstream, ca: Option<PathBuf>, idle: &str) -> Value {
    let host = match &server.host {
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
        Host::Domain(domain) => domain.clone(),
    };
    let address = json!({"socket_address": {"address": host, "port_value": server.port}});
    let mut cluster = cluster(name, address, idle);
    extend(
        &mut cluster,
        json!({
            // Streams are silent for minutes; a dead peer is noticed all the same.
            "upstream_connection_options": {"tcp_keepalive": {
                "keepalive_time": 60,
                "keepalive_interval": 15,
                "keepalive_probes": 4,
            }},
        }),
    );
    extend(
        &mut cluster,
        if matches!(server.host, Host::Domain(_)) { by_name() } else { json!({"type": "STATIC"}) },
    );
    if server.tls {
        extend(&mut cluster, json!({"transport_socket": upstream_tls(&server.host, &host, ca)}));
    }
    cluster
}

fn by_name() -> Value {
    json!({
        // A name that does not resolve must not keep the gateway from starting.
        "wait_for_warm_on_init": false,
        "cluster_type": {
            "name": "envoy.cluster.dns",
            "typed_config": typed("envoy.extensions.clusters.dns.v3.DnsCluster", json!({
                // `localhost` has both addresses, and engines mostly listen on the older one.
                "dns_lookup_family": "V4_PREFERRED",
                "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "5s"},
            })),
        },
    })
}

fn cluster(name: &str, address: Value, idle: &str) -> Value {
    json!({
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "circuit_breakers": {"thresholds": [{
            "max_connections": MAX_STREAMS,
            "max_pending_requests": MAX_STREAMS,
            "max_requests": MAX_STREAMS,
            "max_retries": 100,
        }]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                json!({
                    "common_http_protocol_options": {"idle_timeout": idle},
                    "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
                }),
            ),
        },
    })
}

/// Envoy checks no name unless it is told to: with a CA alone every certificate of that CA
/// would do.
fn upstream_tls(host: &Host, name: &str, ca: Option<PathBuf>) -> Value {
    let kind = if matches!(host, Host::Domain(_)) { "DNS" } else { "IP_ADDRESS" };
    let mut validation = json!({
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": name}}],
    });
    if let Some(ca) = ca {
        extend(&mut validation, json!({"trusted_ca": {"filename": ca.to_string_lossy()}}));
    }
    let mut context = json!({"common_tls_context": {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": validation,
    }});
    // RFC 6066 section 3: server names are not addresses.
    if kind == "DNS" {
        extend(&mut context, json!({"sni": name}));
    }
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", context),
    })
}

fn extend(object: &mut Value, more: Value) {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
}
