//! The claims of a token (RFC 7519 section 4), read but not yet believed.

use super::Invalid;
use super::json::{Json, Object};
use super::time::{NumericDate, UnixMillis};

/// Longest `sub`, `azp` or `client_id`, bytes. OpenID Connect Core section 2 allows 255; what is
/// longer than this would not fit into the headers that other servers accept.
pub const MAX_NAME: usize = 1024;

/// The claims that we read, with the right types. A member of a wrong type refuses the token:
/// treating it as absent would drop the check that it asks for.
#[derive(Debug)]
pub struct Claims<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`: not empty, no control characters.
    pub subject: &'a str,
    /// `aud`: the string, or the strings of the array.
    pub audiences: Vec<&'a str>,
    /// `exp`, `nbf` and `iat`.
    pub times: Times,
    /// Who acts for the subject: `act.sub` (RFC 8693 section 4.1), else `azp` (OpenID Connect
    /// Core section 2), else `client_id` (RFC 9068 section 2.2).
    pub agent: Option<&'a str>,
}

/// When a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `exp`.
    pub expires: NumericDate,
    /// `nbf`.
    pub not_before: Option<NumericDate>,
    /// `iat`.
    pub issued_at: Option<NumericDate>,
}

impl<'a> Claims<'a> {
    /// Reads the claims of a token from its payload.
    ///
    /// # Errors
    /// [`Invalid::Claims`], [`Invalid::Issuer`], [`Invalid::Subject`] or [`Invalid::NoExpiry`].
    pub fn read(payload: &'a Object<'_>) -> Result<Self, Invalid> {
        let text = |name| payload.text(name).map_err(|_| Invalid::Claims);
        let date = |name| match payload.get(name) {
            Some(value) => NumericDate::read(value).map(Some).ok_or(Invalid::Claims),
            None => Ok(None),
        };
        let subject = text("sub")?.filter(|sub| is_name(sub)).ok_or(Invalid::Subject)?;
        Ok(Self {
            issuer: text("iss")?.ok_or(Invalid::Issuer)?,
            subject,
            audiences: audiences(payload.get("aud"))?,
            times: Times {
                not_before: date("nbf")?,
                issued_at: date("iat")?,
                expires: date("exp")?.ok_or(Invalid::NoExpiry)?,
            },
            agent: agent(payload)?,
        })
    }
}

impl Times {
    /// Whether the token is valid at `now`, the leeway given in its favour.
    ///
    /// # Errors
    /// [`Invalid::Expired`] or [`Invalid::NotYetValid`].
    pub fn check(&self, now: UnixMillis) -> Result<(), Invalid> {
        if self.expires.has_expired(now) {
            return Err(Invalid::Expired);
        }
        let ahead = |date: Option<NumericDate>| date.is_some_and(|date| date.is_ahead(now));
        if ahead(self.not_before) || ahead(self.issued_at) {
            return Err(Invalid::NotYetValid);
        }
        Ok(())
    }
}

/// RFC 7519 section 4.1.3: one string, or an array of strings.
fn audiences<'a>(value: Option<&'a Json<'_>>) -> Result<Vec<&'a str>, Invalid> {
    match value {
        None => Ok(Vec::new()),
        Some(Json::String(one)) => Ok(vec![one.as_ref()]),
        Some(Json::Array(many)) => {
            many.iter().map(|one| one.as_str().ok_or(Invalid::Claims)).collect()
        }
        Some(_) => Err(Invalid::Claims),
    }
}

fn agent<'a>(payload: &'a Object<'_>) -> Result<Option<&'a str>, Invalid> {
    let actor = match payload.get("act") {
        Some(act) => act.as_object().ok_or(Invalid::Claims)?.text("sub"),
        None => Ok(None),
    };
    for candidate in [actor, payload.text("azp"), payload.text("client_id")] {
        match candidate.map_err(|_| Invalid::Claims)? {
            None | Some("") => {}
            Some(name) if is_name(name) => return Ok(Some(name)),
            Some(_) => return Err(Invalid::Claims),
        }
    }
    Ok(None)
}

/// Fit to be stamped on a request. Control characters never are: behind us somebody may decode
/// the header and write it to a log or a protocol of lines.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

/// Collects what the claim at `path` grants into `scopes`: the words of a string (RFC 6749
/// section 3.3) or the elements of an array. A dot descends, unless a claim has the whole name,
/// as `https://example.com/roles` does.
pub fn grants(payload: &Object<'_>, path: &str, scopes: &mut Vec<String>) {
    match find(payload, path) {
        Some(Json::String(words)) => words.split(' ').for_each(|word| grant(word, scopes)),
        Some(Json::Array(words)) => {
            words.iter().filter_map(Json::as_str).for_each(|word| grant(word, scopes));
        }
        _ => {}
    }
}

fn find<'a, 'j>(object: &'a Object<'j>, path: &str) -> Option<&'a Json<'j>> {
    object.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let (head, tail) = path.split_at_checked(dot)?;
            find(object.get(head)?.as_object()?, tail.strip_prefix('.')?)
        })
    })
}

/// Adds one scope, if it is one: granted scopes are handed on as a list with spaces between
/// them, so an array element with a space in it would grant two.
fn grant(word: &str, scopes: &mut Vec<String>) {
    if is_scope(word) && !scopes.iter().any(|scope| scope == word) {
        scopes.push(word.to_owned());
    }
}

/// The `scope-token` of RFC 6749 section 3.3.
#[must_use]
pub fn is_scope(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}
