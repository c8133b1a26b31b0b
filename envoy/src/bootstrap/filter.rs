//! What the filter is told, and how Envoy loads it.

use std::path::PathBuf;

use attach_filter::auth::Authenticator;
use attach_filter::config::{Config, Engine, Fault, Mirror, Session};
use serde_json::{Value, json};

use super::{Placement, names, typed};
use crate::settings::Settings;

/// The filter's own configuration.
pub(crate) fn config(settings: &Settings, placement: &Placement) -> Config {
    let engine = &settings.engine;
    Config {
        public_url: settings.public_url(),
        client_id: settings.client_id.clone(),
        mode: settings.mode,
        issuers: settings.issuers.iter().map(|issuer| issuer.config.clone()).collect(),
        origins: placement
            .key_servers
            .iter()
            .enumerate()
            .map(|(index, (server, _))| (server.origin(), names::issuer(index)))
            .collect(),
        session: placement.session.clone(),
        engine: Engine {
            cluster: names::ENGINE.to_owned(),
            authority: engine.upstream.authority.clone(),
            base_path: engine.upstream.base_path.clone(),
            api_key: engine.api_key.clone(),
            model: engine.model.clone(),
        },
        mirror: settings.mirrors().then(|| mirror(settings)),
        cors_origins: settings.cors_origins.clone(),
        max_rewrite_body: settings.max_rewrite_body,
        rules: settings.rules.clone(),
    }
}

/// What the filter would refuse. The settings are stricter or as strict, but only the filter
/// itself knows all that it asks for.
pub(crate) fn faults(settings: &Settings) -> Vec<Fault> {
    let placement = Placement {
        admin_socket: PathBuf::new(),
        mirror_socket: PathBuf::new(),
        filter: PathBuf::new(),
        session: Session::Sha256,
        key_servers: settings.key_servers(),
    };
    let config = config(settings, &placement);
    let mut faults = config.faults();
    faults.extend(Authenticator::new(&config, 0).err().unwrap_or_default());
    faults
}

fn mirror(settings: &Settings) -> Mirror {
    Mirror {
        cluster: names::MIRROR.to_owned(),
        authority: mirror_authority(settings),
        token: settings.mirror_token.clone(),
        capture_bytes: 256 << 10,
        queue_bytes: 8 << 20,
    }
}

/// What the mirror-service is called by; ours listens on a socket that has no name.
pub(super) fn mirror_authority(settings: &Settings) -> String {
    match &settings.external_mirror {
        Some(external) => external.upstream.authority.clone(),
        None => "attach-mirror".to_owned(),
    }
}

/// The HTTP filter. A trap must not open the gateway (FAIL_OPEN) nor close it for good
/// (FAIL_CLOSED), so a dead VM is replaced.
pub(super) fn http_filter(settings: &Settings, placement: &Placement) -> Value {
    // Only text in a StringValue reaches a filter as it was written: a Struct arrives as
    // protobuf bytes. Our own types always serialize.
    let config = serde_json::to_string(&config(settings, placement)).unwrap_or_default();
    json!({
        "name": "attach",
        "typed_config": typed("envoy.extensions.filters.http.wasm.v3.Wasm", json!({"config": {
            "name": "attach",
            "root_id": "attach",
            "failure_policy": "FAIL_RELOAD",
            "reload_config": {"backoff": {"base_interval": "1s"}},
            "vm_config": {
                "vm_id": "attach",
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": placement.filter.to_string_lossy()}},
            },
            "configuration": typed("google.protobuf.StringValue", json!({"value": config})),
        }})),
    })
}
