//! OpenID Connect Discovery 1.0, as far as the launcher needs it: where an issuer's keys are.
//!
//! The filter does its own discovery at run time. It can reach only origins that Envoy has a
//! cluster for, though, and some issuers serve their keys from another host than their name
//! says (Google), so the launcher looks once before Envoy starts.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::http;
use crate::settings::{IssuerSettings, Settings, Upstream, parse_trusted_url};

/// A gateway must start while its issuer is away, so this is all the time it gets.
const PATIENCE: Duration = Duration::from_secs(2);

/// No discovery document comes near this.
const MAX_BODY: usize = 1 << 20;

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Origins that keys are fetched from: those of the settings, then those that discovery
/// names. An issuer that cannot be asked costs nothing but the wait.
pub(crate) async fn key_servers(settings: &Settings) -> Vec<(Upstream, Option<PathBuf>)> {
    let mut servers = settings.key_servers();
    let asked = settings.issuers.iter().filter(|issuer| issuer.config.jwks_uri.is_none());
    let asked: Vec<_> = asked.filter(|issuer| issuer.reach.is_some()).cloned().collect();
    let asking: Vec<_> = asked
        .into_iter()
        .map(|issuer| tokio::spawn(async move { (keys_of(&issuer).await, issuer) }))
        .collect();
    for answer in asking {
        match answer.await {
            Ok((Ok((_, server)), issuer)) => {
                if !servers.iter().any(|(known, _)| known.origin() == server.origin()) {
                    servers.push((server, issuer.ca_file));
                }
            }
            Ok((Err(problem), issuer)) => {
                tracing::warn!("{}: {problem}; the gateway asks again while it runs", issuer.key);
            }
            Err(_) => {}
        }
    }
    servers
}

/// The address of an issuer's key set, and the server that has it.
pub(crate) async fn keys_of(issuer: &IssuerSettings) -> Result<(String, Upstream), String> {
    let url = match &issuer.config.jwks_uri {
        Some(url) => url.clone(),
        None => discover(issuer).await?,
    };
    let server = parse_trusted_url(&url).map_err(|problem| format!("`jwks_uri` {problem}"))?;
    Ok((url, server))
}

async fn discover(issuer: &IssuerSettings) -> Result<String, String> {
    let name = &issuer.config.issuer;
    // Section 4: the path is appended after a trailing slash of the issuer is removed.
    let url = format!("{}/.well-known/openid-configuration", name.trim_end_matches('/'));
    let body = fetch(&url, issuer).await?;
    let document: Document = serde_json::from_slice(&body)
        .map_err(|_| format!("{url} has no discovery document (`issuer` and `jwks_uri`)"))?;
    // Section 4.3: otherwise one issuer could speak for another.
    if document.issuer != *name {
        return Err(format!(
            "{url} is the document of `{}`, which is not `{name}` to the letter",
            document.issuer
        ));
    }
    Ok(document.jwks_uri)
}

/// GET, bounded in time and size.
pub(crate) async fn fetch(url: &str, issuer: &IssuerSettings) -> Result<Vec<u8>, String> {
    let client =
        http::client(issuer.ca_file.as_deref(), PATIENCE).map_err(|error| error.to_string())?;
    let answer = client.get(url).header("accept", "application/json").send().await;
    let mut answer =
        answer.map_err(|error| format!("{url} cannot be reached ({})", http::cause(&error)))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("{url} answered {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| format!("{url} broke off ({})", http::cause(&error)))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            return Err(format!("{url} answered with more than 1 MiB"));
        }
    }
    Ok(body)
}
