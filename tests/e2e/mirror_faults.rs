//! The mirror-service dies while requests flow: nobody notices, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use rustix::process::Signal;

use crate::client::Answer;
use crate::gateway::signal_to;
use crate::memory::{counters, events, settled};
use crate::stage::{Stage, chat};
use crate::wait::{run, unique, until};

#[test]
fn requests_go_on_while_the_mirror_is_killed_and_everything_is_stored_in_the_end() {
    run(async {
        let stage = Arc::new(Stage::start(|plan| plan).await);
        let stop = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..4)
            .map(|_| tokio::spawn(flow(Arc::clone(&stage), Arc::clone(&stop), Arc::clone(&served))))
            .collect();
        let more = async |count: usize| {
            let goal = served.load(Ordering::SeqCst) + count;
            until("requests flow", async || (served.load(Ordering::SeqCst) >= goal).then_some(()))
                .await;
        };
        let token = stage.issuer.token("alice");
        for _ in 0..3 {
            more(20).await;
            let old = stage.gateway.mirror_pid().expect("a mirror-service");
            signal_to(old, Signal::KILL);
            let start = Instant::now();
            until("the mirror-service answers again", async || {
                let request = stage.gateway.get("/mem/events").bearer_auth(&token);
                let answer = Answer::to(request).await;
                if answer.status != 200 {
                    assert_eq!(answer.status, 503);
                    assert_eq!(answer.json()["code"], "memory_unavailable");
                    assert_eq!(answer.header("retry-after"), Some("2"));
                }
                (answer.status == 200 && stage.gateway.mirror_pid()? != old).then_some(())
            })
            .await;
            println!("the mirror-service was back after {:?}", start.elapsed());
        }
        more(20).await;
        stop.store(true, Ordering::SeqCst);
        let mut sids = Vec::new();
        for client in clients {
            sids.extend(client.await.expect("every request succeeds"));
        }
        let counters = settled(&stage.gateway, u64::try_from(sids.len()).unwrap()).await;
        println!("{} requests: {counters:?}", sids.len());
        assert_eq!(counters.captured, u64::try_from(sids.len()).unwrap());
        assert_eq!((counters.acknowledged, counters.dropped), (counters.captured, 0));
        for sid in &sids {
            until("the exchange is in memory, once", async || {
                let found = events(&stage.gateway, &token, &format!("sid={sid}")).await;
                assert!(found.len() <= 1, "{sid} was stored twice");
                (found.len() == 1).then_some(())
            })
            .await;
        }
        stage.assert_unharmed().await;
    });
}

/// Chats until it is told to stop; gives the session ids.
async fn flow(stage: Arc<Stage>, stop: Arc<AtomicBool>, served: Arc<AtomicUsize>) -> Vec<String> {
    let mut sids = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let sid = unique("flow");
        let request = stage.gateway.post("/api/chat").bearer_auth(stage.issuer.token("alice"));
        let request = request.header("x-session-id", &sid).json(&chat("flow"));
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        sids.push(sid);
        served.fetch_add(1, Ordering::SeqCst);
        // A steady flow is the point, not a flood: every one of them is looked up at the end.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    sids
}

#[test]
fn a_mirror_that_hangs_holds_up_nobody_and_readiness_says_so() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let mirror = stage.gateway.mirror_pid().expect("a mirror-service");
        // Stopped, not ended: nobody starts another.
        signal_to(mirror, Signal::STOP);
        for _ in 0..5 {
            stage.chat("alice", "is anybody there?").await;
        }
        until("readiness names what is missing", async || {
            let ready = Answer::to(stage.gateway.get("/readyz")).await;
            (ready.status == 503 && ready.json().to_string().contains("mirror")).then_some(())
        })
        .await;
        let held = counters(&stage.gateway).await;
        assert_eq!((held.captured, held.acknowledged, held.dropped, held.waiting), (5, 0, 0, 5));
        signal_to(mirror, Signal::CONT);
        let settled = settled(&stage.gateway, 5).await;
        assert_eq!((settled.acknowledged, settled.dropped), (5, 0));
        until("ready", async || {
            (Answer::to(stage.gateway.get("/readyz")).await.status == 200).then_some(())
        })
        .await;
    });
}
