//! The names of all settings, what they mean, and the nearest one to a name that is none.

/// One setting: an environment variable and a key of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// As it is written in the environment and in the file.
    pub name: &'static str,
    /// May be given as `NAME_FILE`, and its value is never shown.
    pub secret: bool,
    /// What it is, and its default in brackets.
    pub meaning: &'static str,
}

const fn plain(name: &'static str, meaning: &'static str) -> Name {
    Name { name, secret: false, meaning }
}

const fn secret(name: &'static str, meaning: &'static str) -> Name {
    Name { name, secret: true, meaning }
}

/// Every setting of this version.
pub(crate) const NAMES: &[Name] = &[
    plain("OIDC_ISSUER", "required: the exact issuer of your identity provider"),
    plain("OIDC_AUD", "required: accepted audience(s), comma separated"),
    plain("OIDC_CLIENT_ID", "the client that `login` signs in with [attach-cli]"),
    secret("OIDC_CLIENT_SECRET", "its secret, if it has one"),
    plain("OIDC_JWKS_URI", "address of the key set [by discovery]"),
    plain("OIDC_ALGORITHMS", "accepted algorithms [RS*, PS*, ES256, ES384, EdDSA]"),
    plain("OIDC_SCOPES", "scopes that are all required; empty: none [chat:run]"),
    plain(
        "OIDC_SCOPE_CLAIMS",
        "claim paths that grant scopes [scope, scp, permissions, roles, realm_access.roles]",
    ),
    plain("OIDC_CA_FILE", "CA certificates to trust for the issuer [the system's]"),
    secret("JWT_HMAC_SECRET", "accept HS256/384/512 by this secret, at least 32 bytes"),
    plain("JWT_HMAC_ISSUER", "the exact issuer of tokens under that secret"),
    plain("ENGINE_URL", "the engine; a base path is kept [http://127.0.0.1:11434]"),
    secret("ENGINE_API_KEY", "sent to the engine as Bearer token; the caller's never is"),
    plain("ENGINE_MODEL", "model of requests that name none"),
    plain("ENGINE_CA_FILE", "CA certificates to trust for the engine [the system's]"),
    plain("MEM_BACKEND", "none, embedded or weaviate [embedded]"),
    plain("MEM_RETENTION_DAYS", "embedded store: forget events older than this [never]"),
    plain("MEM_MAX_BYTES", "embedded store: forget the oldest beyond this size [no limit]"),
    plain("MEM_REDACT", "personal data to redact too: email, phone [none]"),
    plain("MEM_REDACT_PATTERNS", "own patterns to redact, one a line: name=regular expression"),
    plain("WEAVIATE_URL", "address of Weaviate, with MEM_BACKEND=weaviate"),
    secret("WEAVIATE_API_KEY", "sent to Weaviate as Bearer token"),
    plain("WEAVIATE_MULTI_TENANCY", "true: a tenant for each user [false]"),
    plain("MIRROR_URL", "an external mirror-service [one of our own]"),
    secret("MIRROR_TOKEN", "the token shared with the mirror-service"),
    plain("MIRROR_CA_FILE", "CA certificates to trust for MIRROR_URL [the system's]"),
    plain("MIRROR_LISTEN", "where `mirror` listens; `run` gives its own a private socket"),
    plain("ATTACH_LISTEN", "where clients connect; port 0: a free one [127.0.0.1:8080]"),
    plain("ATTACH_TLS_CERT", "certificate chain of that listener, PEM [plain http]"),
    plain("ATTACH_TLS_KEY", "its private key, PEM"),
    plain("ATTACH_PUBLIC_URL", "what clients call us [http:// + ATTACH_LISTEN]"),
    plain("ATTACH_METRICS_LISTEN", "/metrics and /metrics/mirror [127.0.0.1:9464]"),
    plain("ATTACH_MODE", "require, trusted or passthrough [require]"),
    secret("ATTACH_SESSION_SECRET", "keys the session id [generated, kept in the data directory]"),
    plain("ATTACH_SESSION", "hmac, or sha256: the plain formula [hmac]"),
    plain("ATTACH_DATA_DIR", "store, outbox, secret, sockets [XDG state directory]"),
    plain("ATTACH_CONCURRENCY", "Envoy workers [cores]"),
    plain("ATTACH_ENGINE_TIMEOUT", "longest silence of the engine: 300, 300s, 5m [300s]"),
    plain("ATTACH_CORS_ORIGINS", "origins that may call from a browser [none]"),
    plain("ATTACH_MAX_REWRITE_BODY", "largest body that is rewritten: 1048576, 1MiB [1MiB]"),
    plain("ATTACH_ENVOY", "the Envoy to run [PATH, else the launcher's own]"),
    plain("ATTACH_CONFIG", "a YAML file with these settings, `issuers:` and `rules:`"),
];

/// Settings that only the mirror-service reads; the launcher passes them to the one it starts.
pub(crate) const OF_THE_MIRROR: &[&str] = &[
    "MEM_RETENTION_DAYS",
    "MEM_MAX_BYTES",
    "MEM_REDACT",
    "MEM_REDACT_PATTERNS",
    "WEAVIATE_MULTI_TENANCY",
];

/// Keys that only the file has.
pub(crate) const FILE_ONLY: &[&str] = &["issuers", "rules"];

/// Keys of the file that are described but not built in this version.
pub(crate) const NOT_YET: &[&str] = &["agents", "mcp"];

/// Read by the build, not by the program; somebody who builds may still have it set.
const BUILD_ONLY: &[&str] = &["ATTACH_FILTER_WASM"];

const FAMILIES: &[&str] = &["OIDC_", "ATTACH_", "ENGINE_", "MEM_", "MIRROR_", "WEAVIATE_", "JWT_"];

/// What a variable of the environment is to us.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A setting.
    Setting(Name),
    /// The path of a file that holds this secret.
    SecretFile(Name),
    /// Somebody else's, or harmless.
    Foreign,
    /// Of our families, but no setting.
    Unknown,
}

/// Sorts one variable by its name.
pub(crate) fn kind_of(variable: &str) -> Kind {
    if let Some(name) = find(variable) {
        return Kind::Setting(name);
    }
    if let Some(name) = variable.strip_suffix("_FILE").and_then(find).filter(|name| name.secret) {
        return Kind::SecretFile(name);
    }
    if !is_of_our_families(variable) || BUILD_ONLY.contains(&variable) || of_kubernetes(variable) {
        return Kind::Foreign;
    }
    Kind::Unknown
}

/// All settings as help text: name, meaning, default.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Settings, as environment variables or keys of the file (defaults in brackets):\n",
    );
    for Name { name, secret, meaning } in NAMES {
        let file = if *secret { " (or NAME_FILE)" } else { "" };
        text.push_str(&format!("  {name:<24} {meaning}{file}\n"));
    }
    text
}

/// Would this variable be a setting, if it is one at all?
pub(crate) fn is_of_our_families(variable: &str) -> bool {
    FAMILIES.iter().any(|family| variable.starts_with(family))
}

/// The setting of exactly this name.
pub(crate) fn find(name: &str) -> Option<Name> {
    NAMES.iter().copied().find(|known| known.name == name)
}

/// Kubernetes sets these in every pod for a Service whose name begins like one of our
/// families (`engine` gives `ENGINE_SERVICE_HOST`, `ENGINE_PORT_80_TCP_ADDR`, ...).
fn of_kubernetes(variable: &str) -> bool {
    variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || variable.ends_with("_PORT")
        || variable.contains("_PORT_")
}

/// The known name that is fewest edits away.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|candidate| distance(name, candidate))
}

/// Levenshtein distance, without case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let substitution = diagonal.saturating_add(usize::from(from != *to));
            left = substitution.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_meant() {
        let names = || NAMES.iter().map(|known| known.name);
        for (typed, meant) in [
            ("OIDC_ISSUR", "OIDC_ISSUER"),
            ("OIDC_AUDIENCE", "OIDC_AUD"),
            ("ENGINE_ULR", "ENGINE_URL"),
            ("ATTACH_LISTENER", "ATTACH_LISTEN"),
            ("MEM_BACKENDS", "MEM_BACKEND"),
            ("JWT_SECRET", "JWT_HMAC_SECRET"),
            ("attach_mode", "ATTACH_MODE"),
        ] {
            assert_eq!(nearest(typed, names()), Some(meant), "{typed}");
        }
    }

    #[test]
    fn only_unknown_names_of_our_families_are_faults() {
        for (variable, unknown) in [
            ("PATH", false),
            ("HOME", false),
            ("OIDC_ISSUER", false),
            ("ENGINE_API_KEY_FILE", false),
            ("ENGINE_SERVICE_HOST", false),
            ("ENGINE_SERVICE_PORT", false),
            ("ENGINE_SERVICE_PORT_HTTP", false),
            ("ENGINE_PORT", false),
            ("MIRROR_PORT_8080_TCP_ADDR", false),
            ("WEAVIATE_GRPC_PORT", false),
            ("ATTACH_FILTER_WASM", false),
            ("OIDC_AUD_FILE", true),
            ("OIDC_ISSUERS", true),
            ("MIRROR_PORTAL", true),
            ("ATTACH_", true),
        ] {
            assert_eq!(matches!(kind_of(variable), Kind::Unknown), unknown, "{variable}");
        }
    }
}
