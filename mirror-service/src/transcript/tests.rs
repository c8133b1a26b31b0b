#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::io::Write as _;

use super::*;
use crate::testing::meta;

fn talk(path: &str, response_type: &str) -> Meta {
    Meta { path: path.into(), response_type: Some(response_type.into()), ..meta("alice", 1) }
}

fn joined(text: &str) -> Option<Text> {
    Some(Text::Joined(text.into()))
}

const OLLAMA: &str = concat!(
    r#"{"model":"tiny","message":{"role":"assistant","content":"Hel"},"done":false}"#,
    "\n",
    r#"{"model":"tiny","message":{"role":"assistant","content":"lo é"},"done":false}"#,
    "\n",
    r#"{"model":"tiny","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","#,
    r#""prompt_eval_count":7,"eval_count":2,"eval_duration":500000000}"#,
    "\n",
);

const OPENAI: &str = concat!(
    r#"data: {"object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    "\r\n\r\n",
    ": keep-alive\r\n\r\n",
    r#"data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null}"#,
    "\r\n\r\n",
    r#"data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"lo é"},"finish_reason":null}]}"#,
    "\r\n\r\n",
    r#"data: {"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
    "\r\n\r\n",
    r#"data: {"model":"m-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#,
    "\r\n\r\n",
    "data: [DONE]\r\n\r\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\n",
    r#"data: {"type":"response.created","response":{"model":"m-1","status":"in_progress","output":[]}}"#,
    "\n\n",
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"Hel"}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"lo é"}"#,
    "\n\n",
    r#"data: {"type":"response.completed","response":{"model":"m-1","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hello é"}]}],"usage":{"input_tokens":7,"output_tokens":2}}}"#,
    "\n\n",
);

const ANTHROPIC: &str = concat!(
    r#"data: {"type":"message_start","message":{"model":"m-1","usage":{"input_tokens":7,"output_tokens":1}}}"#,
    "\n\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo é"}}"#,
    "\n\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    "\n\n",
    r#"data: {"type":"message_stop"}"#,
    "\n\n",
);

#[test]
fn every_dialect_gives_the_same_answer() {
    let ndjson = "application/x-ndjson";
    let sse = "text/event-stream; charset=utf-8";
    let json = "application/json";
    let cases: &[(&str, &str, &str, &str)] = &[
        ("/api/chat", ndjson, OLLAMA, "stop"),
        ("/tasks/send", ndjson, OLLAMA, "stop"),
        // Mislabelled, and not labelled at all.
        ("/api/chat", json, OLLAMA, "stop"),
        ("/api/chat", "", OLLAMA, "stop"),
        (
            "/api/generate",
            ndjson,
            concat!(
                r#"{"model":"m-1","response":"Hel","done":false}"#,
                "\n",
                r#"{"model":"m-1","response":"lo é","done":false}"#,
                "\n",
                r#"{"model":"m-1","response":"","done":true,"done_reason":"stop","context":[1],"prompt_eval_count":7,"eval_count":2}"#
            ),
            "stop",
        ),
        (
            "/api/chat",
            json,
            r#"{"model":"m-1","message":{"role":"assistant","content":"Hello é"},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":2}"#,
            "stop",
        ),
        ("/v1/chat/completions", sse, OPENAI, "length"),
        ("/v1/chat/completions", "", OPENAI, "length"),
        (
            "/v1/chat/completions",
            json,
            r#"{"object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello é"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
            "stop",
        ),
        (
            "/v1/completions",
            sse,
            concat!(
                r#"data: {"model":"m-1","choices":[{"index":0,"text":"Hel","finish_reason":null}]}"#,
                "\n",
                r#"data: {"model":"m-1","choices":[{"index":0,"text":"lo é","finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
                "\n\ndata: [DONE]\n\n"
            ),
            "stop",
        ),
        ("/v1/responses", sse, RESPONSES, "stop"),
        (
            "/v1/responses",
            json,
            r#"{"object":"response","model":"m-1","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"reasoning","summary":[]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello é"}]}],"usage":{"input_tokens":7,"output_tokens":2}}"#,
            "max_output_tokens",
        ),
        ("/v1/messages", sse, ANTHROPIC, "end_turn"),
        (
            "/v1/messages",
            json,
            r#"{"type":"message","model":"m-1","role":"assistant","content":[{"type":"text","text":"Hello é"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":2}}"#,
            "end_turn",
        ),
    ];
    for (path, media, body, reason) in cases {
        let said = read(&talk(path, media), b"", body.as_bytes());
        assert_eq!(said.answer, joined("Hello é"), "{path} {media}");
        assert_eq!(said.finish_reason.as_deref(), Some(*reason), "{path} {media}");
        assert_eq!((said.input_tokens, said.output_tokens), (Some(7), Some(2)), "{path} {media}");
        assert!(said.model.is_some(), "{path} {media}");
    }
}

#[test]
fn a_stream_cut_anywhere_gives_what_had_been_said() {
    for (path, media, body) in [
        ("/api/chat", "application/x-ndjson", OLLAMA),
        ("/v1/chat/completions", "text/event-stream", OPENAI),
        ("/v1/responses", "text/event-stream", RESPONSES),
        ("/v1/messages", "text/event-stream", ANTHROPIC),
    ] {
        let mut longest = 0;
        for cut in 0..=body.len() {
            let said = read(&talk(path, media), b"", &body.as_bytes()[..cut]);
            let text = match &said.answer {
                Some(Text::Joined(text)) => text.clone(),
                _ => String::new(),
            };
            assert!("Hello é".starts_with(&text), "{path} cut at {cut}: {text:?}");
            assert!(text.len() >= longest, "{path} cut at {cut}: {text:?} forgets");
            longest = text.len();
        }
        assert_eq!(longest, "Hello é".len());
    }
}

#[test]
fn a_single_json_answer_cut_anywhere_gives_what_had_been_said() {
    let body = r#"{"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Say \"hi\" \u00e9\n\\ [{,"},"finish_reason":"stop"}]}"#;
    let whole = "Say \"hi\" é\n\\ [{,";
    let mut longest = 0;
    for cut in 1..=body.len() {
        let said =
            read(&talk("/v1/chat/completions", "application/json"), b"", &body.as_bytes()[..cut]);
        if let Some(Text::Joined(text)) = &said.answer {
            assert!(whole.starts_with(text.as_str()), "cut at {cut}: {text:?}");
            longest = longest.max(text.len());
        }
    }
    assert_eq!(longest, whole.len());
}

#[test]
fn prompts_read_as_a_conversation() {
    let cases: &[(&str, Option<&str>)] = &[
        (r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#, Some("Hi")),
        (
            r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}"#,
            Some("system: Be brief.\nuser: Hi"),
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"What is"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#,
            Some("What is\n[image]"),
        ),
        (
            r#"{"messages":[{"role":"user","content":"See","images":["AAAA","BBBB"]}]}"#,
            Some("See\n[image]\n[image]"),
        ),
        (
            r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]},{"role":"tool","content":"2"}]}"#,
            Some("assistant: [call add({\"a\":1})]\ntool: 2"),
        ),
        (r#"{"messages":[]}"#, None),
        (r#"{"prompt":"Hello"}"#, Some("Hello")),
        (r#"{"prompt":["a","b"]}"#, Some("user: a\nuser: b")),
        (
            r#"{"system":"Short.","prompt":"Hello","images":["AAAA"]}"#,
            Some("system: Short.\nuser: Hello\nuser: [image]"),
        ),
        (r#"{"input":"Hello","instructions":"Short."}"#, Some("system: Short.\nuser: Hello")),
        (
            r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"Hi"},{"type":"input_image","image_url":"x"}]},{"type":"function_call_output","call_id":"1","output":"4"}]}"#,
            Some("user: Hi\n[image]\nuser: 4"),
        ),
        (r#"{"input":{"messages":[{"role":"user","content":"Hi"}]}}"#, Some("Hi")),
        (
            r#"{"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":"Hi"}]}"#,
            Some("system: S\nuser: Hi"),
        ),
    ];
    for (body, wanted) in cases {
        let said = read(&talk("/api/chat", ""), body.as_bytes(), b"");
        assert_eq!(said.prompt, wanted.and_then(joined), "{body}");
    }
}

#[test]
fn tool_calls_and_several_choices_are_part_of_the_answer() {
    let calls = concat!(
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"add","arguments":""}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        "\n\n",
    );
    let said = read(&talk("/v1/chat/completions", "text/event-stream"), b"", calls.as_bytes());
    assert_eq!(said.answer, joined("[call add({\"a\":1})]"));
    assert_eq!(said.finish_reason.as_deref(), Some("tool_calls"));
    let two = r#"{"choices":[{"index":1,"message":{"content":"B"}},{"index":0,"message":{"content":"A"}}]}"#;
    let said = read(&talk("/v1/chat/completions", "application/json"), b"", two.as_bytes());
    assert_eq!(said.answer, joined("A\n\nB"));
}

#[test]
fn an_engine_that_dies_mid_stream_is_said_so() {
    let body = concat!(
        r#"{"message":{"content":"Hel"},"done":false}"#,
        "\n",
        r#"{"error":"runner died"}"#,
        "\n"
    );
    let said = read(&talk("/api/chat", "application/x-ndjson"), b"", body.as_bytes());
    assert_eq!((said.answer, said.finish_reason.as_deref()), (joined("Hel"), Some("error")));
    let never =
        read(&talk("/api/chat", "application/json"), b"", br#"{"error":"model 'x' not found"}"#);
    assert_eq!(never.answer, Some(Text::Body(r#"{"error":"model 'x' not found"}"#.into())));
}

#[test]
fn bodies_that_are_no_conversation_are_kept_as_they_are() {
    let proxy = |media: &str| Meta { kind: Kind::Proxy, ..talk("/api/embed", media) };
    let said = read(&proxy("application/json"), br#"{"input":"x"}"#, br#"{"embeddings":[[1]]}"#);
    assert_eq!(said.prompt, Some(Text::Body(r#"{"input":"x"}"#.into())));
    assert_eq!(said.answer, Some(Text::Body(r#"{"embeddings":[[1]]}"#.into())));
    let said = read(&proxy("image/png"), b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    assert_eq!(said.answer, Some(Text::Body("[binary: image/png, 16 bytes]".into())));
    let odd = Meta { request_type: Some("x/<script>".into()), ..proxy("") };
    let said = read(&odd, b"\xff\xfe\0\x01\x02", b"");
    assert_eq!((said.prompt, said.answer), (Some(Text::Body("[binary: 5 bytes]".into())), None));
    let odd = read(&proxy("text/plain"), "caf\u{e9} caf".as_bytes(), b"caf\xe9, a text in Latin-1");
    assert_eq!(odd.answer, Some(Text::Body("caf\u{fffd}, a text in Latin-1".into())));
}

#[test]
fn compressed_bodies_are_unfolded_and_bombs_are_not() {
    let gzip = |bytes: &[u8]| {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    };
    let coded = Meta {
        response_encoding: Some("GZIP".into()),
        ..talk("/api/chat", "application/x-ndjson")
    };
    let body = gzip(OLLAMA.as_bytes());
    assert_eq!(read(&coded, b"", &body).answer, joined("Hello é"));
    // Cut: what is there is read.
    assert!(read(&coded, b"", &body[..body.len() - 12]).answer.is_some());
    let bomb = read(&coded, b"", &gzip(&vec![b'a'; 64 << 20]));
    assert!(bomb.truncated);
    assert!(bomb.answer.unwrap().as_str().len() <= 4 << 20);
    let opaque =
        Meta { response_encoding: Some("br".into()), ..talk("/api/chat", "application/json") };
    assert_eq!(read(&opaque, b"", b"\x0b\x02").answer, Some(Text::Body("[2 bytes in br]".into())));
    assert_eq!(read(&coded, b"", b"not gzip").answer, Some(Text::Body("[8 bytes in gzip]".into())));
}

#[test]
fn the_first_token_is_timed_by_the_chunk_that_completed_it() {
    let first = OPENAI.find("\"Hel\"").unwrap() as u64;
    let line = first + OPENAI[first as usize..].find("\r\n").unwrap() as u64;
    let timed = |marks: Vec<[u64; 2]>| {
        let meta =
            Meta { marks, duration_ms: 500, ..talk("/v1/chat/completions", "text/event-stream") };
        let said = read(&meta, b"", OPENAI.as_bytes());
        (said.first_token_ms, said.tokens_per_second)
    };
    assert_eq!(timed(vec![[0, 20]]), (Some(20), Some(4.17)));
    // The chunk breaks inside the first token's line.
    assert_eq!(timed(vec![[0, 20], [first, 100], [line + 4, 300]]).0, Some(100));
    assert_eq!(timed(vec![]), (None, None));
    let many: Vec<[u64; 2]> = (0..16).map(|n| [n, n]).collect();
    assert_eq!(timed(many).0, None, "the last mark of a full list may stand for later chunks");
    let ollama = read(&talk("/api/chat", "application/x-ndjson"), b"", OLLAMA.as_bytes());
    assert_eq!(ollama.tokens_per_second, Some(4.0), "as the engine timed itself");
}

#[test]
fn unknown_counts_are_unknown_and_never_zero() {
    let body = r#"{"choices":[{"index":0,"message":{"content":"x"}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let said = read(&talk("/v1/chat/completions", "application/json"), b"", body.as_bytes());
    assert_eq!((said.input_tokens, said.output_tokens), (None, None));
}

#[test]
fn nothing_that_is_sent_breaks_the_reader() {
    let junk: &[&[u8]] = &[
        b"{",
        b"[",
        b"{\"",
        b"{\"a",
        b"{\"a\":",
        b"{\"a\":tru",
        b"[[[[[[",
        b"\"",
        b"data:",
        b"data: {\n\n",
        b"{\"choices\":{}}",
        b"{\"choices\":[1,null,[]]}",
        b"{\"done\":1}",
        b"{\"type\":5}",
        b"{\"message\":[],\"done\":false}",
        b"\xef\xbb\xbf{}",
        b"\r\r\n\n\r",
        b"{\"a\":\"\\u12",
        b"{\"a\":\"\\",
    ];
    for body in junk {
        for media in ["", "application/json", "text/event-stream", "application/x-ndjson"] {
            let _ = read(&talk("/api/chat", media), body, body);
        }
    }
    let deep = "[".repeat(100_000);
    let _ = read(&talk("/api/chat", "application/json"), deep.as_bytes(), deep.as_bytes());
}
