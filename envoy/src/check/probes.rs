//! Is each thing there, and does it do what the gateway needs of it?

use std::time::Duration;

use attach_filter::config::Secret;
use serde::Deserialize;

use super::Line;
use crate::bootstrap::{self, Placement};
use crate::data_dir::DataDir;
use crate::discovery;
use crate::envoy_binary::{self, FindOptions};
use crate::http;
use crate::settings::{IssuerSettings, Memory, Settings};
use crate::supervise;

/// Engines that load a model still answer a list of models at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything, in the order in which a gateway needs it.
pub(super) async fn all(settings: &Settings) -> Vec<Line> {
    let mut lines = vec![Line { thing: "settings", outcome: Ok(summary(settings)) }];
    let data = DataDir::open(&settings.data_dir).map_err(|error| error.to_string());
    let placed = data.as_ref().map_err(Clone::clone).and_then(|data| placement(settings, data));
    let writable = format!("{} can be written", settings.data_dir.display());
    lines.push(Line {
        thing: "data",
        outcome: placed.as_ref().map(|_| writable).map_err(Clone::clone),
    });
    lines.push(Line { thing: "ports", outcome: ports(settings, data.ok().as_ref()) });
    lines.push(Line { thing: "envoy", outcome: envoy(settings, placed.ok().as_ref()).await });
    for issuer in settings.issuers.iter().filter(|issuer| issuer.reach.is_some()) {
        let (reached, keys) = keys(issuer).await;
        lines.push(Line { thing: "issuer", outcome: reached });
        lines.extend(keys.map(|outcome| Line { thing: "keys", outcome }));
    }
    lines.push(Line { thing: "engine", outcome: engine(settings).await });
    lines.push(Line { thing: "store", outcome: store(settings).await });
    lines
}

fn summary(settings: &Settings) -> String {
    let names: Vec<_> =
        settings.issuers.iter().map(|issuer| issuer.config.issuer.as_str()).collect();
    format!("clients connect to {}, tokens of {}", settings.public_url(), names.join(", "))
}

fn placement(settings: &Settings, data: &DataDir) -> Result<Placement, String> {
    let fault = |error: crate::data_dir::DataDirError| error.to_string();
    Ok(Placement {
        admin_socket: data.admin_socket(0),
        mirror_socket: data.mirror_socket(),
        filter: data.extract_filter().map_err(fault)?,
        session: data.session(&settings.session).map_err(fault)?,
        key_servers: settings.key_servers(),
    })
}

fn ports(settings: &Settings, data: Option<&DataDir>) -> Result<String, String> {
    if data.is_some_and(|data| data.lock().is_err()) {
        return Ok("a gateway runs on this data directory and has them".to_owned());
    }
    let wanted =
        [("ATTACH_LISTEN", settings.listen), ("ATTACH_METRICS_LISTEN", settings.metrics_listen)];
    for (setting, address) in wanted {
        supervise::reserve(setting, address).map_err(|error| error.to_string())?;
    }
    Ok(format!("{} and {} are free", settings.listen, settings.metrics_listen))
}

async fn envoy(settings: &Settings, placement: Option<&Placement>) -> Result<String, String> {
    let options = FindOptions::from_environment(settings.envoy.clone());
    let found = envoy_binary::find(&options).await.map_err(|error| error.to_string())?;
    let seen = format!("{} at {}", found.version, found.path.display());
    let (Some(placement), Ok(data)) = (placement, DataDir::open(&settings.data_dir)) else {
        return Ok(seen);
    };
    let text = bootstrap::render(settings, placement).to_string();
    let file =
        data.replace("envoy-check.json", text.as_bytes()).map_err(|error| error.to_string())?;
    let valid = supervise::validate(&found.path, &file).await;
    // It holds secrets.
    let _ = std::fs::remove_file(&file);
    valid.map(|_| format!("{seen} accepts the configuration")).map_err(|error| error.to_string())
}

type Outcome = Result<String, String>;

/// The issuer's line, and that of its keys if they could be looked for.
async fn keys(issuer: &IssuerSettings) -> (Outcome, Option<Outcome>) {
    let name = &issuer.config.issuer;
    let url = match discovery::keys_of(issuer).await {
        Ok((url, _)) => url,
        Err(problem) => return (Err(format!("{}: {problem}", issuer.key)), None),
    };
    let how = if issuer.config.jwks_uri.is_some() {
        "has its keys configured"
    } else {
        "has a discovery document"
    };
    (Ok(format!("{name} {how}")), Some(key_set(&url, issuer).await))
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde::de::IgnoredAny>,
}

async fn key_set(url: &str, issuer: &IssuerSettings) -> Outcome {
    let body = discovery::fetch(url, issuer)
        .await
        .map_err(|problem| format!("{}: {problem}", issuer.key))?;
    match serde_json::from_slice::<KeySet>(&body) {
        Ok(set) if !set.keys.is_empty() => Ok(format!("{url} has {}", set.keys.len())),
        Ok(_) => Err(format!("{url} has no keys; look at the issuer")),
        Err(_) => {
            Err(format!("{url} is no key set (RFC 7517); look at OIDC_JWKS_URI or the issuer"))
        }
    }
}

async fn engine(settings: &Settings) -> Outcome {
    let engine = &settings.engine;
    let at = engine.upstream.url();
    // Ollama, vLLM and OpenAI all have it, and it needs the key where one is needed.
    let url = format!("{at}/v1/models");
    let client = http::client(engine.ca_file.as_deref(), PATIENCE)
        .map_err(|error| format!("ENGINE_CA_FILE: {error}"))?;
    let mut request = client.get(&url);
    if let Some(Secret(key)) = &engine.api_key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.map_err(|error| {
        format!(
            "{at} cannot be reached ({}); start the engine, or set ENGINE_URL",
            http::cause(&error)
        )
    })?;
    match (answer.status().as_u16(), engine.api_key.is_some()) {
        (401 | 403, true) => Err(format!("{at} refuses ENGINE_API_KEY ({})", answer.status())),
        (401 | 403, false) => {
            Err(format!("{at} asks for a key ({}); set ENGINE_API_KEY", answer.status()))
        }
        (500.., _) => Err(format!("{at} answers {}; look at the engine", answer.status())),
        (status, _) => Ok(format!("{at} answers ({status})")),
    }
}

async fn store(settings: &Settings) -> Outcome {
    if let Some(mirror) = &settings.external_mirror {
        let url = format!("{}/readyz", mirror.upstream.url());
        return ready(
            "MIRROR_URL",
            &url,
            settings.mirror_token.as_ref(),
            mirror.ca_file.as_deref(),
        )
        .await;
    }
    match &settings.memory {
        Memory::None => Ok("MEM_BACKEND=none: nothing is captured".to_owned()),
        Memory::Embedded => Ok(format!("embedded, in {}", settings.data_dir.display())),
        Memory::Weaviate { url, api_key } => {
            // `/v1/.well-known/ready` needs no key, so it would not show a wrong one.
            ready("WEAVIATE_URL", &format!("{}/v1/meta", url.url()), api_key.as_ref(), None).await
        }
    }
}

async fn ready(
    setting: &str,
    url: &str,
    token: Option<&Secret>,
    ca: Option<&std::path::Path>,
) -> Outcome {
    let client = http::client(ca, PATIENCE).map_err(|error| error.to_string())?;
    let mut request = client.get(url);
    if let Some(Secret(token)) = token {
        request = request.bearer_auth(token);
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(format!("{url} answers")),
        Ok(answer) => {
            Err(format!("{setting}: {url} answers {}; look at it, and at its key", answer.status()))
        }
        Err(error) => Err(format!(
            "{setting}: {url} cannot be reached ({}); start it, or set {setting}",
            http::cause(&error)
        )),
    }
}
