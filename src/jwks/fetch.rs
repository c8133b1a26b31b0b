//! Fetching: what is asked of the host, what comes back, and what can be wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::jwt::json::Json;

use super::url::{BadUrl, Scheme, Url};
use super::{BadKeySet, MAX_BODY};

/// How long one fetch may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Names a fetch, so that its answer finds its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FetchId {
    /// Index of the issuer.
    pub(crate) source: usize,
    /// Grows with every fetch of that issuer: a late answer to an earlier one is recognized.
    pub(crate) serial: u64,
}

/// A GET request that the host is to make. Redirects are not to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// To be given back with the answer.
    pub id: FetchId,
    /// The Envoy cluster that reaches the address.
    pub cluster: String,
    /// The address: scheme, authority, and path with query.
    pub scheme: Scheme,
    /// See [`Fetch::scheme`].
    pub authority: String,
    /// See [`Fetch::scheme`].
    pub path: String,
    /// After this the answer is [`FetchOutcome::Failed`].
    pub timeout: Duration,
}

/// What became of a [`Fetch`].
#[derive(Clone, Copy, Debug)]
pub enum FetchOutcome<'a> {
    /// An answer, of any status.
    Response {
        /// Status code.
        status: u16,
        /// `cache-control`; several are joined with commas.
        cache_control: Option<&'a [u8]>,
        /// The whole body.
        body: &'a [u8],
    },
    /// No answer: not sent, not connected, cut, timed out.
    Failed,
}

/// Why a fetch gave no keys. Says nothing that the issuer sent, so it can be logged and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// No answer.
    NoAnswer,
    /// A status that is not 200; redirects are not followed.
    Status,
    /// A body of more than [`MAX_BODY`].
    TooLarge,
    /// The discovery document is not a JSON object with distinct names.
    BadDiscovery,
    /// The discovery document is another issuer's (OpenID Connect Discovery section 4.3).
    OtherIssuer,
    /// `jwks_uri` is absent, or not an address that we fetch from.
    BadJwksUri,
    /// `jwks_uri` has an origin that the configuration does not list.
    ForeignJwksUri,
    /// The key set is not a JSON object with an array of at most [`super::MAX_KEYS`] keys.
    BadKeySet,
    /// The key set has no usable signature key.
    NoKeys,
}

impl FetchError {
    const ALL: [Self; 9] = [
        Self::NoAnswer,
        Self::Status,
        Self::TooLarge,
        Self::BadDiscovery,
        Self::OtherIssuer,
        Self::BadJwksUri,
        Self::ForeignJwksUri,
        Self::BadKeySet,
        Self::NoKeys,
    ];

    /// Fixed text for logs and `/readyz`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::NoAnswer => "the issuer did not answer",
            Self::Status => "the issuer answered with a status other than 200",
            Self::TooLarge => "the issuer's answer is larger than 1 MiB",
            Self::BadDiscovery => "the discovery document is not a JSON object",
            Self::OtherIssuer => "the discovery document names another issuer",
            Self::BadJwksUri => "the discovery document has no usable jwks_uri",
            Self::ForeignJwksUri => {
                "the discovered jwks_uri has an origin that is not in `origins`"
            }
            Self::BadKeySet => "the key set is not a JSON object with up to 256 keys",
            Self::NoKeys => "the key set has no usable signature key",
        }
    }

    /// As a number that is not zero, for the record that workers share.
    #[must_use]
    pub(crate) fn code(self) -> u64 {
        Self::ALL.iter().zip(1..).find(|(error, _)| **error == self).map_or(0, |(_, code)| code)
    }

    /// The reverse of [`FetchError::code`].
    #[must_use]
    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().zip(1..).find(|(_, own)| *own == code).map(|(error, _)| error)
    }
}

impl From<BadKeySet> for FetchError {
    fn from(bad: BadKeySet) -> Self {
        match bad {
            BadKeySet::TooLarge => Self::TooLarge,
            BadKeySet::Malformed => Self::BadKeySet,
            BadKeySet::Empty => Self::NoKeys,
        }
    }
}

/// An address and the cluster that reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub url: Url,
    /// The Envoy cluster.
    pub cluster: String,
}

impl Target {
    /// The cluster of an address; `None` if its origin is not listed.
    #[must_use]
    pub fn of(url: Url, origins: &BTreeMap<String, String>) -> Option<Self> {
        let cluster = origins.get(&url.origin())?.clone();
        Some(Self { url, cluster })
    }

    /// The request for it.
    #[must_use]
    pub fn fetch(&self, id: FetchId) -> Fetch {
        Fetch {
            id,
            cluster: self.cluster.clone(),
            scheme: self.url.scheme,
            authority: self.url.authority.clone(),
            path: self.url.path.clone(),
            timeout: TIMEOUT,
        }
    }
}

/// Where an issuer's discovery document is (OpenID Connect Discovery section 4): a path of the
/// issuer stays, a slash at its end does not.
pub(crate) fn discovery_url(issuer: &str) -> Result<Url, BadUrl> {
    if issuer.contains('?') {
        return Err(BadUrl::Malformed);
    }
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
}

/// The body of a usable answer.
pub(crate) fn body<'a>(outcome: &FetchOutcome<'a>) -> Result<&'a [u8], FetchError> {
    match outcome {
        FetchOutcome::Failed => Err(FetchError::NoAnswer),
        FetchOutcome::Response { status, .. } if *status != 200 => Err(FetchError::Status),
        FetchOutcome::Response { body, .. } if body.len() > MAX_BODY => Err(FetchError::TooLarge),
        FetchOutcome::Response { body, .. } => Ok(body),
    }
}

/// Reads a discovery document for the address of the key set.
pub(crate) fn discovered(
    body: &[u8],
    issuer: &str,
    origins: &BTreeMap<String, String>,
) -> Result<Target, FetchError> {
    let document = Json::parse_strict(body).ok_or(FetchError::BadDiscovery)?;
    if document.text("issuer") != Ok(Some(issuer)) {
        return Err(FetchError::OtherIssuer);
    }
    let uri = document.text("jwks_uri").ok().flatten().ok_or(FetchError::BadJwksUri)?;
    let url = Url::parse(uri).map_err(|_| FetchError::BadJwksUri)?;
    Target::of(url, origins).ok_or(FetchError::ForeignJwksUri)
}
