//! One event, as `/mem/events` shows it and as outbox and stores keep it.

use std::collections::BTreeMap;

use attach_filter::mirror::wire::{Kind, Outcome};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::clock::{self, Millis};

/// What redaction found: kind of secret to how often.
pub type Findings = BTreeMap<String, u64>;

/// One remembered exchange. Every key is always there; what is not known is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// UUIDv7, made where the exchange was captured.
    pub id: Uuid,
    /// Start of the request.
    #[serde(with = "time")]
    pub time: Millis,
    /// What kind of exchange it was.
    pub kind: Kind,
    /// The verified `sub`.
    pub user: Option<String>,
    /// The verified `iss`.
    pub issuer: Option<String>,
    /// The acting party.
    pub agent: Option<String>,
    /// `X-Attach-Session`.
    pub session: Option<String>,
    /// `X-Session-ID`.
    pub sid: Option<String>,
    /// Trace id, 32 hex characters.
    pub trace_id: Option<String>,
    /// Method, as received.
    pub method: Option<String>,
    /// Path without its query.
    pub path: Option<String>,
    /// Model that answered, else the one asked for.
    pub model: Option<String>,
    /// Status that the client saw.
    pub status: Option<u16>,
    /// How the exchange ended.
    pub outcome: Outcome,
    /// What was asked, redacted.
    pub prompt: Option<String>,
    /// What was answered, redacted.
    pub answer: Option<String>,
    /// Why the engine stopped.
    pub finish_reason: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Request start to the first byte of the response.
    pub first_byte_ms: Option<u64>,
    /// Request start to the first token of a streamed answer.
    pub first_token_ms: Option<u64>,
    /// Request start to end.
    pub duration_ms: Option<u64>,
    /// Speed of the generation.
    pub tokens_per_second: Option<f64>,
    /// Size of the request body.
    pub request_bytes: Option<u64>,
    /// Size of the response body.
    pub response_bytes: Option<u64>,
    /// A body was longer than what was captured of it.
    pub truncated: bool,
    /// What was redacted: kind to count.
    pub redactions: Findings,
}

/// Whose an event is. Two equal subjects of two issuers are two owners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// `X-Attach-Issuer`; empty if the request had none.
    pub issuer: String,
    /// `X-Attach-User`; empty for exchanges of nobody in particular.
    pub user: String,
}

// === impl Event ===

impl Event {
    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            issuer: self.issuer.clone().unwrap_or_default(),
            user: self.user.clone().unwrap_or_default(),
        }
    }
}

/// `time` as RFC 3339 in UTC with milliseconds.
mod time {
    use super::{Deserialize, Deserializer, Millis, Serializer, clock};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(at: &Millis, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&clock::rfc3339(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        clock::parse_rfc3339(&text).ok_or_else(|| D::Error::custom("time is not RFC 3339"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]
    use super::*;

    /// A plain chat of `user` at `time`.
    pub(crate) fn chat(user: &str, session: &str, time: Millis, prompt: &str) -> Event {
        Event {
            id: Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, time / 1000, 0)),
            time,
            kind: Kind::Chat,
            user: Some(user.into()),
            issuer: Some("https://id.example".into()),
            agent: None,
            session: Some(session.into()),
            sid: Some("sid-1".into()),
            trace_id: None,
            method: Some("POST".into()),
            path: Some("/api/chat".into()),
            model: Some("tiny".into()),
            status: Some(200),
            outcome: Outcome::Complete,
            prompt: Some(prompt.into()),
            answer: Some("An answer.".into()),
            finish_reason: Some("stop".into()),
            input_tokens: Some(3),
            output_tokens: Some(4),
            first_byte_ms: Some(5),
            first_token_ms: Some(6),
            duration_ms: Some(7),
            tokens_per_second: Some(8.5),
            request_bytes: Some(9),
            response_bytes: Some(10),
            truncated: false,
            redactions: Findings::new(),
        }
    }

    #[test]
    fn an_event_shows_every_documented_key_in_order() {
        let mut event = chat("alice", "s", 1_767_323_045_678, "hi");
        event.agent = None;
        let json = serde_json::to_string(&event).unwrap();
        let keys = [
            "id",
            "time",
            "kind",
            "user",
            "issuer",
            "agent",
            "session",
            "sid",
            "trace_id",
            "method",
            "path",
            "model",
            "status",
            "outcome",
            "prompt",
            "answer",
            "finish_reason",
            "input_tokens",
            "output_tokens",
            "first_byte_ms",
            "first_token_ms",
            "duration_ms",
            "tokens_per_second",
            "request_bytes",
            "response_bytes",
            "truncated",
            "redactions",
        ];
        let mut from = 0;
        for key in keys {
            let at = json[from..].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}"));
            from += at;
        }
        assert!(json.contains("\"agent\":null"));
        assert!(json.contains("\"time\":\"2026-01-02T03:04:05.678Z\""));
        let count = serde_json::from_str::<serde_json::Value>(&json).unwrap();
        assert_eq!(count.as_object().unwrap().len(), keys.len());
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
