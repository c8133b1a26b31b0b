//! What a program says its version is.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// A version of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the words of semver.org
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why a program's version is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum VersionError {
    #[error("cannot be run ({0}); set ATTACH_ENVOY to the path of an Envoy for this machine")]
    Run(#[from] std::io::Error),
    #[error("did not say its version within {} s; is it Envoy? Set ATTACH_ENVOY", PATIENCE.as_secs())]
    Slow,
    #[error("says no version of Envoy when called with --version; set ATTACH_ENVOY to an Envoy")]
    NotEnvoy,
}

/// A cold start from a slow disk takes a few seconds for a binary of 100 MB.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `envoy --version`.
pub(super) async fn ask(path: &Path) -> Result<Version, VersionError> {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.map_err(|_| VersionError::Slow)??;
    parse(&String::from_utf8_lossy(&output.stdout)).ok_or(VersionError::NotEnvoy)
}

/// `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`; a build of the main branch says
/// `1.41.0-dev`.
pub(super) fn parse(output: &str) -> Option<Version> {
    let (_, rest) = output.split_once("version: ")?;
    let [_, number, _, _, _] = rest.trim_end().split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let mut parts = number.split('-').next()?.split('.').map(|part| part.parse().ok());
    let version = Version { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
    parts.next().is_none().then_some(version)
}
