//! `traceparent`: W3C Trace Context, section 3.2.

use super::hex;

/// The trace a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The value of `traceparent` to send on: the client's, byte for byte, if it is valid.
    pub header: String,
    /// 32 lower-case hex characters.
    pub trace_id: String,
    /// The client's trace goes on. If not, its `tracestate` belongs to nothing and must be
    /// removed (section 3.3).
    pub kept: bool,
}

/// Continues the client's trace or begins one.
#[must_use]
pub fn trace(client: Option<&[u8]>, random: [u8; 24]) -> Trace {
    let kept = client.and_then(|value| std::str::from_utf8(value).ok()).and_then(|header| {
        let trace_id = valid_trace_id(header)?.to_owned();
        Some(Trace { header: header.to_owned(), trace_id, kept: true })
    });
    kept.unwrap_or_else(|| begin(random))
}

/// The trace id of a valid header. A version above 00 is read by its prefix, as section 4.3
/// of Trace Context asks; what follows must then be set off by a dash.
fn valid_trace_id(header: &str) -> Option<&str> {
    let (fields, rest) = header.split_at_checked(55)?;
    let mut parts = fields.split('-');
    let version = lower_hex(parts.next()?, 2)?;
    let trace_id = lower_hex(parts.next()?, 32)?;
    let parent_id = lower_hex(parts.next()?, 16)?;
    lower_hex(parts.next()?, 2)?;
    let ends = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let zero = |id: &str| id.bytes().all(|digit| digit == b'0');
    (ends && parts.next().is_none() && !zero(trace_id) && !zero(parent_id)).then_some(trace_id)
}

fn lower_hex(field: &str, len: usize) -> Option<&str> {
    let digits = field.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    (field.len() == len && digits).then_some(field)
}

/// A new, sampled trace.
fn begin(random: [u8; 24]) -> Trace {
    let (trace_id, parent_id) = random.split_at(16);
    let (trace_id, parent_id) = (not_zero(hex(trace_id)), not_zero(hex(parent_id)));
    Trace { header: format!("00-{trace_id}-{parent_id}-01"), trace_id, kept: false }
}

/// An id of zeros is invalid; however unlikely, it is not handed out.
fn not_zero(mut id: String) -> String {
    if id.bytes().all(|digit| digit == b'0') {
        id.pop();
        id.push('1');
    }
    id
}
