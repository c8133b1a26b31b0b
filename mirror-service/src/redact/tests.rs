#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;

mod corpus;

fn redactor() -> &'static Redactor {
    static ALL: LazyLock<Redactor> = LazyLock::new(|| {
        Redactor::new(&Redaction { emails: true, phones: true, patterns: Vec::new() }).unwrap()
    });
    &ALL
}

fn clean(text: &str) -> (String, Findings) {
    let mut found = Findings::new();
    let clean = redactor().redact(text.to_owned(), &mut found);
    (clean, found)
}

#[test]
fn every_rule_finds_what_it_is_for() {
    let redactor = redactor();
    let mut covered = BTreeSet::new();
    for (kind, secret, text) in corpus::secrets() {
        let mut found = Findings::new();
        let clean = redactor.redact(text.clone(), &mut found);
        assert!(!clean.contains(&secret), "{kind} is still in {clean:?}");
        assert!(found.contains_key(kind), "{kind} counted as {found:?} in {text:?}");
        assert!(clean.contains(&format!("[redacted:{kind}]")), "{kind} in {clean:?}");
        covered.insert(kind);
    }
    for rule in RULES {
        assert!(covered.contains(rule.kind), "no example for {}", rule.kind);
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let mut wrong = Vec::new();
    for text in corpus::HARMLESS {
        let (clean, found) = clean(text);
        if clean != *text {
            wrong.push(format!("{text:?} -> {clean:?} {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn secrets_are_found_in_json_code_and_prose_around_them() {
    for (kind, secret, text) in corpus::secrets() {
        for frame in ["Here it is: {}, keep it.", "é{}é", "key={}\n", "(\"{}\")", "`{}`", "\t{}"]
        {
            // Some are secrets only by what stands before them.
            let text = frame.replace("{}", &text);
            let (clean, _) = clean(&text);
            assert!(!clean.contains(&secret), "{kind} in {clean:?}");
        }
        let json = serde_json::json!({ "a": [{ "b": text }] }).to_string();
        let mut found = Findings::new();
        let clean = redactor().redact_body(json, &mut found);
        let inner: Value = serde_json::from_str(&clean).unwrap_or_else(|_| panic!("{clean}"));
        assert!(!inner["a"][0]["b"].as_str().unwrap().contains(&secret), "{kind} in {clean}");
    }
}

#[test]
fn an_escaped_secret_is_still_one() {
    let escaped = format!("{{\"a\":\"\\u0067hp_{}\"}}", "aB3".repeat(12));
    let mut found = Findings::new();
    let clean = redactor().redact_body(escaped, &mut found);
    assert_eq!(clean, "{\"a\":\"[redacted:github_token]\"}");
    assert_eq!(found["github_token"], 1);
    // Nothing found: the body stays as it was, escapes and all.
    let harmless = "{\"b\":\"\\u00e9\", \"a\":1.0}";
    assert_eq!(redactor().redact_body(harmless.into(), &mut Findings::new()), harmless);
}

#[test]
fn findings_are_counted_and_overlaps_are_covered_once() {
    let key = format!("sk-{}", "aB3".repeat(10));
    let (clean, found) = clean(&format!("{key} and {key}, password={key}"));
    assert!(!clean.contains("aB3"), "{clean}");
    assert_eq!(found.values().sum::<u64>(), 3);
}

#[test]
fn own_patterns_and_personal_data_are_by_setting() {
    let text = "Ticket ACME-1234 of jo@example.org, +49 30 1234567";
    let plain = Redactor::new(&Redaction::default()).unwrap();
    assert_eq!(plain.redact(text.into(), &mut Findings::new()), text);
    let options = Redaction {
        emails: true,
        phones: true,
        patterns: vec![("ticket".into(), "ACME-([0-9]+)".into())],
    };
    let all = Redactor::new(&options).unwrap();
    let clean = all.redact(text.into(), &mut Findings::new());
    assert_eq!(clean, "Ticket ACME-[redacted:ticket] of [redacted:email], [redacted:phone]");
    for bad in ["(", "a*"] {
        let patterns = vec![("bad".into(), bad.into())];
        assert!(Redactor::new(&Redaction { patterns, ..Redaction::default() }).is_err(), "{bad}");
    }
}

#[test]
fn redacting_twice_changes_nothing() {
    for (_, _, text) in corpus::secrets() {
        let (once, _) = clean(&text);
        let (twice, found) = clean(&once);
        assert_eq!(once, twice);
        assert!(found.is_empty(), "{once:?} {found:?}");
    }
}
