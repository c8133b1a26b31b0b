//! Children that die are started again, and none outlives the launcher.

use std::time::Instant;

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::client::Answer;
use crate::gateway::signal_to;
use crate::processes;
use crate::stage::{Stage, chat};
use crate::wait::{run, until};

#[test]
fn an_envoy_that_was_killed_is_back() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let old = stage.gateway.envoy_pid().expect("an Envoy");
        signal_to(old, Signal::KILL);
        let start = Instant::now();
        until("another Envoy serves", async || {
            let new = stage.gateway.envoy_pid()?;
            let request = stage.gateway.get("/healthz").send().await.ok()?;
            (new != old && request.status() == 200).then_some(())
        })
        .await;
        println!("Envoy was back after {:?}", start.elapsed());
        stage.assert_unharmed().await;
        assert_eq!(stage.gateway.stop().await.code(), Some(0));
    });
}

#[test]
fn nobody_outlives_a_launcher_that_was_killed() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let family = stage.gateway.family();
        signal_to(family[0], Signal::KILL);
        assert_eq!(stage.gateway.wait().await.code(), None);
        until("its children are gone", async || {
            let alive = |pid: &u32| !processes::arguments(*pid).is_empty();
            (!family.iter().any(alive)).then_some(())
        })
        .await;
        assert!(TcpStream::connect(stage.gateway.address()).await.is_err());
        // What it left lying about does not stop the next one.
        let gateway = stage.gateway.plan.start().await;
        let stage = Stage { issuer: stage.issuer, engine: stage.engine, gateway };
        stage.chat("alice", "again").await;
    });
}

#[test]
fn a_hangup_reads_the_settings_again_and_cuts_nothing() {
    run(async {
        let stage = Stage::start(|plan| {
            let file = plan.dir().join("attach.yaml");
            std::fs::write(&file, "ENGINE_MODEL: first\n").unwrap();
            plan.set("ATTACH_CONFIG", file.display())
        })
        .await;
        let model = async || {
            let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
            let request = request.json(&serde_json::json!({"prompt": "hi"}));
            assert_eq!(Answer::to(request).await.status, 200);
            stage.engine.request(&case).await.json()["model"].as_str().unwrap().to_owned()
        };
        assert_eq!(model().await, "first");
        let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let steps = stage.engine.plan_steps(&case, "application/x-ndjson");
        steps.send(crate::engine::Step::Chunk(b"{}\n".to_vec())).unwrap();
        let mut stream = request.json(&chat("hi")).send().await.unwrap();
        let file = stage.gateway.plan.dir().join("attach.yaml");
        std::fs::write(&file, "ENGINE_MODEL: [broken\n").unwrap();
        stage.gateway.signal(Signal::HUP);
        until("the fault is reported", async || {
            stage.gateway.errors().contains("attach.yaml").then_some(())
        })
        .await;
        assert_eq!(model().await, "first");
        std::fs::write(&file, "ENGINE_MODEL: second\n").unwrap();
        stage.gateway.signal(Signal::HUP);
        until("the new settings are in force", async || (model().await == "second").then_some(()))
            .await;
        steps.send(crate::engine::Step::Chunk(b"{}\n".to_vec())).unwrap();
        drop(steps);
        let mut received = Vec::new();
        while let Some(part) = stream.chunk().await.expect("no cut") {
            received.extend(part);
        }
        assert_eq!(received, b"{}\n{}\n");
        assert_eq!(stage.gateway.stop().await.code(), Some(0));
    });
}
