//! Secrets and personal data, replaced by their kind before anything touches a disk.
//!
//! Works on whole texts: a secret that was streamed a token at a time has been joined by
//! [`crate::transcript`] before it comes here. One pass over the text finds which rules can
//! match at all; only those run their expression. Spans are collected on the original text and
//! replaced together, so no rule sees another one's replacement.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde_json::Value;

use crate::event::Findings;
use crate::settings::Redaction;

mod cards;
mod pairs;
mod rules;
#[cfg(test)]
mod tests;

use rules::{Extra, RULES};

/// Finds and replaces secrets.
#[derive(Debug)]
pub struct Redactor {
    rules: Vec<Compiled>,
    /// Every keyword of every rule.
    keywords: AhoCorasick,
    /// Which rule the keyword of the same index belongs to.
    keyword_rules: Vec<usize>,
}

/// An own pattern or a rule that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("redaction pattern {name:?} is not usable: {reason}")]
pub struct BadPattern {
    /// Name of the pattern.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Debug)]
struct Compiled {
    kind: String,
    regex: Regex,
    /// Runs whatever the keywords say.
    always: bool,
    accept: fn(&Found<'_>) -> bool,
}

/// A match that a rule's check looks at.
#[derive(Debug)]
struct Found<'a> {
    text: &'a str,
    span: Range<usize>,
    groups: &'a regex::Captures<'a>,
}

// === impl Redactor ===

impl Redactor {
    /// Compiles the rule table, the personal-data rules that `options` asks for and its own
    /// patterns.
    ///
    /// # Errors
    /// An own pattern is not a usable regular expression.
    pub fn new(options: &Redaction) -> Result<Self, BadPattern> {
        let mut rules = Vec::new();
        let mut keywords = Vec::new();
        let mut keyword_rules = Vec::new();
        for rule in RULES {
            let wanted = match rule.extra {
                Extra::Core => true,
                Extra::Email => options.emails,
                Extra::Phone => options.phones,
            };
            if !wanted {
                continue;
            }
            for keyword in rule.keywords {
                keywords.push((*keyword).to_owned());
                keyword_rules.push(rules.len());
            }
            rules.push(Compiled {
                kind: rule.kind.to_owned(),
                // Word boundaries of ASCII only: the Unicode ones cost the fast engine.
                regex: compile(rule.kind, &rule.pattern.replace(r"\b", r"(?-u:\b)"))?,
                always: rule.keywords.is_empty(),
                accept: rule.accept,
            });
        }
        for (name, pattern) in &options.patterns {
            let regex = compile(name, pattern)?;
            if regex.is_match("") {
                let reason = "it matches the empty text".to_owned();
                return Err(BadPattern { name: name.clone(), reason });
            }
            rules.push(Compiled { kind: name.clone(), regex, always: true, accept: |_| true });
        }
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(keywords)
            .map_err(|fault| BadPattern { name: "keywords".into(), reason: fault.to_string() })?;
        Ok(Self { rules, keywords, keyword_rules })
    }

    /// Replaces what is found in `text` by `[redacted:<kind>]` and counts it.
    #[must_use]
    pub fn redact(&self, text: String, found: &mut Findings) -> String {
        let spans = self.spans(&text);
        if spans.is_empty() {
            return text;
        }
        let mut clean = String::with_capacity(text.len());
        let mut from = 0;
        for (span, rule) in spans {
            let Some(kind) = self.rules.get(rule).map(|rule| rule.kind.as_str()) else { continue };
            clean.push_str(text.get(from..span.start).unwrap_or_default());
            clean.push_str("[redacted:");
            clean.push_str(kind);
            clean.push(']');
            count(found, kind);
            from = span.end;
        }
        clean.push_str(text.get(from..).unwrap_or_default());
        clean
    }

    /// As [`Redactor::redact`], for a body kept as it is. JSON can spell any character as an
    /// escape, so the strings of a JSON body are looked at unescaped too; only if that finds
    /// something is the body written anew.
    #[must_use]
    pub fn redact_body(&self, text: String, found: &mut Findings) -> String {
        if text.contains('\\')
            && let Ok(mut value) = serde_json::from_str::<Value>(&text)
        {
            let mut inside = Findings::new();
            self.redact_value(&mut value, &mut inside);
            if !inside.is_empty() {
                for (kind, n) in inside {
                    let sum = found.entry(kind).or_default();
                    *sum = sum.saturating_add(n);
                }
                return self.redact(value.to_string(), found);
            }
        }
        self.redact(text, found)
    }

    fn redact_value(&self, value: &mut Value, found: &mut Findings) {
        match value {
            Value::String(text) => *text = self.redact(std::mem::take(text), found),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item, found)),
            Value::Object(map) => {
                map.values_mut().for_each(|item| self.redact_value(item, found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Spans to replace, in order, none overlapping, with the index of their rule. Where two
    /// overlap the one that starts first wins, then the rule that stands first in the table.
    fn spans(&self, text: &str) -> Vec<(Range<usize>, usize)> {
        let mut wanted: Vec<bool> = self.rules.iter().map(|rule| rule.always).collect();
        for hit in self.keywords.find_overlapping_iter(text) {
            let rule = self.keyword_rules.get(hit.pattern().as_usize());
            if let Some(slot) = rule.and_then(|rule| wanted.get_mut(*rule)) {
                *slot = true;
            }
        }
        let mut spans = Vec::new();
        let rules = self.rules.iter().zip(wanted).enumerate().filter(|(_, (_, wanted))| *wanted);
        for (index, (rule, _)) in rules {
            for groups in rule.regex.captures_iter(text) {
                // The secret is the last group that took part, else the whole match.
                let Some(whole) = groups.get(0) else { continue };
                let secret = groups.iter().flatten().last().unwrap_or(whole);
                let span = secret.range();
                if (rule.accept)(&Found { text, span: span.clone(), groups: &groups }) {
                    spans.push((span, index));
                }
            }
        }
        spans.sort_by_key(|(span, rule)| (span.start, *rule));
        // What a dropped span covers beyond the kept one is secret too.
        spans.dedup_by(|next, kept| {
            let overlaps = next.0.start < kept.0.end;
            if overlaps {
                kept.0.end = kept.0.end.max(next.0.end);
            }
            overlaps
        });
        spans
    }
}

fn compile(name: &str, pattern: &str) -> Result<Regex, BadPattern> {
    regex::RegexBuilder::new(pattern)
        .size_limit(4 << 20)
        .build()
        .map_err(|fault| BadPattern { name: name.to_owned(), reason: fault.to_string() })
}

fn count(found: &mut Findings, kind: &str) {
    match found.get_mut(kind) {
        Some(sum) => *sum = sum.saturating_add(1),
        None => {
            found.insert(kind.to_owned(), 1);
        }
    }
}

// === impl Found ===

impl<'a> Found<'a> {
    fn secret(&self) -> &'a str {
        self.text.get(self.span.clone()).unwrap_or_default()
    }

    /// The characters next to the secret.
    fn neighbours(&self) -> (Option<char>, Option<char>) {
        let before = self.text.get(..self.span.start).and_then(|text| text.chars().next_back());
        let after = self.text.get(self.span.end..).and_then(|text| text.chars().next());
        (before, after)
    }

    fn group(&self, name: &str) -> Option<&'a str> {
        self.groups.name(name).map(|group| group.as_str())
    }
}
