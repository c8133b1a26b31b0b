//! Every reason to refuse a token.

/// Why a token is refused. In the order in which the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// Longer than [`super::MAX_TOKEN`].
    TooLarge,
    /// Not three non-empty parts (RFC 7515 section 7.1).
    NotCompact,
    /// A part is not base64url without padding (RFC 7515 section 2).
    Encoding,
    /// The header is not a JSON object with distinct names and members of the right types.
    Header,
    /// `crit`, `b64` or `zip`: an extension that must be understood, and is not.
    Extension,
    /// `alg` is unknown, `none`, or not allowed for the issuer.
    Algorithm,
    /// The claims are not a JSON object with distinct names and members of the right types.
    Claims,
    /// `sub` is absent, empty, too long or has control characters.
    Subject,
    /// `exp` is absent.
    NoExpiry,
    /// `iss` is absent or not one of ours.
    Issuer,
    /// `typ` is not accepted.
    Type,
    /// The issuer has no key that fits.
    UnknownKey,
    /// The signature does not fit.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is in the future.
    NotYetValid,
    /// `aud` is absent or does not name us.
    Audience,
}

impl Invalid {
    /// Every variant.
    pub const ALL: [Self; 16] = [
        Self::TooLarge,
        Self::NotCompact,
        Self::Encoding,
        Self::Header,
        Self::Extension,
        Self::Algorithm,
        Self::Claims,
        Self::Subject,
        Self::NoExpiry,
        Self::Issuer,
        Self::Type,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::Audience,
    ];

    /// The `error_description`: fixed text in the character set of RFC 6750 section 3, without
    /// anything that the client sent.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::TooLarge => "the token is too large",
            Self::NotCompact => "the token is not a signed JWT",
            Self::Encoding => "the token is not base64url encoded",
            Self::Header => "the token header is malformed",
            Self::Extension => "the token uses an unsupported extension",
            Self::Algorithm => "the token algorithm is not allowed",
            Self::Claims => "the token claims are malformed",
            Self::Subject => "the token subject is missing or unusable",
            Self::NoExpiry => "the token has no expiry",
            Self::Issuer => "the token issuer is not accepted",
            Self::Type => "the token type is not accepted",
            Self::UnknownKey => "the token key is not known",
            Self::Signature => "the token signature is not valid",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Audience => "the token audience is not accepted",
        }
    }
}
