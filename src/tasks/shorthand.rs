//! Decides, as early as the bytes allow, whether a chat body may be the `prompt` shorthand.
//!
//! A chat body names `messages` near its beginning, so nearly every body is released with its
//! first chunk. The scanner never copies more than a member's name; what it holds back, only
//! [`rewrite`](super::rewrite) reads in full.

use crate::auth::Denial;

/// Longest spelling of a name that matters: `messages`, every character as `\u006d`.
const MAX_NAME: usize = 8 * 6;

/// What to do with the body so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Keep it back: it may still be the shorthand.
    Hold,
    /// It is not. Final: the body goes on untouched and need not be scanned further.
    Release,
}

/// Reads a body chunk by chunk, split anywhere.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    place: Place,
    /// The raw name being read, or as much of it as matters.
    name: Vec<u8>,
    /// A top-level `prompt` was seen.
    prompt: bool,
}

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the `{`.
    #[default]
    Start,
    /// After the `{`: a name or the end.
    FirstName,
    /// After a comma: a name.
    NextName,
    /// In a name; the flag: after a backslash.
    Name { escaped: bool },
    /// Between a name and its colon.
    Colon,
    /// Before a value.
    Value,
    /// In a top-level number or word.
    Scalar,
    /// In a string that is a value, or inside of one, so many brackets deep.
    Text { depth: u64, escaped: bool },
    /// So many brackets deep in a value, outside of strings.
    Nested { depth: u64 },
    /// After a value.
    Comma,
    /// After the `}`.
    End,
    /// Not the shorthand.
    Released,
}

impl Scanner {
    /// A scanner at the beginning of a body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the bytes that came since the last call.
    pub fn feed(&mut self, chunk: &[u8]) -> Verdict {
        for byte in chunk {
            if self.place == Place::Released {
                break;
            }
            self.place = self.step(*byte).unwrap_or(Place::Released);
        }
        if self.place == Place::Released { Verdict::Release } else { Verdict::Hold }
    }

    /// A held body has reached the limit: `Ok` releases it untouched.
    ///
    /// # Errors
    /// [`Denial::BodyTooLarge`] if it is the shorthand as far as it was read.
    pub fn at_limit(&self) -> Result<(), Denial> {
        if self.prompt && self.place != Place::Released {
            Err(Denial::BodyTooLarge)
        } else {
            Ok(())
        }
    }

    /// The place after one byte; `None` once the body cannot be the shorthand.
    fn step(&mut self, byte: u8) -> Option<Place> {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        Some(match (self.place, byte) {
            (Place::Name { escaped }, _) => return self.in_name(byte, escaped),
            (Place::Text { depth, escaped }, _) => in_text(byte, depth, escaped),
            (Place::Nested { depth }, _) => return nested(byte, depth),
            (Place::Scalar, b',') => Place::NextName,
            (Place::Scalar, b'}') => return self.end(),
            (Place::Scalar, _) if space => Place::Comma,
            (Place::Scalar, _) => return scalar(byte),
            (place, _) if space => place,
            (Place::Start, b'{') => Place::FirstName,
            (Place::FirstName | Place::NextName, b'"') => {
                self.name.clear();
                Place::Name { escaped: false }
            }
            (Place::FirstName | Place::Comma, b'}') => return self.end(),
            (Place::Colon, b':') => Place::Value,
            (Place::Value, b'"') => Place::Text { depth: 0, escaped: false },
            (Place::Value, b'{' | b'[') => Place::Nested { depth: 1 },
            (Place::Value, _) => return scalar(byte),
            (Place::Comma, b',') => Place::NextName,
            _ => return None,
        })
    }

    fn in_name(&mut self, byte: u8, escaped: bool) -> Option<Place> {
        if byte == b'"' && !escaped {
            return self.named();
        }
        // One byte more than matters tells a longer name.
        if self.name.len() <= MAX_NAME {
            self.name.push(byte);
        }
        Some(Place::Name { escaped: byte == b'\\' && !escaped })
    }

    /// A name is complete.
    fn named(&mut self) -> Option<Place> {
        if self.name.len() <= MAX_NAME {
            let quoted = [b"\"", self.name.as_slice(), b"\""].concat();
            let name: String = serde_json::from_slice(&quoted).ok()?;
            if name.eq_ignore_ascii_case("messages") {
                return None;
            }
            self.prompt |= name.eq_ignore_ascii_case("prompt");
        }
        Some(Place::Colon)
    }

    /// The object is complete: without `prompt` it is settled.
    fn end(&self) -> Option<Place> {
        self.prompt.then_some(Place::End)
    }
}

fn in_text(byte: u8, depth: u64, escaped: bool) -> Place {
    match byte {
        b'"' if !escaped && depth == 0 => Place::Comma,
        b'"' if !escaped => Place::Nested { depth },
        _ => Place::Text { depth, escaped: byte == b'\\' && !escaped },
    }
}

/// Brackets are counted, not matched: a body that is not JSON is found out when it is read.
fn nested(byte: u8, depth: u64) -> Option<Place> {
    Some(match byte {
        b'"' => Place::Text { depth, escaped: false },
        b'{' | b'[' => Place::Nested { depth: depth.checked_add(1)? },
        b'}' | b']' if depth == 1 => Place::Comma,
        b'}' | b']' => Place::Nested { depth: depth.checked_sub(1)? },
        _ => Place::Nested { depth },
    })
}

fn scalar(byte: u8) -> Option<Place> {
    let part = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    part.then_some(Place::Scalar)
}

#[cfg(test)]
mod tests;
