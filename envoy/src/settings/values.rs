//! Text of one setting -> value. Every error says what was seen and what is accepted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use attach_filter::config::{Algorithm, Mode};
use url::{Host, Url};

use super::Upstream;

/// A day: longer silences are a mistake of the unit.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// `300`, `300s`, `5m`, `1h`, `500ms`; at least a millisecond.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text);
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let parsed = number.parse::<u64>().ok().zip(millis).and_then(|(n, unit)| n.checked_mul(unit));
    match parsed.map(Duration::from_millis) {
        Some(duration) if duration.is_zero() => {
            Err("0 would mean no limit at all; give at least 1s".into())
        }
        Some(duration) if duration > LONGEST => {
            Err(format!("`{text}` is more than a day; at most 24h"))
        }
        Some(duration) => Ok(duration),
        None => Err(format!(
            "`{text}` is no duration; write seconds (300) or a unit: 500ms, 300s, 5m, 1h"
        )),
    }
}

/// `1048576`, `512KiB`, `1MiB`, `1MB`; 1 byte to 256 MiB.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = number_and_unit(text);
    let unit: Option<usize> = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        _ => None,
    };
    let parsed = number.parse::<usize>().ok().zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
    match parsed {
        Some(bytes) if (1..=256 << 20).contains(&bytes) => Ok(bytes),
        Some(_) => Err(format!("`{text}` is out of range; 1 byte to 256MiB")),
        None => Err(format!("`{text}` is no size; write bytes (1048576) or a unit: 512KiB, 1MiB")),
    }
}

fn number_and_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, unit.trim())
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`. Envoy listens on addresses, not on names.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    if let Some(port) =
        text.strip_prefix(':').or(Some(text)).filter(|port| port.parse::<u16>().is_ok())
    {
        return Err(format!(
            "`{text}` has no address; write 127.0.0.1:{port} (this machine) or 0.0.0.0:{port} (everybody)"
        ));
    }
    Err(format!("`{text}` is no address with a port; write it like 127.0.0.1:8080"))
}

/// Envoy worker threads.
pub(crate) fn concurrency(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(workers @ 1..=1024) => Ok(workers),
        _ => Err(format!("`{text}` is no number of workers; 1 to 1024")),
    }
}

/// `require`, `trusted`, `passthrough`.
pub(crate) fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "require" => Ok(Mode::Require),
        "trusted" => Ok(Mode::Trusted),
        "passthrough" => Ok(Mode::Passthrough),
        _ => Err(format!("`{text}` is no mode; require, trusted or passthrough")),
    }
}

/// The algorithms that a public key set may serve: never HS*, or a public key would do as a secret.
pub(crate) fn algorithm(text: &str) -> Result<Algorithm, String> {
    if text.starts_with("HS") {
        return Err(format!(
            "{text} does not go with public keys; a shared secret is set by JWT_HMAC_SECRET and JWT_HMAC_ISSUER"
        ));
    }
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| format!("`{text}` is no algorithm we know; RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES256K, EdDSA"))
}

/// Comma or white space separated.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Every item through `parse`; the first error wins, the others would mostly repeat it.
pub(crate) fn list_of<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    list(text).iter().map(|item| parse(item)).collect()
}

/// At least 32 bytes, as HMAC-SHA-256 keys must have (RFC 7518 section 3.2).
pub(crate) fn key_material(text: &str) -> Result<(), String> {
    match text.len() {
        32.. => Ok(()),
        len => Err(format!(
            "has {len} bytes, too few to be a secret; at least 32, for example from `openssl rand -base64 32`"
        )),
    }
}

/// An http or https address without credentials, query or fragment.
fn http_url(text: &str) -> Result<Url, String> {
    // The text may hold a password (`https://user:pw@host`), so it is only shown without one.
    let url = Url::parse(text)
        .map_err(|error| format!("is no URL ({error}); write it like http://127.0.0.1:11434"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password; use the setting for the key".into());
    }
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("`{text}` must begin with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` must not have a query or a fragment"));
    }
    Ok(url)
}

/// Where a server is: scheme, host, port, base path.
pub(crate) fn upstream(text: &str) -> Result<Upstream, String> {
    let url = http_url(text)?;
    Upstream::of(&url).ok_or_else(|| format!("`{text}` has no host or port"))
}

/// An issuer, or its key set address: https, or http on this machine only, as whoever can
/// change an unprotected answer can sign tokens.
pub(crate) fn trusted_url(text: &str) -> Result<Upstream, String> {
    let server = upstream(text)?;
    if !server.tls && !server.is_loopback() {
        return Err(format!(
            "`{text}` is plain http; https is needed (http is for 127.0.0.1, ::1 and localhost only)"
        ));
    }
    Ok(server)
}

/// What clients call us, without a trailing slash.
pub(crate) fn public_url(text: &str) -> Result<String, String> {
    http_url(text)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// One origin of RFC 6454: scheme, host and port, nothing else.
pub(crate) fn cors_origin(text: &str) -> Result<String, String> {
    if text == "*" || text == "null" {
        return Err(format!(
            "`{text}` would let every web page call with its visitors' tokens; list the origins, like https://app.example.com"
        ));
    }
    let origin = http_url(text)?.origin().ascii_serialization();
    if text.trim_end_matches('/').eq_ignore_ascii_case(&origin) {
        Ok(origin)
    } else {
        Err(format!("`{text}` is more than an origin; write {origin}"))
    }
}

impl Upstream {
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let tls = url.scheme() == "https";
        let host = url.host()?.to_owned();
        let port = url.port_or_known_default()?;
        let authority =
            url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        Some(Self {
            tls,
            host,
            port,
            authority,
            base_path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// `https://id.example.com`, with the port only if it is not the scheme's own (RFC 6454).
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }

    /// The whole address again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.base_path)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}
