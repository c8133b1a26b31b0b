//! Who asks, as the gateway stamped it.

use axum::http::{HeaderMap, HeaderName};

use crate::event::Owner;
use crate::fault::Fault;

const USER: HeaderName = HeaderName::from_static("x-attach-user");
const ISSUER: HeaderName = HeaderName::from_static("x-attach-issuer");
const SCOPE: HeaderName = HeaderName::from_static("x-attach-scope");

/// The scope that lifts the owner filter.
const ADMIN: &str = "mem:admin";

/// A caller whose name the gateway vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) owner: Owner,
    /// Whether it sees everybody's events.
    admin: bool,
}

// === impl Caller ===

impl Caller {
    /// Reads the stamped headers. One that is there twice or is no text is nobody's: the gateway
    /// never sends that.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Fault> {
        let user = text(headers, &USER)?.filter(|user| !user.is_empty()).ok_or(Fault::NoUser)?;
        let issuer = text(headers, &ISSUER)?.unwrap_or_default();
        let scopes = text(headers, &SCOPE)?.unwrap_or_default();
        let admin = scopes.split(' ').any(|scope| scope == ADMIN);
        Ok(Self { owner: Owner { issuer, user }, admin })
    }

    /// Whose events the caller may see; everybody's if none.
    pub(crate) fn scope(&self) -> Option<Owner> {
        (!self.admin).then(|| self.owner.clone())
    }
}

/// The value of a header that is there at most once.
pub(crate) fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(name) { Err(Fault::NoUser) } else { Ok(None) };
    };
    let text = value.to_str().map_err(|_| Fault::NoUser)?;
    Ok(Some(text.to_owned()))
}
