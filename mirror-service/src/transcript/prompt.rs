//! Request bodies: the conversation as readable text.

use serde_json::{Map, Value};

use super::parse;

/// What was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) text: Option<String>,
    pub(super) model: Option<String>,
}

/// One turn of the conversation.
struct Turn {
    role: String,
    text: String,
}

/// Reads a chat, completion or response request. Nothing if it is none.
///
/// A single user message is its bare text; a longer conversation is one `role: text` paragraph
/// a message. Images and other attachments are replaced by a note.
pub(super) fn read(body: &[u8]) -> Option<Question> {
    let Value::Object(map) = parse(body)? else { return None };
    let mut turns = Vec::new();
    // `system` of Ollama's generate and Anthropic, `instructions` of OpenAI's responses.
    for key in ["system", "instructions"] {
        if let Some(text) = map.get(key).and_then(content) {
            turns.push(Turn { role: "system".into(), text });
        }
    }
    let known = ["messages", "prompt", "input"].into_iter().find_map(|key| map.get(key));
    match known? {
        Value::Array(items) => {
            for item in items {
                turns.extend(turn(item));
            }
        }
        // `{"input": {"messages": […]}}`, the body of a task.
        Value::Object(inner) if map.contains_key("input") => {
            let inner = serde_json::to_vec(inner).ok()?;
            return read(&inner);
        }
        other => turns.extend(content(other).map(user)),
    }
    add_images(&map, &mut turns);
    let model = map.get("model").and_then(Value::as_str).map(str::to_owned);
    Some(Question { text: join(turns), model })
}

fn user(text: String) -> Turn {
    Turn { role: "user".into(), text }
}

fn turn(item: &Value) -> Option<Turn> {
    let map = match item {
        Value::String(text) => return Some(user(text.clone())),
        Value::Object(map) => map,
        _ => return None,
    };
    let role = map.get("role").and_then(Value::as_str).unwrap_or("user").to_owned();
    let mut parts: Vec<String> = map.get("content").and_then(content).into_iter().collect();
    for call in map.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        parts.extend(tool_call(call));
    }
    // Items of OpenAI's responses that are no messages: calls and their results.
    if !map.contains_key("content") {
        parts.extend(part(item));
    }
    if let Some(images) = map.get("images").and_then(Value::as_array) {
        parts.extend(images.iter().map(|_| "[image]".to_owned()));
    }
    Some(Turn { role, text: parts.join("\n") })
}

/// The text of a `content`: a text, a part or a list of parts.
pub(super) fn content(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(part).collect::<Vec<String>>().join("\n"),
        Value::Object(_) => part(value)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// One part of a message: text as it is, anything else as a note of its type.
fn part(value: &Value) -> Option<String> {
    let map = match value {
        Value::String(text) => return Some(text.clone()),
        Value::Object(map) => map,
        _ => return None,
    };
    for key in ["text", "output", "refusal"] {
        if let Some(text) = map.get(key).and_then(Value::as_str) {
            return Some(text.to_owned());
        }
    }
    if let Some(call) = tool_call(value) {
        return Some(call);
    }
    if let Some(inner) = map.get("content").and_then(content) {
        return Some(inner);
    }
    let kind = map.get("type").and_then(Value::as_str)?;
    let note = ["image", "audio", "file", "video", "document"];
    Some(match note.into_iter().find(|note| kind.contains(note)) {
        Some(note) => format!("[{note}]"),
        None => format!("[{kind}]"),
    })
}

/// A call of a tool, in any dialect: `[call name(arguments)]`.
pub(super) fn tool_call(value: &Value) -> Option<String> {
    let map = value.as_object()?;
    let call: &Map<String, Value> = match map.get("function") {
        Some(Value::Object(function)) => function,
        _ => map,
    };
    let arguments = ["arguments", "input"].into_iter().find_map(|key| call.get(key))?;
    let name = call.get("name").and_then(Value::as_str)?;
    let arguments = match arguments {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(format!("[call {name}({arguments})]"))
}

/// Images beside the prompt, as Ollama's generate takes them.
fn add_images(map: &Map<String, Value>, turns: &mut Vec<Turn>) {
    let images = map.get("images").and_then(Value::as_array).map_or(0, Vec::len);
    for _ in 0..images {
        turns.push(user("[image]".into()));
    }
}

fn join(turns: Vec<Turn>) -> Option<String> {
    match turns.as_slice() {
        [] => None,
        [only] if only.role == "user" => Some(only.text.clone()),
        turns => {
            let lines: Vec<String> =
                turns.iter().map(|turn| format!("{}: {}", turn.role, turn.text)).collect();
            Some(lines.join("\n"))
        }
    }
}
