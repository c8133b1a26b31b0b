//! What a token says: the issuer's own defaults, each of which may be replaced or left out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// Claims of one token, laid over the issuer's defaults.
#[derive(Clone, Debug, Default)]
pub struct Claims(BTreeMap<String, Option<Value>>);

impl Claims {
    /// The defaults, for the subject `sub`.
    #[must_use]
    pub fn of(sub: &str) -> Self {
        Self::default().with("sub", sub)
    }

    /// Sets a claim, whatever its type should be.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), None);
        self
    }

    pub(super) fn over(&self, mut defaults: Map<String, Value>) -> Map<String, Value> {
        for (name, value) in &self.0 {
            match value {
                Some(value) => drop(defaults.insert(name.clone(), value.clone())),
                None => drop(defaults.remove(name)),
            }
        }
        defaults
    }
}

/// What every token of one issuer has in common.
pub(super) struct Common<'a> {
    pub(super) issuer: &'a str,
    pub(super) now: Duration,
    pub(super) lifetime: Duration,
    pub(super) jti: String,
}

impl Common<'_> {
    /// `iss`, `iat`, `exp` (RFC 7519 NumericDate, whole seconds) and `jti`.
    pub(super) fn claims(self) -> Map<String, Value> {
        let now = self.now.as_secs();
        let exp = now.saturating_add(self.lifetime.as_secs());
        Map::from_iter([
            ("iss".to_owned(), Value::from(self.issuer)),
            ("iat".to_owned(), Value::from(now)),
            ("exp".to_owned(), Value::from(exp)),
            ("jti".to_owned(), Value::from(self.jti)),
        ])
    }
}
