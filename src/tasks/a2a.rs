//! A message of the Agent2Agent protocol, as a message of a chat body.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Fault, Message};

/// Members of A2A 0.1 `TaskSendParams` that mean nothing to an engine.
pub(super) const ENVELOPE: &[&str] =
    &["id", "sessionId", "pushNotification", "historyLength", "metadata"];

/// `Message` of A2A 0.1; later versions add members and spell the roles otherwise.
#[derive(Deserialize)]
struct A2aMessage<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parts: Vec<Part<'a>>,
}

/// A part names what it is in `type` (0.1), in `kind` (0.2, 0.3) or by the member it has (1.0).
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    type_: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// The chat message: text parts joined by line breaks. No role means the user's.
pub(super) fn message(message: &RawValue) -> Result<Message<'static>, Fault> {
    let message: A2aMessage<'_> = serde_json::from_str(message.get())
        .map_err(|_| "`message` is not an A2A message with `parts`")?;
    let role = match message.role.as_deref() {
        None | Some("user" | "ROLE_USER") => "user",
        Some("agent" | "ROLE_AGENT") => "assistant",
        Some(_) => return Err("the message's `role` is neither `user` nor `agent`"),
    };
    if message.parts.is_empty() {
        return Err("the message has no parts");
    }
    let texts = message.parts.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    Ok(Message { role, content: texts.join("\n").into() })
}

fn text(part: &Part<'_>) -> Result<String, Fault> {
    match part.type_.as_deref().or(part.kind.as_deref()) {
        None | Some("text") => {}
        Some(_) => return Err("only text parts can be sent to an engine"),
    }
    let text = part.text.ok_or("only text parts can be sent to an engine")?;
    serde_json::from_str(text.get()).map_err(|_| "a part's `text` is not a string")
}
