//! Parameters of `/mem/*`.

use std::borrow::Cow;

use crate::clock::{self, Millis};
use crate::fault::Fault;
use crate::store::{Filter, Page};

use super::Caller;

/// Items of a page that asks for no number.
const DEFAULT_LIMIT: usize = 20;

/// Most items of a page.
const MAX_LIMIT: usize = 100;

/// What a query asks for. Parameters that are not ours are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Params {
    pub(super) words: Option<String>,
    pub(super) page: Page,
    filter: Filter,
}

// === impl Params ===

impl Params {
    /// Parses `limit=…&cursor=…&session=…&sid=…&since=…&until=…&q=…`.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let mut params = Self {
            words: None,
            page: Page { limit: DEFAULT_LIMIT, cursor: None },
            filter: Filter::default(),
        };
        let mut seen = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let known = ["q", "limit", "cursor", "session", "sid", "since", "until"];
            let Some(name) = known.into_iter().find(|known| *known == name) else { continue };
            if seen.contains(&name) {
                return Err(Fault::Invalid(format!("{name} is given twice")));
            }
            seen.push(name);
            params.set(name, decode(value)?.into_owned())?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &'static str, value: String) -> Result<(), Fault> {
        if value.is_empty() && name != "q" {
            return Err(Fault::Invalid(format!("{name} is empty")));
        }
        match name {
            "q" => self.words = Some(value),
            "limit" => self.page.limit = limit(&value)?,
            "cursor" => self.page.cursor = Some(value),
            "session" => self.filter.session = Some(value),
            "sid" => self.filter.sid = Some(value),
            "since" => self.filter.since = Some(time(name, &value)?),
            "until" => self.filter.until = Some(time(name, &value)?),
            _ => {}
        }
        Ok(())
    }

    /// The filter, narrowed to what the caller may see.
    pub(super) fn filter(&self, caller: &Caller) -> Filter {
        Filter { owner: caller.scope(), ..self.filter.clone() }
    }
}

fn limit(value: &str) -> Result<usize, Fault> {
    let wrong = || Fault::Invalid(format!("limit is not a number from 1 to {MAX_LIMIT}"));
    // `parse` takes a plus sign, which in a query is a space.
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(wrong)
}

/// RFC 3339, or seconds since 1970. A plus sign that was sent unencoded has become a space.
fn time(name: &str, value: &str) -> Result<Millis, Fault> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: Option<u64> = value.parse().ok();
        if let Some(millis) = seconds.and_then(|seconds| seconds.checked_mul(1000)) {
            return Ok(millis);
        }
    }
    clock::parse_rfc3339(&value.replace(' ', "+")).ok_or_else(|| {
        Fault::Invalid(format!("{name} is no RFC 3339 time such as 2026-01-02T03:04:05Z"))
    })
}

/// `application/x-www-form-urlencoded`.
fn decode(text: &str) -> Result<Cow<'_, str>, Fault> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let wrong = || Fault::Invalid("the query is not well encoded".into());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let byte = rest.next()?;
                    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
                };
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| wrong())
}
