//! What each step does, shows and asks for.

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};

use super::chat::{Exchange, excerpt};
use super::report::Saw;
use super::{Fault, Tour, USER};
use crate::demo::engine::USER_HEADER;
use crate::demo::issuer::Claims;
use crate::demo::issuer::visitor::{Press, visit};
use crate::demo::probe::Dialect;
use crate::login::{Code, Login, Options, Prompt, SystemTimer};

/// Whom the spoofing client wants to be.
const SPOOFED: &str = "mallory";

fn ensure(holds: bool, fault: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(fault()) }
}

impl Tour<'_> {
    fn get(&self, saw: &mut Saw, path: &str) -> RequestBuilder {
        saw.line(format!("GET {path}"));
        self.client.get(format!("{}{path}", self.about.gateway))
    }

    fn post(&self, saw: &mut Saw, path: &str, body: &Map<String, Value>) -> RequestBuilder {
        let body = Value::from(body.clone());
        saw.line(format!("POST {path} {body}"));
        self.client.post(format!("{}{path}", self.about.gateway)).json(&body)
    }

    /// A short chat that asks `prompt`.
    fn ask(&self, saw: &mut Saw, prompt: &str) -> RequestBuilder {
        let (path, body) = self.about.chat(prompt);
        let mut body: Map<String, Value> = serde_json::from_str(&body).unwrap_or_default();
        body.extend(self.shortened());
        self.post(saw, path, &body)
    }

    /// Enough to see it stream; a slow machine need not write a novel.
    fn shortened(&self) -> Option<(String, Value)> {
        match self.about.dialect {
            _ if self.about.built_in => None,
            Dialect::Ollama => Some(("options".to_owned(), json!({"num_predict": 64}))),
            Dialect::OpenAi => Some(("max_tokens".to_owned(), json!(64))),
        }
    }

    pub(super) fn has_tasks(&self) -> bool {
        self.about.dialect == Dialect::Ollama
    }

    // === 1 and 2: who is refused ===

    pub(super) async fn no_token(&self, saw: &mut Saw) -> Result<(), Fault> {
        let path = match self.about.dialect {
            Dialect::Ollama => "/api/tags",
            Dialect::OpenAi => "/v1/models",
        };
        let challenge = refused(self.get(saw, path), saw).await?;
        // RFC 6750 section 3: no error code for a request that shows no credentials.
        let right = challenge.starts_with("Bearer realm=\"attach\"")
            && challenge.contains("resource_metadata=\"")
            && !challenge.contains("error=");
        ensure(right, || "the challenge is not the one for a request without a token".to_owned())
    }

    pub(super) async fn forged(&self, saw: &mut Saw) -> Result<(), Fault> {
        let token = self.issuer.forged(&Claims::of(USER)).map_err(|e| e.to_string())?;
        saw.line("a token with every right claim and a known kid, signed by another key");
        let request = self.ask(saw, "Hello").bearer_auth(token);
        let challenge = refused(request, saw).await?;
        let right = challenge.contains("error=\"invalid_token\"");
        ensure(right, || "the challenge does not say invalid_token".to_owned())
    }

    // === 3: signing in ===

    pub(super) async fn sign_in(&self, saw: &mut Saw) -> Result<String, Fault> {
        let options = Options {
            issuer: self.issuer.url().to_owned(),
            client_id: "attach-cli".to_owned(),
            client_secret: None,
            scopes: vec!["chat:run".to_owned()],
            audience: Some("attach".to_owned()),
            cache: None,
            remember: false,
        };
        let (prompt, mut shown) = Visitor::new();
        let timer = SystemTimer::start();
        let signing_in = async {
            let login =
                Login { client: self.client, options: &options, timer: &timer, prompt: &prompt };
            let outcome = login.run().await;
            // Whoever waits for a prompt that never came is told so.
            drop(prompt);
            outcome.map_err(|e| e.to_string())
        };
        let visiting = async {
            let code = shown.recv().await.ok_or("nothing was prompted")?;
            let complete = code.complete.as_deref().ok_or("the prompt has no complete address")?;
            visit(self.client, complete, Press::SignIn(USER)).await.map_err(|e| e.to_string())?;
            Ok::<_, Fault>(code)
        };
        let (outcome, code) = tokio::try_join!(signing_in, visiting)?;
        saw.line(format!("prompted: open {} and enter {}", code.address, code.user_code));
        saw.line(format!("on that page: name {USER}, button \"Sign in\""));
        saw.line(format!("a token of {} characters came back", outcome.token().len()));
        Ok(outcome.token().to_owned())
    }

    // === 4 and 5: what is answered ===

    pub(super) async fn chat(&self, saw: &mut Saw, token: &str, marker: &str) -> Result<(), Fault> {
        let request =
            self.ask(saw, &format!("Hello, this is the tour, {marker}")).bearer_auth(token);
        let exchange = Exchange::of(request).await?;
        exchange.show(saw);
        saw.line(format!("answer: {}", exchange.text()));
        ensure(exchange.status == StatusCode::OK, || "the chat was not answered".to_owned())?;
        exchange.check_streamed()
    }

    pub(super) async fn task(&self, saw: &mut Saw, token: &str) -> Result<(), Fault> {
        let mut body = Map::from_iter([
            ("input".to_owned(), json!("Hello, this is a task")),
            ("stream".to_owned(), json!(false)),
        ]);
        body.extend(self.about.model.as_ref().map(|model| ("model".to_owned(), json!(model))));
        body.extend(self.shortened());
        let request = self.post(saw, "/tasks/send", &body).bearer_auth(token);
        let exchange = Exchange::of(request).await?;
        exchange.show(saw);
        let task = exchange.headers.get("x-attach-task").and_then(|v| v.to_str().ok());
        saw.line(format!("X-Attach-Task: {}", task.unwrap_or("(none)")));
        saw.line(format!("answer: {}", exchange.text()));
        ensure(exchange.status == StatusCode::OK, || "the task was not answered".to_owned())?;
        ensure(task.is_some(), || "the task has no name".to_owned())
    }

    // === 6: memory ===

    pub(super) async fn memory(
        &self,
        saw: &mut Saw,
        token: &str,
        marker: &str,
    ) -> Result<(), Fault> {
        let (event, took) = self.remembered(saw, token, marker).await?;
        let or_none = |text: Option<String>| excerpt(&text.unwrap_or("(none)".to_owned()));
        let answered = event.answer.as_ref().is_some_and(|answer| !answer.is_empty());
        let status = event.status.map_or("(none)".to_owned(), |status| status.to_string());
        saw.line(format!("found after {:.2} s: event {}", took.as_secs_f64(), event.id));
        saw.line(format!("user {}, status {status}, model {}", event.user, or_none(event.model)));
        saw.line(format!("prompt: {}", or_none(event.prompt)));
        saw.line(format!("answer: {}", or_none(event.answer)));
        ensure(event.user == USER, || "it belongs to somebody else".to_owned())?;
        let seen = event.status == Some(200);
        ensure(seen, || "its status is not the one that was seen".to_owned())?;
        ensure(answered, || "it has no answer".to_owned())
    }

    // === 7: spoofing ===

    pub(super) async fn spoof(&self, saw: &mut Saw, token: &str) -> Result<(), Fault> {
        let marker = super::marker();
        let request = self.ask(saw, &format!("Who am I, {marker}")).bearer_auth(token);
        let spoofed = HeaderValue::from_static(SPOOFED);
        let request = request.header("X-Attach-User", spoofed.clone());
        let request = request.header("x-attach-session", spoofed);
        saw.line(format!("with X-Attach-User: {SPOOFED} and X-Attach-Session: {SPOOFED}"));
        let exchange = Exchange::of(request).await?;
        ensure(exchange.status == StatusCode::OK, || format!("answered {}", exchange.status))?;
        if self.about.built_in {
            let user = exchange.headers.get(USER_HEADER).and_then(|v| v.to_str().ok());
            saw.line(format!("the engine was told X-Attach-User: {}", user.unwrap_or("(none)")));
            ensure(user == Some(USER), || "the engine was told a wrong user".to_owned())?;
        }
        let (event, _) = self.remembered(saw, token, &marker).await?;
        let session = event.session.unwrap_or_default();
        saw.line(format!("memory has it under user {}, session {session}", event.user));
        ensure(event.user == USER, || "memory has it under a wrong user".to_owned())?;
        ensure(session != SPOOFED, || "memory has it under a wrong session".to_owned())?;

        let other = self.issuer.token(&Claims::of(SPOOFED)).map_err(|e| e.to_string())?;
        let found = self.search(&other, &marker).await?.len();
        saw.line(format!("{SPOOFED}, really signed in, finds {found} of it"));
        ensure(found == 0, || "it is shown to somebody else".to_owned())
    }
}

/// Sends what must be refused; gives the challenge.
async fn refused(request: RequestBuilder, saw: &mut Saw) -> Result<String, Fault> {
    let exchange = Exchange::of(request).await?;
    exchange.show(saw);
    let challenge = exchange.headers.get(WWW_AUTHENTICATE).and_then(|v| v.to_str().ok());
    let challenge = challenge.unwrap_or_default().to_owned();
    saw.line(format!("WWW-Authenticate: {challenge}"));
    saw.line(excerpt(exchange.body.trim()));
    let right = exchange.status == StatusCode::UNAUTHORIZED;
    ensure(right, || format!("answered {} where 401 was due", exchange.status))?;
    Ok(challenge)
}

/// Hands what a person would read to the one who plays that person.
struct Visitor(tokio::sync::mpsc::UnboundedSender<Code>);

impl Visitor {
    fn new() -> (Self, tokio::sync::mpsc::UnboundedReceiver<Code>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

impl Prompt for Visitor {
    fn show(&self, code: &Code) {
        // The other side is gone only if the step is over.
        let _ = self.0.send(code.clone());
    }

    fn note(&self, text: &str) {
        tracing::info!("{text}");
    }
}
