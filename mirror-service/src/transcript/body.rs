//! Bodies as bytes: content codings undone, unknown ones turned into text.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Most bytes that a compressed body may unfold to.
const MAX_DECODED: u64 = 4 << 20;

/// A body without its content coding.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Its coding, if it could not be undone.
    pub(super) opaque: Option<&'static str>,
    /// It unfolds to more than is looked at.
    pub(super) cut: bool,
}

/// Undoes gzip and deflate (RFC 9110 section 8.4.1). What a cut body still gives is taken.
pub(super) fn decode<'a>(bytes: &'a [u8], encoding: Option<&str>) -> Body<'a> {
    let plain = |opaque| Body { bytes: Cow::Borrowed(bytes), opaque, cut: false };
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => plain(None),
        "gzip" | "x-gzip" => {
            unfold(MultiGzDecoder::new(bytes)).unwrap_or_else(|| plain(Some("gzip")))
        }
        // RFC 9110 section 8.4.1.2: zlib format; some send the bare stream.
        "deflate" => unfold(ZlibDecoder::new(bytes))
            .or_else(|| unfold(DeflateDecoder::new(bytes)))
            .unwrap_or_else(|| plain(Some("deflate"))),
        "br" => plain(Some("br")),
        "zstd" => plain(Some("zstd")),
        _ => plain(Some("an unknown coding")),
    }
}

/// Reads to the end, to the limit or to the first fault; nothing at all is a failure.
fn unfold<'a>(from: impl Read) -> Option<Body<'a>> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_DECODED).read_to_end(&mut bytes);
    if bytes.is_empty() && read.is_err() {
        return None;
    }
    let cut = u64::try_from(bytes.len()).is_ok_and(|len| len >= MAX_DECODED);
    Some(Body { bytes: Cow::Owned(bytes), opaque: None, cut })
}

/// A body as text, or a note that says what it was. Nothing for an empty one.
pub(super) fn text(body: &Body<'_>, media_type: Option<&str>) -> Option<String> {
    let len = body.bytes.len();
    if len == 0 {
        return None;
    }
    if let Some(coding) = body.opaque {
        return Some(format!("[{len} bytes in {coding}]"));
    }
    let text = String::from_utf8_lossy(&body.bytes);
    if is_binary(&text, media_type) {
        return Some(match media_type.and_then(plain_type) {
            Some(kind) => format!("[binary: {kind}, {len} bytes]"),
            None => format!("[binary: {len} bytes]"),
        });
    }
    Some(text.into_owned())
}

/// Control characters and broken UTF-8 make a text unreadable. A few broken characters are
/// tolerated: a capture ends anywhere, and Latin-1 is still read.
fn is_binary(text: &str, media_type: Option<&str>) -> bool {
    let media = media_type.unwrap_or_default().trim_start().to_ascii_lowercase();
    if ["image/", "audio/", "video/"].iter().any(|kind| media.starts_with(kind)) {
        return true;
    }
    let odd = text
        .chars()
        .filter(|c| {
            *c == char::REPLACEMENT_CHARACTER
                || (c.is_control() && !c.is_whitespace() && *c != '\u{1b}')
        })
        .count();
    odd > 1 && odd.saturating_mul(10) > text.len() || text.contains('\0')
}

/// `type/subtype` if it has no surprises: the header is the client's.
fn plain_type(media: &str) -> Option<&str> {
    let kind = media.split(';').next()?.trim();
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'+' | b'-');
    (kind.len() <= 40 && kind.contains('/') && kind.bytes().all(ok)).then_some(kind)
}
