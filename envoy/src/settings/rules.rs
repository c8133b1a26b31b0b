//! `rules:` of the file: exceptions by path and method.

use attach_filter::config::Rule;

use super::entry::Entry;
use super::sources::Sources;
use super::values;

/// All rules, in the file's order: the first that matches decides.
pub(crate) fn read(sources: &mut Sources) -> Vec<Rule> {
    const KNOWN: &[&str] = &["path", "methods", "mode", "scopes", "models", "upstream"];
    let mut rules = Vec::new();
    for (index, value) in std::mem::take(&mut sources.file.rules).into_iter().enumerate() {
        let at = format!("rules[{index}]");
        let Some(mut entry) = Entry::open(&at, value, KNOWN, &mut sources.faults) else { continue };
        for key in ["models", "upstream"] {
            if entry.has(key) {
                entry.fault(key, "this version does not have it yet; remove it");
            }
        }
        if !entry.has("path") {
            entry.fault("path", "is missing; give an exact path, or a prefix that ends in /*");
        }
        let path = entry.value("path", path);
        let methods = entry.list_of("methods", method).unwrap_or_default();
        let mode = entry.value("mode", values::mode);
        let scopes = entry.list("scopes");
        if mode.is_none()
            && scopes.is_none()
            && !entry.has("mode")
            && !entry.has("models")
            && !entry.has("upstream")
        {
            entry.fault(
                "mode",
                "is missing and so is `scopes`: the rule changes nothing; give one of them",
            );
        }
        rules.extend(path.map(|path| Rule { path, methods, mode, scopes }));
    }
    rules
}

/// What a normalized path can match: a rule that never matches is worse than none.
fn path(text: &str) -> Result<String, String> {
    let prefix = text.strip_suffix("/*").unwrap_or(text);
    let complaint = if !text.starts_with('/') {
        "must begin with /"
    } else if prefix.contains('*') {
        "may have `*` only as its end, after a /"
    } else if prefix.contains(['?', '#', '%', '\\']) || prefix.contains("//") {
        "is matched against the normalized path: no query, no escapes, no double slashes"
    } else if prefix.split('/').any(|segment| segment == "." || segment == "..") {
        "is matched against the normalized path: no . or .. segments"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("`{text}` {complaint}"))
}

fn method(text: &str) -> Result<String, String> {
    let token = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if token {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no method; write it in capitals, like POST"))
    }
}
