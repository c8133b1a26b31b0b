//! Whose tokens are accepted: `OIDC_*`, `JWT_HMAC_*` and the `issuers:` of the file.

use std::path::PathBuf;

use attach_filter::config::{Algorithm, Issuer, Secret, default_scope_claims};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::entry::Entry;
use super::sources::{Sources, readable};
use super::values;
use super::{IssuerSettings, Upstream};

/// What an issuer asks for when it does not say so itself.
struct Defaults {
    audiences: Option<Vec<String>>,
    scopes: Vec<String>,
    scope_claims: Vec<String>,
    algorithms: Vec<Algorithm>,
    ca_file: Option<PathBuf>,
}

/// All issuers, that of the environment first. `required`: somebody must be able to sign in.
pub(crate) fn read(sources: &mut Sources, required: bool) -> Vec<IssuerSettings> {
    let defaults = Defaults {
        audiences: sources.text("OIDC_AUD").map(values::list).filter(|list| !list.is_empty()),
        scopes: sources
            .text("OIDC_SCOPES")
            .map_or_else(|| vec!["chat:run".to_owned()], values::list),
        scope_claims: sources
            .text("OIDC_SCOPE_CLAIMS")
            .map_or_else(default_scope_claims, values::list),
        algorithms: sources.value_or("OIDC_ALGORITHMS", Algorithm::defaults(), |text| {
            values::list_of(text, values::algorithm)
        }),
        ca_file: sources.readable("OIDC_CA_FILE"),
    };
    let mut issuers = Vec::new();
    issuers.extend(by_oidc(sources, &defaults, required));
    issuers.extend(by_hmac(sources, &defaults));
    for (index, entry) in std::mem::take(&mut sources.file.issuers).into_iter().enumerate() {
        issuers.extend(by_entry(sources, &defaults, &format!("issuers[{index}]"), entry));
    }
    refuse_twins(&issuers, sources);
    issuers
}

fn by_oidc(sources: &mut Sources, defaults: &Defaults, required: bool) -> Option<IssuerSettings> {
    let jwks_uri =
        sources.value("OIDC_JWKS_URI", |text| values::trusted_url(text).map(|_| text.to_owned()));
    let Some(issuer) = sources.text("OIDC_ISSUER").map(str::to_owned) else {
        let others = sources.text("JWT_HMAC_ISSUER").is_some() || !sources.file.issuers.is_empty();
        if required && !others {
            sources.faults.add(
                "OIDC_ISSUER",
                "is not set; set it to the exact issuer of your identity provider, like https://id.example.com/",
            );
            audiences(sources, defaults, "OIDC_AUD");
        }
        if jwks_uri.is_some() {
            sources
                .faults
                .add("OIDC_JWKS_URI", "is set without OIDC_ISSUER; set whose keys these are");
        }
        return None;
    };
    let reach = sources.value("OIDC_ISSUER", values::trusted_url);
    let audiences = audiences(sources, defaults, "OIDC_AUD");
    Some(IssuerSettings {
        config: Issuer { issuer, audiences: audiences?, jwks_uri, ..template(defaults) },
        reach: Some(reach?),
        ca_file: defaults.ca_file.clone(),
        key: "OIDC_ISSUER".to_owned(),
    })
}

fn by_hmac(sources: &mut Sources, defaults: &Defaults) -> Option<IssuerSettings> {
    let issuer = sources.text("JWT_HMAC_ISSUER").map(str::to_owned);
    let given = sources.text("JWT_HMAC_SECRET").is_some();
    let secret = sources.value("JWT_HMAC_SECRET", encoded);
    match (issuer, given) {
        (None, false) => None,
        (None, true) => {
            sources.faults.add(
                "JWT_HMAC_ISSUER",
                "is not set; set the exact `iss` of the tokens that JWT_HMAC_SECRET signs",
            );
            None
        }
        (Some(_), false) => {
            sources
                .faults
                .add("JWT_HMAC_SECRET", "is not set, but JWT_HMAC_ISSUER is; set both or none");
            None
        }
        (Some(issuer), true) => {
            let audiences = audiences(sources, defaults, "OIDC_AUD");
            Some(hmac(
                Issuer { issuer, audiences: audiences?, ..template(defaults) },
                secret?,
                "JWT_HMAC_ISSUER".to_owned(),
            ))
        }
    }
}

fn hmac(mut config: Issuer, secret: Secret, key: String) -> IssuerSettings {
    use Algorithm::{HS256, HS384, HS512};
    config.algorithms = vec![HS256, HS384, HS512];
    config.hmac_secret = Some(secret);
    IssuerSettings { config, reach: None, ca_file: None, key }
}

fn by_entry(
    sources: &mut Sources,
    defaults: &Defaults,
    path: &str,
    value: Value,
) -> Option<IssuerSettings> {
    const KNOWN: &[&str] = &[
        "issuer",
        "audiences",
        "scopes",
        "scope_claims",
        "algorithms",
        "jwks_uri",
        "ca_file",
        "token_types",
        "hmac_secret",
        "hmac_secret_file",
    ];
    let mut entry = Entry::open(path, value, KNOWN, &mut sources.faults)?;
    let issuer = entry.required_text("issuer", "the exact `iss` of its tokens");
    let audiences = entry
        .list("audiences")
        .filter(|list| !list.is_empty())
        .or_else(|| defaults.audiences.clone());
    if audiences.is_none() {
        entry.fault(
            "audiences",
            "is missing; list the accepted `aud` values, or set OIDC_AUD for all issuers",
        );
    }
    let mut config = template(defaults);
    if let Some(scopes) = entry.list("scopes") {
        config.scopes = scopes;
    }
    if let Some(claims) = entry.list("scope_claims") {
        config.scope_claims = claims;
    }
    if let Some(algorithms) =
        entry.list_of("algorithms", values::algorithm).filter(|list| !list.is_empty())
    {
        config.algorithms = algorithms;
    }
    config.token_types = entry.list("token_types").unwrap_or_default();
    let secret = entry
        .value("hmac_secret", encoded)
        .or_else(|| entry.value("hmac_secret_file", encoded_file));
    if entry.has("hmac_secret") || entry.has("hmac_secret_file") {
        config.issuer = issuer?;
        config.audiences = audiences?;
        return Some(hmac(config, secret?, format!("{path}.issuer")));
    }
    let reach = entry.value("issuer", values::trusted_url);
    config.jwks_uri =
        entry.value("jwks_uri", |text| values::trusted_url(text).map(|_| text.to_owned()));
    let ca_file = entry.value("ca_file", readable).or_else(|| defaults.ca_file.clone());
    config.issuer = issuer?;
    config.audiences = audiences?;
    Some(IssuerSettings { config, reach: Some(reach?), ca_file, key: format!("{path}.issuer") })
}

fn template(defaults: &Defaults) -> Issuer {
    Issuer {
        issuer: String::new(),
        audiences: Vec::new(),
        scopes: defaults.scopes.clone(),
        scope_claims: defaults.scope_claims.clone(),
        algorithms: defaults.algorithms.clone(),
        jwks_uri: None,
        hmac_secret: None,
        token_types: Vec::new(),
    }
}

fn audiences(sources: &mut Sources, defaults: &Defaults, key: &str) -> Option<Vec<String>> {
    if defaults.audiences.is_none() && !sources.faults.0.iter().any(|fault| fault.key == key) {
        sources.faults.add(
            key,
            "is not set; set the audience (`aud`) that your tokens carry for this gateway",
        );
    }
    defaults.audiences.clone()
}

/// The filter takes secrets as base64url, so that any bytes fit its JSON.
fn encoded(text: &str) -> Result<Secret, String> {
    values::key_material(text)?;
    Ok(Secret(URL_SAFE_NO_PAD.encode(text)))
}

fn encoded_file(path: &str) -> Result<Secret, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    encoded(text.trim_end_matches(['\r', '\n']))
}

/// The issuer is chosen by its exact name: two of one name would be a coin toss.
fn refuse_twins(issuers: &[IssuerSettings], sources: &mut Sources) {
    for (index, issuer) in issuers.iter().enumerate() {
        let twin =
            issuers.iter().take(index).find(|other| other.config.issuer == issuer.config.issuer);
        if let Some(twin) = twin {
            sources.faults.add(
                issuer.key.clone(),
                format!("`{}` is configured already, by {}", issuer.config.issuer, twin.key),
            );
        }
    }
}

/// Origins that keys are fetched from, each with the server to reach and the CA to trust.
pub(crate) fn key_servers(issuers: &[IssuerSettings]) -> Vec<(Upstream, Option<PathBuf>)> {
    let mut servers: Vec<(Upstream, Option<PathBuf>)> = Vec::new();
    for issuer in issuers {
        let jwks =
            issuer.config.jwks_uri.as_deref().and_then(|text| values::trusted_url(text).ok());
        for server in issuer.reach.iter().cloned().chain(jwks) {
            if !servers.iter().any(|(known, _)| known.origin() == server.origin()) {
                servers.push((server, issuer.ca_file.clone()));
            }
        }
    }
    servers
}
