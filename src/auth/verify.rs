//! From a token to an identity.

use std::rc::Rc;

use crate::jwt::claims::Claims;
use crate::jwt::compact::Compact;
use crate::jwt::header::Header;
use crate::jwt::json::Json;
use crate::jwt::signature::HostVerifier;
use crate::jwt::{Invalid, UnixMillis};

use super::policy::{Keys, Policy};
use super::{Denial, Identity, Verdict};

/// Why there is no identity yet.
pub(super) enum Refusal {
    Invalid(Invalid),
    KeysUnavailable,
    Pending,
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(why) => Self::Denied(Denial::InvalidToken(why.description())),
            Refusal::KeysUnavailable => Self::Denied(Denial::KeysUnavailable),
            Refusal::Pending => Self::Pending,
        }
    }
}

/// Who sent a token, and the fingerprint of the key that says so.
///
/// The order of the checks is fixed: what is cheap and says nothing of our keys is first; the
/// issuer is chosen by its exact name before any key is tried; times and audience are told only
/// to those whose token is genuine.
pub(super) fn verify(
    policies: &mut [Policy],
    token: &[u8],
    audiences: Option<&[String]>,
    now: UnixMillis,
    host: &dyn HostVerifier,
) -> Result<(Rc<Identity>, [u8; 32]), Refusal> {
    let compact = Compact::parse(token)?;
    let header = Header::parse(&compact.header)?;
    let payload = Json::parse_strict(&compact.claims).ok_or(Invalid::Claims)?;
    let claims = Claims::read(&payload)?;
    let (index, policy) = policies
        .iter_mut()
        .enumerate()
        .find(|(_, policy)| policy.issuer == claims.issuer)
        .ok_or(Invalid::Issuer)?;
    policy.admits(header.algorithm, header.token_type.as_deref())?;
    let key = verified_by(&mut policy.keys, &header, &compact, now.0, host)?;
    let identity = Rc::new(Identity::new(index, policy, &claims, &payload));
    policy.check(&identity, audiences, now)?;
    Ok((identity, key))
}

impl Policy {
    /// Whether its tokens can be judged now.
    pub(super) fn has_keys(&self, now: UnixMillis) -> bool {
        match &self.keys {
            Keys::Secret(_) => true,
            Keys::Published(source) => source.keys(now.0).is_some(),
        }
    }

    /// What can change after a token was verified: the time, and for whom it must be.
    pub(super) fn check(
        &self,
        identity: &Identity,
        audiences: Option<&[String]>,
        now: UnixMillis,
    ) -> Result<(), Invalid> {
        identity.times.check(now)?;
        if identity.is_for(audiences.unwrap_or(&self.audiences)) {
            Ok(())
        } else {
            Err(Invalid::Audience)
        }
    }
}

/// The fingerprint of the key that made the signature.
fn verified_by(
    keys: &mut Keys,
    header: &Header,
    compact: &Compact<'_>,
    now: u64,
    host: &dyn HostVerifier,
) -> Result<[u8; 32], Refusal> {
    let (algorithm, text, signature) = (header.algorithm, compact.signed, &compact.signature);
    let source = match keys {
        Keys::Secret(key) if key.verify(algorithm, text, signature, host) => return Ok([0; 32]),
        Keys::Secret(_) => return Err(Invalid::Signature.into()),
        Keys::Published(source) => source,
    };
    let Some(set) = source.keys(now) else {
        let pending = source.is_hopeful();
        return Err(if pending { Refusal::Pending } else { Refusal::KeysUnavailable });
    };
    let key_id = header.key_id.as_deref();
    let mut tried = false;
    for key in set.candidates(key_id, algorithm) {
        tried = true;
        if key.verify(algorithm, text, signature, host) {
            return Ok(*key.fingerprint());
        }
    }
    let is_known = key_id.is_none_or(|id| set.knows(id));
    // An issuer may put a new key under an old name. The token has its answer at once all the
    // same: a forged one must not be able to wait for the issuer.
    let coming = source.ask(now);
    Err(match (is_known, coming, tried) {
        (false, true, _) => Refusal::Pending,
        (_, _, true) => Invalid::Signature.into(),
        (_, _, false) => Invalid::UnknownKey.into(),
    })
}
