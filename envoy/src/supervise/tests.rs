#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::Program;
use super::keeper::{Backoff, Keeper};

/// Stands in for the launcher's program: `child --parent PID -- PROGRAM ARGS` runs the program.
fn launcher(dir: &Path) -> PathBuf {
    const WRITE: &str = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let path = dir.join("launcher");
    // By another process: what this one has open for writing while a thread forks cannot run.
    let status = std::process::Command::new("sh")
        .args(["-c", WRITE, "sh"])
        .arg(&path)
        .arg("#!/bin/sh\nshift 4\nexec \"$@\"\n")
        .status();
    assert!(status.unwrap().success());
    path
}

fn shell(dir: &Path, script: &str) -> Program {
    Program {
        launcher: launcher(dir),
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        environment: vec![("ATTACH_DATA_DIR", dir.into())],
        log: Some(dir.join("log")),
        stale: None,
    }
}

const SOON: Backoff = Backoff::Constant(Duration::from_millis(1));

/// Waits for a condition; the test runner's own limit ends a wait for what never comes.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn what_ends_is_started_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let keeper = Keeper::start("x", shell(dir.path(), "echo once; exit 3"), SOON).unwrap();
    until(|| lines(&log) >= 5).await;
    assert_eq!(keeper.ended().await.and_then(|status| status.code()), Some(3));
    keeper.kill().await;
}

#[tokio::test]
async fn what_is_asked_to_end_may_finish_and_is_not_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = "trap 'echo finished; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let keeper = Keeper::start("x", shell(dir.path(), script), SOON).unwrap();
    until(|| lines(&log) >= 1).await;
    assert!(keeper.pid().is_some());
    keeper.terminate(Duration::from_secs(60)).await;
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "up\nfinished\n");
}

#[tokio::test]
async fn what_does_not_end_when_asked_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = "trap '' TERM; echo up; while :; do sleep 0.01; done";
    let keeper = Keeper::start("x", shell(dir.path(), script), SOON).unwrap();
    until(|| lines(&log) >= 1).await;
    let pid = keeper.pid().unwrap();
    keeper.terminate(Duration::from_millis(50)).await;
    let process = PathBuf::from(format!("/proc/{pid}"));
    until(|| !process.exists()).await;
}

#[tokio::test]
async fn what_is_retired_stays_until_it_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let go = dir.path().join("go");
    let script = "echo up; while [ ! -e \"$ATTACH_DATA_DIR/go\" ]; do sleep 0.01; done";
    let keeper = Keeper::start("x", shell(dir.path(), script), SOON).unwrap();
    until(|| lines(&log) >= 1).await;
    keeper.retire();
    assert!(keeper.pid().is_some());
    std::fs::write(&go, "").unwrap();
    keeper.gone().await;
    assert_eq!(lines(&log), 1, "it was started again");
}

#[tokio::test]
async fn dropping_it_kills_the_child() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo up; while :; do sleep 0.01; done";
    let keeper = Keeper::start("x", shell(dir.path(), script), SOON).unwrap();
    let process = PathBuf::from(format!("/proc/{}/stat", keeper.pid().unwrap()));
    drop(keeper);
    // Without its parent's attention it stays a zombie, which runs nothing.
    until(|| {
        std::fs::read_to_string(&process).is_ok_and(|stat| stat.contains(") Z "))
            || !process.exists()
    })
    .await;
}

#[tokio::test]
async fn a_child_sees_the_settings_it_is_given_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut program = shell(dir.path(), "env; echo done; while :; do sleep 0.01; done");
    program.environment.push(("MIRROR_TOKEN", "t".into()));
    let keeper = Keeper::start("x", program, SOON).unwrap();
    until(|| std::fs::read_to_string(&log).is_ok_and(|text| text.contains("\ndone"))).await;
    keeper.kill().await;
    let text = std::fs::read_to_string(&log).unwrap();
    let ours: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| crate::settings::is_of_our_families(name))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert!(ours.contains(&"ATTACH_DATA_DIR") && ours.contains(&"MIRROR_TOKEN"), "{ours:?}");
}

#[test]
fn a_programs_debug_shows_no_secret() {
    let program = Program {
        launcher: "l".into(),
        program: "p".into(),
        args: Vec::new(),
        environment: vec![("MIRROR_TOKEN", "hush-hush".into())],
        log: None,
        stale: None,
    };
    assert!(!format!("{program:?}").contains("hush-hush"));
}

/// Loads the embedded filter into the Envoy of this machine, in every shape a bootstrap has.
#[tokio::test]
async fn envoy_accepts_every_bootstrap_without_complaint() {
    use crate::bootstrap::{Placement, render};
    use crate::data_dir::DataDir;
    use crate::envoy_binary::{FindOptions, find};

    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, CERTIFICATE).unwrap();
    std::fs::write(&key, KEY).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let configured = std::env::var_os("ATTACH_ENVOY").map(PathBuf::from);
    let envoy = find(&FindOptions::from_environment(configured)).await.unwrap();
    let shapes: [&[(&str, &str)]; 4] = [
        &[],
        &[
            ("ENGINE_URL", "https://llm.example.com/base"),
            ("ENGINE_CA_FILE", certificate),
            ("ENGINE_API_KEY", "k"),
        ],
        &[
            ("MIRROR_URL", "http://mirror.internal:9090"),
            ("MIRROR_TOKEN", "50%"),
            ("ATTACH_LISTEN", "[::]:8080"),
        ],
        &[
            ("MEM_BACKEND", "none"),
            ("ATTACH_TLS_CERT", certificate),
            ("ATTACH_TLS_KEY", key),
            ("ATTACH_ENGINE_TIMEOUT", "500ms"),
        ],
    ];
    for (index, extra) in shapes.into_iter().enumerate() {
        let fixed = [
            ("OIDC_ISSUER", "https://id.example.com/"),
            ("OIDC_AUD", "attach"),
            ("OIDC_CA_FILE", certificate),
            ("ATTACH_DATA_DIR", dir.path().to_str().unwrap()),
        ];
        let settings = crate::settings::from_pairs(&[&fixed, extra].concat()).unwrap();
        let data = DataDir::open(&settings.data_dir).unwrap();
        let placement = Placement {
            admin_socket: data.admin_socket(0),
            mirror_socket: data.mirror_socket(),
            filter: data.extract_filter().unwrap(),
            session: data.session(&settings.session).unwrap(),
            key_servers: settings.key_servers(),
        };
        let text = render(&settings, &placement).to_string();
        let file = data.replace(&format!("envoy-{index}.json"), text.as_bytes()).unwrap();
        let said = super::envoy::validate(&envoy.path, &file).await;
        let said = said.unwrap_or_else(|error| panic!("{extra:?}: {error}"));
        assert!(!said.contains("eprecated"), "{extra:?}: {said}");
    }
}

/// Self-signed, for a listener that nobody connects to.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUO9rfmrN3CNSnJASfqSkO2ucpy20wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDAxMTkzN1oYDzIxMjYxMDMx
MDExOTM3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATN+s/t5fZ8v0PNc7pHMRWhoRIsGpO16ioG0wAcJuBPv/Lk7xUVRxGo
gSITU/PovG0SqJ5G1H5Ad8OctULqncsfo2kwZzAdBgNVHQ4EFgQUiT4K8Gg88vAa
lHexuXpqJT1nTzUwHwYDVR0jBBgwFoAUiT4K8Gg88vAalHexuXpqJT1nTzUwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhANEoj+M3AIOZII9lRhr3VcJSPW3vZiuFm5JawSCYp3euAiAhiEMwY/E1
valbS2L428fCOFEAHAlqREj2bme8aXSJ2A==
-----END CERTIFICATE-----
";
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4W52nM1ojxU5R1wk
FHJ5BEonP24iEi8CDoiUoSUHB+GhRANCAATN+s/t5fZ8v0PNc7pHMRWhoRIsGpO1
6ioG0wAcJuBPv/Lk7xUVRxGogSITU/PovG0SqJ5G1H5Ad8OctULqncsf
-----END PRIVATE KEY-----
";
