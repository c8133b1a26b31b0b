//! OTLP logs (opentelemetry-proto 1.x, `collector/logs/v1`), in JSON and protobuf.
//!
//! Only what is shown is read; fields that are not named here are skipped, as both encodings
//! ask of a reader.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use prost::Message;
use serde::Deserialize;
use serde_json::json;

use crate::clock::Millis;
use crate::fault::Fault;

use super::Log;

mod json;
mod value;

use value::{AnyValue, KeyValue};

/// Nanoseconds of a millisecond.
const MILLI: u64 = 1_000_000;

/// `ExportLogsServiceRequest`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::list")]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "json::list")]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::list")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ScopeLogs {
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "json::list")]
    log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "json::unsigned")]
    time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    severity_number: i32,
    #[prost(string, tag = "3")]
    #[serde(deserialize_with = "json::nullable")]
    severity_text: String,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    #[serde(deserialize_with = "json::list")]
    attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "json::hex")]
    trace_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    #[serde(deserialize_with = "json::unsigned")]
    observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    #[serde(deserialize_with = "json::nullable")]
    event_name: String,
}

/// `ExportLogsServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

pub(super) fn from_protobuf(body: &[u8]) -> Result<Request, Fault> {
    Request::decode(body).map_err(|_| Fault::Invalid("the body is no OTLP protobuf".into()))
}

pub(super) fn from_json(body: &[u8]) -> Result<Request, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Invalid("the body is no OTLP JSON".into()))
}

/// The answer, in the encoding of the question. Records that say nothing are rejected: partial
/// success, which a client does not repeat.
pub(super) fn answer(rejected: u64, protobuf: bool) -> Response {
    const SAYS_NOTHING: &str = "records without body, event name and attributes are not kept";
    if protobuf {
        let partial_success = (rejected > 0).then(|| PartialSuccess {
            rejected_log_records: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: SAYS_NOTHING.to_owned(),
        });
        let body = Answer { partial_success }.encode_to_vec();
        let kind = [(header::CONTENT_TYPE, "application/x-protobuf")];
        return (StatusCode::OK, kind, body).into_response();
    }
    // Proto3 JSON writes 64-bit integers as text.
    let body = match rejected {
        0 => json!({}),
        n => json!({"partialSuccess": {
            "rejectedLogRecords": n.to_string(), "errorMessage": SAYS_NOTHING,
        }}),
    };
    axum::Json(body).into_response()
}

// === impl Request ===

impl Request {
    /// The records, and the number of those that say nothing.
    pub(super) fn logs(self) -> (Vec<Log>, u64) {
        let mut logs = Vec::new();
        let mut rejected = 0u64;
        for group in self.resource_logs {
            let resource = group.resource.unwrap_or_default().attributes;
            for record in group.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                match record.log(&resource) {
                    Some(log) => logs.push(log),
                    None => rejected = rejected.saturating_add(1),
                }
            }
        }
        (logs, rejected)
    }
}

// === impl LogRecord ===

impl LogRecord {
    fn log(self, resource: &[KeyValue]) -> Option<Log> {
        let mut log = Log {
            text: self.body.as_ref().map(AnyValue::text).unwrap_or_default(),
            ..Log::default()
        };
        log.add("event", &self.event_name);
        for attribute in &self.attributes {
            log.add(&attribute.key, &attribute.text());
        }
        if log.text.is_empty() {
            return None;
        }
        log.add("level", self.level());
        for attribute in
            resource.iter().filter(|attribute| !attribute.key.starts_with("telemetry."))
        {
            log.add(&attribute.key, &attribute.text());
        }
        let named = |names: &[&str]| {
            let all = || self.attributes.iter().chain(resource);
            names.iter().find_map(|name| all().find(|attribute| attribute.key == *name))
        };
        log.run = named(&["session.id", "run_id"]).map(KeyValue::text);
        log.agent = named(&["gen_ai.agent.name", "service.name"]).map(KeyValue::text);
        let nanos = [self.time_unix_nano, self.observed_time_unix_nano];
        log.time =
            nanos.into_iter().find(|nanos| *nanos > 0).map(|nanos| -> Millis { nanos / MILLI });
        log.trace_id = hex(&self.trace_id);
        Some(log)
    }

    /// The name of the severity; the number's range if there is none (logs data model,
    /// "Field: SeverityNumber").
    fn level(&self) -> &str {
        if !self.severity_text.is_empty() {
            return &self.severity_text;
        }
        match self.severity_number {
            1..=4 => "TRACE",
            5..=8 => "DEBUG",
            9..=12 => "INFO",
            13..=16 => "WARN",
            17..=20 => "ERROR",
            21..=24 => "FATAL",
            _ => "",
        }
    }
}

/// A trace id is 16 bytes, not all zero.
fn hex(bytes: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    if bytes.len() != 16 || bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request with these bodies, as a client would encode it.
    pub(in crate::logs) fn protobuf(bodies: &[&str]) -> Vec<u8> {
        let record = |body: &&str| LogRecord {
            time_unix_nano: 1_767_323_045_678_000_000,
            severity_number: 17,
            body: (!body.is_empty()).then(|| AnyValue::from(*body)),
            trace_id: vec![0xab; 16],
            ..LogRecord::default()
        };
        let scope = ScopeLogs { log_records: bodies.iter().map(record).collect() };
        let attributes = vec![KeyValue::new("service.name", "shop")];
        let resource = Some(Resource { attributes });
        Request { resource_logs: vec![ResourceLogs { resource, scope_logs: vec![scope] }] }
            .encode_to_vec()
    }

    /// What an answer says was rejected.
    pub(in crate::logs) fn rejected(answer: &[u8]) -> Option<i64> {
        Answer::decode(answer).ok()?.partial_success.map(|partial| partial.rejected_log_records)
    }
}
