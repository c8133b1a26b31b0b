//! `POST /v1/logs`: logs of agents and applications, remembered beside the exchanges.
//!
//! Takes OTLP/HTTP (JSON and protobuf, plain or gzip) and the simple shape
//! `{run_id, level, message, timestamp?, agent?}`. An event of kind `log` is the caller's own:
//! user, issuer and session are those that the gateway stamped, whatever the body says. Its
//! `prompt` is the message, and below it what else is known, one `name: value` a line.

use std::io::Read as _;
use std::sync::Arc;

use attach_filter::mirror::wire::{Kind, Outcome};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::read::MultiGzDecoder;
use uuid::{NoContext, Timestamp, Uuid};

use crate::app::{App, read_body};
use crate::clock::Millis;
use crate::event::{Event, Findings};
use crate::fault::Fault;
use crate::query::Caller;
use crate::redact::Redactor;

mod otlp;
mod simple;
#[cfg(test)]
mod tests;

/// Most bytes that a compressed body may unfold to.
const MAX_DECODED: u64 = 16 << 20;

/// Largest text of one log record; what is longer is cut.
const MAX_TEXT: usize = 256 << 10;

/// A log record of either shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Log {
    /// Text of the message, and of what is known beside it.
    text: String,
    time: Option<Millis>,
    agent: Option<String>,
    /// Becomes the `sid`, if it can be one.
    run: Option<String>,
    trace_id: Option<String>,
}

/// Who sent the logs, and with what.
#[derive(Clone, Debug)]
struct Sender {
    caller: Caller,
    session: Option<String>,
    sid: Option<String>,
    agent: Option<String>,
    trace_id: Option<String>,
    now: Millis,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Protobuf,
}

/// `POST /v1/logs`.
pub(crate) async fn logs(State(app): State<Arc<App>>, request: Request) -> Result<Response, Fault> {
    let _place = app.intake.place()?;
    let sender = Sender::from_headers(request.headers(), app.clock.now())?;
    let format = format(request.headers())?;
    let gzip = is_gzip(request.headers())?;
    let body = read_body(request.into_body(), app.limits.batch_bytes).await?;
    let body = if gzip { unfold(&body)? } else { body };
    match format {
        Format::Json => match simple::read(&body) {
            Some(log) => {
                let log = log?;
                app.intake.events(move |redactor| vec![event(redactor, &sender, log)]).await?;
                Ok(StatusCode::ACCEPTED.into_response())
            }
            None => export(&app, sender, otlp::from_json(&body)?, format).await,
        },
        Format::Protobuf => export(&app, sender, otlp::from_protobuf(&body)?, format).await,
    }
}

async fn export(
    app: &App,
    sender: Sender,
    request: otlp::Request,
    format: Format,
) -> Result<Response, Fault> {
    let (logs, rejected) = request.logs();
    app.intake
        .events(move |redactor| logs.into_iter().map(|log| event(redactor, &sender, log)).collect())
        .await?;
    Ok(otlp::answer(rejected, format == Format::Protobuf))
}

fn format(headers: &HeaderMap) -> Result<Format, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
        None => Ok(Format::Json),
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(Format::Json),
        Some(kind) if kind.eq_ignore_ascii_case("application/x-protobuf") => Ok(Format::Protobuf),
        Some(_) => Err(Fault::UnsupportedType),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Fault> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None => Ok(false),
        Some(coding) if coding.eq_ignore_ascii_case(b"identity") => Ok(false),
        Some(coding) if coding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => Err(Fault::UnsupportedType),
    }
}

fn unfold(body: &[u8]) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    let limit = MAX_DECODED.saturating_add(1);
    let read = MultiGzDecoder::new(body).take(limit).read_to_end(&mut bytes);
    if read.is_err() {
        return Err(Fault::Invalid("the body is not gzip".into()));
    }
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_DECODED) {
        return Err(Fault::TooLarge);
    }
    Ok(bytes.into())
}

/// The event of a log record, without anything that redaction finds.
fn event(redactor: &Redactor, sender: &Sender, log: Log) -> Event {
    let mut found = Findings::new();
    let mut text = log.text;
    let whole = text.len();
    if whole > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    let truncated = text.len() < whole;
    let prompt = redactor.redact(text, &mut found);
    let agent = log.agent.map(|agent| redactor.redact(agent, &mut found));
    let owner = &sender.caller.owner;
    Event {
        id: Uuid::new_v7(Timestamp::from_unix(
            NoContext,
            sender.now / 1000,
            u32::try_from(sender.now % 1000).unwrap_or(0).saturating_mul(1_000_000),
        )),
        time: log.time.unwrap_or(sender.now),
        kind: Kind::Log,
        user: Some(owner.user.clone()),
        issuer: Some(owner.issuer.clone()).filter(|issuer| !issuer.is_empty()),
        // Who acts for the user is what the token says; only without that what the log says.
        agent: sender.agent.clone().or(agent),
        session: sender.session.clone(),
        sid: log.run.filter(|run| is_sid(run)).or_else(|| sender.sid.clone()),
        trace_id: log.trace_id.or_else(|| sender.trace_id.clone()),
        method: Some("POST".into()),
        path: Some("/v1/logs".into()),
        model: None,
        status: None,
        outcome: Outcome::Complete,
        prompt: Some(prompt),
        answer: None,
        finish_reason: None,
        input_tokens: None,
        output_tokens: None,
        first_byte_ms: None,
        first_token_ms: None,
        duration_ms: None,
        tokens_per_second: None,
        request_bytes: u64::try_from(whole).ok(),
        response_bytes: None,
        truncated,
        redactions: found,
    }
}

/// Whether a text has the form of an `X-Session-ID`.
fn is_sid(text: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(ok)
}

// === impl Sender ===

impl Sender {
    fn from_headers(headers: &HeaderMap, now: Millis) -> Result<Self, Fault> {
        let text = |name: &'static str| -> Result<Option<String>, Fault> {
            let value = crate::query::text(headers, &HeaderName::from_static(name))?;
            Ok(value.filter(|value| !value.is_empty()))
        };
        let trace_id = text("traceparent")?
            .and_then(|value| value.split('-').nth(1).map(str::to_owned))
            .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        Ok(Self {
            caller: Caller::from_headers(headers)?,
            session: text("x-attach-session")?,
            sid: text("x-session-id")?.filter(|sid| is_sid(sid)),
            agent: text("x-attach-agent")?,
            trace_id,
            now,
        })
    }
}

// === impl Log ===

impl Log {
    /// Adds a line under the message.
    fn add(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(name);
            self.text.push_str(": ");
            self.text.push_str(value);
        }
    }
}
