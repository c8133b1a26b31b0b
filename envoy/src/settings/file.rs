//! The YAML file that `ATTACH_CONFIG` names: the settings under their own names, and the
//! lists that do not fit a variable.

use std::path::Path;

use serde_json::{Map, Value};

use super::fault::Faults;
use super::names::{self, FILE_ONLY, NAMES, NOT_YET};

/// Settings of the file as text, and its lists as they stand.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub settings: Vec<(&'static str, String)>,
    pub issuers: Vec<Value>,
    pub rules: Vec<Value>,
}

/// Reads the file; what is wrong with it goes to `faults`.
pub(crate) fn read(path: &Path, faults: &mut Faults) -> File {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.add("ATTACH_CONFIG", format!("cannot read {}: {error}", path.display()));
            return File::default();
        }
    };
    match parse(&text) {
        Ok(document) => sort(document, faults),
        Err(error) => {
            faults.add("ATTACH_CONFIG", format!("{}: {error}", path.display()));
            File::default()
        }
    }
}

/// The file may hold secrets, so the error names the place and never shows the text.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("is no mapping of settings; write `NAME: value` lines".into()),
        Err(error) => {
            let what = match error.without_snippet() {
                serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                    format!("`{key}` is given twice")
                }
                _ => "is no valid YAML".to_owned(),
            };
            Err(match error.location() {
                Some(at) => format!("{what} at line {}, column {}", at.line(), at.column()),
                None => what,
            })
        }
    }
}

fn sort(document: Map<String, Value>, faults: &mut Faults) -> File {
    let mut file = File::default();
    for (key, value) in document {
        match (names::find(&key), key.as_str()) {
            (_, "ATTACH_CONFIG") => {
                faults.add(key, "a file cannot name another one; set it in the environment")
            }
            (Some(name), _) => match scalar(&value) {
                Ok(Some(text)) => file.settings.push((name.name, text)),
                Ok(None) => {}
                Err(text) => faults.add(key, text),
            },
            (None, "issuers") => file.issuers = sequence(&key, value, faults),
            (None, "rules") => file.rules = sequence(&key, value, faults),
            (None, known) if NOT_YET.contains(&known) => {
                faults
                    .add(known, "this version does not have agents and MCP servers yet; remove it");
            }
            (None, _) => unknown(&key, faults),
        }
    }
    file
}

fn unknown(key: &str, faults: &mut Faults) {
    let known = NAMES.iter().map(|name| name.name).chain(FILE_ONLY.iter().copied());
    let secret_file = key.strip_suffix("_FILE").and_then(names::find).filter(|name| name.secret);
    match (secret_file, names::nearest(key, known)) {
        (Some(name), _) => faults.add(
            key,
            format!("is read from the environment only; set {key} there, or {} here", name.name),
        ),
        (None, Some(nearest)) => faults.add(key, format!("is no setting; did you mean {nearest}?")),
        (None, None) => faults.add(key, "is no setting"),
    }
}

/// A scalar as the environment would give it; a list of scalars is joined by commas.
fn scalar(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        Value::Array(items) => {
            let items: Result<Vec<_>, String> = items.iter().map(scalar).collect();
            Ok(Some(items?.into_iter().flatten().collect::<Vec<_>>().join(",")))
        }
        Value::Object(_) => Err("must be a value or a list of values, not a mapping".into()),
    }
}

fn sequence(key: &str, value: Value, faults: &mut Faults) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        _ => {
            faults.add(key, "must be a list; begin every entry with `- `");
            Vec::new()
        }
    }
}
