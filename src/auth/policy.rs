//! What is asked of an issuer's tokens, read from the configuration.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{Config, Issuer, Secret};
use crate::jwks::fetch::{self, Target};
use crate::jwks::location::Location;
use crate::jwks::source::Source;
use crate::jwks::url::{BadUrl, Url};
use crate::jwt::claims::is_scope;
use crate::jwt::header::media_type;
use crate::jwt::signature::{MIN_SECRET, VerifyingKey};
use crate::jwt::{Algorithm, Invalid};

use super::Fault;

/// One issuer.
pub(super) struct Policy {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) scope_claims: Vec<String>,
    pub(super) keys: Keys,
    algorithms: Vec<Algorithm>,
    token_types: Vec<String>,
}

/// What its tokens are verified with.
pub(super) enum Keys {
    /// A secret that we share with it.
    Secret(VerifyingKey),
    /// The key set that it publishes.
    Published(Box<Source>),
}

impl Policy {
    /// Whether a header may come from this issuer.
    pub(super) fn admits(&self, algorithm: Algorithm, typ: Option<&str>) -> Result<(), Invalid> {
        if !self.algorithms.contains(&algorithm) {
            return Err(Invalid::Algorithm);
        }
        let accepted = match typ {
            _ if !self.token_types.is_empty() => {
                typ.is_some_and(|typ| self.token_types.iter().any(|own| own == typ))
            }
            None => true,
            Some(typ) => typ == "jwt" || typ.ends_with("+jwt"),
        };
        if accepted { Ok(()) } else { Err(Invalid::Type) }
    }
}

/// Reads all issuers, or finds all faults.
pub(super) fn read(config: &Config, worker: u64) -> Result<Vec<Policy>, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut policies = Vec::new();
    let origins = Rc::new(config.origins.clone());
    for (index, issuer) in config.issuers.iter().enumerate() {
        faults.prefix = format!("issuers[{index}]");
        let earlier = config.issuers.iter().take(index);
        if earlier.into_iter().any(|other| other.issuer == issuer.issuer) {
            faults.add("issuer", "is given twice; tell two issuers apart by their names");
        }
        common(issuer, &mut faults);
        let keys = match &issuer.hmac_secret {
            Some(secret) => shared_secret(issuer, secret, &mut faults).map(Keys::Secret),
            None => location(issuer, &origins, &mut faults).map(|location| {
                let name = &issuer.issuer;
                let source = Source::new(index, worker, name, location, &origins);
                Keys::Published(Box::new(source))
            }),
        };
        let algorithms = algorithms(issuer, &mut faults);
        policies.extend(keys.map(|keys| Policy {
            issuer: issuer.issuer.clone(),
            audiences: issuer.audiences.clone(),
            scopes: issuer.scopes.clone(),
            scope_claims: issuer.scope_claims.clone(),
            keys,
            algorithms,
            token_types: issuer.token_types.iter().map(|name| media_type(name)).collect(),
        }));
    }
    if faults.found.is_empty() { Ok(policies) } else { Err(faults.found) }
}

#[derive(Default)]
struct Faults {
    prefix: String,
    found: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, key: &str, problem: &str) {
        let path = format!("{}.{key}", self.prefix);
        self.found.push(Fault::new(path, problem));
    }

    /// Looks at every element of a list.
    fn each(&mut self, key: &str, list: &[String], good: impl Fn(&str) -> bool, problem: &str) {
        for (index, _) in list.iter().enumerate().filter(|(_, element)| !good(element)) {
            self.add(&format!("{key}[{index}]"), problem);
        }
    }
}

fn common(issuer: &Issuer, faults: &mut Faults) {
    // It is stamped on requests as it is.
    if issuer.issuer.is_empty() || !issuer.issuer.bytes().all(|byte| byte.is_ascii_graphic()) {
        faults.add("issuer", "must be the exact `iss` of its tokens, in visible ASCII");
    }
    if issuer.audiences.is_empty() {
        faults.add("audiences", "must name at least one accepted `aud`");
    }
    let filled = |text: &str| !text.is_empty();
    faults.each("audiences", &issuer.audiences, filled, "must not be empty");
    faults.each("scopes", &issuer.scopes, is_scope, "must be one scope, without white space");
    faults.each("scope_claims", &issuer.scope_claims, filled, "must name a claim");
    faults.each("token_types", &issuer.token_types, filled, "must name a `typ`");
}

fn algorithms(issuer: &Issuer, faults: &mut Faults) -> Vec<Algorithm> {
    use Algorithm::{HS256, HS384, HS512};
    let own = &issuer.algorithms;
    if own.is_empty() {
        faults.add("algorithms", "must name at least one algorithm, or be left out");
    }
    match &issuer.hmac_secret {
        // Left out: then the configuration carries the defaults, which are not for secrets.
        Some(_) if *own == Algorithm::defaults() => vec![HS256, HS384, HS512],
        Some(_) if !own.iter().all(|algorithm| algorithm.is_symmetric()) => {
            faults.add("algorithms", "may only be HS256, HS384 and HS512 with a `hmac_secret`");
            Vec::new()
        }
        None if own.iter().any(|algorithm| algorithm.is_symmetric()) => {
            faults.add("algorithms", "may not have HS256, HS384 or HS512 without a `hmac_secret`");
            Vec::new()
        }
        _ => own.clone(),
    }
}

fn shared_secret(issuer: &Issuer, secret: &Secret, faults: &mut Faults) -> Option<VerifyingKey> {
    if issuer.jwks_uri.is_some() {
        faults.add("jwks_uri", "must be left out with a `hmac_secret`");
    }
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(&secret.0) else {
        faults.add("hmac_secret", "must be base64url without padding");
        return None;
    };
    let key = VerifyingKey::secret(bytes).ok();
    if key.is_none() {
        let problem = format!("must be at least {MIN_SECRET} bytes long, before base64url");
        faults.add("hmac_secret", &problem);
    }
    key
}

fn location(
    issuer: &Issuer,
    origins: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> Option<Location> {
    let (key, url) = match &issuer.jwks_uri {
        Some(uri) => {
            // Then the issuer is only a name; but one in the clear tells of a mistake.
            if Url::parse(&issuer.issuer) == Err(BadUrl::Insecure) {
                faults.add("issuer", INSECURE);
            }
            ("jwks_uri", Url::parse(uri))
        }
        None => ("issuer", fetch::discovery_url(&issuer.issuer)),
    };
    let url = match url {
        Ok(url) => url,
        Err(BadUrl::Insecure) => {
            faults.add(key, INSECURE);
            return None;
        }
        Err(BadUrl::Malformed) => {
            faults.add(key, "must be an https address without user, fragment or white space");
            return None;
        }
    };
    let origin = url.origin();
    let Some(target) = Target::of(url, origins) else {
        faults.add(key, &format!("has the origin {origin}; give `origins` a cluster for it"));
        return None;
    };
    Some(match issuer.jwks_uri {
        Some(_) => Location::Fixed(target),
        None => Location::Discovered(target),
    })
}

const INSECURE: &str = "must be https; http is for 127.0.0.1, [::1] and localhost only";
