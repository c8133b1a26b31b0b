//! The members of a JSON object, their values undecoded.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fault, json};

/// Members in their order, no name twice.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// What a value is, by its first byte: enough, because it is known to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Object,
    Array,
    Other,
}

impl Shape {
    pub(super) fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            _ => Self::Other,
        }
    }
}

/// Names are compared as Ollama and every other Go program does, without regard to case: what
/// it would take for `messages` or `model` must count as that here.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl<'a> Members<'a> {
    /// Reads an object; its values are checked to be JSON but not decoded.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        if body.is_empty() {
            return Err("the body is empty");
        }
        let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
        let value: &RawValue = serde_json::from_str(text).map_err(|_| "the body is not JSON")?;
        if Shape::of(value) != Shape::Object {
            return Err("the body is not a JSON object");
        }
        let members: Self =
            serde_json::from_str(value.get()).map_err(|_| "a member's name has a broken escape")?;
        if members.repeats() {
            return Err("the body has a member twice");
        }
        Ok(members)
    }

    fn repeats(&self) -> bool {
        let mut seen = HashSet::new();
        !self.0.iter().all(|(name, _)| seen.insert(name.to_ascii_lowercase()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| same(known, name)).map(|(_, value)| *value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn remove(&mut self, names: &[&str]) {
        self.0.retain(|(known, _)| !names.iter().any(|name| same(known, name)));
    }

    /// `null` names no model.
    pub(super) fn names_model(&self) -> bool {
        self.get("model").is_some_and(|model| model.get() != "null")
    }

    /// There is a model, or none to put there.
    pub(super) fn model_is_settled(&self, default_model: Option<&str>) -> bool {
        self.names_model() || default_model.is_none()
    }

    /// These members and those of `beside` that have other names.
    pub(super) fn and_beside(mut self, mut beside: Self) -> Self {
        if !self.names_model() {
            self.remove(&["model"]);
        }
        beside.0.retain(|(name, _)| !self.has(name));
        self.0.append(&mut beside.0);
        self
    }

    /// The object as text: `default_model` first if no model is named, then `messages` if they
    /// are given, then the members.
    pub(super) fn chat(
        mut self,
        messages: Option<String>,
        default_model: Option<&str>,
    ) -> Result<Vec<u8>, Fault> {
        let mut body = String::from("{");
        if let Some(model) = default_model.filter(|_| !self.names_model()) {
            self.remove(&["model"]);
            member(&mut body, "model", &json(model)?)?;
        }
        if let Some(messages) = messages {
            member(&mut body, "messages", &messages)?;
        }
        for (name, value) in &self.0 {
            member(&mut body, name, value.get())?;
        }
        body.push('}');
        Ok(body.into_bytes())
    }
}

fn member(body: &mut String, name: &str, value: &str) -> Result<(), Fault> {
    if !body.ends_with('{') {
        body.push(',');
    }
    body.push_str(&json(name)?);
    body.push(':');
    body.push_str(value);
    Ok(())
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    members.push((name.0, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A name, borrowed unless it has escapes (`Cow` itself is always deserialized as owned).
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
