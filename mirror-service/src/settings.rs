//! What the mirror-service is told.

use std::path::PathBuf;

use crate::secret::Secret;

mod env;

pub use env::{Fault, VARIABLES};

/// The settings of one mirror-service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: Listen,
    /// What every caller must send as Bearer token. TCP needs one.
    pub token: Option<Secret>,
    /// Outbox, store and socket live here; made with mode 0700.
    pub data_dir: PathBuf,
    /// Where events end up.
    pub backend: Backend,
    /// When the embedded store forgets.
    pub retention: Retention,
    /// What is redacted beyond the built-in rules.
    pub redaction: Redaction,
    /// Bounds on what waits.
    pub limits: Limits,
}

/// Where the mirror-service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A Unix socket, private to this user.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// Where events end up.
#[derive(Clone, Debug)]
pub enum Backend {
    /// Nowhere: batches are answered and forgotten.
    None,
    /// SQLite in the data directory.
    Embedded,
    /// A Weaviate server.
    Weaviate(Weaviate),
}

/// How to reach Weaviate.
#[derive(Clone, Debug)]
pub struct Weaviate {
    /// `http://127.0.0.1:8090`, without `/v1`.
    pub url: String,
    /// Sent as Bearer token.
    pub api_key: Option<Secret>,
    /// Keep each user's events in a tenant of their own.
    pub multi_tenancy: bool,
}

/// When the embedded store forgets. Nothing is forgotten by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Oldest event that is kept, milliseconds.
    pub max_age_ms: Option<u64>,
    /// Largest size of the database; the oldest events go first.
    pub max_bytes: Option<u64>,
}

/// What is redacted beyond the built-in rules.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// Email addresses too.
    pub emails: bool,
    /// Phone numbers too.
    pub phones: bool,
    /// Own patterns: name and regular expression. What a pattern's last group matches is
    /// replaced, or all of the match if it has no group.
    pub patterns: Vec<(String, String)>,
}

/// Bounds on what waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest batch, bytes.
    pub batch_bytes: usize,
    /// Batches in work at a time; one more is answered 503.
    pub batches: usize,
    /// Bytes the outbox may hold; a batch that comes when it is full is answered 503.
    pub outbox_bytes: u64,
}

// === impl Settings ===

impl Settings {
    /// The embedded store in `data_dir`, behind the Unix socket `mirror.sock` there.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            listen: Listen::Unix(data_dir.join("mirror.sock")),
            token: None,
            data_dir,
            backend: Backend::Embedded,
            retention: Retention::default(),
            redaction: Redaction::default(),
            limits: Limits::default(),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { batch_bytes: 4 << 20, batches: 64, outbox_bytes: 4 << 30 }
    }
}
