#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use attach_filter::config::{Algorithm, Mode};

use super::*;

const ISSUER: (&str, &str) = ("OIDC_ISSUER", "https://id.example.com/");
const AUD: (&str, &str) = ("OIDC_AUD", "attach");

const LONG: &str = "/a/directory/whose/name/is/far/too/long/for/a/unix/socket/whatever/the/file/in/it/may/be/called";

/// The least that is needed, and `extra`.
fn with(extra: &[(&str, &str)]) -> Result<Settings, Faults> {
    let home = ("HOME", "/home/ann");
    let roots = ("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    from_pairs(&[&[ISSUER, AUD, home, roots], extra].concat())
}

fn good(extra: &[(&str, &str)]) -> Settings {
    with(extra).unwrap_or_else(|faults| panic!("{extra:?}: {faults}"))
}

fn faults(extra: &[(&str, &str)]) -> Vec<String> {
    let faults = with(extra).err().unwrap_or_default();
    faults.0.iter().map(ToString::to_string).collect()
}

/// Settings from a file with this text, with a HOME and nothing else in the environment.
fn from_file(text: &str, extra: &[(&str, &str)]) -> Result<Settings, Faults> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attach.yaml");
    std::fs::write(&path, text).unwrap();
    let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let fixed = [
        ("HOME", "/home/ann"),
        ("SSL_CERT_FILE", roots),
        ("ATTACH_CONFIG", path.to_str().unwrap()),
    ];
    from_pairs(&[&fixed, extra].concat())
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = good(&[("ATTACH_CONCURRENCY", "")]);
    let issuer = &settings.issuers[0].config;
    assert_eq!(issuer.issuer, "https://id.example.com/");
    assert_eq!(issuer.audiences, ["attach"]);
    assert_eq!(issuer.scopes, ["chat:run"]);
    assert_eq!(issuer.algorithms, Algorithm::defaults());
    assert_eq!(issuer.scope_claims, ["scope", "scp", "permissions", "roles", "realm_access.roles"]);
    assert_eq!(settings.client_id, "attach-cli");
    assert_eq!(settings.engine.upstream.url(), "http://127.0.0.1:11434");
    assert_eq!(settings.engine.timeout, Duration::from_secs(300));
    assert!(matches!(settings.memory, Memory::Embedded));
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url(), "http://127.0.0.1:8080");
    assert_eq!(settings.metrics_listen.to_string(), "127.0.0.1:9464");
    assert_eq!(settings.mode, Mode::Require);
    assert_eq!(settings.max_rewrite_body, 1 << 20);
    assert_eq!(settings.data_dir, Path::new("/home/ann/.local/state/attach-gateway"));
    assert!(settings.concurrency >= 1);
    assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
}

#[test]
fn every_value_has_its_forms() {
    for (name, value, check) in [
        (
            "OIDC_AUD",
            "a, b",
            (|s| s.issuers[0].config.audiences == ["a", "b"]) as fn(&Settings) -> bool,
        ),
        ("OIDC_SCOPES", "a b,c", |s| s.issuers[0].config.scopes == ["a", "b", "c"]),
        ("OIDC_SCOPES", "", |s| s.issuers[0].config.scopes.is_empty() && !s.warnings().is_empty()),
        ("OIDC_SCOPE_CLAIMS", "groups", |s| s.issuers[0].config.scope_claims == ["groups"]),
        ("OIDC_ALGORITHMS", "ES256,EdDSA", |s| {
            s.issuers[0].config.algorithms == [Algorithm::ES256, Algorithm::EdDSA]
        }),
        ("OIDC_JWKS_URI", "http://127.0.0.1:9/k", |s| s.key_servers().len() == 2),
        ("OIDC_JWKS_URI", "https://id.example.com/k", |s| s.key_servers().len() == 1),
        ("ENGINE_URL", "https://api.openai.com/", |s| {
            let engine = &s.engine.upstream;
            engine.tls
                && engine.port == 443
                && engine.authority == "api.openai.com"
                && engine.base_path.is_empty()
        }),
        ("ENGINE_URL", "http://[::1]:8000/base/", |s| {
            s.engine.upstream.authority == "[::1]:8000" && s.engine.upstream.base_path == "/base"
        }),
        ("ATTACH_ENGINE_TIMEOUT", "5m", |s| s.engine.timeout == Duration::from_secs(300)),
        ("ATTACH_ENGINE_TIMEOUT", "2", |s| s.engine.timeout == Duration::from_secs(2)),
        ("ATTACH_ENGINE_TIMEOUT", "500ms", |s| s.engine.timeout == Duration::from_millis(500)),
        ("ATTACH_MAX_REWRITE_BODY", "2MiB", |s| s.max_rewrite_body == 2 << 20),
        ("ATTACH_MAX_REWRITE_BODY", "4096", |s| s.max_rewrite_body == 4096),
        ("ATTACH_MAX_REWRITE_BODY", "1MB", |s| s.max_rewrite_body == 1_000_000),
        ("ATTACH_LISTEN", "localhost:81", |s| s.listen.to_string() == "127.0.0.1:81"),
        ("ATTACH_LISTEN", "[::]:81", |s| s.listen.to_string() == "[::]:81"),
        ("ATTACH_PUBLIC_URL", "https://gw.example.com/", |s| {
            s.public_url() == "https://gw.example.com"
        }),
        ("ATTACH_MODE", "passthrough", |s| s.mode == Mode::Passthrough && !s.warnings().is_empty()),
        ("ATTACH_SESSION", "sha256", |s| {
            matches!(s.session, SessionSetting::Sha256) && !s.warnings().is_empty()
        }),
        ("ATTACH_CORS_ORIGINS", "https://a.example,http://localhost:3000/", |s| {
            s.cors_origins == ["https://a.example", "http://localhost:3000"]
        }),
        ("MEM_BACKEND", "none", |s| !s.mirrors()),
        ("MIRROR_URL", "http://mirror:9000", |s| s.mirrors() && !s.runs_mirror()),
        ("ATTACH_DATA_DIR", "/data", |s| s.data_dir == Path::new("/data")),
        ("ATTACH_CONCURRENCY", "3", |s| s.concurrency == 3),
    ] {
        assert!(check(&good(&[(name, value)])), "{name}={value}");
    }
}

#[test]
fn every_bad_value_is_a_fault_that_names_its_setting() {
    for (name, value, part) in [
        ("OIDC_ISSUER", "http://id.example.com", "https is needed"),
        ("OIDC_ISSUER", "id.example.com", "no URL"),
        ("OIDC_JWKS_URI", "http://id.example.com/k", "https is needed"),
        ("OIDC_ISSUER", "https://id.example.com/\u{fc}", "OIDC_ISSUER: issuer must be the exact"),
        ("OIDC_ALGORITHMS", "RS255", "`RS255` is no algorithm"),
        ("OIDC_ALGORITHMS", "RS256,HS256", "JWT_HMAC_SECRET"),
        ("OIDC_ALGORITHMS", "none", "`none` is no algorithm"),
        ("OIDC_CA_FILE", "/nowhere.pem", "cannot read /nowhere.pem"),
        ("ENGINE_URL", "ftp://x", "must begin with http"),
        ("ENGINE_URL", "127.0.0.1:11434", "no URL"),
        ("ENGINE_URL", "http://x/?key=1", "query"),
        ("ENGINE_API_KEY", "two words", "white space"),
        ("MEM_BACKEND", "redis", "`redis` is no store"),
        ("MIRROR_URL", "mirror:9000", "must begin with http"),
        ("MIRROR_URL", "http://mirror:9000/base", "write http://mirror:9000"),
        ("ATTACH_DATA_DIR", LONG, "at most 90"),
        ("ATTACH_LISTEN", "8080", "127.0.0.1:8080"),
        ("ATTACH_LISTEN", ":8080", "0.0.0.0:8080"),
        ("ATTACH_LISTEN", "gateway:8080", "no address"),
        ("ATTACH_METRICS_LISTEN", "127.0.0.1:8080", "another port"),
        ("ATTACH_MODE", "off", "`off` is no mode"),
        ("ATTACH_SESSION", "md5", "`md5` is no session formula"),
        ("ATTACH_SESSION_SECRET", "short", "5 bytes"),
        ("ATTACH_CONCURRENCY", "0", "1 to 1024"),
        ("ATTACH_CONCURRENCY", "many", "1 to 1024"),
        ("ATTACH_ENGINE_TIMEOUT", "0", "no limit"),
        ("ATTACH_ENGINE_TIMEOUT", "5 days", "no duration"),
        ("ATTACH_ENGINE_TIMEOUT", "99999999999999999999h", "no duration"),
        ("ATTACH_ENGINE_TIMEOUT", "25h", "more than a day"),
        ("ATTACH_MAX_REWRITE_BODY", "1GiB", "no size"),
        ("ATTACH_MAX_REWRITE_BODY", "999MiB", "out of range"),
        ("ATTACH_CORS_ORIGINS", "*", "every web page"),
        ("ATTACH_CORS_ORIGINS", "https://a.example/path", "write https://a.example"),
        ("ATTACH_PUBLIC_URL", "gw.example.com", "no URL"),
        ("ATTACH_TLS_CERT", "/nowhere.pem", "ATTACH_TLS_KEY: is not set"),
        ("ATTACH_CONFIG", "/nowhere.yaml", "cannot read /nowhere.yaml"),
        ("JWT_HMAC_ISSUER", "us", "JWT_HMAC_SECRET: is not set"),
        ("ENGINE_API_KEY_FILE", "/nowhere", "ENGINE_API_KEY_FILE: cannot read /nowhere"),
        ("OIDC_ISSUR", "x", "did you mean OIDC_ISSUER?"),
        ("OIDC_AUD_FILE", "x", "only secrets"),
    ] {
        let faults = faults(&[(name, value)]);
        assert_eq!(faults.len(), 1, "{name}={value}: {faults:?}");
        assert!(faults[0].contains(part) && faults[0].contains(name), "{name}={value}: {faults:?}");
    }
}

#[test]
fn all_faults_are_reported_together() {
    let wrong = [
        ("ATTACH_MODE", "x"),
        ("ENGINE_URL", "x"),
        ("ATTACH_CONCURRENCY", "x"),
        ("ENGINE_MODLE", "x"),
        ("MEM_BACKEND", "x"),
    ];
    let error = from_pairs(&wrong).unwrap_err();
    let keys: Vec<_> = error.0.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "ATTACH_MODE",
        "ENGINE_URL",
        "ATTACH_CONCURRENCY",
        "ENGINE_MODLE",
        "MEM_BACKEND",
        "OIDC_ISSUER",
        "OIDC_AUD",
        "ATTACH_DATA_DIR",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {keys:?}");
    }
    assert_eq!(error.to_string().lines().count(), keys.len());
}

#[test]
fn an_empty_variable_is_unset() {
    let settings = good(&[
        ("ENGINE_URL", ""),
        ("MEM_BACKEND", ""),
        ("ATTACH_CONFIG", ""),
        ("OIDC_ISSUERS", ""),
        ("ENGINE_API_KEY_FILE", ""),
    ]);
    assert_eq!(settings.engine.upstream.port, 11434);
    assert!(settings.engine.api_key.is_none());
}

#[test]
fn what_kubernetes_injects_is_ignored() {
    good(&[
        ("ENGINE_SERVICE_HOST", "10.0.0.1"),
        ("ENGINE_PORT", "tcp://10.0.0.1:80"),
        ("ENGINE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MIRROR_SERVICE_PORT_HTTP", "80"),
    ]);
}

#[test]
fn a_shared_secret_makes_an_issuer_of_its_own() {
    let secret = "0123456789abcdef0123456789abcdef";
    let both = good(&[("JWT_HMAC_SECRET", secret), ("JWT_HMAC_ISSUER", "us")]);
    let issuer = &both.issuers[1].config;
    assert_eq!(issuer.issuer, "us");
    assert_eq!(issuer.algorithms, [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]);
    assert_eq!(
        issuer.hmac_secret.as_ref().unwrap().0,
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
    );
    assert_eq!(
        (&issuer.audiences[..], &issuer.scopes[..]),
        (&["attach".to_owned()][..], &["chat:run".to_owned()][..])
    );
    assert_eq!(both.key_servers().len(), 1, "nothing is fetched for a shared secret");

    let alone =
        from_pairs(&[AUD, ("HOME", "/h"), ("JWT_HMAC_SECRET", secret), ("JWT_HMAC_ISSUER", "us")])
            .unwrap();
    assert_eq!(alone.issuers.len(), 1);
}

#[test]
fn secrets_come_from_files_without_the_line_break_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "sk-very-secret\r\n").unwrap();
    let settings = good(&[("ENGINE_API_KEY_FILE", path.to_str().unwrap())]);
    assert_eq!(settings.engine.api_key.as_ref().unwrap().0, "sk-very-secret");
    assert!(!format!("{settings:?}").contains("sk-very-secret"));

    let both = faults(&[("ENGINE_API_KEY_FILE", path.to_str().unwrap()), ("ENGINE_API_KEY", "x")]);
    assert!(both.len() == 1 && both[0].contains("set one of them"), "{both:?}");
    std::fs::write(&path, "\n").unwrap();
    let empty = faults(&[("ENGINE_API_KEY_FILE", path.to_str().unwrap())]);
    assert!(empty.len() == 1 && empty[0].contains("is empty"), "{empty:?}");
}

#[test]
fn no_fault_shows_a_secret() {
    for (name, value) in [
        ("JWT_HMAC_SECRET", "hush-hush"),
        ("ATTACH_SESSION_SECRET", "hush-hush"),
        ("ENGINE_API_KEY", "hush-hush two"),
        ("MIRROR_TOKEN", "hush-hush two"),
        ("ENGINE_URL", "http://ann:hush-hush@host"),
        ("ENGINE_URL", "hush-hush"),
    ] {
        let faults = faults(&[(name, value)]);
        assert!(!faults.is_empty(), "{name}");
        assert!(!faults.join("\n").contains("hush-hush"), "{faults:?}");
    }
}

#[test]
fn the_file_takes_the_same_names_and_the_environment_wins() {
    let text = "
OIDC_ISSUER: https://file.example.com
OIDC_AUD: [a, b]
ATTACH_CONCURRENCY: 2
ENGINE_URL: http://127.0.0.1:1
ENGINE_MODEL: null
";
    let settings = from_file(text, &[("ENGINE_URL", "http://127.0.0.1:2")]).unwrap();
    assert_eq!(settings.issuers[0].config.issuer, "https://file.example.com");
    assert_eq!(settings.issuers[0].config.audiences, ["a", "b"]);
    assert_eq!(settings.concurrency, 2);
    assert_eq!(settings.engine.upstream.port, 2);
    assert!(settings.engine.model.is_none());
}

#[test]
fn lists_of_the_file_become_issuers_and_rules() {
    let text = r"
OIDC_AUD: attach
issuers:
  - {issuer: https://a.example/, scopes: [], algorithms: [ES256]}
  - {issuer: https://b.example/, audiences: [b], jwks_uri: https://keys.example/b, scope_claims: [groups]}
rules:
  - {path: /api/pull, methods: [POST], scopes: [ollama:admin]}
  - {path: /internal/*, mode: passthrough}
";
    let settings = from_file(text, &[]).unwrap();
    let [a, b] = &settings.issuers[..] else { panic!("{:?}", settings.issuers) };
    assert_eq!(
        (a.config.audiences.as_slice(), a.config.scopes.len()),
        (&["attach".to_owned()][..], 0)
    );
    assert_eq!(a.config.algorithms, [Algorithm::ES256]);
    assert_eq!(
        (b.config.audiences.as_slice(), b.config.scopes.as_slice()),
        (&["b".to_owned()][..], &["chat:run".to_owned()][..])
    );
    let origins: Vec<_> =
        settings.key_servers().iter().map(|(server, _)| server.origin()).collect();
    assert_eq!(origins, ["https://a.example", "https://b.example", "https://keys.example"]);
    assert_eq!(settings.rules.len(), 2);
    assert_eq!(settings.rules[1].mode, Some(Mode::Passthrough));
    assert!(settings.warnings().iter().any(|warning| warning.contains("rules[1] (/internal/*)")));
}

#[test]
fn every_fault_of_the_file_has_its_path() {
    let text = r"
OIDC_AUDIENCE: x
colour: blue
ENGINE_URL: {a: 1}
OIDC_SCOPES_FILE: /x
ENGINE_API_KEY_FILE: /x
agents: {planner: http://127.0.0.1:9001}
issuers:
  - {issuer: https://a.example/, audience: [a]}
  - {issuer: https://b.example/, audiences: a, algorithms: [HS256]}
  - {issuer: http://c.example/, audiences: [a], jwks_uri: 7}
  - {issuer: https://d.example/, audiences: [a]}
  - {issuer: https://d.example/, audiences: [a]}
  - nonsense
rules:
  - {path: api, mode: require}
  - {path: /a*, mode: open, methods: [post]}
  - {path: /v1/*, models: {chat: [tiny]}}
  - {path: /x}
";
    let faults: Vec<_> =
        from_file(text, &[]).unwrap_err().0.into_iter().map(|fault| fault.to_string()).collect();
    for part in [
        "OIDC_AUDIENCE: is no setting; did you mean OIDC_AUD",
        "colour: is no setting",
        "ENGINE_URL: must be a value",
        "OIDC_SCOPES_FILE: is no setting",
        "ENGINE_API_KEY_FILE: is read from the environment only",
        "agents: this version does not have",
        "issuers[0].audience: is no key here; did you mean audiences?",
        "issuers[0].audiences: is missing",
        "issuers[1].audiences: must be a list",
        "issuers[1].algorithms: HS256",
        "issuers[2].issuer: `http://c.example/` is plain http",
        "issuers[2].jwks_uri: must be a text",
        "issuers[4].issuer: `https://d.example/` is configured already, by issuers[3].issuer",
        "issuers[5]: must be a mapping",
        "rules[0].path: `api` must begin with /",
        "rules[1].path: `/a*`",
        "rules[1].mode: `open` is no mode",
        "rules[1].methods: `post`",
        "rules[2].models: this version does not have it yet",
        "rules[3].mode: is missing and so is `scopes`",
    ] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(part)),
            "{part:?} is missing in {faults:#?}"
        );
    }
}

#[test]
fn a_broken_file_is_a_fault_with_its_place_and_without_its_text() {
    for (text, part) in [
        ("ENGINE_API_KEY: hush-hush\n  x: [", "line"),
        ("- hush-hush", "no mapping of settings"),
        (
            "ENGINE_API_KEY: hush-hush\nENGINE_API_KEY: b",
            "`ENGINE_API_KEY` is given twice at line 2",
        ),
    ] {
        let faults = from_file(text, &[ISSUER, AUD]).unwrap_err().to_string();
        assert!(faults.contains("ATTACH_CONFIG") && faults.contains(part), "{faults}");
        assert!(!faults.contains("hush-hush"), "{faults}");
    }
}

#[test]
fn who_lets_everybody_in_needs_no_issuer() {
    let settings = from_pairs(&[("HOME", "/h"), ("ATTACH_MODE", "passthrough")]).unwrap();
    assert!(settings.issuers.is_empty());
}

#[test]
fn login_needs_the_issuer_only() {
    let pair = |(name, value): (&str, &str)| (OsString::from(name), OsString::from(value));
    let settings = login([pair(ISSUER), pair(("ENGINE_URL", "nonsense"))]).unwrap();
    assert_eq!(
        (settings.issuer.as_str(), settings.client_id.as_str()),
        ("https://id.example.com/", "attach-cli")
    );
    let faults = login([pair(("OIDC_ISSUR", "x"))]).unwrap_err().to_string();
    assert!(
        faults.contains("OIDC_ISSUR: ") && faults.contains("OIDC_ISSUER: is not set"),
        "{faults}"
    );
}
