//! The few settings that signing in needs, for a laptop where nothing else is set.

use std::ffi::OsString;
use std::path::PathBuf;

use attach_filter::config::Secret;

use super::fault::Faults;
use super::sources::Sources;
use super::values;

/// What `login` is told.
#[derive(Clone, Debug)]
pub struct LoginSettings {
    /// `OIDC_ISSUER`, exactly.
    pub issuer: String,
    /// `OIDC_CLIENT_ID`.
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET`.
    pub client_secret: Option<Secret>,
    /// `OIDC_SCOPES`: what the token should grant.
    pub scopes: Vec<String>,
    /// `OIDC_AUD`; may be empty.
    pub audiences: Vec<String>,
    /// `OIDC_CA_FILE`: the CA to trust for the issuer, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Reads what signing in needs from this process's environment.
///
/// # Errors
/// Every fault there is.
pub fn login_from_environment() -> Result<LoginSettings, Faults> {
    login(std::env::vars_os())
}

/// Reads what signing in needs; other settings are not looked at, but unknown names are faults.
///
/// # Errors
/// Every fault there is.
pub fn login(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<LoginSettings, Faults> {
    let mut sources = Sources::read(environment);
    let issuer =
        sources.value("OIDC_ISSUER", |text| values::trusted_url(text).map(|_| text.to_owned()));
    if sources.text("OIDC_ISSUER").is_none() {
        let text =
            "is not set; set it to the exact issuer to sign in at, like https://id.example.com/";
        sources.faults.add("OIDC_ISSUER", text);
    }
    let ca_file = sources.readable("OIDC_CA_FILE");
    match issuer {
        Some(issuer) if sources.faults.0.is_empty() => Ok(LoginSettings {
            issuer,
            client_id: sources.text("OIDC_CLIENT_ID").unwrap_or("attach-cli").to_owned(),
            client_secret: sources.secret("OIDC_CLIENT_SECRET"),
            scopes: sources
                .text("OIDC_SCOPES")
                .map_or_else(|| vec!["chat:run".to_owned()], values::list),
            audiences: sources.text("OIDC_AUD").map(values::list).unwrap_or_default(),
            ca_file,
        }),
        _ => Err(sources.faults),
    }
}
