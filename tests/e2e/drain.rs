//! SIGTERM: no request is cut, and nothing that was captured is lost.

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::engine::{Step, ndjson};
use crate::memory::event;
use crate::processes;
use crate::stage::{Stage, chat};
use crate::wait::{run, soon, until};

#[test]
fn a_stream_ends_in_peace_and_is_remembered_after_a_restart() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let token = stage.issuer.token("alice");
        let (sid, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let steps = stage.engine.plan_steps(&sid, "application/x-ndjson");
        let parts = ndjson(&["slow", " and", " steady"]);
        steps.send(Step::Chunk(parts[0].clone())).unwrap();
        let request = request.header("x-session-id", &sid).json(&chat("run")).send();
        let mut answer = soon("the head", request).await.unwrap();
        let mut received = soon("the first part", answer.chunk()).await.unwrap().unwrap().to_vec();

        let family = stage.gateway.family();
        stage.gateway.signal(Signal::TERM);
        until("new connections are refused", async || {
            TcpStream::connect(stage.gateway.address()).await.is_err().then_some(())
        })
        .await;
        assert!(stage.gateway.ended().is_none(), "it ended under the stream");
        for part in &parts[1..] {
            steps.send(Step::Chunk(part.clone())).unwrap();
        }
        drop(steps);
        while let Some(part) = soon("the rest", answer.chunk()).await.expect("no cut") {
            received.extend(part);
        }
        assert_eq!(received, parts.concat());
        let ended = stage.gateway.wait().await;
        assert_eq!(ended.code(), Some(0), "{}", stage.gateway.errors());
        until("nobody is left", async || {
            let alive = |pid: &u32| !processes::arguments(*pid).is_empty();
            (!family.iter().any(alive)).then_some(())
        })
        .await;

        let again = stage.gateway.plan.start().await;
        let event = event(&again, &token, &sid).await;
        assert_eq!(event["answer"], "slow and steady");
        assert_eq!(event["outcome"], "complete");
        assert_eq!(again.stop().await.code(), Some(0));
    });
}

#[test]
fn an_idle_gateway_ends_at_once_and_keeps_its_session_secret() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let before = stage.chat("alice", "one").await.one("x-attach-session");
        // An interrupt is the same wish.
        stage.gateway.signal(Signal::INT);
        assert_eq!(stage.gateway.wait().await.code(), Some(0), "{}", stage.gateway.errors());
        let gateway = stage.gateway.plan.start().await;
        let stage = Stage { issuer: stage.issuer, engine: stage.engine, gateway };
        let after = stage.chat("alice", "two").await.one("x-attach-session");
        assert!(before.is_some());
        assert_eq!(before, after);
    });
}
