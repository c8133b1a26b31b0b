//! Text that must not be shown.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A token or key. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

// === impl Secret ===

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is the same text. Digests are compared, so the time taken says
    /// nothing about the text.
    #[must_use]
    pub fn is(&self, offered: &[u8]) -> bool {
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(offered)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
