//! A response body as a sequence of JSON values, each with the offset of its last byte.

use serde_json::Value;

use super::parse;

/// A value of a stream.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) value: Value,
    /// Offset of its last byte in the body: when that byte came, the value was there.
    pub(super) end: usize,
}

/// A body taken apart.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) frames: Vec<Frame>,
    /// NDJSON or SSE, rather than one value.
    pub(super) streamed: bool,
}

/// Takes a body apart by its media type, or by its looks if the type says nothing.
pub(super) fn split(body: &[u8], media_type: Option<&str>) -> Option<Frames> {
    let media = media_type.unwrap_or_default().to_ascii_lowercase();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if media.contains("event-stream") || looks_like_sse(body) {
        return Some(Frames { frames: events(body), streamed: true });
    }
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(first, b'{' | b'[') {
        return None;
    }
    let streamed =
        media.contains("ndjson") || media.contains("jsonl") || media.contains("json-seq");
    if !streamed && let Ok(value) = serde_json::from_slice(body) {
        return Some(whole(value, body));
    }
    let frames = lines(body);
    if frames.len() > 1 || streamed {
        return Some(Frames { frames, streamed: true });
    }
    parse(body).map(|value| whole(value, body))
}

fn whole(value: Value, body: &[u8]) -> Frames {
    Frames { frames: vec![Frame { value, end: body.len().saturating_sub(1) }], streamed: false }
}

fn looks_like_sse(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    [&b"data:"[..], b"event:", b":"].iter().any(|start| body.starts_with(start))
}

/// NDJSON: a value a line. The last line may be cut.
fn lines(body: &[u8]) -> Vec<Frame> {
    each_line(body)
        .filter(|(line, _)| !line.trim_ascii().is_empty())
        .filter_map(|(line, end)| parse(line).map(|value| Frame { value, end }))
        .collect()
}

/// Server-sent events (WHATWG HTML section 9.2): the `data` lines of an event, joined.
fn events(body: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let mut last = 0;
    for (line, end) in each_line(body) {
        if line.is_empty() {
            finish(&mut data, last, &mut frames);
        } else if let Some(text) = line.strip_prefix(b"data:") {
            if !data.is_empty() {
                // Engines that write one value a line without the empty line between them.
                if serde_json::from_slice::<serde::de::IgnoredAny>(&data).is_ok() {
                    finish(&mut data, last, &mut frames);
                } else {
                    data.push(b'\n');
                }
            }
            data.extend_from_slice(text.strip_prefix(b" ").unwrap_or(text));
            last = end;
        }
    }
    // The stream may have been cut inside an event.
    finish(&mut data, last, &mut frames);
    frames
}

fn finish(data: &mut Vec<u8>, end: usize, frames: &mut Vec<Frame>) {
    if !data.is_empty()
        && let Some(value) = parse(data)
    {
        frames.push(Frame { value, end });
    }
    data.clear();
}

/// Lines that end in LF, CRLF or CR, each with the offset of its last byte.
fn each_line(body: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut at = 0usize;
    std::iter::from_fn(move || {
        let rest = body.get(at..).filter(|rest| !rest.is_empty())?;
        let len = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let line = rest.get(..len)?;
        let ending = match rest.get(len..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            _ => 0,
        };
        let end = at.saturating_add(len.saturating_sub(1));
        at = at.saturating_add(len).saturating_add(ending);
        Some((line, end))
    })
}
