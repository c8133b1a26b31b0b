//! From captured bodies to a conversation: prompt, answer, model, tokens, timings.
//!
//! Knows Ollama (`/api/chat`, `/api/generate`), OpenAI (`/v1/chat/completions`,
//! `/v1/completions`, `/v1/responses`) and Anthropic (`/v1/messages`) bodies, whole or streamed
//! as NDJSON or SSE. A body that is none of these is kept as the text it is.

use std::borrow::Cow;

use attach_filter::mirror::wire::{Kind, Meta};
use serde_json::Value;

mod answer;
mod body;
mod frames;
mod mend;
mod prompt;
#[cfg(test)]
mod tests;

/// What two bodies say. Not redacted yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// What was asked.
    pub prompt: Option<Text>,
    /// What was answered.
    pub answer: Option<Text>,
    /// Model that answered, else the one asked for.
    pub model: Option<String>,
    /// Why the engine stopped.
    pub finish_reason: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Request start to the first token of a streamed answer.
    pub first_token_ms: Option<u64>,
    /// Tokens a second of the generation.
    pub tokens_per_second: Option<f64>,
    /// A body was cut here, beyond what the capture had cut.
    pub truncated: bool,
}

/// A text and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Joined from a body that was understood.
    Joined(String),
    /// A body as it is: JSON may hide secrets behind escapes here.
    Body(String),
}

/// Reads one exchange.
#[must_use]
pub fn read(meta: &Meta, request: &[u8], response: &[u8]) -> Transcript {
    let asked = body::decode(request, meta.request_encoding.as_deref());
    let answered = body::decode(response, meta.response_encoding.as_deref());
    let mut transcript =
        Transcript { truncated: asked.cut || answered.cut, ..Transcript::default() };
    let talk = is_talk(meta);

    let question = if talk { prompt::read(&asked.bytes) } else { None };
    match question {
        Some(question) => {
            transcript.prompt = question.text.map(Text::Joined);
            transcript.model = question.model;
        }
        None => {
            transcript.prompt = body::text(&asked, meta.request_type.as_deref()).map(Text::Body)
        }
    }

    let said =
        if talk { answer::read(&answered.bytes, meta.response_type.as_deref()) } else { None };
    let Some(said) = said else {
        transcript.answer = body::text(&answered, meta.response_type.as_deref()).map(Text::Body);
        return transcript;
    };
    // Offsets are those of the bytes on the wire: with a content coding they mean nothing.
    let coded = !matches!(answered.bytes, Cow::Borrowed(_));
    transcript.first_token_ms =
        said.first_token.filter(|_| said.streamed && !coded).and_then(|at| arrival(meta, at));
    transcript.tokens_per_second = said.speed.or_else(|| {
        speed(said.output_tokens?, meta.duration_ms.checked_sub(transcript.first_token_ms?)?)
    });
    transcript.answer = said.text.map(Text::Joined);
    transcript.model = said.model.or(transcript.model);
    transcript.finish_reason = said.finish_reason;
    transcript.input_tokens = said.input_tokens;
    transcript.output_tokens = said.output_tokens;
    transcript
}

/// Whether the bodies can be a conversation's.
fn is_talk(meta: &Meta) -> bool {
    const PATHS: &[&str] =
        &["/api/chat", "/api/generate", "/completions", "/responses", "/messages", "/tasks/send"];
    match meta.kind {
        Kind::Chat | Kind::Task => true,
        Kind::Proxy | Kind::Log => PATHS.iter().any(|path| meta.path.ends_with(path)),
    }
}

/// When the byte at `offset` of the response came, by the marks of the first chunks.
fn arrival(meta: &Meta, offset: usize) -> Option<u64> {
    use attach_filter::mirror::wire::MAX_MARKS;
    let offset = u64::try_from(offset).ok()?;
    let index = meta.marks.iter().rposition(|[start, _]| *start <= offset)?;
    // The last of a full list may stand for any number of later chunks.
    let [start, at] = *meta.marks.get(index)?;
    let known = index.saturating_add(1) < MAX_MARKS || start == offset;
    known.then_some(at)
}

fn speed(tokens: u64, millis: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
    let (tokens, millis) = (tokens as f64, millis as f64);
    let rate = tokens * 1000.0 / millis;
    (tokens > 0.0 && rate.is_finite()).then(|| round(rate))
}

/// Two digits after the point are more than the measurement gives.
fn round(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

/// JSON from bytes that may have been cut off.
fn parse(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| {
        let mended = mend::close(&String::from_utf8_lossy(bytes))?;
        serde_json::from_str(&mended).ok()
    })
}

// === impl Text ===

impl Text {
    /// The text, whatever it comes from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Joined(text) | Self::Body(text) => text,
        }
    }
}
