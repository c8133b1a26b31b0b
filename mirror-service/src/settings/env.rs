//! Settings from the environment: every fault at once, each with its variable, what was seen
//! and what to do.

use std::fmt;
use std::path::PathBuf;

use crate::redact::Redactor;
use crate::secret::Secret;

use super::{Backend, Listen, Settings, Weaviate};

#[cfg(test)]
mod tests;

/// The variables that are read, with what they mean. Secrets may be given as `NAME_FILE`.
pub const VARIABLES: &[(&str, &str)] = &[
    ("ATTACH_DATA_DIR", "outbox, store, socket; default $XDG_STATE_HOME/attach-gateway"),
    ("MEM_BACKEND", "none, embedded (default) or weaviate"),
    ("MEM_RETENTION_DAYS", "embedded store: forget events older than this; default: never"),
    (
        "MEM_MAX_BYTES",
        "embedded store: forget the oldest events beyond this size; default: no limit",
    ),
    ("MEM_REDACT", "personal data to redact too: email, phone, comma separated; default: none"),
    ("MEM_REDACT_PATTERNS", "own patterns to redact, one a line: name=regular expression"),
    ("MIRROR_LISTEN", "unix:<path> or host:port; default unix:<data directory>/mirror.sock"),
    ("MIRROR_TOKEN", "Bearer token that callers must send; required on host:port"),
    ("WEAVIATE_URL", "address of Weaviate, with MEM_BACKEND=weaviate"),
    ("WEAVIATE_API_KEY", "sent to Weaviate as Bearer token"),
    ("WEAVIATE_MULTI_TENANCY", "true: a tenant for each user; default false"),
];

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub name: &'static str,
    /// What was seen and what to do. Never a secret.
    pub reason: String,
}

struct Reader<F> {
    get: F,
    faults: Vec<Fault>,
}

// === impl Settings ===

impl Settings {
    /// Reads the settings from variables that `get` looks up. An empty variable counts as unset.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn from_vars(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let mut from = Reader { get, faults: Vec::new() };
        let mut settings = Self::new(from.data_dir());
        settings.token = from.secret("MIRROR_TOKEN", "MIRROR_TOKEN_FILE");
        if let Some(listen) = from.listen(settings.token.is_some()) {
            settings.listen = listen;
        }
        settings.backend = from.backend();
        settings.retention.max_age_ms = from
            .number("MEM_RETENTION_DAYS", "a number of days such as 30")
            .map(|days| days.saturating_mul(24 * 60 * 60 * 1000));
        settings.retention.max_bytes =
            from.number("MEM_MAX_BYTES", "a number of bytes such as 10000000000");
        from.redaction(&mut settings);
        if from.faults.is_empty() { Ok(settings) } else { Err(from.faults) }
    }
}

// === impl Reader ===

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn var(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty())
    }

    fn fault(&mut self, name: &'static str, reason: impl Into<String>) {
        self.faults.push(Fault { name, reason: reason.into() });
    }

    fn data_dir(&mut self) -> PathBuf {
        if let Some(dir) = self.var("ATTACH_DATA_DIR") {
            return dir.into();
        }
        // XDG Base Directory Specification: a relative path is invalid and ignored.
        let state = self.var("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        let state =
            state.or_else(|| self.var("HOME").map(|home| PathBuf::from(home).join(".local/state")));
        match state {
            Some(state) => state.join("attach-gateway"),
            None => {
                self.fault(
                    "ATTACH_DATA_DIR",
                    "is not set and there is no HOME to derive it from; set it to a directory",
                );
                PathBuf::new()
            }
        }
    }

    fn secret(&mut self, name: &'static str, file: &'static str) -> Option<Secret> {
        let path = match (self.var(name), self.var(file)) {
            (Some(_), Some(_)) => {
                self.fault(name, format!("is set and {file} is set too; keep one of them"));
                return None;
            }
            (Some(value), None) => return Some(Secret::new(value)),
            (None, Some(path)) => path,
            (None, None) => return None,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim())),
            Ok(_) => {
                self.fault(file, format!("names {path:?}, which is empty; put the secret into it"));
                None
            }
            Err(fault) => {
                self.fault(file, format!("names {path:?}, which cannot be read: {fault}"));
                None
            }
        }
    }

    fn listen(&mut self, has_token: bool) -> Option<Listen> {
        let value = self.var("MIRROR_LISTEN")?;
        if let Some(path) = value.strip_prefix("unix:") {
            if !path.starts_with('/') {
                let reason =
                    format!("is {value:?}; give an absolute path: unix:/run/attach/mirror.sock");
                self.fault("MIRROR_LISTEN", reason);
            }
            return Some(Listen::Unix(path.into()));
        }
        let port = value.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
            let reason =
                format!("is {value:?}; give unix:<path> or host:port such as 127.0.0.1:7070");
            self.fault("MIRROR_LISTEN", reason);
        }
        if !has_token {
            let reason = "is not set; a TCP listener needs one, so that only the gateway can write: \
                          set it here and for the gateway, or listen on a Unix socket";
            self.fault("MIRROR_TOKEN", reason);
        }
        Some(Listen::Tcp(value))
    }

    fn backend(&mut self) -> Backend {
        match self.var("MEM_BACKEND").as_deref() {
            None | Some("embedded") => Backend::Embedded,
            Some("none") => Backend::None,
            Some("weaviate") => Backend::Weaviate(self.weaviate()),
            Some(other) => {
                let reason = format!("is {other:?}; give none, embedded or weaviate");
                self.fault("MEM_BACKEND", reason);
                Backend::None
            }
        }
    }

    fn weaviate(&mut self) -> Weaviate {
        let url = self.var("WEAVIATE_URL").unwrap_or_default();
        if url.is_empty() {
            let reason =
                "is not set and MEM_BACKEND is weaviate; set it, such as http://127.0.0.1:8090";
            self.fault("WEAVIATE_URL", reason);
        } else if !is_http(&url) {
            // The address may carry credentials: it is not repeated.
            let reason = "is not an http or https address without user, query or fragment; \
                          give one such as http://127.0.0.1:8090";
            self.fault("WEAVIATE_URL", reason);
        }
        let multi_tenancy = match self.var("WEAVIATE_MULTI_TENANCY").as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => {
                let reason = format!("is {other:?}; give true or false");
                self.fault("WEAVIATE_MULTI_TENANCY", reason);
                false
            }
        };
        let api_key = self.secret("WEAVIATE_API_KEY", "WEAVIATE_API_KEY_FILE");
        Weaviate { url: url.trim_end_matches('/').to_owned(), api_key, multi_tenancy }
    }

    fn number(&mut self, name: &'static str, wanted: &str) -> Option<u64> {
        let value = self.var(name)?;
        match value.parse() {
            Ok(number) if number > 0 => Some(number),
            _ => {
                self.fault(name, format!("is {value:?}; give {wanted}"));
                None
            }
        }
    }

    fn redaction(&mut self, settings: &mut Settings) {
        for kind in self.var("MEM_REDACT").unwrap_or_default().split(',').map(str::trim) {
            match kind {
                "" => {}
                "email" => settings.redaction.emails = true,
                "phone" => settings.redaction.phones = true,
                other => {
                    let reason = format!("names {other:?}; give email, phone or both");
                    self.fault("MEM_REDACT", reason);
                }
            }
        }
        let patterns = self.var("MEM_REDACT_PATTERNS").unwrap_or_default();
        for (index, line) in
            patterns.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
        {
            let kind = line.split_once('=').map(|(name, pattern)| (name.trim(), pattern.trim()));
            match kind {
                Some((name, pattern)) if is_kind(name) && !pattern.is_empty() => {
                    settings.redaction.patterns.push((name.to_owned(), pattern.to_owned()));
                }
                _ => {
                    let line = index.saturating_add(1);
                    let reason =
                        format!("line {line} is not name=pattern, the name of a-z, 0-9 and _");
                    self.fault("MEM_REDACT_PATTERNS", reason);
                }
            }
        }
        if let Err(bad) = Redactor::new(&settings.redaction) {
            self.fault("MEM_REDACT_PATTERNS", bad.to_string());
        }
    }
}

fn is_kind(name: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=40).contains(&name.len()) && name.bytes().all(ok)
}

fn is_http(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.reason)
    }
}
