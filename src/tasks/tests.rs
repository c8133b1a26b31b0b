#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use serde_json::{Value, json};

use super::*;
use crate::dice::Dice;

/// What a body becomes: JSON to compare, or nothing if it is untouched.
fn rewritten(kind: RewriteKind, body: &str, model: Option<&str>) -> Result<Option<Value>, Denial> {
    Ok(match rewrite(kind, body.as_bytes(), model)? {
        Rewritten::Untouched => None,
        Rewritten::Body(body) => Some(serde_json::from_slice(&body).unwrap()),
    })
}

fn raw(body: &str, model: Option<&str>) -> String {
    match rewrite(RewriteKind::Task, body.as_bytes(), model).unwrap() {
        Rewritten::Untouched => "untouched".to_owned(),
        Rewritten::Body(body) => String::from_utf8(body).unwrap(),
    }
}

fn user(content: &str) -> Value {
    json!([{"role": "user", "content": content}])
}

#[test]
fn chat_bodies_pass_as_they_are() {
    let bodies = [
        r#"{"messages":[]}"#,
        r#" { "model" : "m", "messages" : [ {"role":"user","content":"\u0041"} ], "x": 1.0e+2 } "#,
        r#"{"messages":null}"#,
        r#"{"messages":[],"input":"ignored","prompt":"p","target_url":"http://169.254.169.254/"}"#,
        r#"{"Messages":[]}"#,
        r#"{"\u006dessages":[]}"#,
    ];
    for body in bodies {
        assert_eq!(raw(body, None), "untouched", "{body}");
    }
    for body in [r#"{"model":"m","messages":[]}"#, r#"{"messages":[],"Model":"m"}"#] {
        assert_eq!(raw(body, Some("d")), "untouched", "{body}");
    }
}

#[test]
fn a_chat_body_without_model_gets_the_default_and_keeps_its_values_bytes() {
    let rows = [
        (
            r#"{"messages":[ {"content":"\u0041/\/"} ],"seed":12345678901234567890123,"t":1.0}"#,
            r#"{"model":"d","messages":[ {"content":"\u0041/\/"} ],"seed":12345678901234567890123,"t":1.0}"#,
        ),
        (r#"{"model":null,"messages":[]}"#, r#"{"model":"d","messages":[]}"#),
        (r#"{"messages":[],"n":1e999}"#, r#"{"model":"d","messages":[],"n":1e999}"#),
    ];
    for (body, expected) in rows {
        assert_eq!(raw(body, Some("d")), expected);
    }
    assert_eq!(raw(r#"{"messages":[]}"#, Some("a\"\\\n")), r#"{"model":"a\"\\\n","messages":[]}"#);
}

#[test]
fn every_documented_shape_becomes_a_chat_body() {
    let rows = [
        (r#"{"input":"Hi"}"#, json!({"messages": user("Hi")})),
        (r#"{"prompt":"Hi"}"#, json!({"messages": user("Hi")})),
        (r#"{"prompt":""}"#, json!({"messages": user("")})),
        (
            r#"{"prompt":"\"\u00e9\ud83d\ude00\n"}"#,
            json!({"messages": user("\"\u{e9}\u{1f600}\n")}),
        ),
        (r#"{"input":[{"role":"user","content":"Hi"}]}"#, json!({"messages": user("Hi")})),
        (r#"{"input":{"messages":[],"model":"m"}}"#, json!({"messages": [], "model": "m"})),
        (r#"{"input":{"prompt":"Hi","model":"m"}}"#, json!({"messages": user("Hi"), "model": "m"})),
        (r#"{"input":{"message":{"parts":[{"text":"Hi"}]}}}"#, json!({"messages": user("Hi")})),
        (r#"{"message":{"parts":[{"type":"text","text":"Hi"}]}}"#, json!({"messages": user("Hi")})),
        (
            r#"{"message":{"role":"agent","parts":[{"kind":"text","text":"a"},{"type":"text","text":"b"}]}}"#,
            json!({"messages": [{"role": "assistant", "content": "a\nb"}]}),
        ),
        (
            r#"{"message":{"role":"ROLE_AGENT","messageId":"1","parts":[{"text":"a","metadata":{}}]}}"#,
            json!({"messages": [{"role": "assistant", "content": "a"}]}),
        ),
        (
            r#"{"id":"t1","sessionId":"s","message":{"role":"user","parts":[{"type":"text","text":"Hi"}]},
               "historyLength":3,"metadata":{"a":1},"pushNotification":{"url":"http://169.254.169.254/"}}"#,
            json!({"messages": user("Hi")}),
        ),
    ];
    for (body, expected) in rows {
        let seen = rewritten(RewriteKind::Task, body, None).unwrap();
        assert_eq!(seen, Some(expected), "{body}");
    }
}

#[test]
fn what_stands_beside_stays_and_the_inner_body_wins() {
    let rows = [
        (
            r#"{"input":"Hi","stream":false,"options":{"temperature":0.7},"model":"m"}"#,
            json!({"messages": user("Hi"), "stream": false, "options": {"temperature": 0.7}, "model": "m"}),
        ),
        (
            r#"{"prompt":"Hi","stream":false,"metadata":{"a":1}}"#,
            json!({"model": "d", "messages": user("Hi"), "stream": false, "metadata": {"a": 1}}),
        ),
        (
            r#"{"input":{"messages":[],"stream":true},"stream":false,"keep_alive":0}"#,
            json!({"model": "d", "messages": [], "stream": true, "keep_alive": 0}),
        ),
        (
            r#"{"input":{"messages":[],"model":null},"model":"outer"}"#,
            json!({"messages": [], "model": "outer"}),
        ),
        (
            r#"{"input":{"messages":[],"model":"inner"},"model":"outer"}"#,
            json!({"messages": [], "model": "inner"}),
        ),
        (r#"{"input":{"messages":[]},"model":null}"#, json!({"messages": [], "model": "d"})),
        (
            r#"{"message":{"parts":[{"text":"Hi"}]},"id":"1","stream":false}"#,
            json!({"model": "d", "messages": user("Hi"), "stream": false}),
        ),
        (
            r#"{"input":"Hi","target_url":"http://10.0.0.1/"}"#,
            json!({"model": "d", "messages": user("Hi")}),
        ),
        (
            r#"{"prompt":"Hi","target_url":"temporal://W"}"#,
            json!({"model": "d", "messages": user("Hi")}),
        ),
    ];
    for (body, expected) in rows {
        let seen = rewritten(RewriteKind::Task, body, Some("d")).unwrap();
        assert_eq!(seen, Some(expected), "{body}");
    }
}

#[test]
fn an_inner_chat_body_that_lacks_nothing_keeps_its_bytes() {
    let inner = r#"{ "model":"m" , "messages":[] }"#;
    for model in [None, Some("d")] {
        assert_eq!(raw(&format!(r#"{{"input": {inner} }}"#), model), inner);
        assert_eq!(raw(&format!(r#"{{"target_url":"x","input":{inner}}}"#), model), inner);
    }
}

#[test]
fn unusable_tasks_are_refused_with_a_fixed_text() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_text = format!(r#"{{"message":{{"parts":[{{"text":{deep}}}]}}}}"#);
    let parts = "`message` is not an A2A message with `parts`";
    let only_text = "only text parts can be sent to an engine";
    let twice = "the body has a member twice";
    let rows: [(&str, &str); 38] = [
        ("", "the body is empty"),
        (" ", "the body is not JSON"),
        ("{", "the body is not JSON"),
        ("hello", "the body is not JSON"),
        ("{'prompt':'Hi'}", "the body is not JSON"),
        (r#"{"prompt":"Hi"}}"#, "the body is not JSON"),
        (r#"{"prompt":"Hi"}{"prompt":"Hi"}"#, "the body is not JSON"),
        ("{\"prompt\":\"a\nb\"}", "the body is not JSON"),
        ("\u{feff}{\"prompt\":\"Hi\"}", "the body is not JSON"),
        ("[]", "the body is not a JSON object"),
        ("null", "the body is not a JSON object"),
        (r#""prompt""#, "the body is not a JSON object"),
        (&deep, "the body is not a JSON object"),
        ("{}", NOTHING_TO_SEND),
        (r#"{"jsonrpc":"2.0","method":"tasks/send","params":{"message":{}}}"#, NOTHING_TO_SEND),
        (r#"{"prompt":"a","prompt":"b"}"#, twice),
        (r#"{"prompt":"a","\u0070rompt":"b"}"#, twice),
        (r#"{"messages":[],"messages":[]}"#, twice),
        (r#"{"messages":[],"model":"a","Model":"b"}"#, twice),
        (r#"{"input":{"messages":[],"messages":[]}}"#, twice),
        (r#"{"\ud800":1}"#, "a member's name has a broken escape"),
        (r#"{"prompt":"\ud800"}"#, "a text has a broken escape"),
        (r#"{"prompt":["a"]}"#, "`prompt` is not a string"),
        (r#"{"prompt":null}"#, "`prompt` is not a string"),
        (r#"{"input":null}"#, "`input` is not an object, a string or an array"),
        (r#"{"input":1}"#, "`input` is not an object, a string or an array"),
        (r#"{"input":{}}"#, "`input` has none of `messages`, `prompt` and `message`"),
        (r#"{"input":{"input":"Hi"}}"#, "`input` has none of `messages`, `prompt` and `message`"),
        (r#"{"message":"Hi"}"#, parts),
        (r#"{"message":{"role":"user","content":"Hi"}}"#, parts),
        (r#"{"message":{"role":7,"parts":[]}}"#, parts),
        (r#"{"message":{"parts":[]}}"#, "the message has no parts"),
        (
            r#"{"message":{"role":"system","parts":[{"text":"a"}]}}"#,
            "the message's `role` is neither `user` nor `agent`",
        ),
        (
            r#"{"message":{"parts":[{"type":"file","file":{"uri":"file:///etc/passwd"}}]}}"#,
            only_text,
        ),
        (r#"{"message":{"parts":[{"text":"a"},{"kind":"data","data":{}}]}}"#, only_text),
        (r#"{"message":{"parts":[{"raw":"AAAA"}]}}"#, only_text),
        (r#"{"message":{"parts":[{"type":"text","text":1}]}}"#, "a part's `text` is not a string"),
        (&deep_text, "a part's `text` is not a string"),
    ];
    for (body, why) in rows {
        for model in [None, Some("d")] {
            let seen = rewrite(RewriteKind::Task, body.as_bytes(), model);
            let shown = body.chars().take(80).collect::<String>();
            assert_eq!(seen, Err(Denial::InvalidBody(why)), "{shown}");
        }
    }
    let not_utf8 = rewrite(RewriteKind::Task, b"{\"prompt\":\"\xff\"}", None);
    assert_eq!(not_utf8, Err(Denial::InvalidBody("the body is not UTF-8")));
}

#[test]
fn the_shorthand_needs_a_prompt_no_messages_and_a_model() {
    let rows: [(&str, Option<Value>); 17] = [
        (r#"{"prompt":"Hello"}"#, Some(json!({"model": "d", "messages": user("Hello")}))),
        (
            r#" {"stream":false, "prompt":"Hello"} "#,
            Some(json!({"model": "d", "messages": user("Hello"), "stream": false})),
        ),
        (
            r#"{"prompt":"Hello","model":"m"}"#,
            Some(json!({"model": "m", "messages": user("Hello")})),
        ),
        (
            r#"{"prompt":"Hello","model":null}"#,
            Some(json!({"model": "d", "messages": user("Hello")})),
        ),
        (r#"{"messages":[]}"#, None),
        (r#"{"prompt":"Hello","messages":[]}"#, None),
        (r#"{"prompt":"Hello","Messages":[]}"#, None),
        (r#"{"prompt":["Hello"]}"#, None),
        (r#"{"prompt":"a","prompt":"b"}"#, None),
        (r#"{"prompt":"\ud800"}"#, None),
        (r#"{"prompt":"Hello"} x"#, None),
        (r#"{"input":"Hello"}"#, None),
        (r#"{"x":{"prompt":"Hello"}}"#, None),
        (r#"[{"prompt":"Hello"}]"#, None),
        ("{}", None),
        ("", None),
        ("not JSON", None),
    ];
    for (body, expected) in rows {
        assert_eq!(rewritten(RewriteKind::Shorthand, body, Some("d")), Ok(expected), "{body}");
        assert_eq!(rewritten(RewriteKind::Shorthand, body, None), Ok(None), "{body}");
    }
    let not_utf8 = rewrite(RewriteKind::Shorthand, b"{\"prompt\":\"\xff\"}", Some("d"));
    assert_eq!(not_utf8, Ok(Rewritten::Untouched));
}

#[test]
fn whatever_comes_in_only_a_chat_body_with_a_model_goes_out() {
    const BITS: [&str; 20] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "1",
        "null",
        "\"",
        "\"input\":",
        "\"prompt\":",
        "\"Hi\"",
        "\"message\":",
        "\"parts\":",
        "\"text\":",
        "\"messages\":",
        "\"model\":",
        "\\u00e9",
        "\u{e9}",
        "{\"prompt\":\"Hi\"}",
    ];
    const WHOLE: [&str; 4] = [
        r#"{"input":{"messages":[],"model":null},"model":"outer","stream":false}"#,
        r#"{"prompt":"Hi","options":{"a":[1,2,{"b":"c"}]}}"#,
        r#"{"id":"1","message":{"role":"user","parts":[{"type":"text","text":"Hi"}]}}"#,
        r#"{"messages":[{"role":"user","content":"\u0041"}],"seed":1.0}"#,
    ];
    let mut dice = Dice(7);
    let mut bodies = 0;
    for _ in 0..40_000 {
        let mut body = if dice.roll(3) == 0 {
            (0..dice.roll(12)).map(|_| BITS[dice.roll(BITS.len())]).collect()
        } else {
            WHOLE[dice.roll(WHOLE.len())].to_owned()
        }
        .into_bytes();
        for _ in 0..dice.roll(4) {
            let at = dice.roll(body.len().max(1));
            let bit = BITS[dice.roll(BITS.len())].bytes();
            body.splice(at.min(body.len())..(at + dice.roll(3)).min(body.len()), bit);
        }
        for kind in [RewriteKind::Task, RewriteKind::Shorthand] {
            if let Ok(Rewritten::Body(out)) = rewrite(kind, &body, Some("d")) {
                let out: Value = serde_json::from_slice(&out).unwrap();
                assert!(!out["model"].is_null(), "{}", String::from_utf8_lossy(&body));
                let named = |name: &str| {
                    out.as_object().unwrap().keys().any(|key| key.eq_ignore_ascii_case(name))
                };
                assert!(named("messages"), "{}", String::from_utf8_lossy(&body));
                bodies += 1;
            }
        }
    }
    assert!(bodies > 5_000, "only {bodies} bodies were rewritten");
}
