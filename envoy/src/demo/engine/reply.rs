//! What the demo engine says, a word at a time.

use std::time::Duration;

use axum::body::Body;
use serde_json::Value;
use tokio_stream::StreamExt as _;

/// Characters of the question that are repeated.
const ECHO: usize = 160;

/// One answer, cut into the pieces that a stream sends.
pub(super) struct Reply {
    words: Vec<String>,
    asked_tokens: usize,
}

impl Reply {
    pub(super) fn new(user: Option<&str>, asked: &str) -> Self {
        let asked = asked.trim();
        let mut echo: String = asked.chars().take(ECHO).collect();
        if echo.len() < asked.len() {
            echo.push('…');
        }
        let user = match user {
            Some(user) => format!("The gateway says that you are {user}."),
            None => {
                "Nobody told me who you are, so you did not come through the gateway.".to_owned()
            }
        };
        let question = if echo.is_empty() {
            "You asked nothing.".to_owned()
        } else {
            format!("You asked: \"{echo}\".")
        };
        let text = format!(
            "This is the demo engine of Attach Gateway, not a language model. {question} {user} \
             Set ENGINE_URL to your own engine to get real answers."
        );
        Self {
            words: text.split_inclusive(' ').map(str::to_owned).collect(),
            asked_tokens: asked.split_whitespace().count(),
        }
    }

    pub(super) fn text(&self) -> String {
        self.words.concat()
    }

    pub(super) fn words(&self) -> Vec<String> {
        self.words.clone()
    }

    /// Words count as tokens here.
    pub(super) fn output_tokens(&self) -> usize {
        self.words.len()
    }

    pub(super) fn input_tokens(&self) -> usize {
        self.asked_tokens
    }
}

/// A body that makes and sends one part after the other, `pause` apart.
pub(super) fn paced<I>(parts: I, pause: Duration) -> Body
where
    I: Iterator<Item = String> + Send + 'static,
{
    let parts = tokio_stream::iter(parts.map(Ok::<_, std::convert::Infallible>));
    if pause.is_zero() {
        return Body::from_stream(parts);
    }
    // Pulls a part only when its time has come.
    Body::from_stream(parts.throttle(pause))
}

/// The text of a chat's last user message: a string, or OpenAI's list of parts.
pub(super) fn last_question(messages: &[Value]) -> String {
    let last = messages.iter().rev().find(|m| m.get("role").is_some_and(|r| r == "user"));
    match last.and_then(|m| m.get("content")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|p| p.get("text")?.as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}
