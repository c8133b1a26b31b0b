//! Every reason to refuse a request. (The status, challenge and body table follows here.)

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No credentials at all (RFC 6750 section 3: a challenge without `error`).
    MissingToken,
    /// A malformed or repeated `Authorization`; the text is the `error_description`.
    InvalidRequest(&'static str),
    /// The token is bad; the text is the fixed `error_description`.
    InvalidToken(&'static str),
    /// Scopes that are not granted; the required ones, space separated.
    InsufficientScope(String),
    /// Route or model not allowed.
    Forbidden,
    /// No usable keys of the token's issuer.
    KeysUnavailable,
    /// A body too large for a rewritten route.
    BodyTooLarge,
    /// A body that a rewritten route cannot use; the text says why.
    InvalidBody(&'static str),
    /// The engine refused or broke off before it answered.
    EngineUnavailable,
    /// The engine was silent for too long.
    EngineTimeout,
}
