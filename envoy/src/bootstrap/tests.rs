#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use attach_filter::config::{Config, Secret};

use super::*;
use crate::settings;

fn settings_of(pairs: &[(&str, &str)]) -> Settings {
    let base = [
        ("OIDC_ISSUER", "https://id.example.com/"),
        ("OIDC_AUD", "attach"),
        ("ATTACH_DATA_DIR", "/data"),
    ];
    let mut settings = settings::from_pairs(&[&base, pairs].concat()).unwrap();
    settings.system_roots = Some("/etc/ssl/certs/ca-certificates.crt".into());
    settings
}

fn placement(settings: &Settings) -> Placement {
    Placement {
        admin_socket: settings.data_dir.join("admin.sock"),
        mirror_socket: settings.data_dir.join("mirror.sock"),
        filter: settings.data_dir.join("attach_filter.wasm"),
        session: match settings.session {
            settings::SessionSetting::Sha256 => Session::Sha256,
            settings::SessionSetting::Secret(_) => {
                Session::Secret(Secret("YW4tZXhhbXBsZS1vZi1hLXNlc3Npb24tc2VjcmV0".to_owned()))
            }
        },
        key_servers: settings.key_servers(),
    }
}

fn rendered(pairs: &[(&str, &str)]) -> Value {
    let settings = settings_of(pairs);
    render(&settings, &placement(&settings))
}

fn cluster<'a>(bootstrap: &'a Value, name: &str) -> &'a Value {
    let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
    clusters.iter().find(|cluster| cluster["name"] == name).unwrap_or(&Value::Null)
}

fn manager(bootstrap: &Value, listener: usize) -> &Value {
    let listener = &bootstrap["static_resources"]["listeners"][listener];
    &listener["filter_chains"][0]["filters"][0]["typed_config"]
}

fn routes(bootstrap: &Value, listener: usize) -> &Vec<Value> {
    let hosts = &manager(bootstrap, listener)["route_config"]["virtual_hosts"];
    hosts[0]["routes"].as_array().unwrap()
}

/// To accept a wanted change: `UPDATE_EXAMPLES=1 cargo test -p attach-gateway examples`.
#[test]
fn the_examples_are_what_their_settings_render_to() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in ["laptop", "production", "no-memory"] {
        let file = dir.join(format!("{name}.yaml"));
        let mut settings =
            settings::from_pairs(&[("ATTACH_CONFIG", file.to_str().unwrap())]).unwrap();
        settings.system_roots = Some("/etc/ssl/certs/ca-certificates.crt".into());
        let rendered = render(&settings, &placement(&settings));
        let golden = dir.join(format!("{name}.json"));
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            std::fs::write(&golden, format!("{rendered:#}\n")).unwrap();
        }
        let text = std::fs::read_to_string(&golden).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        assert!(rendered == expected, "{name}: {}", first_difference("", &rendered, &expected));
    }
}

/// Where two values part: a readable failure in a text of several hundred lines.
fn first_difference(at: &str, left: &Value, right: &Value) -> String {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            let null = &Value::Null;
            keys.map(|key| (key, a.get(key).unwrap_or(null), b.get(key).unwrap_or(null)))
                .find(|(_, a, b)| a != b)
                .map(|(key, a, b)| first_difference(&format!("{at}.{key}"), a, b))
                .unwrap_or_default()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let index = a.iter().zip(b).position(|(a, b)| a != b).unwrap();
            first_difference(&format!("{at}[{index}]"), &a[index], &b[index])
        }
        _ => format!("{at} is {left}, the example has {right}"),
    }
}

#[test]
fn the_filter_reads_exactly_the_configuration_that_was_meant() {
    let bootstrap =
        rendered(&[("ENGINE_MODEL", "tiny"), ("OIDC_JWKS_URI", "https://keys.example/k")]);
    let wasm = &manager(&bootstrap, 0)["http_filters"][0]["typed_config"]["config"];
    let text = wasm["configuration"]["value"].as_str().unwrap();
    let config = Config::parse(text.as_bytes()).unwrap();
    assert_eq!(config.engine.model.as_deref(), Some("tiny"));
    assert_eq!(config.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.origins["https://id.example.com"], "attach_issuer_0");
    assert_eq!(config.origins["https://keys.example"], "attach_issuer_1");
    assert_eq!(wasm["failure_policy"], "FAIL_RELOAD");
    for name in config.origins.values() {
        assert!(!cluster(&bootstrap, name).is_null(), "{name}");
    }
}

#[test]
fn tls_upstreams_are_checked_by_name() {
    let bootstrap = rendered(&[("ENGINE_URL", "https://api.openai.com/base")]);
    let tls = &cluster(&bootstrap, names::ENGINE)["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "api.openai.com");
    let validation = &tls["common_tls_context"]["validation_context"];
    assert_eq!(validation["trusted_ca"]["filename"], "/etc/ssl/certs/ca-certificates.crt");
    assert_eq!(
        validation["match_typed_subject_alt_names"][0]["matcher"]["exact"],
        "api.openai.com"
    );

    let bootstrap = rendered(&[("ENGINE_URL", "https://192.0.2.1")]);
    let tls = &cluster(&bootstrap, names::ENGINE)["transport_socket"]["typed_config"];
    assert!(tls["sni"].is_null());
    let names = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
    assert_eq!(names[0]["san_type"], "IP_ADDRESS");

    let plain = rendered(&[]);
    assert!(cluster(&plain, names::ENGINE)["transport_socket"].is_null());
}

#[test]
fn own_ca_files_replace_the_systems() {
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let bootstrap =
        rendered(&[("ENGINE_URL", "https://e"), ("ENGINE_CA_FILE", ca), ("OIDC_CA_FILE", ca)]);
    for name in [names::ENGINE, "attach_issuer_0"] {
        let tls = &cluster(&bootstrap, name)["transport_socket"]["typed_config"];
        let trusted = &tls["common_tls_context"]["validation_context"]["trusted_ca"]["filename"];
        assert_eq!(trusted, ca, "{name}");
    }
}

#[test]
fn a_base_path_is_kept() {
    let bootstrap = rendered(&[("ENGINE_URL", "http://e:1/base/")]);
    let routes = routes(&bootstrap, 0);
    let last = routes.last().unwrap();
    assert_eq!(last["route"]["prefix_rewrite"], "/base/");
    assert_eq!(last["route"]["host_rewrite_literal"], "e:1");
    let tasks = routes.iter().find(|route| route["match"]["path"] == "/tasks/send").unwrap();
    assert_eq!(tasks["route"]["prefix_rewrite"], "/base/api/chat");
}

#[test]
fn without_memory_there_is_no_mirror() {
    let bootstrap = rendered(&[("MEM_BACKEND", "none")]);
    assert!(cluster(&bootstrap, names::MIRROR).is_null());
    assert!(!bootstrap.to_string().contains("/mem/"));
    assert_eq!(routes(&bootstrap, 1).len(), 2, "/metrics and the 404");
}

#[test]
fn the_mirror_token_replaces_the_callers() {
    for (pairs, expected) in
        [(vec![], None), (vec![("MIRROR_TOKEN", "50%off")], Some("Bearer 50%%off"))]
    {
        let bootstrap = rendered(&pairs);
        let to_mirror = |route: &&Value| route["route"]["cluster"] == names::MIRROR;
        let routes: Vec<_> = routes(&bootstrap, 0).iter().filter(to_mirror).collect();
        assert_eq!(routes.len(), 3);
        for route in routes {
            let added = route["request_headers_to_add"][0]["header"]["value"].as_str();
            assert_eq!(added, expected);
            let removed = route["request_headers_to_remove"][0] == "authorization";
            assert_eq!(removed, expected.is_none());
        }
    }
}

#[test]
fn the_metrics_listener_reaches_one_path_of_the_admin_interface() {
    let bootstrap = rendered(&[]);
    let admin: Vec<_> = routes(&bootstrap, 1)
        .iter()
        .filter(|route| route["route"]["cluster"] == names::ADMIN)
        .collect();
    assert_eq!(admin.len(), 1);
    assert_eq!(admin[0]["match"]["path"], "/metrics");
    assert_eq!(admin[0]["route"]["prefix_rewrite"], "/stats/prometheus");
    assert!(manager(&bootstrap, 1)["access_log"].is_null());
    let public = routes(&bootstrap, 0);
    assert!(public.iter().all(|route| route["route"]["cluster"] != names::ADMIN));
}

#[test]
fn silence_is_bounded_and_length_is_not() {
    let bootstrap = rendered(&[("ATTACH_ENGINE_TIMEOUT", "1500ms")]);
    assert_eq!(manager(&bootstrap, 0)["stream_idle_timeout"], "1.500s");
    let last = routes(&bootstrap, 0).last().unwrap();
    assert_eq!(last["route"]["idle_timeout"], "1.500s");
    assert_eq!(last["route"]["timeout"], "0s");
}
