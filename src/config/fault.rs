//! What is wrong with a configuration.

use std::fmt;

/// One fault, with the path of the key that has it: `issuers[0].audiences`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the key; empty for the whole document.
    pub path: String,
    /// What was seen and what to do. Never holds a secret.
    pub message: String,
}

impl Fault {
    /// A fault at a key.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}
