//! Every way in which a sign-in fails, with the way out.

use std::process::ExitCode;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Plain http to another machine would show the token to everybody between.
    #[error("OIDC_ISSUER is {0:?}: an https address is needed (http only on this machine)")]
    InsecureIssuer(String),
    /// No connection, or no answer in time.
    #[error(
        "cannot reach {url}: {cause}. Check OIDC_ISSUER and the network; \
         an issuer with a private certificate authority needs OIDC_CA_FILE"
    )]
    Unreachable {
        /// What was asked.
        url: String,
        /// What happened.
        cause: String,
    },
    /// Not the document that should be there.
    #[error(
        "{url} answers {status}. Is OIDC_ISSUER right? It is the address to which \
         /.well-known/openid-configuration is appended"
    )]
    Status {
        /// What was asked.
        url: String,
        /// Its status.
        status: u16,
    },
    /// The metadata is not what OpenID Connect Discovery describes.
    #[error("{url} is not an issuer's metadata. Is OIDC_ISSUER right?")]
    NoMetadata {
        /// What was asked.
        url: String,
    },
    /// The metadata speaks for somebody else.
    #[error(
        "OIDC_ISSUER is {asked:?}, but the issuer calls itself {found:?}. \
         Set exactly that, to the last slash"
    )]
    OtherIssuer {
        /// The setting.
        asked: String,
        /// What the metadata says.
        found: String,
    },
    /// An endpoint is plain http on another machine.
    #[error(
        "the issuer names {0:?} as an endpoint: only https is used (http only on this machine)"
    )]
    InsecureEndpoint(String),
    /// No `device_authorization_endpoint`.
    #[error(
        "{issuer} offers no device flow (no device_authorization_endpoint in its metadata). \
         Turn it on there, or get a token in another way and set TOKEN to it"
    )]
    NoDeviceFlow {
        /// The setting.
        issuer: String,
    },
    /// An OAuth error.
    #[error("the issuer refuses: {code}{}{description}{}", colon(.description), hint(.code))]
    Refused {
        /// The `error` member.
        code: String,
        /// The `error_description` member, or nothing.
        description: String,
    },
    /// The person pressed "deny".
    #[error("the sign-in was denied. Start again if that was a mistake")]
    Denied,
    /// Nobody decided in time.
    #[error("the code expired before anybody used it. Start again")]
    Expired,
    /// Neither tokens nor an OAuth error.
    #[error("{url} answers {status} with something that is neither a token nor an OAuth error")]
    Unusable {
        /// What was asked.
        url: String,
        /// Its status.
        status: u16,
    },
}

impl Error {
    /// 2 for a setting that can never work, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::InsecureIssuer(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

fn colon(description: &str) -> &'static str {
    if description.is_empty() { "" } else { ": " }
}

/// What to change after an OAuth error.
fn hint(code: &str) -> &'static str {
    match code {
        "invalid_client" => {
            ". Check OIDC_CLIENT_ID, and OIDC_CLIENT_SECRET if the client is not a public one"
        }
        "unauthorized_client" | "unsupported_grant_type" => {
            ". Allow the device flow for the client of OIDC_CLIENT_ID"
        }
        "invalid_scope" => {
            ". Set OIDC_SCOPES to scopes that the issuer knows, or leave it empty; \
             OIDC_SCOPE_CLAIMS tells the gateway where else to find them"
        }
        "invalid_target" | "invalid_resource" => {
            ". Set OIDC_AUD to an audience that the issuer knows"
        }
        _ => "",
    }
}
