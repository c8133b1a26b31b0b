//! Bodies of `/tasks/send` and of the `prompt` shorthand become chat bodies.
//!
//! What is not understood is not touched: values that stay, stay byte for byte, numbers and
//! escapes included, because they are never decoded.
//!
//! | body | messages |
//! |---|---|
//! | `{"messages": …}` | its own |
//! | `{"input": {chat body, prompt or message}}` | those of the inner body |
//! | `{"input": "text"}`, `{"prompt": "text"}` | one of the user |
//! | `{"input": [messages]}` | these |
//! | `{"message": {"role"?, "parts": […]}}`, alone or in a whole `TaskSendParams` (A2A 0.1) | one |
//!
//! The first row that fits decides. Other members (`model`, `stream`, `options`, …) stay; beside
//! `input`, the inner body's win. `target_url` is never followed: the engine answers this route.

mod a2a;
mod members;
pub mod shorthand;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::auth::Denial;
use members::{Members, Shape};

/// Which rules a body is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteKind {
    /// `/tasks/send`: every shape above, and what has none of them is refused.
    Task,
    /// `/api/chat` and `/v1/chat/completions`: `prompt` without `messages`, and only with a
    /// default model; everything else, broken JSON included, is the engine's to judge.
    Shorthand,
}

/// What becomes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// It goes on as it came.
    Untouched,
    /// This goes on instead.
    Body(Vec<u8>),
}

/// Turns a whole body into a chat body, if it is not one. `default_model` is the model of bodies
/// that name none.
///
/// # Errors
/// [`Denial::InvalidBody`], only for [`RewriteKind::Task`], with a fixed text that says what is
/// wrong.
pub fn rewrite(
    kind: RewriteKind,
    body: &[u8],
    default_model: Option<&str>,
) -> Result<Rewritten, Denial> {
    match kind {
        RewriteKind::Task => task(body, default_model).map_err(Denial::InvalidBody),
        RewriteKind::Shorthand => {
            Ok(default_model.and_then(|model| prompt(body, model)).unwrap_or(Rewritten::Untouched))
        }
    }
}

/// A message of a chat body.
#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Cow<'a, str>,
}

/// Why a task cannot be sent, in words that say nothing of what it holds.
type Fault = &'static str;

const NOTHING_TO_SEND: Fault = "the body has none of `messages`, `input`, `prompt` and `message`";

fn task(body: &[u8], default_model: Option<&str>) -> Result<Rewritten, Fault> {
    let mut outer = Members::read(body)?;
    if outer.has("messages") {
        return Ok(match default_model {
            Some(model) if !outer.names_model() => Rewritten::Body(outer.chat(None, Some(model))?),
            _ => Rewritten::Untouched,
        });
    }
    let Some(input) = outer.get("input") else {
        let messages = messages_of(&mut outer)?.ok_or(NOTHING_TO_SEND)?;
        return outer.chat(Some(messages), default_model).map(Rewritten::Body);
    };
    outer.remove(&["input", "target_url"]);
    let chat = match Shape::of(input) {
        Shape::Text => outer.chat(Some(one_of_user(input)?), default_model)?,
        Shape::Array => outer.chat(Some(input.get().to_owned()), default_model)?,
        Shape::Object => {
            let mut inner = Members::read(input.get().as_bytes())?;
            let messages = if inner.has("messages") {
                None
            } else {
                let none = "`input` has none of `messages`, `prompt` and `message`";
                Some(messages_of(&mut inner)?.ok_or(none)?)
            };
            if messages.is_none() && outer.is_empty() && inner.model_is_settled(default_model) {
                return Ok(Rewritten::Body(input.get().as_bytes().to_vec()));
            }
            inner.and_beside(outer).chat(messages, default_model)?
        }
        Shape::Other => return Err("`input` is not an object, a string or an array"),
    };
    Ok(Rewritten::Body(chat))
}

/// The messages that a `prompt` or an A2A `message` stands for; takes away what they came in.
fn messages_of(members: &mut Members<'_>) -> Result<Option<String>, Fault> {
    if let Some(prompt) = members.get("prompt") {
        members.remove(&["prompt", "target_url"]);
        return one_of_user(prompt).map(Some);
    }
    let Some(message) = members.get("message") else {
        return Ok(None);
    };
    members.remove(a2a::ENVELOPE);
    members.remove(&["message", "target_url"]);
    let message = a2a::message(message)?;
    json(&[message]).map(Some)
}

fn one_of_user(text: &RawValue) -> Result<String, Fault> {
    let content: Cow<'_, str> = match Shape::of(text) {
        Shape::Text => serde_json::from_str::<String>(text.get())
            .map_err(|_| "a text has a broken escape")?
            .into(),
        _ => return Err("`prompt` is not a string"),
    };
    json(&[Message { role: "user", content }])
}

/// The shorthand; `None` is anything else.
fn prompt(body: &[u8], model: &str) -> Option<Rewritten> {
    let mut members = Members::read(body).ok()?;
    if members.has("messages") {
        return None;
    }
    let messages = one_of_user(members.get("prompt")?).ok()?;
    members.remove(&["prompt"]);
    members.chat(Some(messages), Some(model)).ok().map(Rewritten::Body)
}

/// Strings and arrays of strings always serialize; the error is for types that may not.
fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|_| "the chat body cannot be written")
}

#[cfg(test)]
mod tests;
