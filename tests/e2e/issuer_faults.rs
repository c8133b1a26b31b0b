//! Issuers that are down, slow, wrong or rotating, and what their users notice.

use std::time::Instant;

use crate::client::Answer;
use crate::denials::assert_refused;
use crate::engine::Engine;
use crate::gateway::{Gateway, Plan};
use crate::issuer::{Answers, Issuer, claims, url};
use crate::ports::free_port;
use crate::stage::Stage;
use crate::wait::{run, until};

const UNAVAILABLE: (u16, &str, &[&str]) = (503, "keys_unavailable", &[]);

async fn ask(gateway: &Gateway, path: &str, token: &str) -> Answer {
    Answer::to(gateway.get(path).bearer_auth(token)).await
}

async fn until_served(gateway: &Gateway, token: &str) {
    let start = Instant::now();
    until("the token is accepted", async || {
        (ask(gateway, "/api/tags", token).await.status == 200).then_some(())
    })
    .await;
    println!("accepted after {:?}", start.elapsed());
}

#[test]
fn an_issuer_that_is_down_at_boot_is_found_when_it_comes() {
    run(async {
        let address = free_port();
        let engine = Engine::start().await;
        let plan = Plan::bare().set("OIDC_ISSUER", url(address)).set("ENGINE_URL", engine.url());
        let gateway = plan.start_alive().await;
        // Signed by keys that nobody has seen yet: all issuers of a run have the same.
        let other = Issuer::start().await;
        let token = other.sign(&claims(&url(address), "alice"));
        let answers = [
            ("/api/tags", ask(&gateway, "/api/tags", &token).await),
            ("/v1/models", ask(&gateway, "/v1/models", &token).await),
        ];
        let ready = Answer::to(gateway.get("/readyz")).await;
        assert_eq!(ready.status, 503);
        assert!(ready.json().to_string().contains(&url(address)), "{}", ready.json());
        assert_eq!(Answer::to(gateway.get("/api/tags")).await.status, 401);
        let issuer = Issuer::start_on(address).await;
        let stage = Stage { issuer, engine, gateway };
        for (path, answer) in answers {
            assert_refused(&stage, "the issuer is down", path, &answer, UNAVAILABLE);
            assert_eq!(answer.header("retry-after"), Some("2"));
        }
        until_served(&stage.gateway, &token).await;
        until("ready", async || {
            (Answer::to(stage.gateway.get("/readyz")).await.status == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn the_first_request_waits_for_a_slow_issuer() {
    run(async {
        let (issuer, engine) = (Issuer::start().await, Engine::start().await);
        issuer.answer(Answers::Later);
        let gateway = Plan::new(&issuer, &engine).start_alive().await;
        let request = gateway.get("/api/tags").bearer_auth(issuer.token("alice"));
        let request = tokio::spawn(Answer::to(request));
        until("the request is in the gateway and the keys are asked for", async || {
            let waits = gateway.active_requests().await >= 1;
            (waits && issuer.fetches() >= 1).then_some(())
        })
        .await;
        issuer.answer(Answers::Keys);
        let answer = request.await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    });
}

#[test]
fn a_request_does_not_wait_for_ever() {
    run(async {
        let (issuer, engine) = (Issuer::start().await, Engine::start().await);
        issuer.answer(Answers::Later);
        let gateway = Plan::new(&issuer, &engine).start_alive().await;
        let token = issuer.token("alice");
        let start = Instant::now();
        let answer = ask(&gateway, "/api/tags", &token).await;
        println!("gave up after {:?}", start.elapsed());
        let stage = Stage { issuer, engine, gateway };
        assert_refused(&stage, "no keys come", "/api/tags", &answer, UNAVAILABLE);
        assert!(stage.engine.seen_on(0).iter().all(|seen| seen.target == "/"));
        stage.issuer.answer(Answers::Keys);
        until_served(&stage.gateway, &token).await;
        stage.assert_unharmed().await;
    });
}

#[test]
fn a_page_in_place_of_keys_is_no_key_set() {
    run(async {
        let (issuer, engine) = (Issuer::start().await, Engine::start().await);
        issuer.answer(Answers::Html);
        let gateway = Plan::new(&issuer, &engine).start_alive().await;
        let token = issuer.token("alice");
        let answer = ask(&gateway, "/api/tags", &token).await;
        let stage = Stage { issuer, engine, gateway };
        assert_refused(&stage, "HTML", "/api/tags", &answer, UNAVAILABLE);
        stage.issuer.answer(Answers::Keys);
        until_served(&stage.gateway, &token).await;
        stage.assert_unharmed().await;
    });
}

#[test]
fn keys_rotate_without_a_restart_and_last_while_the_issuer_is_away() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let before = stage.issuer.token("alice");
        until_served(&stage.gateway, &before).await;
        stage.issuer.rotate();
        let after = stage.issuer.token("alice");
        assert_ne!(before, after);
        until_served(&stage.gateway, &after).await;
        let Stage { issuer, engine: _engine, gateway } = stage;
        let unseen = issuer.token("bob");
        drop(issuer);
        assert_eq!(ask(&gateway, "/api/tags", &after).await.status, 200);
        assert_eq!(ask(&gateway, "/api/tags", &unseen).await.status, 200);
    });
}

#[test]
fn unknown_key_names_do_not_hammer_the_issuer() {
    run(async {
        let stage = Stage::start(|plan| plan).await;
        let before = stage.issuer.fetches();
        let start = Instant::now();
        for index in 0..100 {
            let claims = stage.issuer.claims("mallory");
            let token = stage.issuer.sign_as(&format!("random-{index}"), &claims);
            let answer = ask(&stage.gateway, "/api/tags", &token).await;
            assert_eq!(answer.status, 401, "{}", answer.json());
        }
        let fetches = stage.issuer.fetches() - before;
        println!("{fetches} fetches for 100 unknown key names in {:?}", start.elapsed());
        // One for the proxy, whatever its workers, and one more for each cooldown that passed.
        assert!(fetches <= 1 + usize::try_from(start.elapsed().as_secs() / 5).unwrap());
    });
}
