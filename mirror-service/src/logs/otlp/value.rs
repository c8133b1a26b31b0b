//! `AnyValue` of OTLP (`common/v1`), and its text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::{Message, Oneof};
use serde::Deserialize;

use super::json;

/// Deepest nesting that is written out.
const DEPTH: usize = 16;

/// `AnyValue`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    #[serde(flatten)]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Value {
    #[prost(string, tag = "1")]
    #[serde(rename = "stringValue")]
    String(String),
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue", deserialize_with = "json::signed")]
    Int(i64),
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue", deserialize_with = "json::double")]
    Double(f64),
    #[prost(message, tag = "5")]
    #[serde(rename = "arrayValue")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    #[serde(rename = "kvlistValue")]
    Map(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    #[serde(rename = "bytesValue", deserialize_with = "json::base64")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::list")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::list")]
    values: Vec<KeyValue>,
}

/// `KeyValue`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

// === impl AnyValue ===

impl AnyValue {
    /// A text as it is; anything else as JSON.
    pub(super) fn text(&self) -> String {
        match &self.value {
            Some(Value::String(text)) => text.clone(),
            None => String::new(),
            Some(_) => self.json(DEPTH).to_string(),
        }
    }

    fn json(&self, depth: usize) -> serde_json::Value {
        let Some(depth) = depth.checked_sub(1) else { return "…".into() };
        match &self.value {
            None => serde_json::Value::Null,
            Some(Value::String(text)) => text.as_str().into(),
            Some(Value::Bool(value)) => (*value).into(),
            Some(Value::Int(value)) => (*value).into(),
            Some(Value::Double(value)) => (*value).into(),
            Some(Value::Bytes(bytes)) => STANDARD.encode(bytes).into(),
            Some(Value::Array(array)) => {
                array.values.iter().map(|value| value.json(depth)).collect()
            }
            Some(Value::Map(map)) => map
                .values
                .iter()
                .map(|pair| {
                    let value = pair.value.as_ref().map(|value| value.json(depth));
                    (pair.key.clone(), value.unwrap_or_default())
                })
                .collect(),
        }
    }
}

#[cfg(test)]
impl From<&str> for AnyValue {
    fn from(text: &str) -> Self {
        Self { value: Some(Value::String(text.to_owned())) }
    }
}

// === impl KeyValue ===

impl KeyValue {
    pub(super) fn text(&self) -> String {
        self.value.as_ref().map(AnyValue::text).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: Some(value.into()) }
    }
}
