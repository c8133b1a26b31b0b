#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

fn read(vars: &[(&str, &str)]) -> Result<Settings, Vec<Fault>> {
    Settings::from_vars(|name| {
        vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn defaults_are_the_embedded_store_behind_a_socket_in_the_state_directory() {
    let settings = read(&[("HOME", "/home/a")]).unwrap();
    let dir = PathBuf::from("/home/a/.local/state/attach-gateway");
    assert_eq!(settings.listen, Listen::Unix(dir.join("mirror.sock")));
    assert_eq!(settings.data_dir, dir);
    assert!(matches!(settings.backend, Backend::Embedded));
}

#[test]
fn every_fault_is_reported_at_once_and_names_its_variable() {
    let faults = read(&[
        ("MEM_BACKEND", "weaviate"),
        ("MIRROR_LISTEN", "localhost"),
        ("MEM_RETENTION_DAYS", "-1"),
        ("MEM_MAX_BYTES", "much"),
        ("MEM_REDACT", "email,names"),
        ("MEM_REDACT_PATTERNS", "a=(\nBad Name=x"),
        ("WEAVIATE_API_KEY_FILE", "/nowhere"),
        ("WEAVIATE_MULTI_TENANCY", "maybe"),
    ])
    .unwrap_err();
    let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
    for name in [
        "ATTACH_DATA_DIR",
        "MIRROR_LISTEN",
        "MIRROR_TOKEN",
        "WEAVIATE_URL",
        "WEAVIATE_MULTI_TENANCY",
        "WEAVIATE_API_KEY_FILE",
        "MEM_RETENTION_DAYS",
        "MEM_MAX_BYTES",
        "MEM_REDACT",
        "MEM_REDACT_PATTERNS",
    ] {
        assert!(names.contains(&name), "{name} missing in {names:?}");
    }
}

#[test]
fn no_fault_shows_a_secret() {
    let faults = read(&[
        ("HOME", "/h"),
        ("MIRROR_TOKEN", "hunter2"),
        ("MIRROR_TOKEN_FILE", "/nowhere"),
        ("MEM_BACKEND", "weaviate"),
        ("WEAVIATE_URL", "http://user:hunter2@host"),
    ])
    .unwrap_err();
    assert_eq!(faults.len(), 2);
    assert!(!format!("{faults:?}").contains("hunter2"));
}

#[test]
fn a_secret_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "from-file\n").unwrap();
    let settings = read(&[
        ("HOME", "/h"),
        ("MIRROR_TOKEN_FILE", path.to_str().unwrap()),
        ("MIRROR_LISTEN", "127.0.0.1:0"),
    ])
    .unwrap();
    assert!(settings.token.unwrap().is(b"from-file"));
    assert_eq!(settings.listen, Listen::Tcp("127.0.0.1:0".into()));
}
