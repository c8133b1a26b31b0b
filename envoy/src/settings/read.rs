//! Text of all settings -> `Settings`.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use attach_filter::config::{Mode, Secret};

use super::sources::Sources;
use super::{EngineSettings, ExternalMirror, Memory, SessionSetting, Settings, TlsFiles, Upstream};
use super::{issuers, names, rules, values};

/// What depends on the machine and not on our settings.
#[derive(Debug)]
pub(crate) struct Home {
    state: Option<PathBuf>,
    system_roots: Option<PathBuf>,
}

impl Home {
    pub(crate) fn of(environment: &[(OsString, OsString)]) -> Self {
        let variable = |name: &str| {
            let found = environment.iter().find(|(variable, _)| variable == name);
            found.map(|(_, value)| PathBuf::from(value)).filter(|path| path.is_absolute())
        };
        // XDG Base Directory Specification: relative paths in these variables are ignored.
        let state =
            variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        // Debian and Alpine, Fedora, SUSE, Alpine and macOS, newer Fedora.
        let usual = [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        ];
        let system_roots = variable("SSL_CERT_FILE")
            .into_iter()
            .chain(usual.map(PathBuf::from))
            .find(|path| path.is_file());
        Self { state: state.map(|state| state.join("attach-gateway")), system_roots }
    }
}

/// Reads on after a fault, so that all are found; what a fault leaves behind is never used.
pub(crate) fn read(sources: &mut Sources, home: &Home) -> Settings {
    let mode = sources.value_or("ATTACH_MODE", Mode::Require, values::mode);
    let rules = rules::read(sources);
    let signed_in =
        mode == Mode::Require || rules.iter().any(|rule| rule.mode == Some(Mode::Require));
    let issuers = issuers::read(sources, signed_in);
    let (memory, external_mirror) = mirror(sources);
    let settings = Settings {
        issuers,
        client_id: sources.text("OIDC_CLIENT_ID").unwrap_or("attach-cli").to_owned(),
        engine: engine(sources),
        memory,
        external_mirror,
        mirror_options: names::OF_THE_MIRROR
            .iter()
            .filter_map(|name| Some((*name, sources.text(name)?.to_owned())))
            .collect(),
        mirror_token: sources.secret("MIRROR_TOKEN"),
        listen: sources.value_or(
            "ATTACH_LISTEN",
            SocketAddr::from(([127, 0, 0, 1], 8080)),
            values::socket,
        ),
        tls: tls(sources),
        given_public_url: sources.value("ATTACH_PUBLIC_URL", values::public_url),
        metrics_listen: sources.value_or(
            "ATTACH_METRICS_LISTEN",
            SocketAddr::from(([127, 0, 0, 1], 9464)),
            values::socket,
        ),
        mode,
        rules,
        session: session(sources),
        data_dir: data_dir(sources, home).unwrap_or_default(),
        concurrency: sources.value_or("ATTACH_CONCURRENCY", cores(), values::concurrency),
        cors_origins: sources.value_or("ATTACH_CORS_ORIGINS", Vec::new(), |text| {
            values::list_of(text, values::cors_origin)
        }),
        max_rewrite_body: sources.value_or("ATTACH_MAX_REWRITE_BODY", 1 << 20, values::bytes),
        envoy: sources.text("ATTACH_ENVOY").map(PathBuf::from),
        system_roots: home.system_roots.clone(),
    };
    check_together(&settings, sources);
    settings
}

fn engine(sources: &mut Sources) -> EngineSettings {
    // Where Ollama listens.
    let default = Upstream {
        tls: false,
        host: url::Host::Ipv4(Ipv4Addr::LOCALHOST),
        port: 11434,
        authority: "127.0.0.1:11434".to_owned(),
        base_path: String::new(),
    };
    EngineSettings {
        upstream: sources.value_or("ENGINE_URL", default, values::upstream),
        api_key: sources.value("ENGINE_API_KEY", header_text).map(Secret),
        model: sources.text("ENGINE_MODEL").map(str::to_owned),
        ca_file: sources.readable("ENGINE_CA_FILE"),
        timeout: sources.value_or(
            "ATTACH_ENGINE_TIMEOUT",
            Duration::from_secs(300),
            values::duration,
        ),
    }
}

fn mirror(sources: &mut Sources) -> (Memory, Option<ExternalMirror>) {
    let ca_file = sources.readable("MIRROR_CA_FILE");
    let external = sources
        .value("MIRROR_URL", mirror_url)
        .map(|upstream| ExternalMirror { upstream, ca_file });
    // Only its form is checked here; the value travels as it is.
    let _ = sources.value("MIRROR_TOKEN", header_text);
    let backend = sources.text("MEM_BACKEND").unwrap_or("embedded").to_owned();
    let url = sources.value("WEAVIATE_URL", values::upstream);
    let memory = match backend.as_str() {
        "none" => Memory::None,
        "embedded" => Memory::Embedded,
        "weaviate" => match url {
            Some(url) => Memory::Weaviate { url, api_key: sources.secret("WEAVIATE_API_KEY") },
            None => {
                if sources.text("WEAVIATE_URL").is_none() {
                    sources.faults.add(
                        "WEAVIATE_URL",
                        "is not set; MEM_BACKEND=weaviate needs it, like http://127.0.0.1:8081",
                    );
                }
                Memory::None
            }
        },
        other => {
            sources
                .faults
                .add("MEM_BACKEND", format!("`{other}` is no store; none, embedded or weaviate"));
            Memory::None
        }
    };
    (memory, external)
}

/// The filter and the mirror-service agree on paths from the root.
fn mirror_url(text: &str) -> Result<Upstream, String> {
    let upstream = values::upstream(text)?;
    if !upstream.base_path.is_empty() {
        return Err(format!("`{text}` has a path; write {}", upstream.origin()));
    }
    Ok(upstream)
}

/// A key that travels in a header: what a header cannot carry would break every request.
fn header_text(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("holds white space or bytes that a header cannot carry".into())
    }
}

fn session(sources: &mut Sources) -> SessionSetting {
    let secret = sources.value("ATTACH_SESSION_SECRET", |text| {
        values::key_material(text).map(|()| Secret(text.to_owned()))
    });
    match sources.text("ATTACH_SESSION") {
        None | Some("hmac") => SessionSetting::Secret(secret),
        Some("sha256") => SessionSetting::Sha256,
        Some(other) => {
            let text = format!("`{other}` is no session formula; hmac (the default) or sha256");
            sources.faults.add("ATTACH_SESSION", text);
            SessionSetting::Secret(secret)
        }
    }
}

fn tls(sources: &mut Sources) -> Option<TlsFiles> {
    let given = |name| sources.text(name).is_some();
    for (set, other) in
        [("ATTACH_TLS_CERT", "ATTACH_TLS_KEY"), ("ATTACH_TLS_KEY", "ATTACH_TLS_CERT")]
    {
        if given(set) && !given(other) {
            sources.faults.add(other, format!("is not set, but {set} is; TLS needs both"));
            return None;
        }
    }
    let certificate = sources.readable("ATTACH_TLS_CERT");
    let key = sources.readable("ATTACH_TLS_KEY");
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn data_dir(sources: &mut Sources, home: &Home) -> Option<PathBuf> {
    let given = sources.value("ATTACH_DATA_DIR", |text| {
        std::path::absolute(text).map_err(|error| format!("`{text}` is no path: {error}"))
    });
    let found = given.or_else(|| home.state.clone());
    if found.is_none() {
        sources.faults.add(
            "ATTACH_DATA_DIR",
            "is not set, and there is no HOME to take the default from; set it",
        );
    }
    found
}

/// Faults that only two settings together make.
fn check_together(settings: &Settings, sources: &mut Sources) {
    let (listen, metrics) = (settings.listen, settings.metrics_listen);
    if listen == metrics && listen.port() != 0 {
        sources.faults.add(
            "ATTACH_METRICS_LISTEN",
            format!("{metrics} is ATTACH_LISTEN too; give it another port"),
        );
    }
    check_data_dir(settings, sources);
    if settings.system_roots.is_none() {
        check_trust(settings, sources);
    }
}

/// `sockaddr_un` holds 107 bytes and a NUL; the longest name in the directory is that of
/// Envoy's admin socket after many reloads.
const LONGEST_DATA_DIR: usize = 107 - "/admin-99999.sock".len();

fn check_data_dir(settings: &Settings, sources: &mut Sources) {
    let path = settings.data_dir.as_os_str();
    if path.to_str().is_none() {
        sources.faults.add("ATTACH_DATA_DIR", "is not UTF-8 text; Envoy cannot be told it");
    }
    if path.len() > LONGEST_DATA_DIR {
        let text = format!(
            "{} has {} bytes, too many for the Unix sockets in it; set a path of at most {LONGEST_DATA_DIR}",
            settings.data_dir.display(),
            path.len()
        );
        sources.faults.add("ATTACH_DATA_DIR", text);
    }
}

fn check_trust(settings: &Settings, sources: &mut Sources) {
    let trusts = issuers::key_servers(&settings.issuers)
        .into_iter()
        .map(|(server, ca)| (server, ca, "OIDC_CA_FILE"));
    let engine =
        (settings.engine.upstream.clone(), settings.engine.ca_file.clone(), "ENGINE_CA_FILE");
    let mirror = settings
        .external_mirror
        .clone()
        .map(|mirror| (mirror.upstream, mirror.ca_file, "MIRROR_CA_FILE"));
    for (server, ca, name) in trusts.chain([engine]).chain(mirror) {
        if server.tls && ca.is_none() {
            let text = format!(
                "is not set, and this machine has no CA certificates to check {} with; install ca-certificates or set it",
                server.origin()
            );
            sources.faults.add(name, text);
        }
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism()
        .ok()
        .and_then(|cores| u32::try_from(cores.get()).ok())
        .unwrap_or(1)
}
