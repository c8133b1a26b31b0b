//! Engines that are down, hang or break, and what their clients are told.

use std::time::Instant;

use tokio::sync::OnceCell;

use crate::client::Answer;
use crate::denials::assert_refused;
use crate::engine::{Engine, Plan as EnginePlan, Step};
use crate::gateway::Plan;
use crate::issuer::Issuer;
use crate::ports::free_port;
use crate::raw::{Raw, head};
use crate::stage::{Stage, chat};
use crate::wait::{run, soon, unique, until};

const UNAVAILABLE: (u16, &str, &[&str]) = (503, "engine_unavailable", &[]);
const TIMEOUT: (u16, &str, &[&str]) = (504, "engine_timeout", &[]);

/// Waits one second for its engine, no longer.
async fn hasty() -> &'static Stage {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_init(|| Stage::start(|plan| plan.set("ATTACH_ENGINE_TIMEOUT", "1s"))).await
}

#[test]
fn an_engine_that_is_down_is_unavailable_and_served_as_soon_as_it_is_up() {
    run(async {
        let issuer = Issuer::start().await;
        let address = free_port();
        let plan = Plan::bare()
            .set("OIDC_ISSUER", issuer.url())
            .set("ENGINE_URL", format!("http://{address}"));
        let gateway = plan.start_alive().await;
        let token = issuer.token("alice");
        let request = async |path: &str| {
            Answer::to(gateway.post(path).bearer_auth(&token).json(&chat("hi"))).await
        };
        // The keys may still be on their way.
        until("the keys are there", async || {
            (request("/api/chat").await.json()["code"] != "keys_unavailable").then_some(())
        })
        .await;
        let ready = Answer::to(gateway.get("/readyz")).await;
        assert_eq!(ready.status, 503);
        assert!(ready.json().to_string().contains("engine"), "{}", ready.json());
        let answers = [
            ("/api/chat", request("/api/chat").await),
            ("/v1/chat/completions", request("/v1/chat/completions").await),
            ("/tasks/send", request("/tasks/send").await),
        ];
        let engine = Engine::start_on(address).await;
        let stage = Stage { issuer, engine, gateway };
        for (path, answer) in answers {
            assert_refused(&stage, "the engine is down", path, &answer, UNAVAILABLE);
        }
        let start = Instant::now();
        until("the engine is used", async || {
            let request = stage.gateway.post("/api/chat").bearer_auth(&token).json(&chat("hi"));
            (Answer::to(request).await.status == 200).then_some(())
        })
        .await;
        println!("an engine that came up was used after {:?}", start.elapsed());
        until("ready", async || {
            (Answer::to(stage.gateway.get("/readyz")).await.status == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn an_engine_that_hangs_times_out() {
    run(async {
        let stage = hasty().await;
        for path in ["/api/chat", "/v1/chat/completions", "/tasks/send"] {
            let (case, request) = stage.signed(stage.gateway.post(path), "alice");
            stage.engine.plan(&case, EnginePlan::Silence);
            let answer = Answer::to(request.json(&chat("hi"))).await;
            assert_refused(stage, "silence", path, &answer, TIMEOUT);
            assert_eq!(stage.engine.seen(&case).len(), 1, "the request was sent again");
        }
        stage.assert_unharmed().await;
    });
}

#[test]
fn an_engine_that_falls_silent_has_its_stream_cut() {
    run(async {
        let stage = hasty().await;
        let case = unique("silent");
        let steps = stage.engine.plan_steps(&case, "application/x-ndjson");
        steps.send(Step::Chunk(b"{\"half\":".to_vec())).unwrap();
        let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
        let case_line = format!("x-case: {case}");
        let lines: [&[u8]; 3] = [token.as_bytes(), case_line.as_bytes(), b"Content-Length: 2"];
        let mut raw = Raw::connect(stage.gateway.address()).await;
        raw.send([head("POST /api/chat", &lines), b"{}".to_vec()].concat()).await;
        assert_eq!(raw.head().await.expect("a head").0, 200);
        soon("the first part", raw.reader.chunk()).await.unwrap();
        assert!(raw.rest().await.is_err(), "the end looks like a good one");
        drop(steps);
    });
}

#[test]
fn an_engine_that_closes_without_an_answer_is_unavailable() {
    run(async {
        let stage = hasty().await;
        for path in ["/api/chat", "/v1/chat/completions"] {
            let (case, request) = stage.signed(stage.gateway.post(path), "alice");
            for _ in 0..3 {
                stage.engine.plan(&case, EnginePlan::Close);
            }
            let answer = Answer::to(request.json(&chat("hi"))).await;
            assert_refused(stage, "closed", path, &answer, UNAVAILABLE);
            assert_eq!(stage.engine.seen(&case).len(), 1, "a POST ran twice");
        }
        for nonsense in ["SMTP ready\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
            let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
            stage.engine.plan(&case, EnginePlan::Bytes(nonsense.into()));
            let answer = Answer::to(request.json(&chat("hi"))).await;
            assert!(matches!(answer.status, 502 | 503), "{nonsense:?}: {}", answer.status);
            assert_eq!(answer.json()["code"], "engine_unavailable", "{nonsense:?}");
        }
        stage.assert_unharmed().await;
    });
}

#[test]
fn an_engine_that_is_slower_than_the_timeout_but_never_silent_is_waited_for() {
    run(async {
        let stage = hasty().await;
        let (case, request) = stage.signed(stage.gateway.post("/api/chat"), "alice");
        let steps = stage.engine.plan_steps(&case, "application/x-ndjson");
        let writer = tokio::spawn(async move {
            let mut pause = tokio::time::interval(std::time::Duration::from_millis(100));
            for _ in 0..25 {
                pause.tick().await;
                steps.send(Step::Chunk(b"{}\n".to_vec())).unwrap();
            }
        });
        let answer = Answer::to(request.json(&chat("hi"))).await;
        assert_eq!((answer.status, answer.body.len()), (200, 75));
        writer.await.unwrap();
    });
}
