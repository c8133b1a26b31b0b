//! JSON that was written by somebody we do not trust.
//!
//! A document is read into a tree, so that nothing in it escapes scrutiny: names given twice are
//! noticed at every depth (RFC 8259 section 4 leaves their meaning open, and two readers that
//! differ about them are an attack), text is valid UTF-8 and numbers are finite. `serde_json`
//! refuses a byte order mark, trailing text and nesting deeper than 128.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value that borrows from its document.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number. Whole numbers beyond 2^53 are rounded; nothing here needs them exactly.
    Number(f64),
    /// Text, its escapes resolved.
    String(Cow<'a, str>),
    /// A list.
    Array(Vec<Json<'a>>),
    /// Names and values.
    Object(Object<'a>),
}

/// A JSON object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Json<'a>)>,
    distinct: bool,
}

impl<'a> Json<'a> {
    /// Reads one whole document; `None` if it is not JSON.
    #[must_use]
    pub fn parse(document: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(document).ok()?).ok()
    }

    /// Reads a document that is one object, in which no name is given twice at any depth.
    #[must_use]
    pub fn parse_strict(document: &'a [u8]) -> Option<Object<'a>> {
        match Self::parse(document)? {
            value if !value.is_distinct() => None,
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether no object in here gives a name twice.
    #[must_use]
    pub fn is_distinct(&self) -> bool {
        match self {
            Self::Array(elements) => elements.iter().all(Self::is_distinct),
            Self::Object(object) => object.is_distinct(),
            _ => true,
        }
    }
}

impl<'a> Object<'a> {
    /// The first member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.members.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The member of that name, if there is exactly one.
    #[must_use]
    pub fn sole(&self, name: &str) -> Option<&Json<'a>> {
        let mut found = self.members.iter().filter(|(n, _)| n == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether there is a member of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that is text. `Err` if it is there and is not.
    ///
    /// # Errors
    /// [`NotText`] if the member is of another type.
    pub fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        self.get(name).map(|value| value.as_str().ok_or(NotText)).transpose()
    }

    /// Whether no name is given twice, here and below.
    #[must_use]
    pub fn is_distinct(&self) -> bool {
        self.distinct && self.members.iter().all(|(_, value)| value.is_distinct())
    }
}

/// A member that should be text is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotText;

/// Up to this many names a scan is cheaper than hashing them.
const SCAN: usize = 16;

fn are_distinct(members: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    if members.len() > SCAN {
        let mut seen = HashSet::with_capacity(members.len());
        return members.iter().all(|(name, _)| seen.insert(name.as_ref()));
    }
    let mut rest = members;
    while let Some(((name, _), tail)) = rest.split_first() {
        if tail.iter().any(|(other, _)| other == name) {
            return false;
        }
        rest = tail;
    }
    true
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    #[allow(clippy::cast_precision_loss)] // said at `Json::Number`
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(value as f64))
    }

    #[allow(clippy::cast_precision_loss)] // said at `Json::Number`
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.is_finite() { Ok(Json::Number(value)) } else { Err(E::custom("infinite")) }
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        let distinct = are_distinct(&members);
        Ok(Json::Object(Object { members, distinct }))
    }
}

/// A member's name; borrowed when it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Tree)? {
            Json::String(name) => Ok(Self(name)),
            _ => Err(D::Error::custom("a name is text")),
        }
    }
}
