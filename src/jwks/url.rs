//! The addresses that keys are fetched from.

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear; loopback only.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As it stands in an address.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// An absolute `https` address, or an `http` one of this very machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Host in lower case, and the port unless it is the scheme's own.
    pub authority: String,
    /// Path and query; begins with `/`.
    pub path: String,
}

/// Why text is not such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// Not an absolute http or https address, or one with user, fragment or odd characters.
    Malformed,
    /// `http` to another machine: whoever is on the way could replace the keys.
    Insecure,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte)) {
            return Err(BadUrl::Malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::Malformed)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(BadUrl::Malformed),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(BadUrl::Malformed)?;
        let (host, port) = host_and_port(authority).ok_or(BadUrl::Malformed)?;
        if scheme == Scheme::Http && !is_loopback(&host) {
            return Err(BadUrl::Insecure);
        }
        let default = if scheme == Scheme::Https { 443 } else { 80 };
        let authority = match port {
            Some(port) if port != default => format!("{host}:{port}"),
            _ => host,
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, authority, path: format!("{slash}{path}") })
    }

    /// Scheme and authority: `https://id.example.com`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of `[::1]` is not in front of a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    let host = host.to_ascii_lowercase();
    let valid = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        // What is no address after all cannot be an origin that the configuration lists.
        Some(address) => address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    valid.then_some((host, port))
}

/// `localhost`, `[::1]` or 127.0.0.0/8 (RFC 8252 section 8.3 has the same exception).
fn is_loopback(host: &str) -> bool {
    let mut parts = host.split('.');
    let is_ipv4 =
        parts.clone().count() == 4 && parts.clone().all(|part| part.parse::<u8>().is_ok());
    host == "localhost" || host == "[::1]" || (is_ipv4 && parts.next() == Some("127"))
}
