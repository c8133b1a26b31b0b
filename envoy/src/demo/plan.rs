//! Which settings of the environment the demo keeps, and which it decides itself.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;

/// Families of settings that the demo decides itself.
const FAMILIES: [&str; 5] = ["OIDC_", "JWT_", "MEM_", "MIRROR_", "WEAVIATE_"];
/// Others that it decides itself.
const OWN: [&str; 5] =
    ["ATTACH_CONFIG", "ATTACH_DATA_DIR", "ATTACH_MODE", "ATTACH_SESSION", "ATTACH_TLS_"];
/// Where the gateway listens unless told otherwise.
const LISTENERS: [(&str, &str); 2] =
    [("ATTACH_LISTEN", "127.0.0.1:8080"), ("ATTACH_METRICS_LISTEN", "127.0.0.1:9464")];

/// Settings of a demo in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    vars: Vec<(OsString, OsString)>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// Starts from the user's environment. `busy` tells whether an address is taken.
    pub(super) fn new(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        busy: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let (ours, vars): (Vec<_>, Vec<_>) =
            environment.into_iter().partition(|(name, _)| is_ours(name));
        let mut plan = Self { vars, notes: Vec::new() };
        if !ours.is_empty() {
            let mut names: Vec<_> = ours.iter().map(|(name, _)| name.to_string_lossy()).collect();
            names.sort();
            plan.notes.push(format!("not used in the demo: {}", names.join(", ")));
        }
        for (name, default) in LISTENERS {
            let taken = default.parse().is_ok_and(&busy);
            if taken && plan.get(name).is_none() {
                plan.notes.push(format!("{default} is taken, so {name} is a free port instead"));
                plan.set(name, "127.0.0.1:0");
            }
        }
        plan
    }

    /// Sets or replaces one.
    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.unset(name);
        self.vars.push((name.into(), value.into()));
    }

    /// Removes one.
    pub(super) fn unset(&mut self, name: &str) {
        self.vars.retain(|(known, _)| known != name);
    }

    /// What one is set to.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// All of them.
    pub(super) fn vars(&self) -> impl Iterator<Item = (OsString, OsString)> + '_ {
        self.vars.iter().cloned()
    }
}

fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    FAMILIES.iter().chain(&OWN).any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn plan(vars: &[(&str, &str)], taken: &[&str]) -> Plan {
        let vars = vars.iter().map(|&(name, value)| (name.into(), value.into()));
        Plan::new(vars, |addr| taken.contains(&addr.to_string().as_str()))
    }

    #[test]
    fn what_the_demo_decides_is_not_taken_from_the_environment() {
        let plan = plan(
            &[
                ("PATH", "/bin"),
                ("ENGINE_URL", "http://127.0.0.1:1"),
                ("ENGINE_TYPO", "1"),
                ("ATTACH_ENVOY", "/envoy"),
                ("OIDC_ISSUER", "https://id.example.com"),
                ("ATTACH_SESSION_SECRET_FILE", "x"),
                ("MEM_BACKEND", "weaviate"),
            ],
            &[],
        );
        let mut kept: Vec<_> = plan.vars().map(|(name, _)| name.into_string().unwrap()).collect();
        kept.sort();
        assert_eq!(kept, ["ATTACH_ENVOY", "ENGINE_TYPO", "ENGINE_URL", "PATH"]);
        let note = "not used in the demo: ATTACH_SESSION_SECRET_FILE, MEM_BACKEND, OIDC_ISSUER";
        assert_eq!(plan.notes, [note]);
    }

    #[test]
    fn a_taken_default_port_is_replaced_but_a_chosen_one_is_kept() {
        let taken = ["127.0.0.1:8080", "127.0.0.1:9464"];
        let chosen = plan(&[("ATTACH_LISTEN", "127.0.0.1:8080")], &taken);
        assert_eq!(chosen.get("ATTACH_LISTEN"), Some(OsStr::new("127.0.0.1:8080")));
        assert_eq!(chosen.get("ATTACH_METRICS_LISTEN"), Some(OsStr::new("127.0.0.1:0")));
        assert_eq!(chosen.notes.len(), 1);
        let free = plan(&[], &taken);
        assert_eq!(free.get("ATTACH_LISTEN"), Some(OsStr::new("127.0.0.1:0")));
        assert_eq!(plan(&[], &[]).get("ATTACH_LISTEN"), None);
    }
}
