//! The bearer token of a request (RFC 6750 section 2.1, RFC 9110 section 11.6.2).

use super::Denial;

/// Finds the one bearer token in the values of all `Authorization` headers.
///
/// Envoy joins several such headers into one value with commas between them; a comma is not
/// part of a token, so they are noticed either way. Credentials of another scheme are no
/// credentials here (RFC 6750 section 3.1: "an unsupported authentication method").
pub(super) fn token<'a>(values: &[&'a [u8]]) -> Result<&'a [u8], Denial> {
    let value = match values {
        [] => return Err(Denial::MissingToken),
        [one] => one.trim_ascii(),
        _ => return Err(Denial::InvalidRequest("more than one Authorization header")),
    };
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, credentials) = value.split_at_checked(end).unwrap_or((value, &[]));
    if credentials.is_empty() || !scheme.iter().all(|byte| is_token_char(*byte)) {
        return Err(Denial::InvalidRequest("the Authorization header is malformed"));
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(match joined_with_bearer(credentials) {
            true => Denial::InvalidRequest("more than one Authorization header"),
            false => Denial::MissingToken,
        });
    }
    let token = credentials.trim_ascii_start();
    if is_token68(token) {
        Ok(token)
    } else {
        Err(Denial::InvalidRequest("the bearer token is malformed"))
    }
}

/// Whether another header with a bearer token was joined to these credentials.
fn joined_with_bearer(credentials: &[u8]) -> bool {
    credentials.split(|byte| *byte == b',').skip(1).any(|part| {
        part.trim_ascii_start()
            .split_at_checked(7)
            .is_some_and(|(head, _)| head.eq_ignore_ascii_case(b"bearer "))
    })
}

/// RFC 9110 section 11.2.
fn is_token68(text: &[u8]) -> bool {
    let unpadded = text.iter().rposition(|byte| *byte != b'=').and_then(|last| text.get(..=last));
    unpadded.is_some_and(|text| {
        text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte))
    })
}

/// RFC 9110 section 5.6.2.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
