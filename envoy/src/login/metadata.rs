//! Where an issuer's endpoints are (OpenID Connect Discovery section 4, RFC 8414).

use serde::Deserialize;
use url::{Host, Url};

use super::Error;
use super::wire::Http;

/// What login needs of the issuer's metadata.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) token_endpoint: String,
    #[serde(default)]
    pub(super) device_authorization_endpoint: Option<String>,
    #[serde(default)]
    pub(super) scopes_supported: Vec<String>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
}

impl Metadata {
    /// Fetches and checks the metadata of `issuer`.
    pub(super) async fn fetch(http: &Http<'_>, issuer: &str) -> Result<Self, Error> {
        if !is_safe(issuer) {
            return Err(Error::InsecureIssuer(issuer.to_owned()));
        }
        // OpenID Connect Discovery section 4: one trailing slash is removed first.
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let url = format!("{base}/.well-known/openid-configuration");
        let body = http.get(&url).await?;
        let not_metadata = || Error::NoMetadata { url: url.clone() };
        let found: Self = serde_json::from_slice(&body).map_err(|_| not_metadata())?;
        found.checked(issuer)
    }

    fn checked(self, issuer: &str) -> Result<Self, Error> {
        // Discovery section 4.3: the value must match exactly, or any issuer could speak for
        // another.
        if self.issuer != issuer {
            let found = super::shown(&self.issuer);
            return Err(Error::OtherIssuer { asked: issuer.to_owned(), found });
        }
        let endpoints = [Some(&self.token_endpoint), self.device_authorization_endpoint.as_ref()];
        for endpoint in endpoints.into_iter().flatten() {
            if !is_safe(endpoint) {
                return Err(Error::InsecureEndpoint(super::shown(endpoint)));
            }
        }
        Ok(self)
    }
}

/// Codes and tokens travel by https, or by http that never leaves this machine.
pub(super) fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else {
        return false;
    };
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine() {
        let rows = [
            ("https://id.example.com/realm", true),
            ("http://127.0.0.1:5556/dex", true),
            ("http://127.8.8.8", true),
            ("http://[::1]:9000", true),
            ("http://localhost:9000", true),
            ("http://dex.localhost", true),
            ("http://id.example.com", false),
            ("http://localhost.example.com", false),
            ("http://192.168.0.1", false),
            ("ftp://127.0.0.1", false),
            ("id.example.com", false),
            ("", false),
        ];
        for (address, expected) in rows {
            assert_eq!(is_safe(address), expected, "{address}");
        }
    }

    #[test]
    fn metadata_of_another_issuer_or_with_unsafe_endpoints_is_refused() {
        let asked = "https://id.example.com";
        let metadata = |issuer: &str, token: &str, device: Option<&str>| Metadata {
            issuer: issuer.to_owned(),
            token_endpoint: token.to_owned(),
            device_authorization_endpoint: device.map(str::to_owned),
            scopes_supported: Vec::new(),
            token_endpoint_auth_methods_supported: Vec::new(),
        };
        let good = "https://elsewhere.example.com/token";
        assert!(metadata(asked, good, Some(good)).checked(asked).is_ok());
        assert!(metadata(asked, good, None).checked(asked).is_ok());
        let other = metadata("https://id.example.com/", good, None).checked(asked);
        assert!(matches!(other, Err(Error::OtherIssuer { .. })));
        for (token, device) in [("http://id.example.com/t", None), (good, Some("http://a.example"))]
        {
            let refused = metadata(asked, token, device).checked(asked);
            assert!(matches!(refused, Err(Error::InsecureEndpoint(_))));
        }
    }
}
