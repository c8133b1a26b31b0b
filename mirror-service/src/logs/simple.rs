//! The simple shape: `{run_id, level, message, timestamp?, agent?}`.

use serde_json::{Map, Value};

use crate::clock::{self, Millis};
use crate::fault::Fault;

use super::Log;

/// Reads the simple shape. Nothing if the body is JSON of another shape.
pub(super) fn read(body: &[u8]) -> Option<Result<Log, Fault>> {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => return Some(Err(Fault::Invalid("the body is no JSON".into()))),
    };
    let Value::Object(map) = value else {
        return Some(Err(Fault::Invalid("the body is no JSON object".into())));
    };
    if map.contains_key("resourceLogs") || map.contains_key("resource_logs") || map.is_empty() {
        return None;
    }
    Some(log(&map))
}

fn log(map: &Map<String, Value>) -> Result<Log, Fault> {
    let run = text(map, "run_id")?.ok_or_else(|| missing("run_id"))?;
    let level = text(map, "level")?.ok_or_else(|| missing("level"))?;
    let message = text(map, "message")?.ok_or_else(|| missing("message"))?;
    let mut log = Log { text: message, ..Log::default() };
    log.add("level", &level);
    log.add("run_id", &run);
    log.run = Some(run);
    log.agent = text(map, "agent")?.filter(|agent| !agent.is_empty());
    log.time = match map.get("timestamp") {
        None | Some(Value::Null) => None,
        Some(value) => Some(time(value).ok_or_else(|| {
            Fault::Invalid("timestamp is neither an RFC 3339 time nor seconds since 1970".into())
        })?),
    };
    Ok(log)
}

fn missing(name: &str) -> Fault {
    Fault::Invalid(format!(
        "{name} is missing: send {{run_id, level, message, timestamp?, agent?}} or OTLP logs"
    ))
}

/// A text; a number is one too, as run ids often are.
fn text(map: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Fault::Invalid(format!("{name} is no text"))),
    }
}

/// RFC 3339, with or without an offset (then UTC, as Python's `isoformat` means it mostly), or
/// seconds since 1970.
fn time(value: &Value) -> Option<Millis> {
    match value {
        Value::String(text) => {
            clock::parse_rfc3339(text).or_else(|| clock::parse_rfc3339(&format!("{text}Z")))
        }
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked"
            )]
            let millis = (seconds * 1000.0) as Millis;
            Some(millis)
        }
        _ => None,
    }
}
