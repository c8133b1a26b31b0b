//! Rules and issuers of the configuration file, and what is weaker than `require`.

use crate::client::Answer;
use crate::engine::Engine;
use crate::gateway::Plan;
use crate::issuer::Issuer;
use crate::stage::Stage;
use crate::wait::{run, unique};

const FILE: &str = "
rules:
  - {path: /api/pull, methods: [POST], scopes: [ollama:admin]}
  - {path: /internal/*, mode: passthrough}
";

async fn by_file() -> Stage {
    Stage::start(|plan| {
        let file = plan.dir().join("attach.yaml");
        std::fs::write(&file, FILE).unwrap();
        plan.set("ATTACH_CONFIG", file.display())
    })
    .await
}

#[test]
fn the_first_rule_that_matches_decides() {
    run(async {
        let stage = by_file().await;
        let (case, request) = stage.signed(stage.gateway.post("/api/pull"), "alice");
        let answer = Answer::to(request.body("{}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &"insufficient_scope".into()));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains(r#"scope="ollama:admin""#), "{challenge}");
        assert!(stage.engine.seen(&case).is_empty());

        let claims = stage.issuer.claims("alice").with("scope", "ollama:admin");
        let admin = stage.issuer.sign(&claims);
        let pull = stage.gateway.post("/api/pull").bearer_auth(&admin).body("{}");
        assert_eq!(Answer::to(pull).await.status, 200);
        let (_, other_method) = stage.signed(stage.gateway.get("/api/pull"), "alice");
        assert_eq!(Answer::to(other_method).await.status, 200);

        for (path, status) in [
            ("/internal/x", 200),
            ("/internal", 401),
            ("/internals", 401),
            ("/internal/..%2fapi/chat", 401),
            ("/internal/..;/api/chat", 401),
            ("/internal/../api/chat", 401),
        ] {
            let case = unique("rule");
            let request = format!("GET {path}");
            let case_line = format!("x-case: {case}");
            let lines: [&[u8]; 2] = [case_line.as_bytes(), b"X-Attach-User: root"];
            let head = crate::raw::head(&request, &lines);
            let answer = crate::raw::exchange(stage.gateway.address(), head).await;
            assert_eq!(answer.status, status, "{path}");
            let seen = stage.engine.seen(&case);
            assert_eq!(seen.len(), usize::from(status == 200), "{path}");
            assert!(seen.iter().all(|seen| seen.stamped().is_empty()), "{seen:?}");
        }
        let errors = stage.gateway.errors();
        assert!(errors.contains("WARN") && errors.contains("/internal/*"), "{errors}");
    });
}

#[test]
fn a_trusting_gateway_believes_the_one_before_it_and_says_so() {
    run(async {
        let stage = Stage::start(|plan| plan.set("ATTACH_MODE", "trusted")).await;
        let case = unique("trusted");
        let request = stage.gateway.get("/api/tags").header("x-case", &case);
        let request = request.header("x-attach-user", "alice").header("x_attach_user", "root");
        let answer = Answer::to(request.header("x-attach-other", "root")).await;
        assert_eq!(answer.status, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.stamped(), ["x-attach-user"]);
        assert_eq!(seen.all("x-attach-user"), ["alice"]);
        assert_eq!(Answer::to(stage.gateway.get("/api/tags")).await.status, 401);
        let errors = stage.gateway.errors();
        assert!(errors.contains("WARN") && errors.contains("ATTACH_MODE"), "{errors}");
    });
}

#[test]
fn two_issuers_keep_their_users_apart() {
    run(async {
        let (one, two, engine) =
            (Issuer::start().await, Issuer::start().await, Engine::start().await);
        let plan = Plan::bare().set("ENGINE_URL", engine.url()).unset("OIDC_AUD");
        let file = plan.dir().join("attach.yaml");
        let issuer = |url: String, audience: &str, scope: &str| {
            format!("  - {{issuer: \"{url}\", audiences: [{audience}], scopes: [{scope}]}}\n")
        };
        let text = format!(
            "issuers:\n{}{}",
            issuer(one.url(), "attach", "chat:run"),
            issuer(two.url(), "other", "talk")
        );
        std::fs::write(&file, text).unwrap();
        let gateway = plan.set("ATTACH_CONFIG", file.display()).start().await;
        let talk = two.sign(&two.claims("alice").with("aud", "other").with("scope", "talk"));
        let mut sessions = Vec::new();
        for (token, issuer) in [(one.token("alice"), one.url()), (talk, two.url())] {
            let case = unique("issuer");
            let request = gateway.get("/api/tags").bearer_auth(token).header("x-case", &case);
            assert_eq!(Answer::to(request).await.status, 200);
            let seen = engine.request(&case).await;
            assert_eq!(seen.all("x-attach-user"), ["alice"]);
            assert_eq!(seen.all("x-attach-issuer"), [issuer]);
            sessions.push(seen.one("x-attach-session").unwrap());
        }
        assert_ne!(sessions[0], sessions[1]);
        let swapped = two.sign(&two.claims("alice"));
        let answer = Answer::to(gateway.get("/api/tags").bearer_auth(swapped)).await;
        assert_eq!(answer.status, 401, "an audience of the other issuer was accepted");
        // Each issuer of this run has the same keys: the name alone must tell them apart.
        let forged = one.sign(&two.claims("alice").with("aud", "attach"));
        let answer = Answer::to(gateway.get("/api/tags").bearer_auth(forged)).await;
        assert_eq!(answer.status, 401);
    });
}
