//! What the engine is told of the caller, and what it is not told.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::client::Answer;
use crate::h2c;
use crate::raw::{Raw, exchange, head};
use crate::stage::{API_KEY, plain, tuned};
use crate::wait::{run, unique};

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn the_engine_learns_who_calls_and_never_the_token() {
    run(async {
        let stage = plain().await;
        let claims = stage.issuer.claims("alice@example.test").with("azp", "cli");
        let token = stage.issuer.sign(&claims);
        let case = unique("stamp");
        let request = stage.gateway.get("/api/tags").bearer_auth(&token).header("x-case", &case);
        let answer = Answer::to(request.header("user-agent", "agent/1")).await;
        assert_eq!(answer.status, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.all("x-attach-user"), ["alice@example.test"]);
        assert_eq!(seen.all("x-attach-issuer"), [stage.issuer.url()]);
        assert_eq!(seen.all("x-attach-agent"), ["cli"]);
        let session = seen.all("x-attach-session");
        assert_eq!(session.len(), 1);
        assert!(session[0].len() == 64 && is_lower_hex(&session[0]), "{session:?}");
        let names = ["x-attach-agent", "x-attach-issuer", "x-attach-session", "x-attach-user"];
        assert_eq!(seen.stamped(), names);
        assert!(seen.all("authorization").is_empty());
        let signature = token.rsplit('.').next().unwrap();
        assert!(!format!("{:?}", seen.headers).contains(signature), "the token went on");
        for name in ["x-attach-user", "x-attach-session", "x-attach-issuer", "x-attach-agent"] {
            assert_eq!(answer.header(name), None, "the client was told {name}");
        }
    });
}

#[test]
fn a_session_belongs_to_a_user_and_a_user_agent() {
    run(async {
        let stage = plain().await;
        let session = async |user: &str, agent: &str| {
            let (case, request) = stage.signed(stage.gateway.get("/api/tags"), user);
            assert_eq!(Answer::to(request.header("user-agent", agent)).await.status, 200);
            stage.engine.request(&case).await.one("x-attach-session").unwrap()
        };
        let alice = session("alice", "a/1").await;
        assert_eq!(alice, session("alice", "a/1").await);
        assert_ne!(alice, session("alice", "a/2").await);
        assert_ne!(alice, session("bob", "a/1").await);
        assert_ne!(session("ab", "c").await, session("a", "bc").await);
    });
}

#[test]
fn plain_sessions_are_the_hash_of_sub_and_user_agent() {
    run(async {
        let stage = tuned().await;
        let (case, request) = stage.signed(stage.gateway.get("/api/tags"), "alice");
        assert_eq!(Answer::to(request.header("user-agent", "curl/8.5.0")).await.status, 200);
        let digest = Sha256::digest("alicecurl/8.5.0");
        let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.all("x-attach-session"), [expected]);
        assert_eq!(seen.all("authorization"), [format!("Bearer {API_KEY}")]);
        assert_eq!(seen.target, "/base/api/tags");
    });
}

#[test]
fn the_agent_is_act_sub_then_azp_then_client_id() {
    run(async {
        let stage = plain().await;
        let claims = || stage.issuer.claims("alice");
        let act = json!({"sub": "planner"});
        for (claims, agent) in [
            (claims(), None),
            (claims().with("client_id", "c"), Some("c")),
            (claims().with("client_id", "c").with("azp", "z"), Some("z")),
            (claims().with("azp", "z").with("act", act), Some("planner")),
        ] {
            let case = unique("agent");
            let request = stage.gateway.get("/").header("x-case", &case);
            let answer = Answer::to(request.bearer_auth(stage.issuer.sign(&claims))).await;
            assert_eq!(answer.status, 200);
            let seen = stage.engine.request(&case).await;
            assert_eq!(seen.one("x-attach-agent").as_deref(), agent, "{claims:?}");
        }
    });
}

#[test]
fn a_user_that_is_not_plain_text_is_percent_encoded() {
    run(async {
        let stage = plain().await;
        for (user, stamped) in [
            ("auth0|42", "auth0|42"),
            ("J\u{fc}rgen", "J%C3%BCrgen"),
            ("a b,c%", "a%20b,c%25"),
            ("\u{1f600}", "%F0%9F%98%80"),
        ] {
            let (case, request) = stage.signed(stage.gateway.get("/"), user);
            assert_eq!(Answer::to(request).await.status, 200, "{user}");
            assert_eq!(stage.engine.request(&case).await.all("x-attach-user"), [stamped]);
        }
    });
}

const SPOOFS: [&str; 9] = [
    "X-Attach-User: root",
    "x-attach-user: root",
    "X-ATTACH-USER: root",
    "X_Attach_User: root",
    "x-attach_user: root",
    "X-Attach-Session: 0",
    "X-Attach-Agent: root",
    "X-Attach-Scope: mem:admin",
    "X-Attach-Anything: root",
];

#[test]
fn a_client_cannot_say_who_it_is() {
    run(async {
        let stage = plain().await;
        let token = format!("Authorization: Bearer {}", stage.issuer.token("alice"));
        for target in ["GET /api/tags", "GET /"] {
            let case = unique("spoof");
            let case_line = format!("x-case: {case}");
            let mut lines = vec![token.as_bytes(), case_line.as_bytes()];
            lines.extend(SPOOFS.iter().chain(&SPOOFS).map(|line| line.as_bytes()));
            lines.push(b"X-Forwarded-Host: evil.test");
            lines.push(b"X-Envoy-Original-Path: /healthz");
            lines.push(b"X_Session_ID: other");
            let answer = exchange(stage.gateway.address(), head(target, &lines)).await;
            assert_eq!(answer.status, 200);
            let seen = stage.engine.request(&case).await;
            let names = ["x-attach-issuer", "x-attach-session", "x-attach-user"];
            assert_eq!(seen.stamped(), names);
            assert_eq!(seen.all("x-attach-user"), ["alice"]);
            assert_eq!(seen.all("x-forwarded-host"), ["gateway.test"]);
            assert!(seen.all("x_session_id").is_empty());
            assert!(!format!("{:?}", seen.headers).contains("healthz"), "{:?}", seen.headers);
        }
    });
}

#[test]
fn not_in_trailers_either() {
    run(async {
        let stage = plain().await;
        let token = format!("Bearer {}", stage.issuer.token("alice"));
        let case = unique("trailers");
        let spoofs: [(&str, &[u8]); 4] = [
            ("x-attach-user", b"root"),
            ("x_attach_user", b"root"),
            ("x-attach-anything", b"root"),
            ("x-attach-user", b"twice"),
        ];
        let headers = vec![("authorization", token.as_bytes()), ("x-case", case.as_bytes())];
        let mut trailers = spoofs.to_vec();
        trailers.push(("x-checksum", b"1"));
        let post = h2c::Post { path: "/api/show", headers, body: b"hello".to_vec(), trailers };
        assert_eq!(h2c::post(stage.gateway.address(), post).await.0, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.body, b"hello");
        assert_eq!(seen.stamped(), ["x-attach-issuer", "x-attach-session", "x-attach-user"]);

        let case = unique("trailers");
        let mut raw = Raw::connect(stage.gateway.address()).await;
        let authorization = format!("Authorization: {token}");
        let case_line = format!("x-case: {case}");
        let lines: [&[u8]; 4] = [
            authorization.as_bytes(),
            case_line.as_bytes(),
            b"Transfer-Encoding: chunked",
            b"Trailer: X-Attach-User",
        ];
        raw.send(head("POST /api/show", &lines)).await;
        raw.send("5\r\nhello\r\n0\r\nX-Attach-User: root\r\nX_Attach_User: root\r\n\r\n").await;
        assert_eq!(raw.answer().await.status, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.body, b"hello");
        assert_eq!(seen.stamped(), ["x-attach-issuer", "x-attach-session", "x-attach-user"]);
    });
}

#[test]
fn the_engine_sees_its_own_host_and_no_origin() {
    run(async {
        let stage = plain().await;
        let (case, request) = stage.signed(stage.gateway.get("/api/tags"), "alice");
        let answer = Answer::to(request.header("origin", "http://elsewhere.test")).await;
        assert_eq!(answer.status, 200);
        let seen = stage.engine.request(&case).await;
        assert_eq!(seen.all("host"), [stage.engine.address.to_string()]);
        assert_eq!(seen.all("x-forwarded-host"), [stage.gateway.address().to_string()]);
        assert!(seen.all("origin").is_empty());
    });
}

#[test]
fn users_who_call_at_once_are_not_taken_for_one_another() {
    run(async {
        let stage = plain().await;
        let mut calls = tokio::task::JoinSet::new();
        for index in 0..100 {
            let user = format!("user-{}", index % 20);
            let (case, request) = stage.signed(stage.gateway.get("/api/tags"), &user);
            calls.spawn(async move { (user, case, Answer::to(request).await.status) });
        }
        while let Some(call) = calls.join_next().await {
            let (user, case, status) = call.unwrap();
            assert_eq!(status, 200);
            assert_eq!(stage.engine.request(&case).await.all("x-attach-user"), [user]);
        }
    });
}
