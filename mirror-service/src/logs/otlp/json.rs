//! Proto3 JSON as OTLP uses it: 64-bit integers as text or number, ids in hex, bytes in base64,
//! null where a default is meant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(String),
}

pub(super) fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match Option::<Number>::deserialize(from)? {
        None => Ok(0),
        Some(Number::Unsigned(number)) => Ok(number),
        Some(Number::Text(text)) => text.parse().map_err(D::Error::custom),
        Some(_) => Err(D::Error::custom("no unsigned integer")),
    }
}

pub(super) fn signed<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    match Number::deserialize(from)? {
        Number::Signed(number) => Ok(number),
        Number::Unsigned(number) => number.try_into().map_err(D::Error::custom),
        Number::Text(text) => text.parse().map_err(D::Error::custom),
        Number::Double(_) => Err(D::Error::custom("no integer")),
    }
}

/// Also `"NaN"` and `"Infinity"`.
pub(super) fn double<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    #[expect(clippy::cast_precision_loss, reason = "what a double does to integers")]
    match Number::deserialize(from)? {
        Number::Double(number) => Ok(number),
        Number::Signed(number) => Ok(number as f64),
        Number::Unsigned(number) => Ok(number as f64),
        Number::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

/// OTLP/HTTP writes trace ids in hex, not in base64. One that is neither is as good as none.
pub(super) fn hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    Ok(pairs.collect::<Option<Vec<u8>>>().unwrap_or_default())
}

pub(super) fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
}

pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

pub(super) fn nullable<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
