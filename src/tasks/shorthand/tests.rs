#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use super::super::{RewriteKind, Rewritten, rewrite};
use super::*;
use crate::dice::Dice;

/// After the whole text: the verdict, and what happens at the limit.
type Scanned = (Verdict, Result<(), Denial>);

fn scan(chunks: &[&[u8]]) -> Scanned {
    let mut scanner = Scanner::new();
    let mut verdict = Verdict::Hold;
    for chunk in chunks {
        let seen = scanner.feed(chunk);
        assert!(verdict == Verdict::Hold || seen == Verdict::Release, "a release is final");
        verdict = seen;
    }
    (verdict, scanner.at_limit())
}

const HELD: Scanned = (Verdict::Hold, Ok(()));
const PROMPT: Scanned = (Verdict::Hold, Err(Denial::BodyTooLarge));
const GONE: Scanned = (Verdict::Release, Ok(()));

const ROWS: &[(&str, Scanned)] = &[
    ("", HELD),
    (" \r\n\t", HELD),
    ("{", HELD),
    (r#"{"prompt""#, PROMPT),
    (r#"{"prompt"#, HELD),
    (r#"{"prompt":"Hello"}"#, PROMPT),
    (" { \"prompt\" : \"Hello\" } \n", PROMPT),
    (r#"{"prompt":"Hello"} x"#, GONE),
    (r#"{"stream":false,"options":{"a":[1,{"b":"]}"}]},"prompt":"x"}"#, PROMPT),
    (r#"{"a":1,"b":-1.5e+3,"c":null , "d":[],"e":{},"f":"","prompt":"x"}"#, PROMPT),
    (r#"{"\u0070\u0072\u006f\u006d\u0070\u0074":"x"}"#, PROMPT),
    (r#"{"a\"prompt":"x"}"#, GONE),
    (r#"{"x":"\"prompt\":"#, HELD),
    (r#"{"x":{"prompt":"y"},"#, HELD),
    (r#"{"x":{"messages":[]},"prompt":"y"}"#, PROMPT),
    (r#"{"x":"messages","prompt":"y"}"#, PROMPT),
    (r#"{"x":["\\","\""],"prompt":"y"}"#, PROMPT),
    (r#"{"x":"\\","prompt":"y"}"#, PROMPT),
    (r#"{"messages""#, GONE),
    (r#"{"messages"#, HELD),
    (r#"{"messages":[]}"#, GONE),
    (r#"{"Messages":[]}"#, GONE),
    (r#"{"model":"m","messages":["#, GONE),
    (r#"{"prompt":"Hello","messages":[]}"#, GONE),
    (r#"{"\u006d\u0065\u0073\u0073\u0061\u0067\u0065\u0073":[]}"#, GONE),
    (r#"{"messages\u0000":1"#, HELD),
    (r#"{"a name far longer than any that could matter to anybody":1,"prompt":"x"}"#, PROMPT),
    ("{}", GONE),
    (r#"{"model":"m"}"#, GONE),
    ("[", GONE),
    ("hello", GONE),
    ("\u{feff}{}", GONE),
    (r#"{"prompt" "x"}"#, GONE),
    (r#"{"prompt":}"#, GONE),
    (r#"{"prompt":"x",}"#, GONE),
    (r#"{,"prompt":"x"}"#, GONE),
    (r#"{"prompt":"x" "y":1}"#, GONE),
    (r#"{"a":1 2}"#, GONE),
    (r#"{"a":'x'}"#, GONE),
    (r#"{"\x":1"#, GONE),
    (r#"{"\ud800":1"#, GONE),
    ("{\"a\nb\":1", GONE),
];

#[test]
fn the_verdict_is_the_same_for_every_split() {
    for (text, expected) in ROWS {
        let bytes = text.as_bytes();
        assert_eq!(scan(&[bytes]), *expected, "{text}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(scan(&single), *expected, "{text}, byte by byte");
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(scan(&[head, b"", tail]), *expected, "{text}, split at {at}");
        }
    }
}

#[test]
fn long_bodies_cost_no_memory_and_any_depth_is_fine() {
    let mut scanner = Scanner::new();
    scanner.feed(b"{\"");
    for _ in 0..1_000 {
        assert_eq!(scanner.feed(&[b'x'; 1_000]), Verdict::Hold);
    }
    assert!(scanner.name.capacity() <= 2 * MAX_NAME);
    scanner.feed(b"\":");
    scanner.feed(&vec![b'['; 1_000_000]);
    scanner.feed(&vec![b']'; 1_000_000]);
    assert_eq!(scanner.feed(b",\"prompt\":\""), Verdict::Hold);
    assert_eq!(scanner.at_limit(), Err(Denial::BodyTooLarge));
}

/// A JSON text by chance; strings are full of what confuses scanners.
fn value(dice: &mut Dice, depth: usize, out: &mut String) {
    match dice.roll(if depth == 0 { 4 } else { 6 }) {
        0 => out.push_str(["0", "-1.5e+3", "12E-2"][dice.roll(3)]),
        1 => out.push_str(["true", "false", "null"][dice.roll(3)]),
        2 | 3 => text(dice, out),
        4 => {
            out.push('[');
            for at in 0..dice.roll(4) {
                out.push_str(if at > 0 { "," } else { "" });
                value(dice, depth - 1, out);
            }
            out.push(']');
        }
        _ => object(dice, depth - 1, out),
    }
}

fn text(dice: &mut Dice, out: &mut String) {
    const BITS: [&str; 12] = [
        "prompt",
        "messages",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\u{1f600}",
    ];
    out.push('"');
    for _ in 0..dice.roll(4) {
        out.push_str(BITS[dice.roll(BITS.len())]);
    }
    out.push('"');
}

fn object(dice: &mut Dice, depth: usize, out: &mut String) {
    let space = |dice: &mut Dice| ["", "", " ", "\n\t"][dice.roll(4)];
    out.push('{');
    for at in 0..dice.roll(5) {
        out.push_str(if at > 0 { "," } else { "" });
        out.push_str(space(dice));
        text(dice, out);
        out.push_str(space(dice));
        out.push(':');
        out.push_str(space(dice));
        value(dice, depth, out);
        out.push_str(space(dice));
    }
    out.push('}');
}

/// Whatever the reader takes for the shorthand, the scanner must have held back.
fn agrees(body: &[u8], dice: &mut Dice) -> bool {
    let shorthand = rewrite(RewriteKind::Shorthand, body, Some("m")) != Ok(Rewritten::Untouched);
    let mut scanner = Scanner::new();
    let mut rest = body;
    let mut verdict = Verdict::Hold;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(1 + dice.roll(rest.len()));
        verdict = scanner.feed(head);
        rest = tail;
    }
    if shorthand {
        assert_eq!(verdict, Verdict::Hold, "{}", String::from_utf8_lossy(body));
        assert!(scanner.at_limit().is_err());
    }
    shorthand
}

#[test]
fn no_shorthand_is_ever_released() {
    let mut dice = Dice(1);
    let mut shorthands = 0;
    for _ in 0..20_000 {
        let mut body = String::new();
        object(&mut dice, 3, &mut body);
        if dice.roll(2) == 0 {
            body = body.replacen('{', "{\"prompt\":\"Hi\",", 1).replace(",}", "}");
        }
        shorthands += usize::from(agrees(body.as_bytes(), &mut dice));
        let mut broken = body.into_bytes();
        for _ in 0..=dice.roll(3) {
            const JUNK: &[u8] = b"{}[]\",:\\ \xffpe0";
            let at = dice.roll(broken.len());
            broken[at] = JUNK[dice.roll(JUNK.len())];
        }
        shorthands += usize::from(agrees(&broken, &mut dice));
    }
    assert!(shorthands > 2_000, "only {shorthands} of the bodies were shorthands");
}
