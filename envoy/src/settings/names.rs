//! The names of all settings, and the nearest one to a name that is none.

/// One setting: an environment variable and a key of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// As it is written in the environment and in the file.
    pub name: &'static str,
    /// May be given as `NAME_FILE`, and its value is never shown.
    pub secret: bool,
}

const fn plain(name: &'static str) -> Name {
    Name { name, secret: false }
}

const fn secret(name: &'static str) -> Name {
    Name { name, secret: true }
}

/// Every setting of this version.
pub(crate) const NAMES: &[Name] = &[
    plain("OIDC_ISSUER"),
    plain("OIDC_AUD"),
    plain("OIDC_CLIENT_ID"),
    secret("OIDC_CLIENT_SECRET"),
    plain("OIDC_JWKS_URI"),
    plain("OIDC_ALGORITHMS"),
    plain("OIDC_SCOPES"),
    plain("OIDC_SCOPE_CLAIMS"),
    plain("OIDC_CA_FILE"),
    secret("JWT_HMAC_SECRET"),
    plain("JWT_HMAC_ISSUER"),
    plain("ENGINE_URL"),
    secret("ENGINE_API_KEY"),
    plain("ENGINE_MODEL"),
    plain("ENGINE_CA_FILE"),
    plain("MEM_BACKEND"),
    plain("MEM_RETENTION_DAYS"),
    plain("MEM_MAX_BYTES"),
    plain("MEM_REDACT"),
    plain("MEM_REDACT_PATTERNS"),
    plain("WEAVIATE_URL"),
    secret("WEAVIATE_API_KEY"),
    plain("WEAVIATE_MULTI_TENANCY"),
    plain("MIRROR_URL"),
    secret("MIRROR_TOKEN"),
    plain("MIRROR_LISTEN"),
    plain("MIRROR_CA_FILE"),
    plain("ATTACH_LISTEN"),
    plain("ATTACH_TLS_CERT"),
    plain("ATTACH_TLS_KEY"),
    plain("ATTACH_PUBLIC_URL"),
    plain("ATTACH_METRICS_LISTEN"),
    plain("ATTACH_MODE"),
    secret("ATTACH_SESSION_SECRET"),
    plain("ATTACH_SESSION"),
    plain("ATTACH_DATA_DIR"),
    plain("ATTACH_CONCURRENCY"),
    plain("ATTACH_ENGINE_TIMEOUT"),
    plain("ATTACH_CORS_ORIGINS"),
    plain("ATTACH_MAX_REWRITE_BODY"),
    plain("ATTACH_ENVOY"),
    plain("ATTACH_CONFIG"),
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
