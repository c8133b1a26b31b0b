//! The access log has one line a request; nothing that is said or secret is in any log.

use serde_json::json;

use crate::client::Answer;
use crate::stage::{Stage, chat};
use crate::wait::run;

/// The parts of a line that a test can know: status, method, path and the rest.
fn parse(line: &str) -> Option<(u16, String, String, String)> {
    let parts: Vec<&str> = line.split(" | ").collect();
    let [time, status, latency, method, path, rest] = parts.as_slice() else { return None };
    assert!(time.starts_with("20") && time.contains('T'), "{line}");
    assert!(latency.starts_with(|digit: char| digit.is_ascii_digit()), "{line}");
    let status = status.parse().unwrap_or_else(|_| panic!("{line}"));
    Some((status, (*method).to_owned(), (*path).to_owned(), (*rest).to_owned()))
}

#[test]
fn one_line_a_request_without_secrets() {
    run(async {
        let stage = Stage::start(|plan| {
            plan.set("ENGINE_API_KEY", "sk-of-the-house").set("ENGINE_MODEL", "tiny")
        })
        .await;
        let alice = stage.issuer.token("alice");
        let forged = stage.issuer.forge(&stage.issuer.claims("victim"));
        let post = |path: &str, sid: &str| {
            stage.gateway.post(path).header("x-session-id", sid).header("x-attach-user", "spoofed")
        };
        let secret = chat("pssst-prompt");
        let sent = [
            (post("/api/chat?q=pssst-query", "s1").bearer_auth(&alice).json(&secret), 200),
            (post("/v1/chat/completions", "s2").bearer_auth(&forged).json(&secret), 401),
            (post("/api/chat", "s3").json(&secret), 401),
            (post("/tasks/send", "s4").bearer_auth(&alice).json(&secret), 200),
            (post("/tasks/send", "s5").bearer_auth(&alice).body("pssst-broken"), 400),
            (post("/api/chat", "s6").bearer_auth(&alice).json(&json!({"prompt": "pssst"})), 200),
        ];
        let mut task = String::new();
        for (request, status) in sent {
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, status);
            task = answer.header("x-attach-task").map_or(task, str::to_owned);
        }
        let search = stage.gateway.get("/mem/search?q=pssst-search").bearer_auth(&alice);
        assert_eq!(Answer::to(search.header("x-session-id", "s7")).await.status, 200);
        assert_eq!(stage.gateway.stop().await.code(), Some(0));

        let (output, errors) = (stage.gateway.output(), stage.gateway.errors());
        let lines: Vec<_> = output.lines().filter_map(parse).collect();
        let task = format!("user=alice task={task}");
        for (sid, status, method, path, rest) in [
            ("s1", 200, "POST", "/api/chat", "user=alice task=-"),
            ("s2", 401, "POST", "/v1/chat/completions", "user=- task=-"),
            ("s3", 401, "POST", "/api/chat", "user=- task=-"),
            ("s4", 200, "POST", "/tasks/send", task.as_str()),
            ("s5", 400, "POST", "/tasks/send", "user=alice task=-"),
            ("s6", 200, "POST", "/api/chat", "user=alice task=-"),
            ("s7", 200, "GET", "/mem/search", "user=alice task=-"),
        ] {
            let rest = format!("sid={sid} {rest}");
            let expected = (status, method.to_owned(), path.to_owned(), rest);
            let count = lines.iter().filter(|line| **line == expected).count();
            assert_eq!(count, 1, "{expected:?} in {output}");
        }
        let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
        let house = "sk-of-the-house".to_owned();
        let told = ["pssst", "Hello from", "spoofed"].map(str::to_owned);
        for secret in told.into_iter().chain([signature(&alice), signature(&forged), house]) {
            assert!(!output.contains(&secret), "{secret} in the output: {output}");
            assert!(!errors.contains(&secret), "{secret} in the errors: {errors}");
        }
    });
}
