//! A gateway that cannot run says which setting is at fault, what it saw and what to do, and
//! leaves nobody behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::engine::Engine;
use crate::gateway::{Ended, Plan};
use crate::issuer::Issuer;
use crate::wait::run;

/// A plan that would run.
async fn good() -> (Issuer, Engine, Plan) {
    let (issuer, engine) = (Issuer::start().await, Engine::start().await);
    let plan = Plan::new(&issuer, &engine);
    (issuer, engine, plan)
}

fn assert_says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.err);
    for word in words {
        assert!(ended.err.contains(word), "{word:?} is missing: {}", ended.err);
    }
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert!(!ended.out.contains(" | "), "it served requests: {}", ended.out);
}

#[test]
fn missing_settings_are_named_together() {
    run(async {
        let ended = Plan::bare().unset("OIDC_AUD").fail().await;
        assert_says(&ended, 2, &["OIDC_ISSUER", "OIDC_AUD"]);
    });
}

#[test]
fn all_faults_are_reported_at_once() {
    run(async {
        let (_issuer, _engine, plan) = good().await;
        let plan = plan
            .set("ATTACH_LISTEN", "nowhere")
            .set("MEM_BACKEND", "papyrus")
            .set("OIDC_ALGORITHMS", "RS256,HS256x")
            .set("ATTACH_ENGINE_TIMEOUT", "soon")
            .set("ENGINE_URL", "ftp://engine")
            .set("JWT_HMAC_SECRET", "too-short-to-be-true")
            .set("ATTACH_CONCURENCY", "2");
        let ended = plan.fail().await;
        let words = [
            "ATTACH_LISTEN",
            "nowhere",
            "MEM_BACKEND",
            "papyrus",
            "OIDC_ALGORITHMS",
            "HS256x",
            "ATTACH_ENGINE_TIMEOUT",
            "ENGINE_URL",
            "JWT_HMAC_SECRET",
            "ATTACH_CONCURENCY",
            "ATTACH_CONCURRENCY",
        ];
        assert_says(&ended, 2, &words);
        assert!(!ended.err.contains("too-short-to-be-true"), "a secret was told: {}", ended.err);
        assert!(!plan.data().exists(), "it half started");
    });
}

#[test]
fn a_busy_port_is_named() {
    run(async {
        for name in ["ATTACH_LISTEN", "ATTACH_METRICS_LISTEN"] {
            let (_issuer, _engine, plan) = good().await;
            let address = if name == "ATTACH_LISTEN" { plan.listen } else { plan.metrics };
            let _busy = TcpListener::bind(address).unwrap();
            assert_says(&plan.fail().await, 1, &[name, &address.to_string()]);
        }
    });
}

#[test]
fn a_second_gateway_on_the_same_ports_is_refused() {
    run(async {
        let (_issuer, _engine, plan) = good().await;
        let first = plan.start().await;
        let other = plan.clone().set("ATTACH_DATA_DIR", plan.dir().join("other").display());
        assert_says(&other.fail().await, 1, &["ATTACH_LISTEN", &plan.listen.to_string()]);
        let answer = first.get("/healthz").send().await.unwrap();
        assert_eq!(answer.status(), 200, "the first one suffered");
    });
}

#[test]
fn another_version_of_envoy_is_refused() {
    run(async {
        let (_issuer, _engine, plan) = good().await;
        let fake = plan.dir().join("envoy");
        let version = "envoy  version: 0123abc/1.30.0/Clean/RELEASE/BoringSSL";
        fs::write(&fake, format!("#!/bin/sh\necho\necho '{version}'\n")).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        let ended = plan.set("ATTACH_ENVOY", fake.display()).fail().await;
        assert_ne!(ended.code, Some(0));
        assert_says(&ended, ended.code.unwrap(), &["ATTACH_ENVOY", "1.30.0"]);
    });
}

#[test]
fn an_envoy_that_is_not_there_or_not_an_envoy_is_refused() {
    run(async {
        for program in ["/nonexistent/envoy", "/bin/true"] {
            let (_issuer, _engine, plan) = good().await;
            let ended = plan.set("ATTACH_ENVOY", program).fail().await;
            assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
            assert_says(&ended, ended.code.unwrap(), &["ATTACH_ENVOY", program]);
        }
    });
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    run(async {
        let (_issuer, _engine, plan) = good().await;
        // Below a file: not even root can make this.
        let file = plan.dir().join("file");
        fs::write(&file, "").unwrap();
        let dir = file.join("data");
        let ended = plan.set("ATTACH_DATA_DIR", dir.display()).fail().await;
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        assert_says(&ended, ended.code.unwrap(), &["ATTACH_DATA_DIR", &dir.to_string_lossy()]);
    });
}
