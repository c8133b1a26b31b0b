//! `password=…` and its relatives, in configuration, JSON, URLs and code.
//!
//! Names are easy; the values decide. `password = read_password()` and `"token": null` are
//! code, `password=hunter2` is a secret. A quoted value or one glued to its name by `=` counts
//! unless it is a placeholder; one after spaces or a colon must also have a digit.

use super::Found;

/// One of these is in every name.
pub(super) const KEYWORDS: &[&str] = &[
    "passw",
    "passphrase",
    "passwd",
    "pwd",
    "secret",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "privatekey",
    "token",
];

/// Name, separator, value. The value is `quoted`, `single` or `bare`.
pub(super) const PATTERN: &str = concat!(
    r#"(?i)(?P<name>password|passwd|passphrase|pwd|secret(?:[_-]?(?:key|token))?|api[_-]?key|"#,
    r#"access[_-]?key|private[_-]?key|token)"#,
    r#"(?:\\*["'])?(?P<space>[ \t]*)(?P<sep>=>|:=|==?|:)[ \t]*"#,
    r#"(?:\\*"(?P<quoted>[^"\\\r\n]{1,512})|\\*'(?P<single>[^'\\\r\n]{1,512})|"#,
    r#"(?P<bare>[^ \t\r\n"',;&<>`|{}()\[\]\\]{4,512}))"#,
);

/// Words that stand where a secret would.
const PLACEHOLDERS: &[&str] = &[
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "string",
    "str",
    "text",
    "bool",
    "boolean",
    "bytes",
    "int",
    "integer",
    "number",
    "object",
    "optional",
    "required",
    "password",
    "passwd",
    "secret",
    "token",
    "redacted",
    "hidden",
    "masked",
    "empty",
    "unset",
    "default",
    "option",
    "self",
    "this",
    "value",
    "example",
    "placeholder",
    "username",
    "hashed",
    "async",
    "await",
    "self.password",
    "bearer",
    "basic",
];

/// Whether the value of a pair is worth hiding.
pub(super) fn is_secret(found: &Found<'_>) -> bool {
    let value = found.secret_value();
    if !is_plausible(value) || found.group("sep") == Some("==") {
        return false;
    }
    let digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let name = found.group("name").unwrap_or_default().to_ascii_lowercase();
    // Parsers, language models and parking meters have tokens, and cookies have token names.
    if name.ends_with("token") && (value.len() < 8 || !digit) {
        return false;
    }
    if found.group("bare").is_none() {
        return value.len() > 2 && (digit || !value.contains(' '));
    }
    if looks_like_code(value, found.neighbours().1) {
        return false;
    }
    let glued = found.group("sep") == Some("=") && found.group("space") == Some("");
    digit || glued
}

/// For values that the rule found by their place alone.
pub(super) fn is_no_placeholder(found: &Found<'_>) -> bool {
    is_plausible(found.secret())
}

fn is_plausible(value: &str) -> bool {
    let mask = |c: char| matches!(c, '*' | '.' | 'x' | 'X' | '-' | '_' | '•' | '?');
    let lower = value.to_ascii_lowercase();
    !(value.chars().all(mask)
        || PLACEHOLDERS.contains(&lower.as_str())
        || value.starts_with(['<', '$', '{', '%', '['])
        || lower.starts_with("your")
        || value.contains("[redacted"))
}

/// An expression rather than a text: a call, a path of names, a type.
fn looks_like_code(value: &str, after: Option<char>) -> bool {
    let call = matches!(after, Some('(' | '[' | '{' | '<'));
    let name = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
    };
    let mut parts = value.split(['.', ':']).filter(|part| !part.is_empty());
    let dotted = value.contains('.') || value.contains("::");
    call || (dotted && parts.all(name)) || value.starts_with('/')
}

// === impl Found ===

impl<'a> Found<'a> {
    fn secret_value(&self) -> &'a str {
        ["quoted", "single", "bare"].into_iter().find_map(|name| self.group(name)).unwrap_or("")
    }
}
