//! Response bodies: the deltas of a stream joined into one text, and what came with them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::frames;
use super::prompt::{content, tool_call};
use super::round;

/// What was answered.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: Option<String>,
    pub(super) model: Option<String>,
    pub(super) finish_reason: Option<String>,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    /// Tokens a second, if the engine timed itself.
    pub(super) speed: Option<f64>,
    /// Offset at which the first token was complete.
    pub(super) first_token: Option<usize>,
    pub(super) streamed: bool,
}

/// Joins values of any dialect.
#[derive(Default)]
struct Collector {
    said: Said,
    /// Texts of the choices, by index.
    texts: BTreeMap<u64, String>,
    /// Streamed tool calls by choice and index: name and arguments.
    calls: BTreeMap<(u64, u64), (String, String)>,
    /// Something was recognised.
    known: bool,
    /// The value that is being read brought a token.
    token: bool,
}

/// Reads an answer. Nothing if it is none that is known.
pub(super) fn read(body: &[u8], media_type: Option<&str>) -> Option<Said> {
    let frames = frames::split(body, media_type)?;
    let mut to = Collector::default();
    to.said.streamed = frames.streamed;
    for frame in &frames.frames {
        to.token = false;
        to.value(&frame.value);
        if to.token && to.said.first_token.is_none() {
            to.said.first_token = Some(frame.end);
        }
    }
    to.known.then(|| to.finish())
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key).and_then(Value::as_u64)
}

// === impl Collector ===

impl Collector {
    fn value(&mut self, value: &Value) {
        if let Some(model) = text(value, "model") {
            self.said.model = Some(model);
        }
        if let Some(choices) = value.get("choices").and_then(Value::as_array) {
            self.known = true;
            choices.iter().for_each(|choice| self.choice(choice));
        } else if value.get("done").is_some() {
            self.ollama(value);
        } else if let Some(kind) = value.get("type").and_then(Value::as_str) {
            self.typed(kind, value);
        } else if value.get("object").and_then(Value::as_str) == Some("response") {
            self.response(value);
        } else if self.known && value.get("error").is_some() {
            // An engine that dies while it streams says so in its last line.
            self.said.finish_reason = Some("error".into());
        }
        if let Some(usage) = value.get("usage") {
            self.usage(usage);
        }
    }

    fn say(&mut self, choice: u64, text: &str) {
        if !text.is_empty() {
            self.token = true;
            self.texts.entry(choice).or_default().push_str(text);
        }
    }

    fn line(&mut self, choice: u64, line: &str) {
        self.token = true;
        let text = self.texts.entry(choice).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }

    /// Ollama's `/api/chat` and `/api/generate`, a line or the whole.
    fn ollama(&mut self, value: &Value) {
        self.known = true;
        if let Some(response) = value.get("response").and_then(Value::as_str) {
            self.say(0, response);
        }
        let thinking = |value: &Value| text(value, "thinking").is_some();
        self.token |= thinking(value);
        if let Some(message) = value.get("message") {
            self.token |= thinking(message);
            self.say(0, &message.get("content").and_then(content).unwrap_or_default());
            for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                if let Some(call) = tool_call(call) {
                    self.line(0, &call);
                }
            }
        }
        if value.get("done").and_then(Value::as_bool) != Some(true) {
            return;
        }
        self.said.finish_reason = text(value, "done_reason").or(self.said.finish_reason.take());
        // A count of zero is left out by the engine, and so is one it does not know.
        self.said.input_tokens = number(value, "prompt_eval_count").or(self.said.input_tokens);
        self.said.output_tokens = number(value, "eval_count").or(self.said.output_tokens);
        let took = number(value, "eval_duration").filter(|nanos| *nanos > 0);
        if let (Some(tokens), Some(nanos)) = (self.said.output_tokens, took) {
            #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
            let rate = tokens as f64 * 1e9 / nanos as f64;
            self.said.speed = Some(round(rate));
        }
    }

    /// A choice of OpenAI's completions, whole (`message`, `text`) or a `delta`.
    fn choice(&mut self, choice: &Value) {
        let index = number(choice, "index").unwrap_or(0);
        if let Some(text) = choice.get("text").and_then(Value::as_str) {
            self.say(index, text);
        }
        for key in ["delta", "message"] {
            let Some(message) = choice.get(key) else { continue };
            let said = message.get("content").and_then(content);
            self.say(index, &said.or_else(|| text(message, "refusal")).unwrap_or_default());
            self.token |=
                ["reasoning_content", "reasoning"].iter().any(|key| text(message, key).is_some());
            let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
            for (place, call) in calls.enumerate() {
                let place = number(call, "index").unwrap_or(u64::try_from(place).unwrap_or(0));
                let function = call.get("function").unwrap_or(call);
                self.call((index, place), text(function, "name"), text(function, "arguments"));
            }
        }
        if let Some(reason) = text(choice, "finish_reason") {
            self.said.finish_reason = Some(reason);
        }
    }

    fn call(&mut self, place: (u64, u64), name: Option<String>, arguments: Option<String>) {
        self.token = true;
        let (known, sum) = self.calls.entry(place).or_default();
        if let Some(name) = name {
            *known = name;
        }
        sum.push_str(&arguments.unwrap_or_default());
    }

    /// Values with a `type`: OpenAI's responses and Anthropic's messages.
    fn typed(&mut self, kind: &str, value: &Value) {
        let place = || number(value, "output_index").or(number(value, "index")).unwrap_or(0);
        let delta = value.get("delta");
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.known = true;
                self.say(place(), delta.and_then(Value::as_str).unwrap_or_default());
            }
            "response.function_call_arguments.delta" => {
                let more = delta.and_then(Value::as_str).map(str::to_owned);
                self.call((place(), 0), None, more);
            }
            "response.output_item.added" => {
                self.known = true;
                let item = value.get("item").filter(|item| item.get("arguments").is_some());
                if let Some(name) = item.and_then(|item| text(item, "name")) {
                    self.call((place(), 0), Some(name), None);
                }
            }
            "message" if value.get("content").is_some() => self.message(value),
            "message_start" => {
                self.known = true;
                let message = value.get("message").unwrap_or(&Value::Null);
                self.said.model = text(message, "model").or(self.said.model.take());
                message.get("usage").into_iter().for_each(|usage| self.usage(usage));
            }
            "content_block_start" => {
                let block = value.get("content_block").unwrap_or(&Value::Null);
                if let Some(name) = text(block, "name") {
                    self.call((place(), 0), Some(name), None);
                }
            }
            "content_block_delta" => self.block_delta(place(), delta.unwrap_or(&Value::Null)),
            "message_delta" => {
                let reason = delta.and_then(|delta| text(delta, "stop_reason"));
                self.said.finish_reason = reason.or(self.said.finish_reason.take());
            }
            "error" if self.known => self.said.finish_reason = Some("error".into()),
            // `response.completed`, `.incomplete`, `.failed`, `.created`: the response so far.
            _ if kind.starts_with("response.") => {
                self.known = true;
                if let Some(response) = value.get("response") {
                    self.response(response);
                }
            }
            _ => {}
        }
    }

    fn block_delta(&mut self, place: u64, delta: &Value) {
        self.token |= text(delta, "thinking").is_some();
        self.say(place, delta.get("text").and_then(Value::as_str).unwrap_or_default());
        if let Some(more) = text(delta, "partial_json") {
            self.call((place, 0), None, Some(more));
        }
    }

    /// A whole message of Anthropic's.
    fn message(&mut self, value: &Value) {
        self.known = true;
        self.say(0, &value.get("content").and_then(content).unwrap_or_default());
        self.said.finish_reason = text(value, "stop_reason").or(self.said.finish_reason.take());
    }

    /// A response object of OpenAI's, whole or as a stream's first and last event carry it.
    fn response(&mut self, response: &Value) {
        self.known = true;
        self.said.model = text(response, "model").or(self.said.model.take());
        if let Some(usage) = response.get("usage") {
            self.usage(usage);
        }
        match response.get("status").and_then(Value::as_str) {
            Some("completed") => self.said.finish_reason = Some("stop".into()),
            Some(status @ ("incomplete" | "failed" | "cancelled")) => {
                let why = response.get("incomplete_details").and_then(|why| text(why, "reason"));
                self.said.finish_reason = Some(why.unwrap_or_else(|| status.to_owned()));
            }
            _ => {}
        }
        // The deltas have said it all already.
        if !self.texts.is_empty() || !self.calls.is_empty() {
            return;
        }
        let items = response.get("output").and_then(Value::as_array).into_iter().flatten();
        for (index, item) in items.enumerate() {
            let index = u64::try_from(index).unwrap_or(0);
            if let Some(call) = tool_call(item) {
                self.line(index, &call);
            } else if item.get("type").and_then(Value::as_str) == Some("message") {
                self.say(index, &item.get("content").and_then(content).unwrap_or_default());
            }
        }
    }

    fn usage(&mut self, usage: &Value) {
        let any =
            |names: [&str; 2]| names.iter().find_map(|name| number(usage, name)).filter(|n| *n > 0);
        self.said.input_tokens = any(["prompt_tokens", "input_tokens"]).or(self.said.input_tokens);
        self.said.output_tokens =
            any(["completion_tokens", "output_tokens"]).or(self.said.output_tokens);
    }

    fn finish(mut self) -> Said {
        for ((choice, _), (name, arguments)) in std::mem::take(&mut self.calls) {
            self.line(choice, &format!("[call {name}({arguments})]"));
        }
        let texts: Vec<String> = self.texts.into_values().filter(|text| !text.is_empty()).collect();
        self.said.text = (!texts.is_empty()).then(|| texts.join("\n\n"));
        self.said
    }
}
