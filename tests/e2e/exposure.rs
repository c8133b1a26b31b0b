//! What can be reached from outside, and what lies on the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::client::{Answer, http};
use crate::processes;
use crate::stage::{API_KEY, Stage, chat, plain, tuned};
use crate::wait::{run, unique};

#[test]
fn two_ports_are_open_and_no_more() {
    run(async {
        let stage = plain().await;
        let family = stage.gateway.family();
        let names: Vec<_> = family.iter().map(|pid| processes::arguments(*pid)).collect();
        assert!(names.len() >= 3, "launcher, Envoy and mirror-service: {names:?}");
        let mut expected = [stage.gateway.plan.listen, stage.gateway.plan.metrics];
        expected.sort_unstable();
        assert_eq!(processes::listening(&family), expected);
    });
}

#[test]
fn the_metrics_port_shows_metrics_and_nothing_else() {
    run(async {
        let stage = plain().await;
        for path in ["/metrics", "/metrics/mirror"] {
            assert!(!stage.gateway.metrics(path).await.is_empty(), "{path}");
        }
        let url = |path: &str| format!("http://{}{path}", stage.gateway.plan.metrics);
        for path in [
            "/",
            "/stats",
            "/config_dump",
            "/clusters",
            "/server_info",
            "/quitquitquit",
            "/metrics/../config_dump",
            "/metrics/mirror/../../config_dump",
            "/metrics%2f..%2fstats",
            "/ingest",
            "/readyz",
            "/mem/events",
            "/metricsx",
        ] {
            for request in [http().get(url(path)), http().post(url(path))] {
                let answer = Answer::to(request).await;
                assert!(matches!(answer.status, 400..500), "{path}: {}", answer.status);
            }
        }
        assert_eq!(Answer::to(http().post(url("/metrics"))).await.status, 404);
        stage.assert_unharmed().await;
    });
}

#[test]
fn the_mirrors_own_endpoints_are_not_public() {
    run(async {
        let stage = plain().await;
        for path in ["/ingest", "/metrics", "/metrics/mirror", "/mem", "/mem/ingest"] {
            let case = unique("inner");
            let request = stage.gateway.post(path).header("x-case", &case);
            assert_eq!(Answer::to(request.body("x")).await.status, 401, "{path}");
        }
        let (case, request) = stage.signed(stage.gateway.post("/ingest"), "alice");
        assert_eq!(Answer::to(request.body("x")).await.status, 200);
        assert_eq!(stage.engine.request(&case).await.target, "/ingest", "not the engine's");
        let (case, request) = stage.signed(stage.gateway.get("/mem/nothing/here"), "alice");
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, 404, "{}", String::from_utf8_lossy(&answer.body));
        assert!(stage.engine.seen(&case).is_empty(), "a /mem path went to the engine");
    });
}

#[test]
fn the_data_directory_is_private() {
    run(async {
        let stage = plain().await;
        let data = stage.gateway.plan.data();
        let mode = |path: &std::path::Path| {
            fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode(&data), 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains("secret") || name.ends_with(".db") || name.ends_with(".sock") {
                assert_eq!(mode(&path) & 0o077, 0, "{name}");
            }
            names.push(name);
        }
        for name in ["mirror.sock", "outbox.db", "memory.db", "session.secret"] {
            assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
        }
    });
}

#[test]
fn secrets_are_in_nobodys_arguments_or_public_answers() {
    run(async {
        let stage = tuned().await;
        for pid in stage.gateway.family() {
            let arguments = processes::arguments(pid).join(" ");
            assert!(!arguments.contains(API_KEY), "{arguments}");
        }
        for path in ["/auth/config", "/readyz", "/.well-known/oauth-protected-resource"] {
            let answer = Answer::to(stage.gateway.get(path)).await;
            assert!(!String::from_utf8_lossy(&answer.body).contains(API_KEY), "{path}");
        }
        assert!(!stage.gateway.metrics("/metrics").await.contains(API_KEY));
    });
}

#[test]
fn without_memory_there_is_no_mirror_and_everything_else_works() {
    run(async {
        let stage = Stage::start(|plan| plan.set("MEM_BACKEND", "none")).await;
        assert_eq!(stage.gateway.mirror_pid(), None);
        let seen = stage.chat("alice", "no memory").await;
        assert_eq!(seen.all("x-attach-user"), ["alice"]);
        for path in ["/mem/events", "/mem/search?q=x", "/mem/sessions"] {
            let (case, request) = stage.signed(stage.gateway.get(path), "alice");
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert!(stage.engine.seen(&case).is_empty(), "{path} went to the engine");
            assert_eq!(Answer::to(stage.gateway.get(path)).await.status, 401, "{path}");
        }
        let (_, request) = stage.signed(stage.gateway.post("/tasks/send"), "alice");
        assert_eq!(Answer::to(request.json(&chat("hi"))).await.status, 200);
        assert_eq!(stage.gateway.stop().await.code(), Some(0));
    });
}
