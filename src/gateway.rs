//! The configuration made ready for the hot path; one for each VM.

use std::cell::RefCell;

use crate::auth::Authenticator;
use crate::config::{Config, Fault, Secret};
use crate::routes::RESOURCE_METADATA;
use crate::session::SessionKey;

/// What every flow of a VM shares.
pub struct Gateway {
    config: Config,
    metadata: String,
    session_key: SessionKey,
    engine_authorization: Option<Vec<u8>>,
    mirror_authorization: Option<Vec<u8>>,
    /// Verifier and key store; borrowed for the time of one call only.
    pub auth: RefCell<Authenticator>,
}

impl Gateway {
    /// Prepares a configuration. `worker` is any number that differs between workers.
    ///
    /// # Errors
    /// Every fault of the configuration, each with the path of its key.
    pub fn new(config: Config, worker: u64) -> Result<Self, Vec<Fault>> {
        let mut faults = config.faults();
        let auth = Authenticator::new(&config, worker).map_err(|more| faults.extend(more)).ok();
        let session_key = SessionKey::new(&config.session)
            .map_err(|fault| faults.push(Fault::new("session", fault.to_string())))
            .ok();
        let (Some(auth), Some(session_key)) = (auth, session_key) else { return Err(faults) };
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            metadata: format!("{}{RESOURCE_METADATA}", config.public_url),
            engine_authorization: config.engine.api_key.as_ref().map(bearer),
            mirror_authorization: config
                .mirror
                .as_ref()
                .and_then(|mirror| mirror.token.as_ref())
                .map(bearer),
            session_key,
            auth: RefCell::new(auth),
            config,
        })
    }

    /// The configuration as it was given.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Address of the RFC 9728 document.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Makes session ids.
    #[must_use]
    pub fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// What the engine gets as `Authorization`, if anything.
    #[must_use]
    pub fn engine_authorization(&self) -> Option<&[u8]> {
        self.engine_authorization.as_deref()
    }

    /// What the mirror-service gets as `Authorization`, if anything.
    #[must_use]
    pub fn mirror_authorization(&self) -> Option<&[u8]> {
        self.mirror_authorization.as_deref()
    }
}

fn bearer(secret: &Secret) -> Vec<u8> {
    format!("Bearer {}", secret.0).into_bytes()
}
