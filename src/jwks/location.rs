//! Where an issuer's keys are.

use std::collections::BTreeMap;

use hmac_sha256::Hash as Sha256;

use super::fetch::Target;

/// Where a key set is found.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// At this address.
    Fixed(Target),
    /// At the address that the discovery document here gives.
    Discovered(Target),
}

impl Location {
    /// A name for this source of keys, from all that leads to them. Plugins that know nothing of
    /// each other may share data; keys that came another way must not be taken for ours.
    pub(super) fn identity(&self, issuer: &str, origins: &BTreeMap<String, String>) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        part(issuer);
        let (kind, target) = match self {
            Self::Fixed(target) => ("fixed", target),
            Self::Discovered(target) => ("discovered", target),
        };
        for text in [kind, &target.url.origin(), &target.url.path, &target.cluster] {
            part(text);
        }
        for (origin, cluster) in origins {
            part(origin);
            part(cluster);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
