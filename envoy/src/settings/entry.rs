//! One entry of a list in the file, with the path of its keys for faults.

use serde_json::{Map, Value};

use super::fault::Faults;
use super::names;

/// A mapping under `path`; whatever is wrong with it goes to the faults.
pub(crate) struct Entry<'a> {
    path: &'a str,
    fields: Map<String, Value>,
    faults: &'a mut Faults,
}

impl<'a> Entry<'a> {
    /// Takes a mapping whose keys are all `known`; unknown ones are faults.
    pub(crate) fn open(
        path: &'a str,
        value: Value,
        known: &[&str],
        faults: &'a mut Faults,
    ) -> Option<Self> {
        let Value::Object(mut fields) = value else {
            faults.add(path, format!("must be a mapping with the keys {}", known.join(", ")));
            return None;
        };
        for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            let text = match names::nearest(key, known.iter().copied()) {
                Some(nearest) => format!("is no key here; did you mean {nearest}?"),
                None => "is no key here".to_owned(),
            };
            faults.add(format!("{path}.{key}"), text);
        }
        fields.retain(|_, value| !value.is_null());
        Some(Self { path, fields, faults })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    pub(crate) fn fault(&mut self, key: &str, text: impl Into<String>) {
        self.faults.add(format!("{}.{key}", self.path), text);
    }

    fn keep<T>(&mut self, key: &str, result: Result<T, String>) -> Option<T> {
        let path = format!("{}.{key}", self.path);
        self.faults.keep(&path, result)
    }

    /// A text; none if it is absent or bad.
    pub(crate) fn value<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let result = match self.fields.get(key)? {
            Value::String(text) if !text.is_empty() => parse(text),
            _ => Err("must be a text".to_owned()),
        };
        self.keep(key, result)
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, key: &str, what: &str) -> Option<String> {
        if !self.has(key) {
            self.fault(key, format!("is missing; give {what}"));
        }
        self.value(key, |text| Ok(text.to_owned()))
    }

    /// A list of texts.
    pub(crate) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        self.list_of(key, |text| Ok(text.to_owned()))
    }

    /// A list of texts, each parsed.
    pub(crate) fn list_of<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let result = match self.fields.get(key)? {
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .filter(|text| !text.is_empty())
                        .ok_or_else(|| "must be a list of texts".to_owned())
                })
                .map(|text| text.and_then(&parse))
                .collect(),
            _ => Err("must be a list, like [a, b]".to_owned()),
        };
        self.keep(key, result)
    }
}
