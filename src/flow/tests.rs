#![allow(clippy::arithmetic_side_effects, clippy::type_complexity)]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{Claims, Duration, HS256Key, MACLike};
use serde_json::{Value, json};

use super::*;
use crate::auth::NoHost;
use crate::config::Config;
use crate::mirror::wire::{Kind, Outcome, Records};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const NOW: u64 = 1_800_000_000_000;

#[derive(Default)]
struct Recorder {
    request: BTreeMap<String, Option<String>>,
    response: BTreeMap<String, String>,
    trailers: Vec<String>,
    body: Option<(usize, String)>,
    reply: Option<Reply>,
}

impl Steps for Recorder {
    fn set_request(&mut self, name: &str, value: &[u8]) {
        self.request.insert(name.to_owned(), Some(String::from_utf8(value.to_vec()).unwrap()));
    }
    fn remove_request(&mut self, name: &str) {
        self.request.insert(name.to_owned(), None);
    }
    fn remove_trailer(&mut self, name: &str) {
        self.trailers.push(name.to_owned());
    }
    fn set_response(&mut self, name: &str, value: &[u8]) {
        self.response.insert(name.to_owned(), String::from_utf8(value.to_vec()).unwrap());
    }
    fn replace_request_body(&mut self, len: usize, body: &[u8]) {
        self.body = Some((len, String::from_utf8(body.to_vec()).unwrap()));
    }
    fn reply(&mut self, reply: &Reply) {
        assert!(self.reply.replace(reply.clone()).is_none(), "answered twice");
    }
}

impl Recorder {
    fn set(&self, name: &str) -> Option<&str> {
        self.request.get(name)?.as_deref()
    }
    fn removed(&self, name: &str) -> bool {
        self.request.get(name) == Some(&None)
    }
    fn status(&self) -> u16 {
        self.reply.as_ref().map_or(0, |reply| reply.status)
    }
    fn header(&self, name: &str) -> Option<&str> {
        let headers = &self.reply.as_ref()?.headers;
        headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
    fn json(&self) -> Value {
        serde_json::from_slice(&self.reply.as_ref().unwrap().body).unwrap()
    }
}

struct Bytes<'a>(&'a [u8]);

impl Body for Bytes<'_> {
    fn read(&mut self, start: usize, len: usize) -> Vec<u8> {
        let end = (start + len).min(self.0.len());
        self.0[start.min(end)..end].to_vec()
    }
}

struct FromUpstream(&'static str, &'static str);

impl Answer for FromUpstream {
    fn headers(&self) -> Headers {
        pairs(&[(":status", self.0), ("content-type", "application/x-ndjson")])
    }
    fn code_details(&self) -> Vec<u8> {
        self.1.as_bytes().to_vec()
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect()
}

fn gateway(change: impl FnOnce(&mut Value)) -> Rc<Gateway> {
    let mut config = json!({
        "public_url": "http://gw",
        "issuers": [{
            "issuer": "https://id", "audiences": ["attach"], "scopes": ["chat:run"],
            "algorithms": ["HS256"], "hmac_secret": URL_SAFE_NO_PAD.encode(SECRET),
        }],
        "session": "sha256",
        "engine": {"cluster": "e", "authority": "127.0.0.1:11434"},
        "mirror": {"cluster": "m", "authority": "mirror"},
        "cors_origins": ["https://app"],
    });
    change(&mut config);
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    Rc::new(Gateway::new(config, 1).unwrap_or_else(|faults| panic!("{faults:?}")))
}

fn token(scope: &str) -> String {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Extra {
        scope: String,
        azp: String,
    }
    let extra = Extra { scope: scope.to_owned(), azp: "agent 1".to_owned() };
    let mut claims = Claims::with_custom_claims(extra, Duration::from_secs(60))
        .with_issuer("https://id")
        .with_audience("attach")
        .with_subject("alice@example.com");
    claims.issued_at = None;
    claims.invalid_before = None;
    claims.expires_at = Some(Duration::from_secs(NOW / 1000 + 60));
    HS256Key::from_bytes(SECRET).authenticate(claims).unwrap()
}

fn moment() -> Moment {
    let mut random = [0; RANDOM_BYTES];
    for (index, byte) in random.iter_mut().enumerate() {
        *byte = u8::try_from(index).unwrap();
    }
    Moment { now: NOW, random }
}

struct Case {
    flow: Flow,
    steps: Recorder,
}

impl Case {
    fn new(gateway: &Rc<Gateway>) -> Self {
        Self { flow: Flow::new(Rc::clone(gateway)), steps: Recorder::default() }
    }
    fn headers(&mut self, headers: Headers, end: bool) -> Next {
        self.flow.request_headers(headers, end, moment(), &NoHost, &mut self.steps)
    }
    fn signed_in(&mut self, method: &str, path: &str, more: &[(&str, &str)], end: bool) -> Next {
        let bearer = format!("Bearer {}", token("chat:run other"));
        let mut all = pairs(&[(":method", method), (":path", path), ("authorization", &bearer)]);
        all.extend(pairs(more));
        self.headers(all, end)
    }
    fn body(&mut self, window: &[u8], end: bool) -> Next {
        self.flow.request_body(window.len(), end, &mut Bytes(window), &mut self.steps)
    }
    fn answer(&mut self, status: &'static str, details: &'static str) -> Next {
        self.flow.response_headers(NOW + 5, &FromUpstream(status, details), &mut self.steps)
    }
    fn record(&mut self) -> Option<(crate::mirror::wire::Meta, Vec<u8>, Vec<u8>)> {
        let record = self.flow.finished(NOW + 9, || Ending::Downstream)?;
        let record = Records::new(&record).next().unwrap().unwrap();
        Some((record.meta, record.request.to_vec(), record.response.to_vec()))
    }
}

#[test]
fn a_signed_in_request_is_stamped_and_its_token_stays_here() {
    let gateway = gateway(|_| ());
    let mut case = Case::new(&gateway);
    let more = [
        ("user-agent", "curl"),
        ("x-attach-user", "mallory"),
        ("X_Attach_Session", "s"),
        ("origin", "https://app"),
        ("traceparent", "junk"),
        ("tracestate", "a=b"),
    ];
    assert_eq!(case.signed_in("GET", "/api/tags?x=1", &more, true), Next::Continue);
    let steps = &case.steps;
    assert_eq!(steps.set("x-attach-user"), Some("alice@example.com"));
    assert_eq!(steps.set("x-attach-issuer"), Some("https://id"));
    assert_eq!(steps.set("x-attach-agent"), Some("agent%201"));
    let session = crate::session::SessionKey::new(&crate::config::Session::Sha256).unwrap();
    let session = session.id("https://id", "alice@example.com", Some(b"curl"));
    assert_eq!(steps.set("x-attach-session"), Some(session.as_str()));
    assert_eq!(steps.set("x-session-id"), Some("00010203"));
    assert!(steps.set("traceparent").unwrap().starts_with("00-04050607"));
    for name in ["X_Attach_Session", "authorization", "origin", "tracestate"] {
        assert!(steps.removed(name), "{name}");
    }
    assert_eq!(steps.set("x-attach-scope"), None);
    assert_eq!(case.answer("200", "via_upstream"), Next::Continue);
    assert_eq!(case.steps.response["x-session-id"], "00010203");
    assert_eq!(case.steps.response["access-control-allow-origin"], "https://app");
}

#[test]
fn the_engine_gets_its_own_key_and_memory_the_scopes() {
    let gateway = gateway(|config| {
        config["engine"]["api_key"] = json!("sk-1");
        config["mirror"]["token"] = json!("m-1");
    });
    let mut engine = Case::new(&gateway);
    engine.signed_in("GET", "/v1/models", &[("x-session-id", "chain.1")], true);
    assert_eq!(engine.steps.set("authorization"), Some("Bearer sk-1"));
    assert_eq!(engine.steps.set("x-session-id"), None, "the client's own is left as it is");
    let mut memory = Case::new(&gateway);
    memory.signed_in("GET", "/mem/events", &[], true);
    assert_eq!(memory.steps.set("authorization"), Some("Bearer m-1"));
    assert_eq!(memory.steps.set("x-attach-scope"), Some("chat:run other"));
    assert!(memory.record().is_none(), "reading memory is no event");
}

#[test]
fn refusals_carry_no_claim_of_the_client_and_a_session() {
    let bearer = format!("Bearer {}", token("other"));
    let table: &[(&[(&str, &str)], u16, &str)] = &[
        (&[], 401, "missing_token"),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], 400, "invalid_request"),
        (&[("authorization", "Bearer a.b.c")], 401, "invalid_token"),
        (&[("authorization", &bearer)], 403, "insufficient_scope"),
    ];
    for (headers, status, code) in table {
        let mut case = Case::new(&gateway(|_| ()));
        let mut all = pairs(&[(":method", "POST"), (":path", "/api/chat"), ("X-Attach-User", "m")]);
        all.extend(pairs(headers));
        assert_eq!(case.headers(all, false), Next::Pause);
        assert_eq!((case.steps.status(), &case.steps.json()["code"]), (*status, &json!(code)));
        assert!(case.steps.removed("X-Attach-User"));
        assert_eq!(case.steps.header("x-session-id"), Some("00010203"));
        let body = case.body(b"{}", true);
        assert_eq!(body, Next::Pause, "nothing of a refused request goes on");
    }
}

#[test]
fn public_documents_need_no_token() {
    let gateway = gateway(|_| ());
    for (path, key) in [
        ("/healthz", "status"),
        ("/auth/config", "client_id"),
        ("/.well-known/oauth-protected-resource", "resource"),
    ] {
        let mut case = Case::new(&gateway);
        case.headers(pairs(&[(":method", "GET"), (":path", path), ("x-attach-user", "m")]), true);
        assert_eq!(case.steps.status(), 200, "{path}");
        assert!(case.steps.json()[key].is_string());
        assert!(case.steps.removed("x-attach-user"));
    }
    let mut post = Case::new(&gateway);
    post.headers(pairs(&[(":method", "POST"), (":path", "/healthz")]), true);
    assert_eq!(post.steps.status(), 405);
    let mut ready = Case::new(&gateway);
    let next = ready.headers(pairs(&[(":method", "GET"), (":path", "/readyz")]), true);
    assert_eq!(next, Next::AwaitReadiness);
    ready.flow.readiness(&["engine: does not answer".to_owned()], &mut ready.steps);
    assert_eq!(ready.steps.status(), 503);
    assert_eq!(ready.steps.json()["missing"][0], "engine: does not answer");
}

#[test]
fn preflights_of_allowed_origins_need_no_token_and_other_options_do() {
    let table: &[(&[(&str, &str)], u16)] = &[
        (&[("origin", "https://app"), ("access-control-request-method", "POST")], 204),
        (&[("origin", "https://evil"), ("access-control-request-method", "POST")], 403),
        (&[("origin", "https://app")], 401),
        (&[], 401),
    ];
    for (headers, status) in table {
        let mut case = Case::new(&gateway(|_| ()));
        let mut all = pairs(&[(":method", "OPTIONS"), (":path", "/api/chat")]);
        all.extend(pairs(headers));
        case.headers(all, true);
        assert_eq!(case.steps.status(), *status, "{headers:?}");
        let allowed = case.steps.header("access-control-allow-origin");
        assert_eq!(allowed.is_some(), headers.contains(&("origin", "https://app")));
    }
}

#[test]
fn task_bodies_are_held_rewritten_and_named() {
    let gateway = gateway(|config| config["engine"]["model"] = json!("tiny"));
    let mut case = Case::new(&gateway);
    let next = case.signed_in("POST", "/tasks/send", &[("content-length", "17")], false);
    assert_eq!(next, Next::Continue);
    assert!(case.steps.removed("content-length"));
    let body = br#"{"prompt":"Hello"}"#;
    assert_eq!(case.body(&body[..9], false), Next::Pause);
    assert_eq!(case.body(body, false), Next::Pause);
    // With trailers no body callback is the last one.
    let trailers = pairs(&[("x_attach_user", "m"), ("x-other", "1")]);
    let next = case.flow.request_trailers(&trailers, &mut Bytes(body), &mut case.steps);
    assert_eq!(next, Next::Continue);
    assert_eq!(case.steps.trailers, ["x_attach_user"]);
    let (len, rewritten) = case.steps.body.clone().unwrap();
    let rewritten: Value = serde_json::from_str(&rewritten).unwrap();
    assert_eq!(len, body.len());
    assert_eq!(rewritten["model"], "tiny");
    assert_eq!(rewritten["messages"][0]["content"], "Hello");
    case.answer("200", "via_upstream");
    let task = case.steps.response["x-attach-task"].clone();
    assert_eq!(task.len(), 32);
    case.flow.response_body(NOW + 6, 2, true, &mut Bytes(b"{}"));
    let (meta, request, response) = case.record().unwrap();
    assert_eq!((meta.kind, meta.status, meta.outcome), (Kind::Task, 200, Outcome::Complete));
    assert_eq!(meta.task, Some(task));
    assert_eq!(serde_json::from_slice::<Value>(&request).unwrap(), rewritten);
    assert_eq!(response, b"{}");
}

#[test]
fn unusable_task_bodies_are_refused_and_recorded() {
    let big = vec![b' '; 65];
    let table: &[(&[u8], bool, u16, &str)] = &[
        (b"", true, 400, "invalid_body"),
        (b"not json", true, 400, "invalid_body"),
        (b"[]", true, 400, "invalid_body"),
        (&big, false, 413, "body_too_large"),
    ];
    for (body, end, status, code) in table {
        let mut case = Case::new(&gateway(|config| config["max_rewrite_body"] = json!(64)));
        case.signed_in("POST", "/tasks/send", &[], false);
        assert_eq!(case.body(body, *end), Next::Pause);
        assert_eq!((case.steps.status(), &case.steps.json()["code"]), (*status, &json!(code)));
        assert_eq!(case.record().unwrap().0.status, *status);
    }
    let mut declared = Case::new(&gateway(|config| config["max_rewrite_body"] = json!(64)));
    declared.signed_in("POST", "/tasks/send", &[("content-length", "65")], false);
    assert_eq!(declared.steps.status(), 413, "refused before any of it is read");
    let mut empty = Case::new(&gateway(|_| ()));
    empty.signed_in("POST", "/tasks/send", &[], true);
    assert_eq!(empty.steps.status(), 400);
}

#[test]
fn the_shorthand_becomes_a_chat_and_everything_else_is_left_alone() {
    let gateway = gateway(|config| {
        config["engine"]["model"] = json!("tiny");
        config["max_rewrite_body"] = json!(64);
    });
    let long = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(200));
    let unknown = format!(r#"{{"other":"{}"}}"#, "x".repeat(100));
    let table: &[(&str, bool)] = &[
        (r#"{"prompt":"Hello"}"#, true),
        (r#"{"messages":[],"prompt":"x"}"#, false),
        (&long, false),
        (&unknown, false),
        ("not json", false),
    ];
    for (body, rewritten) in table {
        let mut case = Case::new(&gateway);
        case.signed_in("POST", "/api/chat", &[], false);
        assert_eq!(case.body(body.as_bytes(), true), Next::Continue, "{body}");
        assert_eq!(case.steps.body.is_some(), *rewritten, "{body}");
        let (meta, request, _) = case.record().unwrap();
        assert_eq!(meta.request_bytes, body.len() as u64);
        assert_eq!(request == body.as_bytes(), !rewritten, "{body}");
    }
    let huge = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(100));
    let mut case = Case::new(&gateway);
    case.signed_in("POST", "/api/chat", &[], false);
    assert_eq!(case.body(huge.as_bytes(), false), Next::Pause);
    assert_eq!(case.steps.status(), 413);
}

#[test]
fn faults_of_the_engine_become_our_own_answers() {
    let table: &[(&str, &str, u16, &str)] = &[
        (
            "503",
            "upstream_reset_before_response_started{connection_failure}",
            503,
            "engine_unavailable",
        ),
        ("503", "no_healthy_upstream", 503, "engine_unavailable"),
        (
            "503",
            "upstream_reset_before_response_started{remote_connection_failure|connection_timeout}",
            503,
            "engine_unavailable",
        ),
        ("504", "stream_idle_timeout", 504, "engine_timeout"),
        ("408", "stream_idle_timeout", 504, "engine_timeout"),
        ("504", "response_timeout", 504, "engine_timeout"),
        ("413", "request_payload_too_large", 413, "body_too_large"),
    ];
    for (status, details, ours, code) in table {
        let mut case = Case::new(&gateway(|_| ()));
        case.signed_in("POST", "/v1/chat/completions", &[], true);
        assert_eq!(case.answer(status, details), Next::Pause);
        assert_eq!(case.steps.status(), *ours, "{details}");
        assert_eq!(case.steps.json()["error"]["code"], *code);
        assert_eq!(case.record().unwrap().0.status, *ours);
    }
    let mut own = Case::new(&gateway(|_| ()));
    own.signed_in("GET", "/api/tags", &[], true);
    assert_eq!(own.answer("503", "via_upstream"), Next::Continue, "the engine's own 503 passes");
    for (status, details) in [
        ("503", "upstream_reset_before_response_started{connection_failure}"),
        ("504", "response_timeout"),
    ] {
        let mut memory = Case::new(&gateway(|_| ()));
        memory.signed_in("GET", "/mem/events", &[], true);
        memory.answer(status, details);
        assert_eq!(memory.steps.status(), 503, "{details}");
        assert_eq!(memory.steps.json()["code"], "memory_unavailable");
    }
}

#[test]
fn what_the_client_does_not_wait_for_is_recorded_as_aborted() {
    let mut case = Case::new(&gateway(|_| ()));
    case.signed_in("POST", "/api/chat", &[("content-type", "application/json")], false);
    case.body(b"{\"a\":", false);
    case.answer("200", "via_upstream");
    case.flow.response_body(NOW + 7, 3, false, &mut Bytes(b"abc"));
    let (meta, request, response) = case.record().unwrap();
    assert_eq!(meta.outcome, Outcome::Aborted);
    assert_eq!((meta.first_byte_ms, meta.duration_ms), (Some(5), 9));
    assert_eq!((request.as_slice(), response.as_slice()), (&b"{\"a\":"[..], &b"abc"[..]));
    assert_eq!(meta.user.as_deref(), Some("alice@example.com"));
    assert_eq!(meta.request_type.as_deref(), Some("application/json"));
    assert!(case.flow.finished(NOW, || Ending::Other).is_none(), "a record is made once");
}

#[test]
fn weaker_modes_stamp_only_what_they_believe() {
    let passthrough = gateway(|config| config["mode"] = json!("passthrough"));
    let mut case = Case::new(&passthrough);
    let headers = [
        (":method", "GET"),
        (":path", "/x"),
        ("authorization", "Bearer a"),
        ("x-attach-user", "m"),
    ];
    assert_eq!(case.headers(pairs(&headers), true), Next::Continue);
    assert!(case.steps.removed("x-attach-user") && case.steps.removed("authorization"));
    let trusted = gateway(|config| config["mode"] = json!("trusted"));
    let mut case = Case::new(&trusted);
    assert_eq!(case.headers(pairs(&headers), true), Next::Continue);
    assert_eq!(case.steps.set("x-attach-user"), Some("m"));
    let mut nobody = Case::new(&trusted);
    nobody.headers(pairs(&[(":method", "GET"), (":path", "/x")]), true);
    assert_eq!(nobody.steps.status(), 401);
}

#[test]
fn memory_that_is_off_is_not_found() {
    let mut case = Case::new(&gateway(|config| config["mirror"] = Value::Null));
    case.signed_in("GET", "/mem/events", &[], true);
    assert_eq!(case.steps.status(), 404);
}
